// Real servers for the decoder's tests: the MariaDB that `npm test` started, and a MySQL of one's own where
// BANYAN_MYSQLD names a mysqld binary (or a script that runs one).
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Connection, createConnection } from 'mysql2/promise';
import { freePort } from '../../scripts/private-server.ts';
import { claimRunFolder } from '../../scripts/run-folder.ts';
import { serverUrl } from '../../test/databases.ts';

export type OwnServer = {
  readonly url: string;
  /** kill -9, and the same data directory again. */
  crash(): Promise<void>;
  start(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

const mysqld = process.env.BANYAN_MYSQLD;
/** Names of the dialects that can be tested here. */
export const dialects: readonly ('mariadb' | 'mysql')[] = mysqld ? ['mariadb', 'mysql'] : ['mariadb'];

const root = join(import.meta.dirname, '..', '..');
let serverCount = 0;
const asUser = process.getuid?.() === 0 ? ['--user=root'] : [];
const bothServers = [
  '--bind-address=127.0.0.1',
  '--character-set-server=utf8mb4',
  '--log-bin=binlog',
  '--binlog-row-metadata=FULL',
  '--performance-schema=OFF',
  '--innodb-buffer-pool-size=64M',
  '--max-allowed-packet=256M',
];

function initialise(dialect: 'mariadb' | 'mysql', data: string): void {
  const temporary = mkdtempSync(join(tmpdir(), 'banyan-'));
  if (dialect === 'mariadb')
    execFileSync(
      'mariadb-install-db',
      [
        '--no-defaults',
        `--datadir=${data}`,
        `--tmpdir=${temporary}`,
        '--auth-root-authentication-method=normal',
        '--skip-test-db',
        ...asUser,
      ],
      { stdio: 'ignore' },
    );
  else
    execFileSync(mysqld ?? '', ['--no-defaults', '--initialize-insecure', `--datadir=${data}`, ...asUser], {
      stdio: 'ignore',
    });
  rmSync(temporary, { recursive: true, force: true });
}

function template(dialect: 'mariadb' | 'mysql'): string {
  const version = execFileSync(dialect === 'mysql' ? (mysqld ?? '') : 'mariadbd', ['--version'], {
    encoding: 'utf8',
  });
  const name = /Ver (\S+)/.exec(version)?.[1] ?? 'unknown';
  const folder = join(root, 'var', 'template');
  const path = join(folder, `binlog-${dialect}-${name}`);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  const work = mkdtempSync(`${path}-`);
  const data = join(work, 'data');
  initialise(dialect, data);
  // Another process may have been faster; a rename onto a full directory fails, and its copy is as good.
  if (!existsSync(path)) renameSync(data, path);
  rmSync(work, { recursive: true, force: true });
  return path;
}

/** A server with settings of its own; root has no password, and the port is this machine's only. */
export async function ownServer(
  dialect: 'mariadb' | 'mysql',
  settings: readonly string[] = [],
): Promise<OwnServer> {
  serverCount++;
  // Swept by the next `npm test` if this process is killed, and the server with it.
  const runFolder = await claimRunFolder(join(root, 'var', 'test', `binlog-${process.pid}-${serverCount}`));
  const folder = runFolder.path;
  // A socket's path holds 107 bytes (unix(7)), fewer than a checkout's path may have.
  const socketFolder = mkdtempSync(join(tmpdir(), 'banyan-'));
  const data = join(folder, 'data');
  cpSync(template(dialect), data, { recursive: true });
  // A copy would be the same server to whoever asks; MySQL makes itself another UUID.
  rmSync(join(data, 'auto.cnf'), { force: true });
  const port = await freePort();
  const url = `mysql://root@127.0.0.1:${port}`;
  const forDialect =
    dialect === 'mysql'
      ? ['--mysqlx=OFF', '--gtid-mode=ON', '--enforce-gtid-consistency=ON', '--secure-file-priv=']
      : ['--binlog-format=ROW', '--skip-name-resolve'];
  let child: ChildProcess | undefined;
  const start = async () => {
    const log = openSync(join(folder, 'log'), 'a');
    child = spawn(
      dialect === 'mysql' ? (mysqld ?? '') : 'mariadbd',
      [
        '--no-defaults',
        ...asUser,
        `--datadir=${data}`,
        `--port=${port}`,
        `--socket=${join(socketFolder, 's')}`,
        `--pid-file=${join(folder, 'pid')}`,
        // A server that starts empties it of whatever looks like a server's: not everybody's /tmp.
        `--tmpdir=${socketFolder}`,
        '--server-id=41',
        ...bothServers,
        ...forDialect,
        ...settings,
      ],
      { stdio: ['ignore', log, log] },
    );
    closeSync(log);
    if (child.pid !== undefined) runFolder.remember(child.pid);
    for (const until = Date.now() + 40_000; ; await delay(30)) {
      try {
        await (await createConnection(url)).end();
        return;
      } catch (cause) {
        if (child.exitCode === null && Date.now() < until) continue;
        throw new Error(readFileSync(join(folder, 'log'), 'utf8').slice(-2_000), { cause });
      }
    }
  };
  const end = async (signal: NodeJS.Signals) => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  };
  await start();
  return {
    url,
    start,
    crash: () => end('SIGKILL'),
    [Symbol.asyncDispose]: async () => {
      await end('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
      rmSync(socketFolder, { recursive: true, force: true });
    },
  };
}

/** The shared MariaDB of the test run, or a MySQL for this file. */
export async function serverOf(
  dialect: 'mariadb' | 'mysql',
): Promise<{ readonly url: string } & AsyncDisposable> {
  if (dialect === 'mysql') return ownServer('mysql');
  return { url: serverUrl('legacy'), [Symbol.asyncDispose]: async () => undefined };
}

/** As root, every value as text; in UTC, and without the server's corrections. */
export async function connectTo(url: string, database?: string): Promise<Connection> {
  const sql = await createConnection({
    uri: url,
    dateStrings: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
    multipleStatements: true,
    charset: 'utf8mb4',
  });
  // CREATE … IF NOT EXISTS would be in the binlog each time.
  if (database !== undefined)
    await sql
      .query(`USE \`${database}\``)
      .catch(() => sql.query(`CREATE DATABASE \`${database}\`; USE \`${database}\``));
  await sql.query("SET time_zone = '+00:00', sql_mode = 'ALLOW_INVALID_DATES'");
  return sql;
}
