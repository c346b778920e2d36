// Two private servers with durable settings, one table of ten columns and a worker: what the benchmarks of data run on.
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { type PrivateServer, startPrivateServer } from '../scripts/private-server.ts';
import { claimRunFolder, type RunFolder } from '../scripts/run-folder.ts';
import { runToEnd, type SupervisedProcess, startProcess, workerFlags } from '../scripts/supervise.ts';

const root = join(import.meta.dirname, '..');
export const mib = 1024 * 1024;

export const legacyTable = `CREATE TABLE TB_NOTE (NOTE_SEQ INT UNSIGNED NOT NULL PRIMARY KEY, PRD_NO INT UNSIGNED NOT NULL, MBR_ID VARCHAR(20) NOT NULL,
  STAR_PNT CHAR(2) NOT NULL, NOTE_CTNT VARCHAR(500) NOT NULL, CHNL_CD CHAR(2) NOT NULL, DSP_YN CHAR(1) NOT NULL, VIEW_CNT INT UNSIGNED NOT NULL,
  RGST_DTM CHAR(14) NOT NULL, MOD_DTM DATETIME NOT NULL) ENGINE=InnoDB DEFAULT CHARSET=euckr`;
const serviceTable = `CREATE TABLE note (id INT UNSIGNED NOT NULL PRIMARY KEY, product_id INT UNSIGNED NOT NULL, author_id VARCHAR(20) NOT NULL,
  rating TINYINT UNSIGNED NOT NULL, body VARCHAR(500) NOT NULL, channel ENUM('desktop','mobile','app') NOT NULL, visibility ENUM('visible','hidden') NOT NULL,
  view_count INT UNSIGNED NOT NULL, created_at DATETIME NOT NULL, updated_at DATETIME NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`;

/** Rows from the server's own sequence engine: the same every time. */
export const insertRows = (from: number, count: number) =>
  `INSERT INTO TB_NOTE SELECT seq, seq % 2047, CONCAT('member', seq % 9973), LPAD(1 + seq % 10, 2, '0'), REPEAT('정말 좋은 상품입니다. ', 1 + seq % 4),
   LPAD(1 + seq % 3, 2, '0'), IF(seq % 50, 'Y', 'N'), seq % 1000, DATE_FORMAT('2020-01-01' + INTERVAL seq % 40000000 SECOND, '%Y%m%d%H%i%S'),
   IF(seq % 3, 0, '2024-01-01 00:00:00') FROM seq_${from}_to_${from + count - 1}`;

export type Bench = {
  readonly folder: string;
  readonly runFolder: RunFolder;
  readonly legacy: PrivateServer;
  readonly services: PrivateServer;
};

export const connect = (server: PrivateServer, database?: string): Promise<Connection> =>
  createConnection({ uri: `${server.url}/${database ?? ''}`, dateStrings: true });

export const one = async (sql: Connection, statement: string): Promise<RowDataPacket> =>
  (await sql.query<RowDataPacket[]>(statement))[0][0] ?? ({} as RowDataPacket);

export async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await delay(20);
}

export const cli = ({ folder, legacy, services }: Bench) => ({
  words: (command: string, ...words: string[]) => [
    join(root, 'scripts', 'banyan.ts'),
    command,
    '--config',
    join(root, 'bench', 'bench.config.ts'),
    '--folder',
    folder,
    ...words,
  ],
  env: { BANYAN_LEGACY_URL: legacy.url, BANYAN_SERVICES_URL: services.url, BANYAN_CONTROL_URL: legacy.url },
});

const withoutUser = (url: string) => Object.assign(new URL(url), { username: '', password: '' }).href;

export function startWorker(bench: Bench): Promise<SupervisedProcess> {
  const { words } = cli(bench);
  const env = {
    BANYAN_LEGACY_URL: withoutUser(bench.legacy.url),
    BANYAN_SERVICES_URL: withoutUser(bench.services.url),
  };
  return startProcess({
    name: 'worker',
    runFolder: bench.runFolder,
    run: [...workerFlags, ...words('worker', '--port', '0', '--log-level', 'warn')],
    env,
  });
}

/** VmHWM, "peak resident set size" (proc(5)). */
export const peakBytes = (pid: number) =>
  Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? Number.NaN) * 1024;

/** @param before what is to be in the source before the stream begins */
export async function prepare(bench: Bench, before?: (source: Connection) => Promise<void>): Promise<void> {
  for (const [server, table] of [
    [bench.legacy, legacyTable],
    [bench.services, serviceTable],
  ] as const) {
    const sql = await connect(server);
    await sql.query('DROP DATABASE IF EXISTS bench');
    await sql.query('DROP DATABASE IF EXISTS banyan');
    await sql.query('CREATE DATABASE bench');
    await sql.query(`USE bench`);
    await sql.query(table);
    if (server === bench.legacy) await before?.(sql);
    await sql.end();
  }
  const { words, env } = cli(bench);
  await runToEnd({ name: 'install', runFolder: bench.runFolder, run: words('install', '--json'), env });
}

export async function fill(sql: Connection, rows: number, from = 1, perTransaction = 1_000): Promise<void> {
  await sql.query("SET SESSION sql_mode = ''");
  for (let at = 0; at < rows; at += perTransaction)
    await sql.query(insertRows(from + at, Math.min(perTransaction, rows - at)));
}

/** Rows that are there; they come in the order of their keys, and counting them would be the heaviest query of all. */
export const rowsOf = async (sql: Connection, table: 'note' | 'TB_NOTE') =>
  Number(
    (
      await one(
        sql,
        table === 'note' ? 'SELECT MAX(id) AS n FROM note' : 'SELECT MAX(NOTE_SEQ) AS n FROM bench.TB_NOTE',
      )
    ).n,
  );

/** Fresh servers in a folder of the suite's own, gone with it. */
export async function onStage<T>(suite: string, use: (bench: Bench) => Promise<T>): Promise<T> {
  const folder = join(root, 'var', 'bench', suite);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const runFolder = await claimRunFolder(join(folder, 'run'));
  const legacy = await startPrivateServer({ folder: join(folder, 'legacy'), runFolder, serverId: 1 });
  const services = await startPrivateServer({ folder: join(folder, 'services'), runFolder, serverId: 2 });
  try {
    return await use({ folder, runFolder, legacy, services });
  } finally {
    await Promise.all([legacy.stop(), services.stop()]);
    await runFolder.endChildren();
  }
}
