// A transaction on the owner does not end: the change is undone, harms nobody, and says who it was. Once more with
// innodb_snapshot_isolation=ON, where a transaction that is older than a change is told of it by another error.
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { mutantEnv } from './mutant.ts';
import { isolationLevels, type Stage, startStage } from './stage.ts';

/** A second, and what a machine that has much to do takes besides. */
const waitMsMax = 2_000;

let stage: Stage;
beforeAll(async () => {
  stage = await startStage();
}, 120_000);
afterAll(() => stage?.[Symbol.asyncDispose]());

const codeOf = (error: unknown) =>
  error instanceof Error && 'errno' in error ? Number(error.errno) : undefined;

/** @returns whether the server has it */
async function setSnapshotIsolation(to: 'ON' | 'OFF'): Promise<boolean> {
  const rows = await stage.pair.legacy.query("SHOW VARIABLES LIKE 'innodb_snapshot_isolation'");
  if (rows.length > 0) await stage.pair.legacy.query(`SET GLOBAL innodb_snapshot_isolation = ${to}`);
  return rows.length > 0 || to === 'OFF';
}

const cases = (['OFF', 'ON'] as const).flatMap((snapshot) =>
  isolationLevels.map((level) => [level, snapshot] as const),
);

test.each(cases)(
  'at %s, innodb_snapshot_isolation %s',
  async (level, snapshot) => {
    if (!(await setSnapshotIsolation(snapshot))) return;
    const long = await stage.as('legacy', 'cron', level);
    const old = await stage.as('legacy', 'cron', level);
    // Where it fails, the next one finds nobody in its way.
    onTestFinished(() => {
      for (const sql of [long, old]) sql.destroy();
    });
    const insert = async (sql: typeof long) => {
      const id = stage.nextId();
      await sql.query("INSERT INTO item VALUES (?, 'by cron')", [id]);
      return id;
    };
    await old.beginTransaction();
    await old.query('SELECT COUNT(*) FROM item');
    await long.beginTransaction();
    const ids = [await insert(long)];
    const { code, stdout } = await stage.attempt();
    expect({ code, reason: JSON.parse(stdout).reason }).toEqual({
      code: 4,
      reason: expect.stringContaining(`locked by thread ${long.threadId}, cron@`),
    });
    expect(await stage.write()).toBe(200);
    ids.push(await insert(long));
    await long.commit();
    for (const id of ids) stage.acknowledged.add(id);

    await stage.done('cutover');
    const error = await insert(old).then(
      () => undefined,
      (cause: unknown) => cause,
    );
    expect(codeOf(error)).toBe(snapshot === 'ON' && level === 'REPEATABLE READ' ? 1020 : 1644);
    await old.rollback();
    await stage.done('rollback');
    await stage.expectWhole();
  },
  120_000,
);

test('a turn that waits without that bound keeps every writer waiting', async () => {
  const env = mutantEnv({
    file: 'capability/fence.ts',
    replace: 'innodb_lock_wait_timeout = 1, lock_wait_timeout = 1',
    by: 'innodb_lock_wait_timeout = 50, lock_wait_timeout = 1',
  });
  const long = await stage.as('legacy', 'cron');
  await long.beginTransaction();
  await long.query("INSERT INTO item VALUES (?, 'by cron')", [stage.nextId()]);
  const command = await stage.stoppedAt('turn', { env });
  command.release();
  command.go();
  await stage.reached('turn');
  const other = await stage.as('legacy', 'cron');
  await other.query('SET SESSION innodb_lock_wait_timeout = 3');
  const startedAt = performance.now();
  await expect(
    other.query("INSERT INTO item VALUES (?, 'behind the turn')", [stage.nextId()]),
  ).rejects.toThrow('Lock wait timeout');
  expect(performance.now() - startedAt).toBeGreaterThan(waitMsMax);
}, 120_000);
