// vitest's globalSetup: a private MariaDB server in a temporary folder, for as long as the tests run.
// With WISHLIST_TEST_SERVER set (mysql://root:…@HOST:PORT) that server is used, and nothing is started.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createConnection } from 'mysql2/promise';

const startMsMax = 30_000;

export default async function startTestServer(): Promise<(() => Promise<void>) | undefined> {
  if (process.env.WISHLIST_TEST_SERVER) return undefined;
  // Short on purpose: a socket's path holds 107 bytes (unix(7)).
  const folder = mkdtempSync(join(tmpdir(), 'wishlist-'));
  const data = join(folder, 'data');
  const asUser = process.getuid?.() === 0 ? ['--user=root'] : [];
  await promisify(execFile)('mariadb-install-db', [
    '--no-defaults',
    `--datadir=${data}`,
    '--auth-root-authentication-method=normal',
    '--skip-test-db',
    ...asUser,
  ]);
  const port = await freePort();
  const logFile = join(folder, 'server.log');
  const log = openSync(logFile, 'w');
  const child = spawn(
    'mariadbd',
    [
      '--no-defaults',
      ...asUser,
      `--datadir=${data}`,
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      `--socket=${join(folder, 's')}`,
      `--pid-file=${join(folder, 'server.pid')}`,
      '--skip-name-resolve',
      '--log-bin=binlog',
      '--binlog-format=ROW',
      '--innodb-buffer-pool-size=128M',
    ],
    { stdio: ['ignore', log, log] },
  );
  closeSync(log);
  const exited = new Promise<void>((resolve) =>
    child.once('exit', () => resolve()).once('error', () => resolve()),
  );
  const gone = () => child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
  const stop = async () => {
    if (!gone()) {
      child.kill('SIGTERM');
      const force = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await exited;
      clearTimeout(force);
    }
    rmSync(folder, { recursive: true, force: true });
  };
  const url = `mysql://root@127.0.0.1:${port}`;
  for (const until = Date.now() + startMsMax; ; ) {
    try {
      await (await createConnection(url)).end();
      process.env.WISHLIST_TEST_SERVER = url;
      return stop;
    } catch (cause) {
      if (gone() || Date.now() > until) {
        const end = readFileSync(logFile, 'utf8').split('\n').slice(-15).join('\n');
        await stop();
        throw new Error(`mariadbd did not come up on port ${port}; the end of its log:\n${end}`, { cause });
      }
      await delay(20);
    }
  }
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return address.port;
}
