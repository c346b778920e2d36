// One worker after another: a successor within six seconds, and none of them does any harm.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Frame, prepareApplySession, readStreamState, takeBack, takeOver } from '../../sync/frame.ts';
import { atMost } from '../at-most.ts';
import { type Pair, startPair, things } from './pair.ts';
import { until } from './until.ts';
import type { WorkerProcess } from './worker-process.ts';

let pair: Pair;
let worker: WorkerProcess;
beforeAll(async () => {
  pair = await startPair({
    tables: ['t'],
    ddl: 'CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL);',
    // How often each row was written on the target.
    serviceDdl: `CREATE TABLE written (id INT PRIMARY KEY, n INT NOT NULL);
      CREATE TRIGGER t_inserted AFTER INSERT ON t FOR EACH ROW INSERT INTO written VALUES (NEW.id, 1) ON DUPLICATE KEY UPDATE n = n + 1;
      CREATE TRIGGER t_updated AFTER UPDATE ON t FOR EACH ROW INSERT INTO written VALUES (NEW.id, 1) ON DUPLICATE KEY UPDATE n = n + 1;`,
  });
  worker = await pair.startWorker();
});
afterAll(() => pair?.[Symbol.asyncDispose]());

let id = 0;
const write = async () => {
  id++;
  await pair.legacy.query('INSERT INTO shop.t VALUES (?, ?)', [id, id]);
  return id;
};
const arrived = (row: number) =>
  until(
    `row ${row}`,
    async () => (await pair.service.query('SELECT id FROM things.t WHERE id = ?', [row])).length === 1,
    { explain: async () => pair.logs() },
  );
const eachOnce = async () => {
  await pair.aligned('legacy');
  expect(await pair.compare()).toEqual([]);
  expect(await pair.service.query('SELECT * FROM things.written WHERE n <> 1')).toEqual([]);
};

/** @returns how long a row waited for the second worker, milliseconds */
async function takeover(how: 'kill -9' | 'SIGSTOP'): Promise<number> {
  await arrived(await write());
  const second = await pair.startWorker();
  const first = worker;
  const sessions = () => pair.service.query('SELECT source, session_id FROM banyan.banyan_stream');
  const before = await sessions();
  for (let i = 0; i < 10; i++) await arrived(await write());
  // While the first lives the second one only waits.
  expect(await second.status()).toEqual([]);
  expect(await sessions()).toEqual(before);
  const startedAt = performance.now();
  if (how === 'SIGSTOP') first.signal('SIGSTOP');
  else await first.kill();
  await arrived(await write());
  const ms = performance.now() - startedAt;
  console.log(`takeover after ${how}: ${Math.round(ms)} ms`);
  expect(await second.status()).toHaveLength(2);
  worker = second;
  if (how === 'SIGSTOP') {
    // It comes back, finds that it is not its turn any more, and waits for the lease. (Where the machine keeps the second one from
    // renewing it, the first has it again.)
    first.signal('SIGCONT');
    for (let i = 0; i < 20; i++) await arrived(await write());
    const standby = await until('one of the two to stand by', async () => {
      const streams = [(await first.status()).length, (await second.status()).length];
      return streams.includes(2) && [first, second][streams.indexOf(0)];
    });
    worker = standby === first ? second : first;
    await standby.kill();
  }
  await eachOnce();
  return ms;
}

test.each(['kill -9', 'SIGSTOP'] as const)(
  'a second worker goes on within six seconds after a %s of the first',
  { timeout: 90_000 },
  (how) => atMost(6_000, () => takeover(how)),
);

test.each(['answer', 'request'] as const)(
  'the %s of a COMMIT is lost: each row is there, once',
  { timeout: 120_000 },
  async (what) => {
    for (let times = 0; times < 5; times++) {
      const lost = pair.service.relay.loseAt('COMMIT', what);
      const row = await write();
      await lost;
      await arrived(row);
    }
    await eachOnce();
    expect(await pair.faults()).toEqual([]);
  },
);

test('stopped at the very moment its COMMIT is lost, and succeeded: nothing is lost, nothing doubled', {
  timeout: 120_000,
}, async () => {
  for (const what of ['answer', 'request'] as const) {
    const second = await pair.startWorker();
    const first = worker;
    const lost = pair.service.relay.loseAt('COMMIT', what, () => first.signal('SIGSTOP'));
    const row = await write();
    await lost;
    await arrived(row);
    for (let i = 0; i < 10; i++) await write();
    await pair.aligned('legacy');
    first.signal('SIGCONT');
    for (let i = 0; i < 10; i++) await arrived(await write());
    await first.kill();
    worker = second;
    await eachOnce();
  }
  expect(await pair.faults()).toEqual([]);
});

test('a half closed connection, on either side, is found out and replaced', { timeout: 90_000 }, async () => {
  for (const side of ['legacy', 'service'] as const) {
    const row = await write();
    pair.server(side).relay.halfClose();
    await arrived(row);
    await arrived(await write());
  }
  await eachOnce();
});

test('SIGTERM ends it in an orderly way, and its lease with it', { timeout: 120_000 }, async () => {
  const startedAt = performance.now();
  expect(await worker.stop()).toBe(0);
  expect(performance.now() - startedAt).toBeLessThan(5_000);
  expect(await pair.service.query('SELECT * FROM banyan.banyan_worker')).toEqual([]);
  worker = await pair.startWorker();
  await arrived(await write());
  await eachOnce();
});

test('a number that the next worker counted on from is not mistaken for one’s own', {
  timeout: 120_000,
}, async () => {
  await worker.kill();
  const key = { capability: things, source: 'legacy' } as const;
  const one = await pair.service.connect();
  const other = await pair.service.connect();
  await prepareApplySession(one);
  const session = await takeOver(one, key);
  const before = await readStreamState(one, key);
  // The other takes over and writes the very number that the one was about to write.
  await takeOver(other, key);
  const frame = new Frame(other, key);
  await frame.begin(before, { check: 'position', state: { ...before, seq: before.seq + 1n } });
  await frame.commit();
  const back = await pair.service.connect();
  await expect(takeBack(back, key, session)).rejects.toMatchObject({ code: 'superseded' });
  for (const sql of [one, other, back]) sql.destroy();
  worker = await pair.startWorker();
  await arrived(await write());
});

test('rows are refused while the target’s fence does not name the source, a backfill’s too', {
  timeout: 120_000,
}, async () => {
  await pair.aligned();
  await pair.service.query('SET sql_log_bin = 0');
  const fence = (sql: string) =>
    pair.service.query(`SET sql_log_bin = 0; UPDATE banyan.banyan_fence SET ${sql}; SET sql_log_bin = 1`);
  await fence('epoch = epoch + 5');
  const backfill = await pair.banyan('backfill', things, '--json');
  expect(backfill.stdout).toContain(
    "the target's fence names legacy at epoch 6, the stream has read legacy at epoch 1",
  );
  await fence('epoch = epoch - 5');
  expect((await pair.banyan('worker', '--acknowledge', things)).code).toBe(0);
  await arrived(await write());
});
