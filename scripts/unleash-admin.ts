// Moves flags in an Unleash by its admin API (docs.getunleash.io/api): of a flag's strategies the one gradual rollout that is for
// anybody. What is there for named clients (constraints, segments) is left alone.
import type { UnleashPlace } from '../capability/capability.ts';
import type { FlagStrategy } from '../capability/flag-file.ts';
import { CommandError } from './command.ts';
import type { FlagPlace } from './flag-place.ts';

const answerMsMax = 5_000;

type Fields = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const listOf = (value: unknown): readonly Fields[] => (Array.isArray(value) ? value.filter(isObject) : []);

const cohortTitle = 'banyan shift --cohort';

type Strategy = {
  readonly id: string;
  readonly name: string;
  readonly rollout: number;
  readonly stickiness: string;
  /** No constraint and no segment. */
  readonly isForAnybody: boolean;
  /** A cohort of --cohort; other strategies are people's. */
  readonly isOurs: boolean;
};

/** A flag in one environment. */
type Found = {
  readonly isEnabled: boolean;
  /** Without those that are disabled: they move nobody. */
  readonly strategies: readonly Strategy[];
};

function parseStrategy(given: Fields): Strategy {
  const parameters = isObject(given.parameters) ? given.parameters : {};
  return {
    id: String(given.id),
    name: String(given.name),
    rollout: Number(parameters.rollout ?? Number.NaN),
    stickiness: String(parameters.stickiness ?? 'default'),
    isOurs: given.title === cohortTitle,
    isForAnybody:
      given.name !== 'userWithId' &&
      listOf(given.constraints).length === 0 &&
      !(Array.isArray(given.segments) && given.segments.length > 0),
  };
}

const anybodys = (found: Found): readonly Strategy[] =>
  found.strategies.filter(({ isForAnybody }) => isForAnybody);

/** By what the facades know of a client. */
const isSticky = ({ stickiness }: Strategy) => stickiness === 'userId' || stickiness === 'default';

/** As the facade says it of the same flag. */
function percentIn(found: Found): number | undefined {
  if (!found.isEnabled) return 0;
  const [strategy, another] = anybodys(found);
  if (!strategy || another) return undefined;
  if (strategy.name === 'default') return 100;
  if (strategy.name !== 'flexibleRollout' || Number.isNaN(strategy.rollout) || !isSticky(strategy))
    return undefined;
  return strategy.rollout;
}

/** @returns the strategy to move; undefined when one is to be made; @throws CommandError when a percentage would not be one */
function rolloutIn(flag: string, found: Found): Strategy | undefined {
  const [strategy, another] = anybodys(found);
  if (!strategy) return undefined;
  if (another)
    throw new CommandError(
      `"${flag}" has ${anybodys(found).length} strategies for anybody in Unleash, and what they ask for together is no one percentage: keep one gradual rollout without constraints`,
    );
  if (strategy.name !== 'flexibleRollout')
    throw new CommandError(
      `"${flag}" has the strategy "${strategy.name}" in Unleash, for anybody: replace it by a gradual rollout`,
    );
  if (!isSticky(strategy))
    throw new CommandError(
      `the gradual rollout of "${flag}" has the stickiness "${strategy.stickiness}" in Unleash, and the facades know a client by userId alone: set it to "userId"`,
    );
  return strategy;
}

/** What the admin API is asked, and which permission that takes. */
type Question = {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
  readonly permission?: string;
};

/**
 * @param url of Unleash's API, ending in /api
 * @param token of a service account, a person, or an admin token
 */
export function unleashAdmin(url: string, token: string, { project, environment }: UnleashPlace): FlagPlace {
  const base = new URL('admin/', url.replace(/\/*$/, '/'));
  const where = `Unleash at ${base.origin}`;

  /** @returns undefined when what was asked for is not there; @throws CommandError */
  async function ask({ method, path, body, permission }: Question): Promise<unknown> {
    let response: Response;
    let text: string;
    try {
      response = await fetch(new URL(path, base), {
        method,
        headers: { authorization: token, 'content-type': 'application/json' },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        redirect: 'manual',
        signal: AbortSignal.timeout(answerMsMax),
      });
      text = await response.text();
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      throw new CommandError(
        `${where} does not answer (${cause instanceof Error ? cause.message || cause.name : String(cause)}): is it up, and is UNLEASH_URL right?`,
        { cause: error },
      );
    }
    if (response.status === 404 && method === 'GET') return undefined;
    if (!response.ok) throw refusal(response.status, text, permission);
    try {
      return text === '' ? {} : JSON.parse(text);
    } catch (cause) {
      throw new CommandError(
        `${where} answered with something that is not JSON: does UNLEASH_URL end in /api?`,
        {
          cause,
        },
      );
    }
  }

  function refusal(status: number, text: string, permission: string | undefined): CommandError {
    let said = text.slice(0, 300);
    try {
      const body: unknown = JSON.parse(text);
      const [detail] = isObject(body) ? listOf(body.details) : [];
      if (isObject(body)) said = String(detail?.message ?? body.message ?? said);
    } catch {
      // not JSON: as it is
    }
    if (status === 401)
      return new CommandError(
        `${where} refuses the token: let UNLEASH_ADMIN_TOKEN be that of a service account, of a person, or an admin token`,
      );
    if (status === 403)
      return new CommandError(
        `${where} does not let this token do it: ${said.replace(/\.?$/, '.')} UNLEASH_ADMIN_TOKEN needs ${permission ?? 'to read flags'} in project "${project}", environment "${environment}"`,
      );
    if (status === 409)
      return new CommandError(
        `${where} answered 409: ${said}: revive it there, or let it be of project "${project}"`,
      );
    return new CommandError(`${where} answered ${status}: ${said}`);
  }

  const inProject = (path: string) => `projects/${encodeURIComponent(project)}/${path}`;
  const ofFlag = (flag: string, path = '') => inProject(`features/${encodeURIComponent(flag)}${path}`);
  const inEnvironment = (flag: string, path: string) =>
    ofFlag(flag, `/environments/${encodeURIComponent(environment)}${path}`);

  async function requireProject(): Promise<void> {
    if ((await ask({ method: 'GET', path: inProject('overview') })) === undefined)
      throw new CommandError(
        `${where} has no project "${project}" that this token sees: see flags.unleash.project of the configuration`,
      );
  }

  /** @returns undefined when there is no such flag */
  async function find(flag: string): Promise<Found | undefined> {
    const feature = await ask({ method: 'GET', path: ofFlag(flag) });
    if (feature === undefined) {
      await requireProject();
      return undefined;
    }
    const environments = isObject(feature) ? listOf(feature.environments) : [];
    const found = environments.find(({ name }) => name === environment);
    if (!found)
      throw new CommandError(
        `project "${project}" of ${where} has no environment "${environment}"; it has ${environments.map(({ name }) => String(name)).join(', ')}: see flags.unleash.environment of the configuration`,
      );
    return {
      isEnabled: found.enabled === true,
      strategies: listOf(found.strategies)
        .filter(({ disabled }) => disabled !== true)
        .map(parseStrategy),
    };
  }

  const turn = (flag: string, to: 'on' | 'off') =>
    ask({
      method: 'POST',
      path: inEnvironment(flag, `/${to}`),
      permission: 'UPDATE_FEATURE_ENVIRONMENT',
    });

  const move = (flag: string, { id }: Strategy, percent: number) =>
    ask({
      method: 'PATCH',
      path: inEnvironment(flag, `/strategies/${encodeURIComponent(id)}`),
      body: [{ op: 'replace', path: '/parameters/rollout', value: String(percent) }],
      permission: 'UPDATE_FEATURE_STRATEGY',
    });

  const add = (flag: string, strategy: object) =>
    ask({
      method: 'POST',
      path: inEnvironment(flag, '/strategies'),
      body: { constraints: [], segments: [], ...strategy },
      permission: 'CREATE_FEATURE_STRATEGY',
    });

  const remove = (flag: string, { id }: Strategy) =>
    ask({
      method: 'DELETE',
      path: inEnvironment(flag, `/strategies/${encodeURIComponent(id)}`),
      permission: 'DELETE_FEATURE_STRATEGY',
    });

  const addRollout = (flag: string, percent: number) =>
    add(flag, {
      name: 'flexibleRollout',
      parameters: { rollout: String(percent), stickiness: 'userId', groupId: flag },
    });

  /** The new ones first: who is in both stays where he is. */
  async function nameOnly(flag: string, found: Found, naming: readonly FlagStrategy[]): Promise<void> {
    for (const strategy of naming) await add(flag, { ...strategy, title: cohortTitle });
    for (const strategy of found.strategies.filter(({ isOurs }) => isOurs)) await remove(flag, strategy);
  }

  async function make(flag: string): Promise<Found> {
    await ask({
      method: 'POST',
      path: inProject('features'),
      body: { name: flag, type: 'release', description: 'Moved by banyan: the share of clients.' },
      permission: 'CREATE_FEATURE',
    });
    const found = await find(flag);
    if (!found) throw new CommandError(`${where} made "${flag}", and does not show it`);
    return found;
  }

  return {
    async percentOf(flag) {
      const found = await find(flag);
      return found ? percentIn(found) : 0;
    },
    async setPercent(flag, percent, naming) {
      const found = await find(flag);
      if (percent === 0 && !naming?.length) {
        // Off first, whatever else the flag has.
        if (found?.isEnabled) await turn(flag, 'off');
        if (found) await nameOnly(flag, found, []);
        return;
      }
      const target = found ?? (await make(flag));
      const strategy = rolloutIn(flag, target);
      // Before it is turned on: an environment without a strategy would get one for everybody.
      if (strategy) await move(flag, strategy, percent);
      else await addRollout(flag, percent);
      if (naming) await nameOnly(flag, target, naming);
      if (!target.isEnabled) await turn(flag, 'on');
    },
  };
}
