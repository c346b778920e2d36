// What the suite is played on: a real Unleash, facades that follow it, and "banyan shift" by its admin API.
import { expect } from 'vitest';
import { type Flagged, type FlaggedFacade, idsOf, startFlagged } from '../facade/flagged.ts';
import type { Cli } from '../story/stack.ts';
import { until } from '../sync/until.ts';
import type { Installed } from './install.ts';
import { startUnleash, type UnleashServer } from './server.ts';

/** Of the clients that there are. */
export const ids = idsOf(80);

const pollMs = 500;

/** Below the admin API. */
export const features = 'projects/default/features';
const readFlag = `${features}/reviews.read`;
const inDevelopment = `${readFlag}/environments/development`;

export type Strategy = {
  readonly id: string;
  readonly name: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly segments: readonly number[];
};

/** A strategy for so many of a hundred clients. */
export const rollout = (percent: number, stickiness = 'userId') => ({
  name: 'flexibleRollout',
  parameters: { rollout: String(percent), stickiness, groupId: 'reviews.read' },
});

export type UnleashStage = {
  readonly unleash: UnleashServer;
  readonly flagged: Flagged;
  /** A facade that has its flags from there. @param more of its environment */
  follow(more?: Readonly<Record<string, string>>): Promise<FlaggedFacade>;
  /** The CLI, as somebody who may do everything there. @param env instead */
  banyan(facade: FlaggedFacade, words: readonly string[], env?: NodeJS.ProcessEnv): Promise<Cli>;
  /** "banyan shift reviews --reads". */
  shift(facade: FlaggedFacade, percent: number): Promise<Cli>;
  /** Makes the flag of the reads of reviews, which stays off. */
  makeFlag(): Promise<void>;
  turnOn(): Promise<void>;
  strategies(): Promise<Strategy[]>;
  add(strategy: object): Promise<void>;
  /** Whom Unleash itself would move. */
  movedByUnleash(): Promise<string[]>;
  /** @returns whom the facade moves, once that is whom Unleash would move */
  agreed(facade: FlaggedFacade): Promise<string[]>;
  /** Waits until the facade says that its flags are old, and so why. */
  faultOf(facade: FlaggedFacade, fault: RegExp): Promise<void>;
  isWell(facade: FlaggedFacade): Promise<void>;
  /** A token for its flags, of its own. */
  makeClientToken(name: string): Promise<string>;
  /** A token of a user who may look at everything and change nothing. */
  makeViewerToken(): Promise<string>;
  /** Unleash runs and has no flag, no facade runs, and nothing is read from the service. */
  reset(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

async function movedBy(unleash: UnleashServer): Promise<string[]> {
  const answer = (await unleash.admin('POST', 'playground/advanced', {
    environments: ['development'],
    projects: ['default'],
    context: { appName: 'banyan-facade', userId: ids.join(',') },
  })) as {
    features: {
      name: string;
      environments: { development: { isEnabled: boolean; context: { userId: string } }[] };
    }[];
  };
  const asked = answer.features.find(({ name }) => name === 'reviews.read')?.environments.development ?? [];
  expect(asked).toHaveLength(ids.length);
  const on = new Set(asked.filter(({ isEnabled }) => isEnabled).map(({ context }) => context.userId));
  return ids.filter((id) => on.has(id));
}

/** A token of one's own is asked for by who has logged in. */
async function viewerTokenOf(unleash: UnleashServer): Promise<string> {
  const [email, password] = ['viewer@example.com', 'Abcdefghijkl1!xyz'];
  const viewer = { name: 'viewer', email, password, rootRole: 3, sendEmail: false };
  await unleash.admin('POST', 'user-admin', viewer);
  const post = (url: string, body: object, cookie = '') =>
    fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(cookie !== '' && { cookie }) },
      body: JSON.stringify(body),
    });
  const login = await post(`${unleash.origin}/auth/simple/login`, { username: email, password });
  await login.text(); // its session is kept before the last byte of the answer, not before the first
  const cookie = login.headers.getSetCookie()[0]?.split(';')[0] ?? '';
  const token = { description: 'banyan', expiresAt: '2099-01-01T00:00:00Z' };
  const asked = await post(`${unleash.url}/admin/user/tokens`, token, cookie);
  const text = await asked.text();
  expect(asked.ok, text).toBe(true);
  return (JSON.parse(text) as { secret: string }).secret;
}

export async function startUnleashStage(installed: Installed): Promise<UnleashStage> {
  const [unleash, flagged] = await Promise.all([startUnleash(installed), startFlagged()]);
  const stage: UnleashStage = {
    unleash,
    flagged,
    follow: (more = {}) =>
      flagged.start(
        { UNLEASH_URL: unleash.url, UNLEASH_TOKEN: unleash.clientToken, ...more },
        ...['--unleash-poll-ms', String(pollMs)],
      ),
    banyan: (facade, words, env = {}) =>
      flagged.banyan(facade, words, {
        UNLEASH_URL: unleash.url,
        UNLEASH_ADMIN_TOKEN: unleash.adminToken,
        ...env,
      }),
    shift: (facade, percent) => stage.banyan(facade, ['shift', 'reviews', '--reads', String(percent)]),
    async makeFlag() {
      await unleash.admin('POST', features, { name: 'reviews.read', type: 'release' });
    },
    async turnOn() {
      await unleash.admin('POST', `${inDevelopment}/on`);
    },
    strategies: async () => (await unleash.admin('GET', `${inDevelopment}/strategies`)) as Strategy[],
    async add(strategy) {
      await unleash.admin('POST', `${inDevelopment}/strategies`, strategy);
    },
    movedByUnleash: () => movedBy(unleash),
    async agreed(facade) {
      const wanted = await movedBy(unleash);
      let moved: string[] = [];
      await until(
        'the facade to agree with Unleash',
        async () => {
          moved = await facade.moved(ids);
          return moved.join() === wanted.join();
        },
        {
          explain: async () =>
            `Unleash moves ${wanted.length}, the facade ${moved.length}: ${await (await facade.ask('/api/status')).text()}`,
        },
      );
      return moved;
    },
    async faultOf(facade, fault) {
      const isThere = async () => fault.test((await facade.flags()).fault ?? '');
      await until(`the fault ${fault}`, isThere, { msMax: 60_000 });
    },
    async isWell(facade) {
      const isOver = async () => (await facade.flags()).fault === null;
      await until('the end of the fault', isOver, { msMax: 60_000 });
    },
    async makeClientToken(tokenName) {
      const where = { environment: 'development', projects: ['default'] };
      const token = { tokenName, type: 'client', ...where };
      const { secret } = (await unleash.admin('POST', 'api-tokens', token)) as { secret: string };
      return secret;
    },
    makeViewerToken: () => viewerTokenOf(unleash),
    async reset() {
      unleash.resume();
      await unleash.start();
      await flagged.reset();
      // Archived first: only then it may be deleted, and its name be used again. Unleash notes up to a second later that it
      // was archived; it crashes (8.2.0) when there is no such flag any more.
      await unleash.ask(unleash.adminToken, 'DELETE', `admin/${readFlag}`);
      await until('the note that the flag was archived', async () => {
        const stages = (await unleash.admin('GET', `${readFlag}/lifecycle`)) as { stage: string }[];
        return stages.length === 0 || stages.some(({ stage }) => stage === 'archived');
      });
      await unleash.ask(unleash.adminToken, 'DELETE', 'admin/archive/reviews.read');
    },
    async [Symbol.asyncDispose]() {
      await flagged[Symbol.asyncDispose]();
      await unleash[Symbol.asyncDispose]();
    },
  };
  return stage;
}
