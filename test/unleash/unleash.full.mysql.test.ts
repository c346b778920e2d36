// Facades, and "banyan shift", with a real Unleash that is driven by its own API. About two minutes, and two more the first time,
// when it is installed; its limit is 12.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { freePort } from '../../scripts/private-server.ts';
import { until } from '../sync/until.ts';
import { install } from './install.ts';
import { features, ids, rollout, startUnleashStage, type UnleashStage } from './stage.ts';

const installed = await install().catch((error: Error) => {
  console.log(`no Unleash could be installed: ${error.message}`);
  return undefined;
});

const [kim = '', lee = ''] = ids;

let stage: UnleashStage;
beforeAll(async () => {
  if (installed) stage = await startUnleashStage(installed);
}, 300_000);
afterAll(() => stage?.[Symbol.asyncDispose](), 120_000);

describe.skipIf(!installed)('a real Unleash', () => {
  beforeEach(() => stage.reset(), 120_000);

  test('"banyan shift" makes the flag and moves it; the clients agree with Unleash’s own judgement, and go only forward', async () => {
    const facade = await stage.follow();
    expect(await facade.flags()).toMatchObject({ source: 'unleash', fault: null });
    let before: string[] = [];
    for (const [percent, phase] of [
      [10, 'canary'],
      [50, 'canary'],
      [100, 'reads'],
    ] as const) {
      const said = await stage.shift(facade, percent);
      expect(said).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/the facade follows, \d+ ms later/),
      });
      expect(await stage.flagged.phase()).toBe(phase);
      const moved = await stage.agreed(facade);
      expect(moved).toEqual(expect.arrayContaining(before));
      expect(moved.length).toBeGreaterThan(before.length);
      before = moved;
    }
    expect(before).toEqual(ids);
    expect(await stage.strategies()).toMatchObject([rollout(100)]);
    expect(await stage.shift(facade, 0)).toMatchObject({ code: 0 });
    expect([await stage.flagged.phase(), await facade.moved(ids)]).toEqual(['synced', []]);
    // Off for everybody: what stays of it moves nobody.
    expect(await stage.movedByUnleash()).toEqual([]);
  }, 120_000);

  test('what is there for named clients stays as it is: constraints, segments, and Unleash’s own default stickiness', async () => {
    await stage.makeFlag();
    const segment = (await stage.unleash.admin('POST', 'segments', {
      name: 'staff',
      constraints: [{ contextName: 'userId', operator: 'IN', values: [kim] }],
    })) as { id: number };
    await stage.add({
      ...rollout(100),
      parameters: { ...rollout(100).parameters, groupId: 'staff' },
      segments: [segment.id],
    });
    await stage.add({
      ...rollout(100),
      constraints: [{ contextName: 'userId', operator: 'STR_STARTS_WITH', values: [lee.slice(0, 9)] }],
    });
    await stage.add(rollout(0, 'default'));
    const before = await stage.strategies();
    const facade = await stage.follow();
    expect(await stage.shift(facade, 20)).toMatchObject({ code: 0 });
    const [staff, named, anybody] = await stage.strategies();
    expect([staff, named]).toEqual(before.slice(0, 2));
    expect(anybody).toEqual({ ...before[2], parameters: { ...before[2]?.parameters, rollout: '20' } });
    const moved = await stage.agreed(facade);
    expect(moved).toEqual(expect.arrayContaining([kim, lee]));
    expect(moved.length).toBeLessThan(ids.length / 2);
    expect(await facade.flags()).toMatchObject({ warnings: [] });
    expect(await stage.shift(facade, 0)).toMatchObject({ code: 0 });
    expect(await facade.moved(ids)).toEqual([]);
  }, 90_000);

  test('cohorts are strategies of their own there; another word on them leaves alone what people have made', async () => {
    await stage.makeFlag();
    await stage.add({
      ...rollout(100),
      constraints: [{ contextName: 'userId', operator: 'IN', values: [kim] }],
    });
    const facade = await stage.follow();
    const [people] = await stage.strategies();
    const cohort = async (percent: number, text: string) => {
      const words = ['shift', 'reviews', '--reads', String(percent), '--cohort', text];
      expect(await stage.banyan(facade, words)).toMatchObject({ code: 0 });
    };
    await cohort(0, 'tenant=acme');
    const of = (tenant: string) => facade.sideOf(lee, { 'x-tenant': tenant });
    await until('the cohort', async () => (await of('acme')) === 'service');
    expect([await of('other'), await facade.sideOf(kim), await stage.flagged.phase()]).toEqual([
      'legacy',
      'service',
      'canary',
    ]);
    expect(await facade.flags()).toMatchObject({ warnings: [] });
    await cohort(0, 'tenant=zoo');
    await until('the other cohort', async () => (await of('zoo')) === 'service');
    expect(await of('acme')).toBe('legacy');
    expect(await stage.shift(facade, 10)).toMatchObject({ code: 0 });
    expect(await of('zoo')).toBe('service');
    expect(await stage.strategies()).toMatchObject([people, rollout(10), { title: 'banyan shift --cohort' }]);
    expect(await stage.shift(facade, 0)).toMatchObject({ code: 0 });
    expect([await of('zoo'), await facade.sideOf(kim)]).toEqual(['legacy', 'legacy']);
    expect(await stage.strategies()).toMatchObject([people, rollout(10)]);
  }, 90_000);

  test('stickiness, and strategies that are no one percentage: said by the facade, and not moved by "banyan shift"', async () => {
    await stage.makeFlag();
    await stage.add(rollout(30, 'sessionId'));
    await stage.turnOn();
    const facade = await stage.follow();
    await until('the warning', async () => (await facade.flags()).warnings.length > 0);
    expect((await facade.flags()).warnings).toEqual([
      expect.stringMatching(/^reviews\.read: stickiness "sessionId" .* moves nobody: use "userId"/),
    ]);
    expect(await facade.metrics()).toContain('banyan_facade_flags_warnings 1');
    expect(await stage.movedByUnleash()).toEqual([]);
    expect(await stage.shift(facade, 40)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/has the stickiness "sessionId" in Unleash.*set it to "userId"/),
    });
    expect(await stage.flagged.phase()).toBe('synced');
    await stage.add(rollout(10));
    expect(await stage.shift(facade, 40)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/has 2 strategies for anybody.*keep one gradual rollout/),
    });
    expect((await stage.strategies()).map(({ parameters }) => parameters.rollout)).toEqual(['30', '10']);
    // The way back is open whatever the flag is.
    expect(await stage.shift(facade, 0)).toMatchObject({ code: 0 });
  }, 120_000);

  test('frozen or killed it changes nothing for clients; the way back is open without it; it is followed when it is there again', async () => {
    const facade = await stage.follow();
    expect(await stage.shift(facade, 50)).toMatchObject({ code: 0 });
    const moved = await stage.agreed(facade);
    stage.unleash.pause();
    await stage.faultOf(facade, /not answered within/);
    expect(await facade.moved(ids)).toEqual(moved);
    expect(await facade.metrics()).toMatch(
      /banyan_facade_flags_valid 0[\s\S]*banyan_facade_flags_age_seconds \d/,
    );
    // A stop waits for no answer.
    const another = await stage.follow();
    const stopping = performance.now();
    await another.stop();
    expect(await another.exited).toContain('exit code 0');
    expect(performance.now() - stopping).toBeLessThan(3_000);
    stage.unleash.resume();
    await stage.isWell(facade);

    await stage.unleash.kill();
    await stage.faultOf(facade, /cannot be reached: ECONNREFUSED/);
    expect(await facade.moved(ids)).toEqual(moved);
    expect(await stage.shift(facade, 80)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/Unleash at http:.* does not answer .*UNLEASH_URL/),
    });
    expect(await facade.moved(ids)).toEqual(moved);
    expect(await stage.shift(facade, 0)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /read from legacy again, by its phase; but the flag "reviews.read" could not/,
      ),
    });
    expect([await stage.flagged.phase(), await facade.moved(ids)]).toEqual(['synced', []]);
    await stage.unleash.start();
    await stage.isWell(facade);
    expect(await facade.effectivePercent()).toBe(0);
    expect(await stage.shift(facade, 0)).toMatchObject({ code: 0 });
    await stage.agreed(facade);
  }, 180_000);

  test('a facade that starts without it: on its backup, or on legacy, until it is there', async () => {
    const backup = { BANYAN_FLAGS_BACKUP: join(stage.flagged.folder, 'backup.json') };
    const first = await stage.follow(backup);
    expect(await stage.shift(first, 50)).toMatchObject({ code: 0 });
    const moved = await stage.agreed(first);
    await first.stop();
    await stage.unleash.kill();
    const kept = await stage.follow(backup);
    expect(await kept.flags()).toMatchObject({
      isBackup: true,
      fault: expect.stringMatching(/ECONNREFUSED/),
    });
    await until('the control store', async () => (await kept.moved(ids)).join() === moved.join());
    const bare = await stage.follow();
    expect(await bare.flags()).toMatchObject({ isBackup: false, loadedAt: null });
    expect(await bare.moved(ids)).toEqual([]);
    await stage.unleash.start();
    for (const facade of [kept, bare]) {
      await stage.isWell(facade);
      expect(await facade.flags()).toMatchObject({ isBackup: false, warnings: [] });
      expect(await stage.agreed(facade)).toEqual(moved);
    }
    rmSync(backup.BANYAN_FLAGS_BACKUP);
  }, 180_000);

  test('a token that is refused, and then accepted, needs no restart of the facade; a strange one is said', async () => {
    const token = await stage.makeClientToken('facade');
    const expiring = (year: number) =>
      stage.unleash.admin('PUT', `api-tokens/${encodeURIComponent(token)}`, {
        expiresAt: `${year}-01-01T00:00:00Z`,
      });
    // Unleash itself looks at its tokens once a minute, and at its start.
    const restart = async () => {
      await stage.unleash.kill();
      await stage.unleash.start();
    };
    const facade = await stage.follow({ UNLEASH_TOKEN: token });
    expect(await stage.shift(facade, 50)).toMatchObject({ code: 0 });
    const moved = await stage.agreed(facade);
    await expiring(2020);
    await restart();
    await stage.faultOf(facade, /answered 401: UNLEASH_TOKEN is no client/);
    expect(await facade.moved(ids)).toEqual(moved);
    expect(await stage.shift(facade, 70)).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/does not follow after .* its flags are old: .*401/),
    });
    await expiring(2099);
    await restart();
    await stage.isWell(facade);
    expect((await stage.agreed(facade)).length).toBeGreaterThan(moved.length);
    await facade.stop();

    const admins = await stage.follow({ UNLEASH_TOKEN: stage.unleash.adminToken });
    await stage.faultOf(admins, /answered 403/);
    await admins.stop();
    const strange = await stage.makeClientToken('elsewhere');
    await stage.unleash.admin('DELETE', `${features}/reviews.read`);
    const elsewhere = await stage.follow({ UNLEASH_TOKEN: strange });
    await until('a warning', async () => (await elsewhere.flags()).warnings.length > 0, { msMax: 60_000 });
    expect((await elsewhere.flags()).warnings).toEqual([expect.stringMatching(/^none of reviews\.read, /)]);
  }, 240_000);

  test('the shadow’s flag, and "banyan stop", are moved there as well', async () => {
    const facade = await stage.follow();
    const shadow = async () => {
      const feature = (await stage.unleash.admin('GET', `${features}/reviews.shadow`)) as {
        environments: { name: string; enabled: boolean }[];
      };
      return feature.environments.find(({ name }) => name === 'development')?.enabled;
    };
    const said = await stage.banyan(facade, ['shift', 'reviews', '--shadow', '25']);
    expect(said).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/0 % → 25 %[\s\S]*the facade follows/),
    });
    expect([await shadow(), await stage.flagged.phase()]).toEqual([true, 'shadow']);
    expect(await stage.shift(facade, 30)).toMatchObject({ code: 0 });
    expect(await stage.banyan(facade, ['stop', 'reviews'])).toMatchObject({ code: 0 });
    expect([await shadow(), await stage.flagged.phase()]).toEqual([false, 'synced']);
    expect(await stage.movedByUnleash()).toEqual([]);
  }, 120_000);

  test('what "banyan shift" may not, or cannot do is said, with what to do, and nothing is moved', async () => {
    const facade = await stage.follow();
    const elsewhere = (project: string, environment: string): string => {
      const file = join(stage.flagged.folder, `${project}-${environment}.config.ts`);
      const ours = join(import.meta.dirname, '..', 'facade', 'flagged.config.ts');
      writeFileSync(
        file,
        `import config from ${JSON.stringify(ours)};\nexport default { ...config, flags: { unleash: ${JSON.stringify({ project, environment })} } };\n`,
      );
      return file;
    };
    const refused = async (
      env: NodeJS.ProcessEnv,
      message: RegExp,
      code = 1,
      words: readonly string[] = [],
    ) => {
      const said = await stage.banyan(facade, ['shift', 'reviews', '--reads', '5', ...words], env);
      expect(said.stderr).toMatch(message);
      expect(said.stderr).not.toContain(stage.unleash.adminToken.slice(-8));
      expect(said.code).toBe(code);
    };
    await refused({ UNLEASH_ADMIN_TOKEN: '' }, /give UNLEASH_ADMIN_TOKEN or UNLEASH_ADMIN_TOKEN_FILE/, 2);
    await refused({ UNLEASH_ADMIN_TOKEN: 'wrong' }, /refuses the token: let UNLEASH_ADMIN_TOKEN be/);
    await refused(
      { UNLEASH_ADMIN_TOKEN: stage.unleash.clientToken },
      /does not let this token do it: invalid token/,
    );
    await refused(
      { UNLEASH_URL: `http://127.0.0.1:${await freePort()}/api` },
      /does not answer .*ECONNREFUSED/,
    );
    await refused({ UNLEASH_URL: stage.unleash.origin }, /not JSON|answered|UNLEASH_URL/);
    const strange = (project: string, environment: string) => ['--config', elsewhere(project, environment)];
    await refused({}, /has no project "shop" that this token sees/, 1, strange('shop', 'development'));
    await stage.makeFlag();
    await refused(
      {},
      /has no environment "staging"; it has development, production/,
      1,
      strange('default', 'staging'),
    );
    expect(await stage.flagged.phase()).toBe('synced');
    // Here the flag could be read, and the phase was moved before it: it opens, nothing is asked for.
    await refused(
      { UNLEASH_ADMIN_TOKEN: await stage.makeViewerToken() },
      /"CREATE_FEATURE_STRATEGY" permission.*UNLEASH_ADMIN_TOKEN needs CREATE_FEATURE_STRATEGY in project "default", environment "development"/,
    );
    expect(await facade.moved(ids)).toEqual([]);
    await stage.unleash.admin('DELETE', `${features}/reviews.read`);
    await refused({}, /An archived flag with that name already exists: revive it there/);
  }, 120_000);
});
