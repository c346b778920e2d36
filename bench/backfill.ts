// A backfill through a translator against `mariadb-dump | mariadb` of the same table, in turn, and the worker's memory.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Connection } from 'mysql2/promise';
import type { PrivateServer } from '../scripts/private-server.ts';
import { runToEnd } from '../scripts/supervise.ts';
import { inRounds, type Measured, within } from './measure.ts';
import { type Bench, cli, connect, fill, mib, onStage, peakBytes, prepare, startWorker } from './stage.ts';

const rounds = 3;

/** Arguments that bring a client of MariaDB's to a private server; the password is for no list of processes. */
function clientOf({ folder }: Bench, { port, url }: PrivateServer): string[] {
  const file = join(folder, `client-${port}.cnf`);
  writeFileSync(file, `[client]\npassword=${new URL(url).password}\n`, { mode: 0o600 });
  return [`--defaults-file=${file}`, '--protocol=tcp', '-h127.0.0.1', `-P${port}`, '-uroot'];
}

/** Seconds in which the peer copies the table into a schema of its own on the services' server. */
async function peerSeconds(bench: Bench, target: Connection): Promise<number> {
  await target.query('CREATE OR REPLACE DATABASE copied');
  const from = clientOf(bench, bench.legacy);
  const to = clientOf(bench, bench.services);
  const begin = performance.now();
  const dump = spawn('mariadb-dump', [...from, '--single-transaction', 'bench', 'TB_NOTE'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const load = spawn('mariadb', [...to, 'copied'], { stdio: ['pipe', 'ignore', 'inherit'] });
  const ends = Promise.all([once(dump, 'exit'), once(load, 'exit')]);
  await pipeline(dump.stdout, load.stdin);
  const codes = (await ends).map(([code]) => code);
  const seconds = (performance.now() - begin) / 1000;
  await target.query('DROP DATABASE copied');
  if (codes.some((code) => code !== 0))
    throw new Error(`mariadb-dump | mariadb ended with ${codes.join(' and ')}`);
  return seconds;
}

async function backfillSeconds(bench: Bench): Promise<number> {
  const { words, env } = cli(bench);
  const begin = performance.now();
  await runToEnd({
    name: 'backfill',
    runFolder: bench.runFolder,
    run: words('backfill', 'notes', '--again', '--json'),
    env,
  });
  return (performance.now() - begin) / 1000;
}

export const benchBackfill = (size: number): Promise<Measured[]> =>
  onStage('backfill', async (bench) => {
    const rows = Math.max(1_000, Math.round(1_000_000 * size));
    const target = await connect(bench.services);
    const measured: Measured[] = [];
    const rates: { ours: number; peer: number }[] = [];
    // The rows are there before the stream begins: all of them come by the backfill.
    await prepare(bench, (sql) => fill(sql, rows));
    const running = await startWorker(bench);
    await backfillSeconds(bench); // the servers are warm, and so is a worker that has run for a while
    for (let round = 0; round < rounds; round++) {
      // Unlogged, or the stream that watches the target would report it.
      await target.query('SET sql_log_bin = 0');
      await target.query('TRUNCATE bench.note');
      await target.query('SET sql_log_bin = 1');
      const ours = rows / (await backfillSeconds(bench));
      rates.push({ ours, peer: rows / (await peerSeconds(bench, target)) });
    }
    await running.stop();
    measured.push(
      inRounds(
        'backfill through a translator',
        rates,
        1,
        1.6,
        'rows/s, peer mariadb-dump | mariadb of the same table',
      ),
    );
    for (const [what, millions] of [
      ["worker's peak memory, backfill of 1M rows", 1],
      ["worker's peak memory, backfill of 4M rows", 4],
    ] as const) {
      const large = Math.max(1_000, Math.round(millions * 1_000_000 * size));
      await prepare(bench, (sql) => fill(sql, large));
      const worker = await startWorker(bench);
      await backfillSeconds(bench);
      measured.push(
        within(what, peakBytes(worker.pid) / mib, 256, 128, 'MiB', `${large.toLocaleString('en-US')} rows`),
      );
      await worker.stop();
    }
    await target.end();
    return measured;
  });
