// The address of a source leads to another server: nothing is read there before somebody has looked, and then nothing is
// lost or doubled.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Pair, startPair, things } from '../sync/pair.ts';
import { until } from '../sync/until.ts';
import type { WorkerProcess } from '../sync/worker-process.ts';
import { type StandIn, type StandIns, standIns } from './stand-in.ts';

let pair: Pair;
let worker: WorkerProcess;
let stands: StandIns;
/** What is at legacy's address now, where that is not legacy. */
let standIn: StandIn;
const replace = async (serverId: number) => {
  standIn = await stands.start(serverId);
  await until('the server to answer', async () => (await pair.legacy.query('SELECT 1')).length === 1);
};
beforeAll(async () => {
  pair = await startPair({
    tables: ['t'],
    ddl: 'CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL);',
    // How often each row was written on the target.
    serviceDdl: `CREATE TABLE written (id INT PRIMARY KEY, n INT NOT NULL);
      CREATE TRIGGER t_inserted AFTER INSERT ON t FOR EACH ROW INSERT INTO written VALUES (NEW.id, 1) ON DUPLICATE KEY UPDATE n = n + 1;
      CREATE TRIGGER t_updated AFTER UPDATE ON t FOR EACH ROW INSERT INTO written VALUES (NEW.id, 1) ON DUPLICATE KEY UPDATE n = n + 1;`,
  });
  stands = await standIns(pair);
  worker = await pair.startWorker();
});
afterAll(async () => {
  await pair?.[Symbol.asyncDispose]();
  await stands?.[Symbol.asyncDispose]();
});

let id = 0;
const write = async () => {
  id++;
  await pair.legacy.query('INSERT INTO shop.t VALUES (?, ?)', [id, id]);
  return id;
};
const isThere = async (row: number) =>
  (await pair.service.query('SELECT id FROM things.t WHERE id = ?', [row])).length === 1;
const arrived = (row: number) =>
  until(`row ${row}`, () => isThere(row), { explain: async () => pair.logs() });
const eachOnce = async () => {
  await pair.aligned('legacy');
  expect(await pair.compare()).toEqual([]);
  expect(await pair.service.query('SELECT * FROM things.written WHERE n <> 1')).toEqual([]);
};
const known = async () => {
  const [row] = await pair.service.query(
    "SELECT source_server FROM banyan.banyan_stream WHERE capability = ? AND source = 'legacy'",
    [things],
  );
  return row?.source_server;
};
/** The stop for another server, younger than the last one that was acknowledged. */
const stopped = () =>
  until(
    'the stop',
    async () => {
      const [row] = await pair.service.query(
        'SELECT code, message FROM banyan.banyan_stop WHERE capability = ? AND acknowledged_by IS NULL',
        [things],
      );
      return row && { code: String(row.code), message: String(row.message) };
    },
    { explain: async () => pair.logs() },
  );
const resume = async (...words: string[]) => {
  const { code, stdout, stderr } = await pair.banyan('resume', things, '--json', ...words);
  const said: {
    executed?: boolean;
    gates?: { gate: string; verdict: string; evidence: string; remedy: string }[];
  } = JSON.parse(stdout);
  const closed = (said.gates ?? []).filter(({ verdict }) => verdict === 'fail');
  return { code, stderr, executed: said.executed, closed };
};
const anyway = ['--override', 'verified', '--reason', 'rows compared by hand'];

test('a server that was only started again is the same one', async () => {
  await arrived(await write());
  await until('the server to be written down', async () => (await known()) === 'mariadb:11');
  await pair.legacy.crash();
  await pair.legacy.start();
  await arrived(await write());
  expect(await known()).toBe('mariadb:11');
  await eachOnce();
});

test('another server at the address: stopped before a row is read, and resumed there without losing or doubling one', {
  timeout: 120_000,
}, async () => {
  for (let i = 0; i < 20; i++) await write();
  await pair.aligned('legacy');
  await pair.legacy.crash();
  stands.copy(11, 13);
  await replace(13);
  const first = await write();
  const stop = await stopped();
  expect(stop.code).toBe('source-changed');
  expect(stop.message).toMatch(/another server: mariadb:13, where mariadb:11 was read up to/);
  expect(stop.message).toMatch(/banyan resume things --source-changed legacy$/);
  // To look at it is not enough: it is another server all the same.
  expect((await pair.banyan('worker', '--acknowledge', things)).code).toBe(0);
  await stopped();
  expect(await isThere(first)).toBe(false);
  // It writes the stop down first.
  const state = async () => (await worker.status()).find(({ source }) => source === 'legacy')?.state;
  await until('the worker to say so', async () => (await state()) === 'stopped');
  expect((await pair.banyan('status')).stdout).toMatch(
    /STOPPED.*Then: banyan resume things --source-changed legacy/,
  );

  // Nothing was verified since; somebody must answer for it.
  const alone = await resume('--source-changed', 'legacy', '--execute');
  expect(alone).toMatchObject({ code: 3, executed: false, closed: [{ gate: 'verified' }] });
  expect((await resume('--source-changed', 'legacy', '--override', 'position', '--reason', 'x')).code).toBe(
    2,
  );
  expect((await resume('--source-changed', 'both')).code).toBe(2);
  expect(await resume('--source-changed', 'legacy', ...anyway)).toMatchObject({ code: 0, executed: false });
  await stopped();
  expect(await isThere(first)).toBe(false);

  // Fence rows that do not belong together are nobody's to answer for.
  const epoch = (value: number) =>
    pair.legacy.query(
      `SET sql_log_bin = 0; UPDATE banyan.banyan_fence SET epoch = ${value}; SET sql_log_bin = 1`,
    );
  await epoch(0);
  expect(await resume('--source-changed', 'legacy', ...anyway, '--execute')).toMatchObject({
    code: 3,
    closed: [{ gate: 'fences', remedy: expect.stringContaining('When the fences disagree') }],
  });
  await epoch(1);

  expect(await resume('--source-changed', 'legacy', ...anyway, '--execute')).toMatchObject({
    code: 0,
    executed: true,
  });
  await arrived(first);
  await arrived(await write());
  await eachOnce();
  expect(await known()).toBe('mariadb:13');
  expect(await pair.faults()).toEqual([]);
  const deeds = await pair.legacy.query("SELECT reason FROM banyan.audit WHERE action = 'resume'");
  expect(deeds).toEqual([{ reason: 'rows compared by hand' }]);
});

test('a server without the last transactions: refused; the one before is taken back; begun anew by hand, and mended', {
  timeout: 120_000,
}, async () => {
  // 14 has what 13 had some rows ago.
  await standIn.crash();
  stands.copy(13, 14);
  await replace(13);
  const lost = await write();
  await arrived(lost);
  await pair.aligned('legacy');
  await standIn.crash();
  await replace(14);
  await pair.legacy.query('INSERT INTO shop.t VALUES (1000, 1)');
  await stopped();
  const refused = await resume('--source-changed', 'legacy', ...anyway, '--execute');
  expect(refused).toMatchObject({ code: 3, executed: false, closed: [{ gate: 'position' }] });
  expect(refused.closed[0]?.evidence).toMatch(/it has never had 13-13-\d+/);
  expect(await isThere(1000)).toBe(false);

  // The one that was read comes back: nothing is to be resumed.
  await standIn.crash();
  await replace(13);
  const back = await resume('--source-changed', 'legacy', ...anyway, '--execute');
  expect(back).toMatchObject({ code: 3, closed: [{ gate: 'server' }] });
  expect(back.closed[0]?.remedy).toContain('banyan worker --acknowledge things');
  await pair.banyan('worker', '--acknowledge', things);
  await arrived(await write());

  // It is gone for good, and 14 is all that there is: docs/change-of-owner.md, "When a server is gone".
  await pair.aligned('legacy');
  await standIn.crash();
  await replace(14);
  await stopped();
  const [end] = await pair.legacy.query('SELECT @@gtid_binlog_pos AS gtid');
  await pair.service.query(
    `UPDATE banyan.banyan_stream SET seq = seq + 1, gtid = ?, file = NULL, pos = NULL, restart = NULL, source_server = NULL
     WHERE source = 'legacy' AND capability IN ('things', 'things+references')`,
    [end?.gtid],
  );
  await pair.banyan('worker', '--acknowledge', things);
  await until('the stream at 14', async () => (await known()) === 'mariadb:14');
  const mended = await pair.banyan('verify', things, '--repair', '--execute', '--json');
  expect(JSON.parse(mended.stdout)).toMatchObject({ ok: true });
  expect(await isThere(lost)).toBe(false);
  expect(await isThere(1000)).toBe(true);
  expect(await pair.compare()).toEqual([]);
});
