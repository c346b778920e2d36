// A backup's FLUSH TABLES WITH READ LOCK comes just before the turn, or just before the close. No lock of InnoDB's is waited for
// then: each statement of the command gives up after a second all the same, and the owner is who it was.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../sync/until.ts';
import type { Step } from './command.ts';
import { mutantEnv } from './mutant.ts';
import { type Stage, startStage } from './stage.ts';

/** A second, and what a machine that has much to do takes besides. */
const waitMsMax = 2_000;

let stage: Stage;
beforeAll(async () => {
  stage = await startStage();
}, 120_000);
afterAll(() => stage?.[Symbol.asyncDispose]());

/** @returns the longest that a statement on the fence has waited, milliseconds, and how many did */
async function locked(step: Step, env: NodeJS.ProcessEnv = {}) {
  const command = await stage.stoppedAt(step, { env });
  const backup = await stage.pair.connect('legacy');
  await backup.query('FLUSH TABLES WITH READ LOCK');
  command.release();
  command.go();
  const waited = new Map<string, number>();
  await until('the end of its tries', async () => {
    const rows = await stage.pair.legacy.query(
      `SELECT QUERY_ID AS id, TIME_MS AS ms FROM information_schema.PROCESSLIST
       WHERE USER = 'banyan_cli' AND INFO LIKE '%UPDATE banyan.banyan_fence%'`,
    );
    for (const { id, ms } of rows) waited.set(String(id), Number(ms));
    const longest = Math.max(0, ...waited.values());
    return waited.size >= 2 || longest > waitMsMax * 1.5;
  });
  await backup.query('UNLOCK TABLES');
  backup.destroy();
  return { longestMs: Math.max(...waited.values()), end: await command.ended };
}

test.each(['turn', 'close'] as const)(
  'before the %s',
  async (step) => {
    const { longestMs, end } = await locked(step);
    expect(longestMs).toBeLessThan(waitMsMax);
    expect([0, 4], end.stdout).toContain(end.code);
    expect(await stage.write()).toBe(200);
    if ((await stage.fences()).legacy.owner === 'service') await stage.done('rollback');
    await stage.expectWhole();
  },
  120_000,
);

test('a session without that bound waits for as long as the backup likes', async () => {
  const env = mutantEnv({
    file: 'capability/fence.ts',
    replace: 'innodb_lock_wait_timeout = 1, lock_wait_timeout = 1',
    by: 'innodb_lock_wait_timeout = 1',
  });
  expect((await locked('turn', env)).longestMs).toBeGreaterThan(waitMsMax);
}, 120_000);
