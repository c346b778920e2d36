// Wherever the command stands still or dies, a writer on the owner waits for a lock no longer than the command's own statement
// may, a second; then it goes on, or is refused.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mutantEnv } from './mutant.ts';
import { type IsolationLevel, type Stage, startStage } from './stage.ts';

/** A second, and what a machine that has much to do takes besides. */
const waitMsMax = 2_000;

let stage: Stage;
beforeAll(async () => {
  stage = await startStage();
}, 120_000);
afterAll(() => stage?.[Symbol.asyncDispose]());

/** @returns how long one write took, whether it passed or not */
async function writeMs(level: IsolationLevel): Promise<number> {
  const cron = await stage.as('legacy', 'cron', level);
  await cron.query('SET SESSION innodb_lock_wait_timeout = 4');
  const startedAt = performance.now();
  await cron.query("INSERT INTO item VALUES (?, 'by cron')", [stage.nextId()]).catch((error: Error) => {
    if (!/banyan: refused|Lock wait timeout/.test(error.message)) throw error;
  });
  return performance.now() - startedAt;
}

test.each([
  ['READ COMMITTED', 'stands still'],
  ['REPEATABLE READ', 'is killed'],
] as const)(
  'at %s: it %s while its turn waits for a writer',
  async (level, fate) => {
    const busy = await stage.as('legacy', 'cron', level);
    await busy.beginTransaction();
    await busy.query("INSERT INTO item VALUES (?, 'not committed')", [stage.nextId()]);
    const command = await stage.stoppedAt('turn');
    command.release();
    await stage.reached('turn');
    if (fate === 'is killed') command.kill();
    expect(await writeMs(level)).toBeLessThan(waitMsMax);
    await busy.commit();
    command.go();
    expect(fate === 'is killed' ? [-1] : [0, 4]).toContain((await command.ended).code);
    const { owner } = (await stage.fences()).legacy;
    if (owner === 'service') await stage.done('rollback');
    expect(await stage.write()).toBe(200);
    await stage.expectWhole();
  },
  120_000,
);

test.each(['turn', 'drain', 'close'] as const)(
  'it stands still before %s',
  async (step) => {
    const command = await stage.stoppedAt(step);
    expect(await writeMs('READ COMMITTED')).toBeLessThan(waitMsMax);
    command.kill();
    await command.ended;
  },
  120_000,
);

test('a turn that locks the row first, and changes it then, keeps writers waiting', async () => {
  const file = 'capability/fence.ts';
  const env = mutantEnv(
    {
      file,
      replace: 'changed(\n        on.sql,\n        `UPDATE banyan.banyan_fence f SET turn_id = ?',
      by: 'locked(\n        on.sql,\n        `UPDATE banyan.banyan_fence f SET turn_id = ?',
    },
    {
      file,
      replace: 'async function changed(',
      by: `async function locked(sql, statement, values) {
        await sql.query('START TRANSACTION');
        await sql.query('SELECT owner FROM banyan.banyan_fence FOR UPDATE');
        const rows = await changed(sql, statement, values);
        await sql.query('COMMIT');
        return rows;
      }
      async function changed(`,
    },
  );
  await stage.stoppedAt('turn', { env });
  expect(await writeMs('READ COMMITTED')).toBeGreaterThan(3_000);
}, 120_000);
