// A child process of ours that says on its first line of standard output where it listens.
import { spawn } from 'node:child_process';
import { createWriteStream, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { RunFolder } from './run-folder.ts';

export class ProcessError extends Error {
  override name = 'ProcessError';
}

/**
 * Node's flags for facade and worker: they make much garbage of short life, for which V8 would rather take memory than time.
 * (scripts/banyan.mjs gives the same.)
 */
export const facadeFlags = ['--max-semi-space-size=16'] as const;
export const workerFlags = [...facadeFlags, '--max-old-space-size=128'] as const;

export type ProcessOptions = {
  /** For messages and the log file's name. */
  readonly name: string;
  readonly runFolder: RunFolder;
  /** Flags of Node, the TypeScript file, and its arguments. */
  readonly run: readonly string[];
  readonly env: Readonly<Record<string, string>>;
};

export type Listening = { readonly [name: string]: string };

export type SupervisedProcess = {
  readonly name: string;
  readonly pid: number;
  /** What it said: at least `listening`. */
  readonly said: Listening;
  /** When it has ended, however: in what way, and its last words. */
  readonly exited: Promise<string>;
  stop(): Promise<void>;
};

const startMsMax = 30_000;
const stopMsMax = 15_000;

/** Ours, with what is given; a file that ours names for one of these must not stand beside it. */
function childEnvironment(given: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const replaced = new Set(Object.keys(given).map((name) => `${name}_FILE`));
  const inherited = Object.entries(process.env).filter(([name]) => !replaced.has(name));
  return { ...Object.fromEntries(inherited), ...given };
}

/** Starts it and waits for its line. @throws ProcessError with its own last words when it ends before */
export async function startProcess(options: ProcessOptions): Promise<SupervisedProcess> {
  const { name, runFolder, run, env } = options;
  const logFile = join(runFolder.path, `${name}.log`);
  const log = createWriteStream(logFile, { flags: 'a' });
  const child = spawn(process.execPath, [...run], {
    env: childEnvironment(env),
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own: Ctrl-C is for the supervisor, which stops things in order.
    detached: true,
  });
  const exit = Promise.withResolvers<string>();
  child
    .once('exit', (code, signal) => exit.resolve(signal ?? `exit code ${code}`))
    .once('error', (error) => exit.resolve(error.message));
  child.stderr.pipe(log, { end: false });
  const lastWords = () => readFileSync(logFile, 'utf8').trim().split('\n').slice(-5).join('\n');
  const heard = Promise.withResolvers<Listening>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    log.write(`${line}\n`);
    try {
      const said: unknown = JSON.parse(line);
      if (typeof said === 'object' && said !== null && 'listening' in said) heard.resolve(said as Listening);
    } catch {
      // a line for people
    }
  });
  const pid = child.pid ?? 0;
  if (pid > 0) runFolder.remember(pid, name);
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null && pid > 0) {
      child.kill('SIGTERM');
      const force = setTimeout(() => child.kill('SIGKILL'), stopMsMax);
      await exit.promise;
      clearTimeout(force);
    }
    runFolder.forget(pid);
    log.end();
  };
  const late = setTimeout(
    () =>
      heard.reject(
        new ProcessError(
          `${name} did not say where it listens within ${startMsMax / 1000} s; its log is ${logFile}`,
        ),
      ),
    startMsMax,
  );
  const exited = exit.promise.then((how) => {
    const message = `${name} ended (${how}): ${lastWords()}`;
    heard.reject(new ProcessError(message));
    return `${message}\nits log is ${logFile}`;
  });
  try {
    return { name, pid, said: await heard.promise, exited, stop };
  } catch (error) {
    await stop();
    throw error;
  } finally {
    clearTimeout(late);
  }
}

/** Runs a child to its end, its standard error to ours. @returns its standard output @throws ProcessError */
export async function runToEnd(options: {
  name: string;
  run: readonly string[];
  env: Readonly<Record<string, string>>;
  runFolder: RunFolder;
}): Promise<string> {
  const child = spawn(process.execPath, [...options.run], {
    env: childEnvironment(options.env),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (child.pid) options.runFolder.remember(child.pid);
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const { promise, resolve } = Promise.withResolvers<number | null>();
  child.once('close', (code) => resolve(code)).once('error', () => resolve(null));
  const code = await promise;
  if (child.pid) options.runFolder.forget(child.pid);
  if (code !== 0)
    throw new ProcessError(`${options.name} ended with exit code ${code}; its own words are above`);
  return output;
}
