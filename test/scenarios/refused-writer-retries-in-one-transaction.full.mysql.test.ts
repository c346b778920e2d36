// A writer that was refused keeps its shared lock, and so the close waits behind it. When the turn's deadline has passed it tries again
// in the same transaction, passes and commits; the close is executed after that, and must find the turn over.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../sync/until.ts';
import { type Mutation, mutantEnv, opensItself, patient } from './mutant.ts';
import { type IsolationLevel, isolationLevels, type Stage, startStage } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await startStage();
}, 120_000);
afterAll(() => stage?.[Symbol.asyncDispose]());

/** A close waits a second for a lock, and is tried again; here one wait reaches past the deadline, however slow the machine is. */
const waitsOnce: Mutation = {
  file: 'capability/fence.ts',
  replace: 'innodb_lock_wait_timeout = 1',
  by: 'innodb_lock_wait_timeout = 50',
};

async function retried(level: IsolationLevel, mutations: readonly Mutation[] = []) {
  const command = await stage.stoppedAt('close', { env: mutantEnv(waitsOnce, ...mutations) });
  const cron = await stage.as('legacy', 'cron', level);
  const id = stage.nextId();
  const insert = () => cron.query("INSERT INTO item VALUES (?, 'tried again')", [id]);
  await cron.beginTransaction();
  await expect(insert()).rejects.toThrow('about to change hands');
  command.release();
  command.go();
  await stage.reached('close');
  await until('the writer to pass', () =>
    insert().then(
      () => true,
      () => false,
    ),
  );
  expect(await stage.isAt('close')).toBe(true);
  return { id, cron, command };
}

test.each(isolationLevels)(
  'at %s the close finds the turn over',
  async (level) => {
    const { id, cron, command } = await retried(level);
    await cron.commit();
    stage.acknowledged.add(id);
    expect((await command.ended).code).toBe(4);
    expect((await stage.fences()).legacy).toMatchObject({ owner: 'legacy', epoch: 1, turn: null });
    await stage.expectWhole();
  },
  120_000,
);

// What was written before a close with an old clock lies before the close row, and opening waits for that (secondLines,
// "SYSDATE in close"): so both are taken out.
test('a close by the clock of its beginning, by a command that opens itself, loses the write', async () => {
  const byItsBeginning = {
    file: 'capability/fence.ts',
    replace: "const now = 'UNIX_TIMESTAMP(SYSDATE(6))';",
    by: "const now = 'UNIX_TIMESTAMP(NOW(6))';",
  };
  const { id, cron, command } = await retried('READ COMMITTED', [byItsBeginning, opensItself, patient]);
  stage.worker.signal('SIGSTOP');
  await cron.commit();
  await until('two servers that name the service', async () => (await stage.admitting()).includes('service'));
  expect((await command.ended).code).not.toBe(4);
  stage.worker.signal('SIGCONT');
  await until('the stream to stop', async () =>
    (await stage.pair.faults()).some((each) => /stop/.test(each)),
  );
  expect(await stage.lost([id])).toEqual([id]);
}, 120_000);
