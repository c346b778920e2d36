// The worker as users run it: a process of its own, to be stopped, continued and killed.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { RunFolder } from '../../scripts/run-folder.ts';
import { workerFlags } from '../../scripts/supervise.ts';

/** The environment without what would point the worker elsewhere. */
const environment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^BANYAN_(?!TEST)/.test(name)));

const root = join(import.meta.dirname, '..', '..');

export type StreamStatus = {
  readonly capability: string;
  readonly source: 'legacy' | 'service';
  readonly state: string;
  readonly rowsApplied: number;
  readonly lagMs: number | null;
  readonly unproven: number;
  readonly stop: string | null;
};

export type WorkerProcess = {
  readonly pid: number;
  readonly url: string;
  isAlive(): boolean;
  status(): Promise<StreamStatus[]>;
  /** Its log, JSON lines. */
  log(): string;
  /** The most memory it has had so far, bytes. */
  peakRssBytes(): number;
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  /** kill -9, and waits for its end. */
  kill(): Promise<void>;
  /** @returns its exit code */
  stop(): Promise<number | null>;
};

export async function startWorkerProcess(
  words: readonly string[],
  runFolder: RunFolder,
  env: NodeJS.ProcessEnv = {},
): Promise<WorkerProcess> {
  const child: ChildProcess = spawn(
    process.execPath,
    [...workerFlags, join(root, 'scripts', 'banyan.ts'), 'worker', '--port', '0', ...words],
    { cwd: root, env: { ...environment(), ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const { pid = 0, stdout, stderr } = child;
  runFolder.remember(pid);
  let log = '';
  stderr?.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-100_000);
  });
  const exited = once(child, 'exit').then(([code]): number | null => {
    runFolder.forget(pid);
    return code;
  });
  const isAlive = () => child.exitCode === null && child.signalCode === null;
  const listening = Promise.withResolvers<string>();
  if (stdout)
    createInterface({ input: stdout }).on('line', (line) => {
      if (line.startsWith('{"listening"')) listening.resolve(JSON.parse(line).listening);
    });
  exited.then((code) => listening.reject(new Error(`the worker ended with ${code}: ${log}`)));
  const url = await listening.promise;
  return {
    pid,
    url,
    isAlive,
    status: async () => {
      const said: unknown = await (await fetch(`${url}/api/status`)).json();
      return typeof said === 'object' && said !== null && 'streams' in said
        ? (said.streams as StreamStatus[])
        : [];
    },
    log: () => log,
    peakRssBytes: () =>
      Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024,
    signal: (signal) => void child.kill(signal),
    kill: async () => {
      child.kill('SIGKILL');
      await exited;
    },
    stop: async () => {
      child.kill('SIGTERM');
      const force = setTimeout(() => child.kill('SIGKILL'), 10_000);
      const code = await exited;
      clearTimeout(force);
      return code;
    },
  };
}
