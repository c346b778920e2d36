// The flags: what somebody proposes. Evaluated by unleash-client, from an embedded flag file or an Unleash server.

import type { Logger } from 'pino';
import { Unleash, type UnleashConfig } from 'unleash-client';
import type { ClientFeatures, Feature, SharedFlags } from './client-features.ts';
import { FlagFileRepository } from './flag-file-repository.ts';
import { constraintsOf, flagOddities, isSticky } from './flag-oddities.ts';
import type { Properties } from './properties.ts';
import { type UnleashOptions, UnleashRepository } from './unleash-repository.ts';

export type FlagsStatus = {
  readonly source: 'file' | 'unleash';
  /** The file's path, or the server's URL. */
  readonly place: string;
  /** ISO 8601, when the flags in force were loaded or confirmed; null as long as there are none. */
  readonly loadedAt: string | null;
  /** Why the newest flags could not be had; those in force are older. */
  readonly fault: string | null;
  /** They are what the server said before this process started. */
  readonly isBackup: boolean;
  /** How often the server is asked; null for a file, which is watched. */
  readonly pollMs: number | null;
  /** What of a flag means something else here than its maker may think. */
  readonly warnings: readonly string[];
};

export type Flags = {
  /** @param properties what constraints may ask for beside the id */
  isOn(flag: string, id: string, properties?: Properties): boolean;
  /** Whether a constraint asks for that property. */
  asksFor(flag: string, property: string): boolean;
  /**
   * What the flag asks for: 0 to 100, beside those whom constraints, segments or ids name; null when that is not one
   * percentage.
   */
  proposedPercent(flag: string): number | null;
  status(): FlagsStatus;
  /** Undefined when they are a server's, which says them itself. */
  shared(): SharedFlags | undefined;
  stop(): Promise<void>;
};

type Strategy = NonNullable<Feature['strategies']>[number];

const isForAnybody = ({ name, constraints, segments }: Strategy): boolean =>
  name !== 'userWithId' && constraints.length === 0 && (segments ?? []).length === 0;

/** The share of clients a feature asks for, as far as one number can say it. */
export function percentOf(feature: Feature | undefined): number | null {
  if (!feature?.enabled) return 0;
  const strategies = feature.strategies ?? [];
  if (strategies.length === 0) return 100; // Unleash: enabled and no strategy means everybody
  if ((feature.dependencies ?? []).length > 0) return null;
  const plain = strategies.filter(isForAnybody);
  const [strategy, another] = plain;
  if (!strategy || another) return null;
  if (strategy.name === 'default') return 100;
  if (strategy.name !== 'flexibleRollout' || !isSticky(strategy)) return null;
  const percent = Number(strategy.parameters.rollout);
  return Number.isNaN(percent) ? null : percent;
}

const contextOf = (userId: string, properties: Properties | undefined) =>
  properties ? { userId, properties } : { userId };

const asksFor = ({ features, segments }: ClientFeatures, flag: string, property: string): boolean =>
  (features.get(flag)?.strategies ?? []).some((strategy) =>
    constraintsOf(strategy, segments).some(({ contextName }) => contextName === property),
  );

const common = {
  appName: 'banyan-facade',
  // The facade's own metrics say more, and the flag file has nobody to send them to.
  disableMetrics: true,
  disableAutoStart: true,
  skipInstanceCountWarning: true,
  // Never asked: the repositories know where the flags are.
  url: 'http://flags.invalid/',
} satisfies Partial<UnleashConfig>;

/** A flag that will be asked for, and what is known then of a client beside its id. */
export type AskedFlag = { readonly name: string; readonly properties: readonly string[] };

type Source = NonNullable<UnleashConfig['repository']> & { readonly flags: ClientFeatures };

async function evaluated(source: Source, asked: readonly AskedFlag[], log: Logger) {
  let warnings: readonly string[] = [];
  const look = () => {
    const before = warnings;
    warnings = flagOddities(asked, source.flags);
    for (const warning of warnings.filter((one) => !before.includes(one)))
      log.warn({ warning }, 'a flag has an oddity');
  };
  const unleash = new Unleash({ ...common, repository: source });
  unleash.on('error', (error) => log.error({ err: error }, 'a flag could not be evaluated'));
  unleash.on('warn', (message) => log.warn({ detail: String(message) }, 'a flag has an oddity'));
  source.on('changed', look);
  await unleash.start();
  look();
  return {
    isOn: (flag: string, id: string, properties?: Properties) =>
      unleash.isEnabled(flag, contextOf(id, properties), false),
    asksFor: (flag: string, property: string) => asksFor(source.flags, flag, property),
    proposedPercent: (flag: string) => percentOf(source.getToggle(flag)),
    warnings: () => warnings,
    async stop() {
      unleash.destroy();
    },
  };
}

/**
 * The embedded flags.
 * @throws FlagFileError when the file cannot be read or is not valid: nothing is known then
 */
export async function fileFlags(path: string, asked: readonly AskedFlag[], log: Logger): Promise<Flags> {
  const file = new FlagFileRepository(path, log);
  file.load();
  const { warnings, ...flags } = await evaluated(file, asked, log);
  return {
    ...flags,
    shared: () => file.shared,
    status: () => ({
      source: 'file',
      place: path,
      loadedAt: file.loadedAt?.toISOString() ?? null,
      fault: file.fault ?? null,
      isBackup: false,
      pollMs: null,
      warnings: warnings(),
    }),
  };
}

/** None of the flags is among those that a server says: that is what a token of another project or environment looks like. */
const strangerWarnings = (asked: readonly AskedFlag[], { features }: ClientFeatures): string[] =>
  asked.length === 0 || asked.some(({ name }) => features.has(name))
    ? []
    : [
        `none of ${asked.map(({ name }) => name).join(', ')} is among the ${features.size} flags that this token sees: is it of the right project and environment?`,
      ];

/**
 * Flags of an Unleash server. An unreachable one is no error: until it answers, or a backup says what it said, no flag
 * is on, and afterwards the last flags stay in force.
 */
export async function unleashFlags(
  options: UnleashOptions,
  asked: readonly AskedFlag[],
  log: Logger,
): Promise<Flags> {
  const server = new UnleashRepository(options, log);
  const { warnings, ...flags } = await evaluated(server, asked, log);
  return {
    ...flags,
    shared: () => undefined,
    status: () => ({
      source: 'unleash',
      place: options.url,
      loadedAt: server.loadedAt?.toISOString() ?? null,
      fault: server.fault ?? null,
      isBackup: server.isBackup,
      pollMs: options.pollMs,
      warnings: [
        ...(server.loadedAt === undefined ? [] : strangerWarnings(asked, server.flags)),
        ...warnings(),
      ],
    }),
  };
}
