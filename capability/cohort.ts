// Cohorts: clients who are named by what they are, and are moved whatever the percentage. In a flag each is a strategy of its own with
// constraints, as Unleash has them. Pure.
import type { ContextProperties } from './context.ts';
import { type Flag, type FlagStrategy, namingStrategies } from './flag-file.ts';

/** By property, the values of which the client's must be one; all of them must hold. */
export type Cohort = Readonly<Record<string, readonly string[]>>;

/** A cohort that cannot be one. */
export class CohortError extends Error {
  override name = 'CohortError';
}

function parseOne(text: string, context: ContextProperties): Cohort {
  const cohort: Record<string, readonly string[]> = {};
  for (const part of text.split('&')) {
    const at = part.indexOf('=');
    const [name, list] = [part.slice(0, at).trim(), part.slice(at + 1)];
    const values = list
      .split(',')
      .map((value) => value.trim())
      .filter((value) => value !== '');
    if (at < 1 || values.length === 0)
      throw new CohortError(`"${part}" is no NAME=VALUE,…: say member=17,23 or "tenant=acme&beta=1"`);
    if (!Object.hasOwn(context, name)) {
      const known = Object.keys(context).join(', ');
      throw new CohortError(
        `the configuration declares no property "${name}" (${known === '' ? 'it declares none: context' : `it has ${known}`})`,
      );
    }
    cohort[name] = [...(cohort[name] ?? []), ...values];
  }
  return cohort;
}

/**
 * `member=17,23;tenant=acme&beta=1`: members 17 and 23, and those of the tenant who ask for the beta.
 * @returns none for `none`
 * @throws CohortError
 */
export const parseCohorts = (text: string, context: ContextProperties | undefined): Cohort[] =>
  text.trim() === 'none' ? [] : text.split(';').map((one) => parseOne(one, context ?? {}));

export const cohortText = (cohort: Cohort): string =>
  Object.entries(cohort)
    .map(([name, values]) => `${name}=${values.join(',')}`)
    .join('&');

export const cohortStrategy = (flag: string, cohort: Cohort): FlagStrategy => ({
  name: 'flexibleRollout',
  parameters: { rollout: '100', stickiness: 'userId', groupId: flag },
  constraints: Object.entries(cohort).map(([contextName, values]) => ({
    contextName,
    operator: 'IN',
    values: [...values],
    inverted: false,
    caseInsensitive: false,
  })),
});

const describeConstraint = (constraint: unknown): string => {
  if (typeof constraint !== 'object' || constraint === null) return '?';
  const { contextName, operator, values, value, inverted } = constraint as Record<string, unknown>;
  const list = Array.isArray(values) && values.length > 0 ? values.join(',') : String(value ?? '');
  return `${String(contextName)}${operator === 'IN' && inverted !== true ? '=' : ` ${inverted === true ? 'not ' : ''}${String(operator)} `}${list}`;
};

/** For people. */
export const describeCohorts = (flag: Flag | undefined): string[] =>
  namingStrategies(flag).map(({ constraints }) => (constraints ?? []).map(describeConstraint).join('&'));
