// A MariaDB server of our own: its own data directory, its own port on 127.0.0.1, its own socket; binlog
// on and everything durable, as in production. No service of the machine is touched.
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
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
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createConnection } from 'mysql2/promise';
import type { RunFolder } from './run-folder.ts';

export type PrivateServer = {
  /** mysql://root:…@127.0.0.1:PORT */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** When it has ended, however: where its log is. */
  readonly exited: Promise<string>;
  /** Ends it in an orderly way, by force after ten seconds. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

export type PrivateServerOptions = {
  /** Where its data lives; made from the template when it is not there. */
  readonly folder: string;
  /** Who remembers its pid for the case that this process is killed. */
  readonly runFolder: RunFolder;
  readonly serverId: number;
  /** 0: any free one. */
  readonly port?: number;
  /** All of the server process's; ours when left out. */
  readonly env?: NodeJS.ProcessEnv;
};

export class PrivateServerError extends Error {
  override name = 'PrivateServerError';
}

const startMsMax = 30_000;

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return address.port;
}

/** A fresh data directory costs seconds, a copy of one a fraction: so one is made per server version. */
async function template(): Promise<string> {
  const { stdout } = await promisify(execFile)('mariadbd', ['--version']);
  const version = /Ver (\S+)/.exec(stdout)?.[1] ?? 'unknown';
  const path = join(import.meta.dirname, '..', 'var', 'template', version);
  if (existsSync(path)) return path;
  mkdirSync(dirname(path), { recursive: true });
  const work = mkdtempSync(`${path}-`);
  const temporary = mkdtempSync(join(tmpdir(), 'banyan-'));
  try {
    await promisify(execFile)('mariadb-install-db', [
      '--no-defaults',
      `--datadir=${work}`,
      // Not the /tmp that another server may be emptying as it starts.
      `--tmpdir=${temporary}`,
      '--auth-root-authentication-method=normal',
      '--skip-test-db',
      '--innodb-log-file-size=64M',
      ...asUser(),
    ]);
    // Another process may have been faster; a rename onto a full directory fails, and its copy is as good.
    if (!existsSync(path)) renameSync(work, path);
  } finally {
    rmSync(work, { recursive: true, force: true });
    rmSync(temporary, { recursive: true, force: true });
  }
  return path;
}

/** mariadbd refuses to run as root unless told. */
const asUser = () => (process.getuid?.() === 0 ? ['--user=root'] : []);

/** The root password of this data directory: the port is open to every user of the machine. */
function rootPassword(folder: string): string {
  const file = join(folder, 'root-password');
  if (!existsSync(file)) writeFileSync(file, randomBytes(18).toString('base64url'), { mode: 0o600 });
  return readFileSync(file, 'utf8');
}

/**
 * Starts the server and waits until it answers.
 * @throws PrivateServerError with the end of its log when it does not come up within 30 s
 */
export async function startPrivateServer(options: PrivateServerOptions): Promise<PrivateServer> {
  const { folder, runFolder, serverId } = options;
  const data = join(folder, 'data');
  if (!existsSync(data)) {
    mkdirSync(folder, { recursive: true });
    const copy = join(folder, 'data.copying');
    rmSync(copy, { recursive: true, force: true });
    cpSync(await template(), copy, { recursive: true });
    renameSync(copy, data);
  }
  const port = options.port || (await freePort());
  const password = rootPassword(folder);
  const initFile = join(folder, 'init.sql');
  // One statement a line: that is how --init-file reads.
  writeFileSync(
    initFile,
    `ALTER USER root@localhost IDENTIFIED BY '${password}';\n` +
      `CREATE OR REPLACE USER root@127.0.0.1 IDENTIFIED BY '${password}';\n` +
      'GRANT ALL ON *.* TO root@127.0.0.1 WITH GRANT OPTION;\n',
    { mode: 0o600 },
  );
  // A socket's path holds 107 bytes (unix(7)), fewer than a checkout's path may have.
  const socketFolder = mkdtempSync(join(tmpdir(), 'banyan-'));
  const logFile = join(folder, 'server.log');
  const log = openSync(logFile, 'a');
  const child = spawn(
    'mariadbd',
    [
      '--no-defaults',
      ...asUser(),
      `--datadir=${data}`,
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      `--socket=${join(socketFolder, 's')}`,
      `--pid-file=${join(folder, 'server.pid')}`,
      // A server that starts empties its temporary folder of whatever looks like a server's: not everybody's /tmp.
      `--tmpdir=${socketFolder}`,
      `--init-file=${initFile}`,
      '--skip-name-resolve',
      '--character-set-server=utf8mb4',
      '--collation-server=utf8mb4_general_ci',
      `--server-id=${serverId}`,
      `--gtid-domain-id=${serverId}`,
      '--log-bin=binlog',
      '--binlog-format=ROW',
      '--binlog-row-image=FULL',
      '--binlog-row-metadata=FULL',
      '--sync-binlog=1',
      '--innodb-flush-log-at-trx-commit=1',
      '--innodb-buffer-pool-size=256M',
      '--innodb-log-file-size=64M',
      '--max-connections=500',
      '--performance-schema=OFF',
      '--log-bin-trust-function-creators=ON',
    ],
    // A group of its own: Ctrl-C in the terminal is for the supervisor, which then stops things in order.
    { ...(options.env && { env: options.env }), stdio: ['ignore', log, log], detached: true },
  );
  closeSync(log);
  const exited = new Promise<string>((resolve) => {
    const message = `the database server on port ${port} ended; its log is ${logFile}`;
    child.once('exit', () => resolve(message)).once('error', () => resolve(message));
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (cause) =>
      reject(new PrivateServerError('mariadbd could not be started', { cause })),
    );
  });
  const pid = child.pid ?? 0;
  runFolder.remember(pid);
  const url = `mysql://root:${password}@127.0.0.1:${port}`;
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      const force = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await exited;
      clearTimeout(force);
    }
    runFolder.forget(pid);
    rmSync(socketFolder, { recursive: true, force: true });
  };
  for (const until = Date.now() + startMsMax; ; ) {
    try {
      await (await createConnection(url)).end();
      return { url, port, pid, exited, stop, [Symbol.asyncDispose]: stop };
    } catch (cause) {
      const gone = child.exitCode !== null || child.signalCode !== null;
      if (gone || Date.now() > until) {
        await stop();
        const end = readFileSync(logFile, 'utf8').split('\n').slice(-15).join('\n');
        throw new PrivateServerError(
          `mariadbd did not come up on port ${port}; the end of ${logFile}:\n${end}`,
          { cause },
        );
      }
      await delay(20);
    }
  }
}
