// Verifying both sides through a translator against `pt-table-checksum` of the source table alone, in turn, and the
// worker's memory.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { runToEnd } from '../scripts/supervise.ts';
import { inRounds, type Measured, within } from './measure.ts';
import { type Bench, cli, connect, fill, mib, onStage, peakBytes, prepare, startWorker } from './stage.ts';

const rounds = 3;

/** @returns undefined when the peer is not installed */
async function peerSeconds({ legacy }: Bench): Promise<number | undefined> {
  const { port, password } = new URL(legacy.url);
  const begin = performance.now();
  const child = spawn(
    'pt-table-checksum',
    [
      `h=127.0.0.1,P=${port},u=root,p=${password},A=utf8mb4`,
      '--databases=bench',
      '--tables=TB_NOTE',
      '--recursion-method=none',
      // It writes its sums as statements, which would stop a stream of rows.
      '--set-vars=sql_log_bin=0',
      '--no-check-binlog-format',
      '--no-version-check',
      '--quiet',
    ],
    { stdio: ['ignore', 2, 2] },
  );
  const missing = Promise.withResolvers<undefined>();
  child.once('error', () => missing.resolve(undefined));
  const ended = await Promise.race([once(child, 'exit'), missing.promise]);
  if (ended === undefined) return undefined;
  const seconds = (performance.now() - begin) / 1000;
  const sql = await connect(legacy);
  const [rows] = await sql.query('SELECT COUNT(*) AS chunks FROM percona.checksums WHERE tbl = ?', [
    'TB_NOTE',
  ]);
  await sql.query('DROP DATABASE percona');
  await sql.end();
  // With nobody to compare with its exit code says nothing; its own table does.
  if (!Array.isArray(rows) || rows.length === 0) throw new Error('pt-table-checksum has summed nothing');
  return seconds;
}

async function verifySeconds(bench: Bench): Promise<number> {
  const { words, env } = cli(bench);
  const begin = performance.now();
  const said = await runToEnd({
    name: 'verify',
    runFolder: bench.runFolder,
    run: words('verify', 'notes', '--json'),
    env,
  });
  const seconds = (performance.now() - begin) / 1000;
  const result: { ok: boolean; tables: { readRows: number }[] } = JSON.parse(said);
  if (!result.ok || result.tables[0]?.readRows !== 0) throw new Error(`it was not verified by sums: ${said}`);
  return seconds;
}

/** Both sides have these rows. */
async function stage(bench: Bench, rows: number) {
  await prepare(bench, (sql) => fill(sql, rows));
  const worker = await startWorker(bench);
  const { words, env } = cli(bench);
  const { runFolder } = bench;
  await runToEnd({ name: 'backfill', runFolder, run: words('backfill', 'notes', '--json'), env });
  await worker.stop();
  // The backfill's memory is its own affair.
  return startWorker(bench);
}

export const benchVerify = (size: number): Promise<Measured[]> =>
  onStage('verify', async (bench) => {
    const measured: Measured[] = [];
    const rows = Math.max(1_000, Math.round(1_000_000 * size));
    for (const millions of [1, 4]) {
      const many = millions === 1 ? rows : Math.max(1_000, Math.round(millions * 1_000_000 * size));
      const worker = await stage(bench, many);
      if (millions === 1) {
        const rates: { ours: number; peer: number | undefined }[] = [];
        for (let round = 0; round < rounds; round++) {
          const peer = await peerSeconds(bench);
          rates.push({ ours: rows / (await verifySeconds(bench)), peer: peer && rows / peer });
        }
        const isMissing = rates.some(({ peer }) => peer === undefined);
        measured.push(
          inRounds(
            'verify through a translator, both sides',
            rates,
            0.3,
            1,
            `rows/s, peer pt-table-checksum of the source table alone${isMissing ? ', which is not installed (package percona-toolkit)' : ''}`,
          ),
        );
      } else await verifySeconds(bench);
      measured.push(
        within(
          `worker's peak memory, verification of ${millions}M rows`,
          peakBytes(worker.pid) / mib,
          256,
          128,
          'MiB',
          `${many.toLocaleString('en-US')} rows`,
        ),
      );
      await worker.stop();
    }
    return measured;
  });
