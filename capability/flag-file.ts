// The embedded default for flags: a file in the schema of Unleash's own client features
// (docs.getunleash.io, "client feature toggles"), so that moving to an Unleash changes no meaning.
import { randomBytes } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { readFlag } from './capability.ts';

export type FlagStrategy = {
  readonly name: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly constraints?: readonly unknown[];
};

export type Flag = {
  readonly name: string;
  readonly type?: string;
  readonly enabled: boolean;
  readonly strategies: readonly FlagStrategy[];
};

export type FlagFile = { readonly version: number; readonly features: readonly Flag[] };

/** A flag file that is not one: what is wrong, and where. */
export class FlagFileError extends Error {
  override name = 'FlagFileError';
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function strategyFault(strategy: unknown): string | undefined {
  if (!isObject(strategy) || typeof strategy.name !== 'string') return 'has a strategy without a name';
  const parameters = strategy.parameters ?? {};
  if (!isObject(parameters) || Object.values(parameters).some((value) => typeof value !== 'string'))
    return `has parameters of ${strategy.name} that are not texts (Unleash writes numbers as "25")`;
  const constraints = strategy.constraints ?? [];
  const isConstraint = (each: unknown) =>
    isObject(each) && typeof each.contextName === 'string' && typeof each.operator === 'string';
  if (!Array.isArray(constraints) || !constraints.every(isConstraint))
    return `has constraints of ${strategy.name} without contextName and operator`;
  if (strategy.name !== 'flexibleRollout') return undefined;
  const rollout = Number(parameters.rollout);
  return /^\d{1,3}$/.test(String(parameters.rollout)) && rollout <= 100
    ? undefined
    : 'has a rollout that is not "0" to "100"';
}

/** @throws FlagFileError */
export function parseFlagFile(text: string): FlagFile {
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch (error) {
    throw new FlagFileError(`is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!isObject(file) || !Array.isArray(file.features)) throw new FlagFileError('has no "features" list');
  const names = new Set<string>();
  for (const [index, flag] of file.features.entries()) {
    if (!isObject(flag) || typeof flag.name !== 'string' || flag.name === '')
      throw new FlagFileError(`feature ${index + 1} has no name`);
    if (names.has(flag.name)) throw new FlagFileError(`feature "${flag.name}" stands twice`);
    names.add(flag.name);
    if (typeof flag.enabled !== 'boolean')
      throw new FlagFileError(`feature "${flag.name}": "enabled" is neither true nor false`);
    if (!Array.isArray(flag.strategies))
      throw new FlagFileError(`feature "${flag.name}" has no "strategies" list`);
    for (const strategy of flag.strategies) {
      const fault = strategyFault(strategy);
      if (fault) throw new FlagFileError(`feature "${flag.name}" ${fault}`);
    }
  }
  return { version: 2, features: file.features as Flag[] };
}

/**
 * A gradual rollout, sticky by the facade's id: users move only forward as the percentage grows.
 * @param naming strategies of clients who are moved whatever it is
 */
export const rolloutFlag = (name: string, percent: number, naming: readonly FlagStrategy[] = []): Flag => ({
  name,
  type: 'release',
  enabled: percent > 0 || naming.length > 0,
  strategies: [
    {
      name: 'flexibleRollout',
      parameters: { rollout: String(percent), stickiness: 'userId', groupId: name },
      constraints: [],
    },
    ...naming,
  ],
});

/**
 * The percentage a flag proposes when it is a plain gradual rollout, beside those whom constraints name; undefined when it is
 * anything else.
 */
export function rolloutPercent(flag: Flag | undefined): number | undefined {
  if (!flag?.enabled) return 0;
  if (flag.strategies.length === 0) return 100; // Unleash: enabled and no strategy means everybody
  const [strategy, another] = flag.strategies.filter(({ constraints }) => (constraints ?? []).length === 0);
  if (!strategy || another || strategy.name !== 'flexibleRollout') return undefined;
  return Number(strategy.parameters.rollout);
}

/** @throws FlagFileError naming the file */
export function readFlagFile(path: string): FlagFile {
  try {
    return parseFlagFile(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new FlagFileError(`flag file ${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Replaces the file in one step, so that no reader sees half of it. */
export function writeFlagFile(path: string, file: FlagFile): void {
  const beside = `${path}.${randomBytes(4).toString('hex')}`;
  writeFileSync(beside, `${JSON.stringify(file, null, 2)}\n`);
  renameSync(beside, path);
}

/** Strategies that name their clients, of whatever kind. */
export const namingStrategies = (flag: Flag | undefined): FlagStrategy[] =>
  (flag?.strategies ?? []).filter(({ constraints }) => (constraints ?? []).length > 0);

/**
 * Sets the percentage of a flag; other flags stay as they are.
 * @param naming instead of the strategies that name clients; without, these stay, except at 0: nobody is nobody
 * @throws FlagFileError naming the file
 */
export function setRollout(
  path: string,
  name: string,
  percent: number,
  naming?: readonly FlagStrategy[],
): void {
  const file = readFlagFile(path);
  const before = file.features.find((each) => each.name === name);
  const flag = rolloutFlag(name, percent, naming ?? (percent > 0 ? namingStrategies(before) : []));
  const features = before
    ? file.features.map((each) => (each === before ? flag : each))
    : [...file.features, flag];
  writeFlagFile(path, { ...file, features });
}

/** Sets the percentage of a capability's reads that the service answers. */
export const setReadPercent = (
  path: string,
  capability: string,
  percent: number,
  naming?: readonly FlagStrategy[],
): void => setRollout(path, readFlag(capability), percent, naming);
