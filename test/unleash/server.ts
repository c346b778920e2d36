// A running Unleash with a fresh database: a private PostgreSQL on a port of its own, without a socket in the file system.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  cpSync,
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../scripts/private-server.ts';
import type { RunFolder } from '../../scripts/run-folder.ts';
import { claimFolder } from '../claimed-folder.ts';
import { until } from '../sync/until.ts';
import type { Installed } from './install.ts';

export type Answer = { readonly status: number; readonly body: unknown };

export type UnleashServer = {
  readonly origin: string;
  /** Of its API. */
  readonly url: string;
  /** May do everything. */
  readonly adminToken: string;
  /** Reads the flags of project default in environment development. */
  readonly clientToken: string;
  /** Asks its admin API. @throws when it does not answer with 2xx */
  admin(method: string, path: string, body?: unknown): Promise<unknown>;
  /** As another user, or as who may not. @param path below /api/ */
  ask(token: string, method: string, path: string, body?: unknown): Promise<Answer>;
  kill(): Promise<void>;
  /** Again, unless it runs, on the same port and database. */
  start(): Promise<void>;
  pause(): void;
  resume(): void;
  [Symbol.asyncDispose](): Promise<void>;
};

/** PostgreSQL refuses to run as root: somebody else then. */
function somebody(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const idOf = (option: string) => Number(execFileSync('id', [option, 'nobody'], { encoding: 'utf8' }));
  return { uid: idOf('-u'), gid: idOf('-g') };
}

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill(signal);
  await exit;
}

const isListening = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });

/** @returns its URL, and what ends it */
async function startPostgres(installed: string, runFolder: RunFolder) {
  // Not below the checkout: whoever it runs as may not be let in there.
  const folder = mkdtempSync(join(tmpdir(), 'banyan-postgres-'));
  chmodSync(folder, 0o755);
  const user = somebody();
  let postgres = installed;
  if (user) {
    postgres = join(folder, 'postgres');
    cpSync(installed, postgres, { recursive: true, verbatimSymlinks: true });
  }
  const [data, secret] = [join(folder, 'data'), join(folder, 'password')];
  mkdirSync(data, { mode: 0o700 });
  const password = randomBytes(12).toString('hex');
  writeFileSync(secret, password, { mode: 0o600 });
  if (user) for (const path of [data, secret]) chownSync(path, user.uid, user.gid);
  const as = { ...user, cwd: folder, env: { LANG: 'C', TZ: 'UTC' } };
  const words = ['-D', data, '-U', 'unleash', '--auth=scram-sha-256', `--pwfile=${secret}`];
  execFileSync(join(postgres, 'bin', 'initdb'), [...words, '--no-sync', '--locale=C', '-E', 'UTF8'], as);
  const port = await freePort();
  const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off'];
  const child = spawn(
    join(postgres, 'bin', 'postgres'),
    ['-D', data, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])],
    { ...as, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  child.stderr.pipe(createWriteStream(join(runFolder.path, 'postgres.log')));
  runFolder.remember(child.pid ?? 0, 'postgres');
  await until('PostgreSQL', () => isListening(port), { msMax: 30_000 });
  return {
    url: `postgres://unleash:${password}@127.0.0.1:${port}/postgres`,
    async stop() {
      await ended(child, 'SIGINT');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export async function startUnleash({ unleash, postgres }: Installed): Promise<UnleashServer> {
  const runFolder = await claimFolder('unleash');
  const folder = runFolder.path;
  const database = await startPostgres(postgres, runFolder);
  const port = await freePort();
  const secret = randomBytes(16).toString('hex');
  const [adminToken, clientToken] = [`*:*.${secret}a`, `default:development.${secret}c`];
  const origin = `http://127.0.0.1:${port}`;
  const url = `${origin}/api`;
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    if (child && child.exitCode === null && child.signalCode === null) return;
    const started = spawn(process.execPath, [unleash], {
      cwd: folder,
      // Nothing of ours, whose UNLEASH_URL would be its own; and it asks nobody outside.
      env: {
        PATH: process.env.PATH,
        HOME: folder,
        DATABASE_URL: database.url,
        DATABASE_SSL: 'false',
        HTTP_HOST: '127.0.0.1',
        HTTP_PORT: String(port),
        INIT_ADMIN_API_TOKENS: adminToken,
        INIT_BACKEND_API_TOKENS: clientToken,
        CHECK_VERSION: 'false',
        SEND_TELEMETRY: 'false',
        LOG_LEVEL: 'warn',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const log = createWriteStream(join(folder, 'unleash.log'), { flags: 'a' });
    started.stdout.pipe(log);
    started.stderr.pipe(log);
    runFolder.remember(started.pid ?? 0, 'unleash');
    child = started;
    await until('Unleash', async () => (await fetch(`${origin}/health`)).ok, { msMax: 120_000 });
  }

  async function ask(token: string, method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await fetch(`${url}/${path}`, {
      method,
      headers: { authorization: token, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    }).catch((cause: Error) => {
      throw new Error(`Unleash does not answer ${method} ${path}: ${cause.cause}`, { cause });
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
  }

  await start();
  return {
    origin,
    url,
    adminToken,
    clientToken,
    ask,
    async admin(method, path, body) {
      const answer = await ask(adminToken, method, `admin/${path}`, body);
      if (answer.status >= 300)
        throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
      return answer.body;
    },
    kill: async () => {
      if (child) await ended(child, 'SIGKILL');
    },
    start,
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    async [Symbol.asyncDispose]() {
      if (child) await ended(child, 'SIGKILL');
      await database.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
