// PREPARE lets go of the locks that a turn waits for. A transaction that is prepared and not decided keeps the owner from changing, and
// what it has written is on both sides when it commits.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../sync/until.ts';
import { mutantEnv } from './mutant.ts';
import { isolationLevels, type Stage, startStage } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await startStage();
}, 120_000);
afterAll(() => stage?.[Symbol.asyncDispose]());

async function prepared(level: (typeof isolationLevels)[number]) {
  const cron = await stage.as('legacy', 'cron', level);
  const id = stage.nextId();
  await cron.query("XA START 'cron'");
  await cron.query("INSERT INTO item VALUES (?, 'prepared')", [id]);
  await cron.query("XA END 'cron'");
  await cron.query("XA PREPARE 'cron'");
  return { id, commit: () => cron.query("XA COMMIT 'cron'") };
}

test.each(isolationLevels)(
  'at %s the change is undone, and the row is on both sides',
  async (level) => {
    const { id, commit } = await prepared(level);
    const { code, stdout } = await stage.attempt();
    expect(code).toBe(4);
    expect(JSON.parse(stdout).reason).toMatch(/prepared XA transactions: cron/);
    expect(await stage.write()).toBe(200);
    await commit();
    stage.acknowledged.add(id);
    await stage.expectWhole();
  },
  120_000,
);

test('a command that does not ask for them loses the row', async () => {
  const { id, commit } = await prepared('READ COMMITTED');
  const env = mutantEnv({
    file: 'capability/fence.ts',
    replace: 'return rows.map(({ data }) => String(data));',
    by: 'return rows.map(({ data }) => String(data)).slice(0, 0);',
  });
  const { code } = await stage.attempt({ env, words: ['--wait', '20'] });
  expect(code).toBe(0);
  await commit();
  await until('the tripwire', async () => (await stage.pair.faults()).some((each) => /tripwire/.test(each)));
  expect(await stage.lost([id])).toEqual([id]);
}, 120_000);
