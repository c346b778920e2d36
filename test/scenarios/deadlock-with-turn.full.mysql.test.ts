// The turn may be a deadlock's victim: one writer has passed the fence and waits for a row of another, who waits for the fence
// behind the turn. Both go on, and the turn is tried again.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mutantEnv } from './mutant.ts';
import { type IsolationLevel, isolationLevels, type Stage, startStage } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await startStage();
}, 120_000);
afterAll(() => stage?.[Symbol.asyncDispose]());

const deadlocks = async () =>
  Number((await stage.pair.legacy.query("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'"))[0]?.Value);

async function deadlocked(level: IsolationLevel, env: NodeJS.ProcessEnv = {}) {
  const [passed, waiting] = [await stage.as('legacy', 'cron', level), await stage.as('legacy', 'app', level)];
  const [shared, first, second] = [stage.nextId(), stage.nextId(), stage.nextId()];
  await passed.query("INSERT INTO item VALUES (?, 'of both')", [shared]);
  const before = await deadlocks();
  const command = await stage.stoppedAt('turn', { env });
  await waiting.beginTransaction();
  await waiting.query('SELECT v FROM item WHERE id = ? FOR UPDATE', [shared]);
  await passed.beginTransaction();
  await passed.query("INSERT INTO item VALUES (?, 'passed')", [first]);
  command.release();
  command.go();
  await stage.reached('turn');
  const update = passed.query("UPDATE item SET v = 'changed' WHERE id = ?", [shared]);
  await waiting.query("INSERT INTO item VALUES (?, 'waited')", [second]);
  await waiting.commit();
  await update;
  await passed.commit();
  for (const id of [shared, first, second]) stage.acknowledged.add(id);
  return { ended: await command.ended, hasDeadlocked: (await deadlocks()) > before };
}

test.each(isolationLevels)(
  'at %s both writers go on, and so does the change',
  async (level) => {
    const { ended, hasDeadlocked } = await deadlocked(level);
    expect(hasDeadlocked).toBe(true);
    expect(ended.code, ended.stdout).toBe(0);
    await stage.expectWhole();
    await stage.done('rollback');
  },
  120_000,
);

test('a command that does not try again is undone', async () => {
  const env = mutantEnv({
    file: 'capability/fence.ts',
    replace: "'ER_LOCK_DEADLOCK', ",
    by: '',
  });
  const { ended } = await deadlocked('READ COMMITTED', env);
  expect(ended.code).toBe(4);
  expect(JSON.parse(ended.stdout).reason).toMatch(/Deadlock/);
}, 120_000);
