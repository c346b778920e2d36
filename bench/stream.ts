// The stream against MariaDB's own tools, on private servers with durable settings for all: decoding against
// `mariadb-binlog -vv`, applying through a translator against a replica that applies the same binlog; the lag under
// a steady load; the worker's memory with one large transaction.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from 'mysql2/promise';
import { startPrivateServer } from '../scripts/private-server.ts';
import { benchDecode } from './decode.ts';
import { inRounds, type Measured, percentile, within } from './measure.ts';
import {
  type Bench,
  connect,
  fill,
  insertRows,
  legacyTable,
  mib,
  one,
  onStage,
  peakBytes,
  prepare,
  rowsOf,
  startWorker,
  until,
} from './stage.ts';

const applyRounds = 3;

/** A replica that applies the same binlog from a position on, and rests in between. */
async function startReplica(bench: Bench, start: { file: string; position: number }) {
  const folder = join(bench.folder, 'replica');
  const replica = await startPrivateServer({ folder, runFolder: bench.runFolder, serverId: 3 });
  const sql = await connect(replica);
  await sql.query('CREATE DATABASE bench');
  await sql.query('USE bench');
  await sql.query(legacyTable);
  const master = new URL(bench.legacy.url);
  await sql.query(
    `CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=${master.port}, MASTER_USER='root', MASTER_PASSWORD='${master.password}',
     MASTER_LOG_FILE='${start.file}', MASTER_LOG_POS=${start.position}, MASTER_USE_GTID=no`,
  );
  await sql.query("SET GLOBAL replicate_do_db = 'bench'");
  return {
    /** Seconds until it has the rows up to this key. */
    async follow(newest: number): Promise<number> {
      const begin = performance.now();
      await sql.query('START SLAVE');
      await until(async () => (await rowsOf(sql, 'TB_NOTE')) >= newest);
      const seconds = (performance.now() - begin) / 1000;
      await sql.query('STOP SLAVE');
      return seconds;
    },
    async stop(): Promise<void> {
      await sql.end();
      await replica.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Both in turn, round by round: what disturbs the machine disturbs both. */
async function applyRates(bench: Bench, source: Connection, target: Connection, rows: number) {
  await source.query('FLUSH BINARY LOGS');
  const status = await one(source, 'SHOW MASTER STATUS');
  const replica = await startReplica(bench, {
    file: String(status.File),
    position: Number(status.Position),
  });
  const rates: { ours: number; peer: number }[] = [];
  // Both servers are warm, and so is a worker that has run for a while: each round finds it frozen at the last one's end.
  const worker = await startWorker(bench);
  let newest = 0;
  const more = async () => {
    process.kill(worker.pid, 'SIGSTOP');
    await fill(source, rows, newest + 1);
    newest += rows;
  };
  const oursSeconds = async () => {
    const begin = performance.now();
    process.kill(worker.pid, 'SIGCONT');
    await until(async () => (await rowsOf(target, 'note')) >= newest);
    return (performance.now() - begin) / 1000;
  };
  try {
    await more();
    await oursSeconds();
    await replica.follow(newest);
    for (let round = 0; round < applyRounds; round++) {
      await more();
      const ours = rows / (await oursSeconds());
      process.kill(worker.pid, 'SIGSTOP');
      rates.push({ ours, peer: rows / (await replica.follow(newest)) });
    }
  } finally {
    process.kill(worker.pid, 'SIGCONT');
    await worker.stop();
    await replica.stop();
  }
  return rates;
}

/** Milliseconds from a row's commit on the source to its being there on the target, under a steady load. */
async function lagUnder(
  bench: Bench,
  rowsPerSecond: number,
  seconds: number,
  from: number,
): Promise<number[]> {
  const writer = await connect(bench.legacy, 'bench');
  const reader = await connect(bench.services, 'bench');
  await writer.query("SET SESSION sql_mode = ''");
  const perTransaction = 10;
  const everyMs = (1000 * perTransaction) / rowsPerSecond;
  const lags: number[] = [];
  const pending: { id: number; at: number }[] = [];
  let next = from;
  const begin = performance.now();
  let writing = true;
  const watching = (async () => {
    while (writing || pending.length > 0) {
      const newest = Number((await one(reader, 'SELECT COALESCE(MAX(id), 0) AS n FROM note')).n);
      const now = performance.now();
      while (pending[0] && pending[0].id <= newest) lags.push(now - (pending.shift()?.at ?? now));
      await delay(1);
    }
  })();
  for (let turn = 1; performance.now() - begin < seconds * 1000; turn++) {
    await writer.query(insertRows(next, perTransaction));
    next += perTransaction;
    pending.push({ id: next - 1, at: performance.now() });
    const ahead = begin + turn * everyMs - performance.now();
    if (ahead > 1) await delay(ahead);
  }
  writing = false;
  await watching;
  await Promise.all([writer.end(), reader.end()]);
  return lags;
}

export async function benchStream(size: number): Promise<Measured[]> {
  const rows = Math.max(1_000, Math.round(1_000_000 * size));
  const measured: Measured[] = await benchDecode(size);
  return onStage('stream', async (bench) => {
    const { legacy, services } = bench;
    await prepare(bench);
    const source = await connect(legacy, 'bench');
    const target = await connect(services, 'bench');
    const rates = await applyRates(bench, source, target, rows);
    measured.push(
      inRounds(
        'stream through a translator, applied',
        rates,
        0.4,
        1,
        'rows/s, transactions of 1,000 rows, peer a MariaDB replica of the same binlog',
      ),
    );

    let worker = await startWorker(bench);
    // At first it reads again what the last one had applied and not proven, a million rows here; then ten rows in turn are there at once.
    // Where they never are, that is its lag.
    let newest = (applyRounds + 1) * rows;
    for (let [inTime, tries] = [0, 0]; inTime < 10 && tries < 300; tries++) {
      newest += 1;
      const written = performance.now();
      await fill(source, 1, newest);
      await until(async () => Number((await one(target, 'SELECT MAX(id) AS n FROM note')).n) >= newest);
      inTime = performance.now() - written < 100 ? inTime + 1 : 0;
    }
    const lags = await lagUnder(bench, 1_000, Math.max(5, 20 * size), newest + 1);
    measured.push(
      within(
        'lag at 1,000 written rows/s, p99',
        percentile(lags, 0.99),
        250,
        50,
        'ms',
        `median ${percentile(lags, 0.5).toFixed(1)} ms`,
      ),
    );

    for (const [what, millions] of [
      ["worker's peak memory, one transaction of 1M rows", 1],
      ["worker's peak memory, one transaction of 4M rows", 4],
    ] as const) {
      await worker.stop();
      await source.query('TRUNCATE TB_NOTE');
      await prepare(bench);
      await source.query('USE bench');
      await target.query('USE bench');
      worker = await startWorker(bench);
      const large = Math.max(1_000, Math.round(millions * 1_000_000 * size));
      await fill(source, large, 1, large);
      await until(async () => (await rowsOf(target, 'note')) >= large);
      measured.push(
        within(what, peakBytes(worker.pid) / mib, 256, 128, 'MiB', `${large.toLocaleString('en-US')} rows`),
      );
    }
    await worker.stop();
    await Promise.all([source.end(), target.end()]);
    return measured;
  });
}
