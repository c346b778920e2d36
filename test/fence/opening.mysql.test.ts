// A session that was refused and stays in its transaction keeps the fence row of the side that is about to open: the worker
// ends it, and nobody else. And making the triggers is nothing that a stream stops at.
import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { otherSide, type Pair, type Side, startPair } from '../sync/pair.ts';
import { until } from '../sync/until.ts';
import type { WorkerProcess } from '../sync/worker-process.ts';

let pair: Pair;
let worker: WorkerProcess;
beforeAll(async () => {
  pair = await startPair({
    tables: ['item'],
    ddl: 'CREATE TABLE item (id INT PRIMARY KEY, v VARCHAR(20)); CREATE TABLE elsewhere (id INT PRIMARY KEY);',
  });
  for (const side of ['legacy', 'service'] as const)
    await pair
      .server(side)
      .query(
        `CREATE USER cron@'%' IDENTIFIED BY 'secret'; GRANT SELECT, INSERT, UPDATE, DELETE ON ${pair.schema(side)}.* TO cron@'%'`,
      );
  worker = await pair.startWorker();
  for (const mode of ['--observe', '--enforce']) {
    const { code, stderr } = await pair.banyan(
      ...['fence', 'things', mode, '--execute'],
      ...['--legacy-url', pair.legacy.url, '--services-url', pair.service.url],
    );
    expect(stderr).toBe('');
    expect(code).toBe(0);
  }
});
afterAll(() => pair?.[Symbol.asyncDispose]());

const asCron = async (side: Side): Promise<Connection> => {
  const sql = await pair.connect(side);
  await sql.changeUser({ user: 'cron', password: 'secret', database: pair.schema(side) });
  return sql;
};

test('the streams go on past the triggers, in both modes', async () => {
  await pair.legacy.query("INSERT INTO shop.item VALUES (1, 'through the fence')");
  await pair.aligned();
  expect(await pair.compare()).toEqual([]);
  expect(await pair.faults()).toEqual([]);
});

test.each([
  ['service', 'REPEATABLE READ', 11],
  ['legacy', 'READ COMMITTED', 12],
  ['service', 'READ COMMITTED', 13],
  ['legacy', 'REPEATABLE READ', 14],
] as const)(
  'the %s opens within a second although a refused transaction is left open there, at %s; it alone is ended',
  async (to, level, id) => {
    expect((await pair.owner(to)).owner).toBe(otherSide(to));
    const cron = await asCron(to);
    await cron.query(`SET SESSION TRANSACTION ISOLATION LEVEL ${level}`);
    await cron.beginTransaction();
    await expect(cron.query("INSERT INTO item VALUES (2, 'refused')")).rejects.toThrow(
      'banyan: refused: things is owned',
    );
    const bystander = await asCron(to);
    await bystander.query('INSERT IGNORE INTO elsewhere VALUES (2)');
    await bystander.beginTransaction();
    await bystander.query('INSERT INTO elsewhere VALUES (1)');
    // MariaDB shows every transaction that has written nothing under the same number, and so that of the refused one, too.
    const [report, writer, late] = [await asCron(to), await asCron(to), await asCron(to)];
    for (const sql of [report, writer]) {
      await sql.query('START TRANSACTION WITH CONSISTENT SNAPSHOT');
      await sql.query('SELECT id FROM elsewhere');
    }
    await late.beginTransaction();
    const second = async () => String((await pair.server(to).query('SELECT NOW() AS now'))[0]?.now);
    const now = await second();
    await until('the next second', async () => (await second()) !== now);
    const { log } = worker;
    const [before] = await pair.legacy.query(
      "SELECT COUNT(*) AS n FROM banyan.audit WHERE action = 'end-session'",
    );
    const began = performance.now();
    const turning = pair.turn(to);
    await until('the opening to wait', async () => {
      const [waits] = await pair.server(to).query("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'");
      return Number(waits?.Value) > 0;
    });
    await late.query('SELECT id FROM elsewhere WHERE id = 2 LOCK IN SHARE MODE');
    const failure = writer.query("INSERT INTO item VALUES (?, 'waits')", [id]).then(
      () => undefined,
      (error) => error,
    );
    await turning;
    // Without it the wait ends after five seconds at the earliest.
    expect(performance.now() - began).toBeLessThan(2_000);
    await expect(cron.query('COMMIT')).rejects.toThrow();
    expect(await failure).toBeUndefined();
    await writer.commit();
    for (const sql of [bystander, report, late]) await sql.rollback();
    for (const sql of [bystander, report, late, writer]) sql.destroy();
    const [audit] = await until('the audit', async () => {
      const rows = await pair.legacy.query(
        "SELECT capability, detail FROM banyan.audit WHERE action = 'end-session' ORDER BY id DESC",
      );
      return rows.length > Number(before?.n) && rows;
    });
    expect(JSON.parse(String(audit?.detail))).toMatchObject({
      side: to,
      thread: cron.threadId,
      user: expect.stringMatching(/^cron@/),
    });
    expect(log()).toMatch(/ended a session that was in the way of the opening/);
    expect(await pair.faults()).toEqual([]);
  },
);
