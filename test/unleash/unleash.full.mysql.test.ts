// Facades, and "banyan shift", with a real Unleash that is driven by its own API. About three minutes, and two more the first time,
// when it is installed; its limit is 12.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { freePort } from '../../scripts/private-server.ts';
import { type FacadeProcess, type Flagged, idsOf, startFlagged } from '../facade/flagged.ts';
import { until } from '../sync/until.ts';
import { install } from './install.ts';
import { startUnleash, type UnleashServer } from './server.ts';

const installed = await install().catch((error: Error) => {
  console.log(`no Unleash could be installed: ${error.message}`);
  return undefined;
});

const ids = idsOf(80);
const [kim = '', lee = ''] = ids;
const pollMs = 500;

let unleash: UnleashServer;
let flagged: Flagged;
beforeAll(async () => {
  if (!installed) return;
  [unleash, flagged] = await Promise.all([startUnleash(installed), startFlagged()]);
}, 300_000);
afterAll(async () => {
  await flagged?.[Symbol.asyncDispose]();
  await unleash?.[Symbol.asyncDispose]();
}, 60_000);

const features = 'projects/default/features';
const inDevelopment = (path: string) => `${features}/reviews.read/environments/development${path}`;

const follow = (more: Readonly<Record<string, string>> = {}): Promise<FacadeProcess> =>
  flagged.start(
    { UNLEASH_URL: unleash.url, UNLEASH_TOKEN: unleash.clientToken, ...more },
    ...['--unleash-poll-ms', String(pollMs)],
  );

const asAdmin = (): NodeJS.ProcessEnv => ({
  UNLEASH_URL: unleash.url,
  UNLEASH_ADMIN_TOKEN: unleash.adminToken,
});
const shift = (facade: FacadeProcess, percent: number, env: NodeJS.ProcessEnv = {}) =>
  flagged.banyan(facade, ['shift', 'reviews', '--reads', String(percent)], { ...asAdmin(), ...env });

type Strategy = {
  readonly id: string;
  readonly name: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly segments: readonly number[];
};
const strategies = async (): Promise<Strategy[]> =>
  (await unleash.admin('GET', inDevelopment('/strategies'))) as Strategy[];
const rollout = (percent: number, stickiness = 'userId') => ({
  name: 'flexibleRollout',
  parameters: { rollout: String(percent), stickiness, groupId: 'reviews.read' },
});
const add = (strategy: object) => unleash.admin('POST', inDevelopment('/strategies'), strategy);

/** Whom Unleash itself would move. */
async function movedByUnleash(): Promise<string[]> {
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

/** @returns whom the facade moves, once that is whom Unleash would move */
async function agreed(facade: FacadeProcess): Promise<string[]> {
  const wanted = await movedByUnleash();
  let moved: string[] = [];
  await until(
    'the facade to agree with Unleash',
    async () => {
      moved = await facade.moved(ids);
      return moved.join() === wanted.join();
    },
    { explain: async () => `Unleash moves ${wanted.length}, the facade ${moved.length}` },
  );
  return moved;
}

const faultOf = (facade: FacadeProcess, fault: RegExp) =>
  until(`the fault ${fault}`, async () => fault.test((await facade.flags()).fault ?? ''), { msMax: 60_000 });
const isWell = (facade: FacadeProcess) =>
  until('the end of the fault', async () => (await facade.flags()).fault === null, { msMax: 60_000 });

describe.skipIf(!installed)('a real Unleash', () => {
  beforeEach(async () => {
    unleash.resume();
    await unleash.start();
    await flagged.reset();
    // Archived first: only then it may be deleted, and its name be used again.
    await unleash.ask(unleash.adminToken, 'DELETE', `admin/${features}/reviews.read`);
    await unleash.ask(unleash.adminToken, 'DELETE', 'admin/archive/reviews.read');
  }, 60_000);

  test('"banyan shift" makes the flag and moves it; the clients agree with Unleash’s own judgement, and go only forward', async () => {
    const facade = await follow();
    expect(await facade.flags()).toMatchObject({ source: 'unleash', fault: null });
    let before: string[] = [];
    for (const [percent, phase] of [
      [10, 'canary'],
      [50, 'canary'],
      [100, 'reads'],
    ] as const) {
      const said = await shift(facade, percent);
      expect(said).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/the facade follows, \d+ ms later/),
      });
      expect(await flagged.phase()).toBe(phase);
      const moved = await agreed(facade);
      expect(moved).toEqual(expect.arrayContaining(before));
      expect(moved.length).toBeGreaterThan(before.length);
      before = moved;
    }
    expect(before).toEqual(ids);
    expect(await strategies()).toMatchObject([rollout(100)]);
    expect(await shift(facade, 0)).toMatchObject({ code: 0 });
    expect([await flagged.phase(), await facade.moved(ids)]).toEqual(['synced', []]);
    // Off for everybody: what stays of it moves nobody.
    expect(await movedByUnleash()).toEqual([]);
    await facade.process.stop();
  }, 120_000);

  test('what is there for named clients stays as it is: constraints, segments, and Unleash’s own default stickiness', async () => {
    await unleash.admin('POST', features, { name: 'reviews.read', type: 'release' });
    const segment = (await unleash.admin('POST', 'segments', {
      name: 'staff',
      constraints: [{ contextName: 'userId', operator: 'IN', values: [kim] }],
    })) as { id: number };
    await add({
      ...rollout(100),
      parameters: { ...rollout(100).parameters, groupId: 'staff' },
      segments: [segment.id],
    });
    await add({
      ...rollout(100),
      constraints: [{ contextName: 'userId', operator: 'STR_STARTS_WITH', values: [lee.slice(0, 9)] }],
    });
    await add(rollout(0, 'default'));
    const before = await strategies();
    const facade = await follow();
    expect(await shift(facade, 20)).toMatchObject({ code: 0 });
    const [staff, named, anybody] = await strategies();
    expect([staff, named]).toEqual(before.slice(0, 2));
    expect(anybody).toEqual({ ...before[2], parameters: { ...before[2]?.parameters, rollout: '20' } });
    const moved = await agreed(facade);
    expect(moved).toEqual(expect.arrayContaining([kim, lee]));
    expect(moved.length).toBeLessThan(ids.length / 2);
    expect(await facade.flags()).toMatchObject({ warnings: [] });
    expect(await shift(facade, 0)).toMatchObject({ code: 0 });
    expect(await facade.moved(ids)).toEqual([]);
    await facade.process.stop();
  }, 90_000);

  test('cohorts are strategies of their own there; another word on them leaves alone what people have made', async () => {
    await unleash.admin('POST', features, { name: 'reviews.read', type: 'release' });
    await add({ ...rollout(100), constraints: [{ contextName: 'userId', operator: 'IN', values: [kim] }] });
    const facade = await follow();
    const [people] = await strategies();
    const cohort = async (percent: number, text: string) => {
      const words = ['shift', 'reviews', '--reads', String(percent), '--cohort', text];
      expect(await flagged.banyan(facade, words, asAdmin())).toMatchObject({ code: 0 });
    };
    await cohort(0, 'tenant=acme');
    const of = (tenant: string) => facade.sideOf(lee, { 'x-tenant': tenant });
    await until('the cohort', async () => (await of('acme')) === 'service');
    expect([await of('other'), await facade.sideOf(kim), await flagged.phase()]).toEqual([
      'legacy',
      'service',
      'canary',
    ]);
    expect(await facade.flags()).toMatchObject({ warnings: [] });
    await cohort(0, 'tenant=zoo');
    await until('the other cohort', async () => (await of('zoo')) === 'service');
    expect(await of('acme')).toBe('legacy');
    expect(await shift(facade, 10)).toMatchObject({ code: 0 });
    expect(await of('zoo')).toBe('service');
    expect(await strategies()).toMatchObject([people, rollout(10), { title: 'banyan shift --cohort' }]);
    expect(await shift(facade, 0)).toMatchObject({ code: 0 });
    expect([await of('zoo'), await facade.sideOf(kim)]).toEqual(['legacy', 'legacy']);
    expect(await strategies()).toMatchObject([people, rollout(10)]);
    await facade.process.stop();
  }, 90_000);

  test('stickiness, and strategies that are no one percentage: said by the facade, and not moved by "banyan shift"', async () => {
    await unleash.admin('POST', features, { name: 'reviews.read', type: 'release' });
    await add(rollout(30, 'sessionId'));
    await unleash.admin('POST', inDevelopment('/on'));
    const facade = await follow();
    await until('the warning', async () => (await facade.flags()).warnings.length > 0);
    expect((await facade.flags()).warnings).toEqual([
      expect.stringMatching(/^reviews\.read: stickiness "sessionId" .* moves nobody: use "userId"/),
    ]);
    expect(await facade.metrics()).toContain('banyan_facade_flags_warnings 1');
    expect(await movedByUnleash()).toEqual([]);
    expect(await shift(facade, 40)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/has the stickiness "sessionId" in Unleash.*set it to "userId"/),
    });
    expect(await flagged.phase()).toBe('synced');
    await add(rollout(10));
    expect(await shift(facade, 40)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/has 2 strategies for anybody.*keep one gradual rollout/),
    });
    expect((await strategies()).map(({ parameters }) => parameters.rollout)).toEqual(['30', '10']);
    // The way back is open whatever the flag is.
    expect(await shift(facade, 0)).toMatchObject({ code: 0 });
    await facade.process.stop();
  }, 60_000);

  test('frozen or killed it changes nothing for clients; the way back is open without it; it is followed when it is there again', async () => {
    const facade = await follow();
    expect(await shift(facade, 50)).toMatchObject({ code: 0 });
    const moved = await agreed(facade);
    unleash.pause();
    await faultOf(facade, /not answered within/);
    expect(await facade.moved(ids)).toEqual(moved);
    expect(await facade.metrics()).toMatch(
      /banyan_facade_flags_valid 0[\s\S]*banyan_facade_flags_age_seconds \d/,
    );
    // A stop waits for no answer.
    const another = await follow();
    const stopping = performance.now();
    await another.process.stop();
    expect(await another.process.exited).toContain('exit code 0');
    expect(performance.now() - stopping).toBeLessThan(3_000);
    unleash.resume();
    await isWell(facade);

    await unleash.kill();
    await faultOf(facade, /cannot be reached: ECONNREFUSED/);
    expect(await facade.moved(ids)).toEqual(moved);
    expect(await shift(facade, 80)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/Unleash at http:.* does not answer .*UNLEASH_URL/),
    });
    expect(await facade.moved(ids)).toEqual(moved);
    expect(await shift(facade, 0)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /read from legacy again, by its phase; but the flag "reviews.read" could not/,
      ),
    });
    expect([await flagged.phase(), await facade.moved(ids)]).toEqual(['synced', []]);
    await unleash.start();
    await isWell(facade);
    expect(await facade.effectivePercent()).toBe(0);
    expect(await shift(facade, 0)).toMatchObject({ code: 0 });
    await agreed(facade);
    await facade.process.stop();
  }, 180_000);

  test('a facade that starts without it: on its backup, or on legacy, until it is there', async () => {
    const backup = { BANYAN_FLAGS_BACKUP: join(flagged.folder, 'backup.json') };
    const first = await follow(backup);
    expect(await shift(first, 50)).toMatchObject({ code: 0 });
    const moved = await agreed(first);
    await first.process.stop();
    await unleash.kill();
    const kept = await follow(backup);
    expect(await kept.flags()).toMatchObject({
      isBackup: true,
      fault: expect.stringMatching(/ECONNREFUSED/),
    });
    await until('the control store', async () => (await kept.moved(ids)).join() === moved.join());
    const bare = await follow();
    expect(await bare.flags()).toMatchObject({ isBackup: false, loadedAt: null });
    expect(await bare.moved(ids)).toEqual([]);
    await unleash.start();
    for (const facade of [kept, bare]) {
      await isWell(facade);
      expect(await facade.flags()).toMatchObject({ isBackup: false, warnings: [] });
      expect(await agreed(facade)).toEqual(moved);
      await facade.process.stop();
    }
    rmSync(backup.BANYAN_FLAGS_BACKUP);
  }, 180_000);

  test('a token that is refused, and then accepted, needs no restart of the facade; a strange one is said', async () => {
    const made = (await unleash.admin('POST', 'api-tokens', {
      tokenName: 'facade',
      type: 'client',
      environment: 'development',
      projects: ['default'],
    })) as { secret: string };
    const expiring = (year: number) =>
      unleash.admin('PUT', `api-tokens/${encodeURIComponent(made.secret)}`, {
        expiresAt: `${year}-01-01T00:00:00Z`,
      });
    // Unleash itself looks at its tokens once a minute, and at its start.
    const restart = async () => {
      await unleash.kill();
      await unleash.start();
    };
    const facade = await follow({ UNLEASH_TOKEN: made.secret });
    expect(await shift(facade, 50)).toMatchObject({ code: 0 });
    const moved = await agreed(facade);
    await expiring(2020);
    await restart();
    await faultOf(facade, /answered 401: UNLEASH_TOKEN is no client/);
    expect(await facade.moved(ids)).toEqual(moved);
    expect(await shift(facade, 70)).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/does not follow after .* its flags are old: .*401/),
    });
    await expiring(2099);
    await restart();
    await isWell(facade);
    expect((await agreed(facade)).length).toBeGreaterThan(moved.length);
    await facade.process.stop();

    const admins = await follow({ UNLEASH_TOKEN: unleash.adminToken });
    await faultOf(admins, /answered 403/);
    await admins.process.stop();
    const { secret } = (await unleash.admin('POST', 'api-tokens', {
      tokenName: 'elsewhere',
      type: 'client',
      environment: 'development',
      projects: ['default'],
    })) as { secret: string };
    await unleash.admin('DELETE', `${features}/reviews.read`);
    const elsewhere = await follow({ UNLEASH_TOKEN: secret });
    await until('a warning', async () => (await elsewhere.flags()).warnings.length > 0, { msMax: 60_000 });
    expect((await elsewhere.flags()).warnings).toEqual([expect.stringMatching(/^none of reviews\.read, /)]);
    await elsewhere.process.stop();
  }, 240_000);

  test('the shadow’s flag, and "banyan stop", are moved there as well', async () => {
    const facade = await follow();
    const shadow = async () => {
      const feature = (await unleash.admin('GET', `${features}/reviews.shadow`)) as {
        environments: { name: string; enabled: boolean }[];
      };
      return feature.environments.find(({ name }) => name === 'development')?.enabled;
    };
    const said = await flagged.banyan(facade, ['shift', 'reviews', '--shadow', '25'], asAdmin());
    expect(said).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/0 % → 25 %[\s\S]*the facade follows/),
    });
    expect([await shadow(), await flagged.phase()]).toEqual([true, 'shadow']);
    expect(await shift(facade, 30)).toMatchObject({ code: 0 });
    expect(await flagged.banyan(facade, ['stop', 'reviews'], asAdmin())).toMatchObject({ code: 0 });
    expect([await shadow(), await flagged.phase()]).toEqual([false, 'synced']);
    expect(await movedByUnleash()).toEqual([]);
    await facade.process.stop();
  }, 60_000);

  test('what "banyan shift" may not, or cannot do is said, with what to do, and nothing is moved', async () => {
    const facade = await follow();
    const elsewhere = (project: string, environment: string): string => {
      const file = join(flagged.folder, `${project}-${environment}.config.ts`);
      const ours = join(import.meta.dirname, '..', 'facade', 'flagged.config.ts');
      writeFileSync(
        file,
        `import config from ${JSON.stringify(ours)};\nexport default { ...config, flags: { unleash: ${JSON.stringify({ project, environment })} } };\n`,
      );
      return file;
    };
    await unleash.admin('POST', 'user-admin', {
      name: 'viewer',
      email: 'viewer@example.com',
      rootRole: 3,
      sendEmail: false,
      password: 'Abcdefghijkl1!xyz',
    });
    const login = await fetch(`${unleash.url.slice(0, -4)}/auth/simple/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username: 'viewer@example.com', password: 'Abcdefghijkl1!xyz' }),
    });
    const cookie = login.headers.getSetCookie()[0]?.split(';')[0] ?? '';
    const asked = await fetch(`${unleash.url}/admin/user/tokens`, {
      method: 'POST',
      headers: { cookie, 'content-type': 'application/json' },
      body: JSON.stringify({ description: 'banyan', expiresAt: '2099-01-01T00:00:00Z' }),
    });
    const viewers = ((await asked.json()) as { secret: string }).secret;

    const refused = async (
      env: NodeJS.ProcessEnv,
      message: RegExp,
      code = 1,
      words: readonly string[] = [],
    ) => {
      const said = await flagged.banyan(facade, ['shift', 'reviews', '--reads', '5', ...words], {
        ...asAdmin(),
        ...env,
      });
      expect(said.stderr).toMatch(message);
      expect(said.stderr).not.toContain(unleash.adminToken.slice(-8));
      expect(said.code).toBe(code);
    };
    await refused({ UNLEASH_ADMIN_TOKEN: '' }, /give UNLEASH_ADMIN_TOKEN or UNLEASH_ADMIN_TOKEN_FILE/, 2);
    await refused({ UNLEASH_ADMIN_TOKEN: 'wrong' }, /refuses the token: let UNLEASH_ADMIN_TOKEN be/);
    await refused(
      { UNLEASH_ADMIN_TOKEN: unleash.clientToken },
      /does not let this token do it: invalid token/,
    );
    await refused(
      { UNLEASH_URL: `http://127.0.0.1:${await freePort()}/api` },
      /does not answer .*ECONNREFUSED/,
    );
    await refused({ UNLEASH_URL: unleash.url.slice(0, -4) }, /not JSON|answered|UNLEASH_URL/);
    const strange = (project: string, environment: string) => ['--config', elsewhere(project, environment)];
    await refused({}, /has no project "shop" that this token sees/, 1, strange('shop', 'development'));
    await unleash.admin('POST', features, { name: 'reviews.read', type: 'release' });
    await refused(
      {},
      /has no environment "staging"; it has development, production/,
      1,
      strange('default', 'staging'),
    );
    expect(await flagged.phase()).toBe('synced');
    // Here the flag could be read, and the phase was moved before it: it opens, nothing is asked for.
    await refused(
      { UNLEASH_ADMIN_TOKEN: viewers },
      /"CREATE_FEATURE_STRATEGY" permission.*UNLEASH_ADMIN_TOKEN needs CREATE_FEATURE_STRATEGY in project "default", environment "development"/,
    );
    expect(await facade.moved(ids)).toEqual([]);
    await unleash.admin('DELETE', `${features}/reviews.read`);
    await refused({}, /An archived flag with that name already exists: revive it there/);
    await facade.process.stop();
  }, 120_000);
});
