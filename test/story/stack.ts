// The whole sample as a user starts it: `npm start`'s own program, in a folder and on ports of its own.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { childNamed } from '../../scripts/run-folder.ts';
import type { Stack } from '../../scripts/stack.ts';

const root = join(import.meta.dirname, '..', '..');

export type Cli = { readonly code: number; readonly stdout: string; readonly stderr: string };

/** On a machine that is short of time a facade may be late, a stream behind: undone, or a gate is closed. */
export const isForWantOfTime = (code: number) => code === 3 || code === 4;
/** The same command is tried again for so long then. */
export const againMsMax = 40_000;

export type RunningStack = Stack & {
  readonly folder: string;
  readonly process: ChildProcess;
  /** Runs the CLI as a user would in another terminal. */
  banyan(...words: string[]): Promise<Cli>;
  /** Of a part: monolith, reviews, worker, facade, facade-2, … @returns undefined while it does not run */
  pidOf(name: string): number | undefined;
  /** Asks the first stack to end, and waits. @returns its exit code */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** The environment without what would point the stack elsewhere. */
const environment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(BANYAN|LEGACY|REVIEWS|UNLEASH)_(?!TEST|SERVICES_URL_FILE)/.test(name),
    ),
  );

export const anyPorts = [
  'port',
  'admin-port',
  'legacy-port',
  'reviews-port',
  'wishlist-port',
  'worker-port',
  'legacy-database-port',
  'services-database-port',
].flatMap((name) => [`--${name}`, '0']);

export function stackFolder(): string {
  const parent = process.env.BANYAN_TEST_FOLDER;
  if (!parent) throw new Error('run the suites by "npm test -- PATH"');
  return mkdtempSync(join(parent, 'stack-'));
}

/** Runs a script of the toolkit to its end. */
export function run(
  script: string,
  words: readonly string[],
  env: NodeJS.ProcessEnv = {},
  timeout = 120_000,
): Promise<Cli> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [join(root, 'scripts', script), ...words],
      { cwd: root, env: { ...environment(), ...env }, timeout, maxBuffer: 16 * 1024 * 1024 },
      (error, stdout, stderr) => {
        resolve({ code: error ? (typeof error.code === 'number' ? error.code : -1) : 0, stdout, stderr });
      },
    );
  });
}

export type RunningCommand = {
  readonly pid: number;
  readonly ended: Promise<Cli>;
  kill(signal: NodeJS.Signals): void;
};

/** Starts the CLI, and does not wait for its end. A code of -1: it was killed. */
export function startCommand(words: readonly string[], env: NodeJS.ProcessEnv = {}): RunningCommand {
  const child = spawn(process.execPath, [join(root, 'scripts', 'banyan.ts'), ...words], {
    cwd: root,
    env: { ...environment(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Cli>((resolve) => {
    child.once('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
  });
  return { pid: child.pid ?? 0, ended, kill: (signal) => void child.kill(signal) };
}

/** The monolith's nightly batch, to its end. @param databaseUrl `batch` of the stack */
export function runNightly(databaseUrl: string): Promise<Cli> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [join(root, 'legacy-monolith', 'batch', 'nightly.ts')],
      { env: { LEGACY_DATABASE_URL: databaseUrl }, timeout: 30_000 },
      (error, stdout, stderr) => {
        resolve({ code: error ? (typeof error.code === 'number' ? error.code : -1) : 0, stdout, stderr });
      },
    );
  });
}

/** Starts a stack and waits for its line. @throws with what it said when it ends before that */
export async function startStack(
  words: readonly string[],
  folder = stackFolder(),
  env: NodeJS.ProcessEnv = {},
): Promise<RunningStack> {
  const child = spawn(
    process.execPath,
    [join(root, 'scripts', 'up.ts'), '--json', '--folder', folder, ...anyPorts, '--quiet', ...words],
    {
      cwd: root,
      env: { ...environment(), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  const lines: string[] = [];
  const ready = Promise.withResolvers<Stack>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line);
    if (line.startsWith('{')) ready.resolve(JSON.parse(line));
  });
  exited.then((code) => ready.reject(new Error(`the stack ended with ${code}: ${said}`)));
  const stack = await ready.promise;
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    child.kill(signal);
    return exited;
  };
  return {
    ...stack,
    folder,
    process: child,
    banyan: (...words) => run('banyan.ts', [...words, '--folder', folder]),
    pidOf: (name) => childNamed(join(folder, 'run'), name),
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
