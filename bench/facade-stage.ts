// An upstream and the proxies before it, each a process: proxies on one core, the upstream and the load on another.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { claimRunFolder, type RunFolder } from '../scripts/run-folder.ts';
import { facadeFlags, startProcess } from '../scripts/supervise.ts';
import { peerProxy } from '../test/faithful/peer-proxies.ts';
import { clientsCookie, type Load, type Loaded } from './http-load.ts';

const cores = { proxy: '0', others: '1' };

export type Target = { readonly name: string; readonly port: number; readonly pid: number };

export type FacadeStage = {
  readonly direct: Target;
  /** Undefined when it is not installed. */
  readonly nginx: Target | undefined;
  readonly httpProxy: Target;
  /** The floor. */
  readonly least: Target;
  /** The facade with an empty configuration. */
  readonly bare: Target;
  /** With one capability and one route. */
  readonly one: Target;
  /** With twenty capabilities, and two hundred routes. */
  readonly full: Target;
};

const pin = (pid: number, core: string) =>
  execFileSync('taskset', ['-acp', core, String(pid)], { stdio: 'ignore' });

async function startNginx(runFolder: RunFolder, upstream: number): Promise<Target | undefined> {
  const started = await peerProxy('nginx')?.(join(runFolder.path, 'nginx'), upstream);
  if (!started) return undefined;
  const pid = started.child.pid ?? 0;
  runFolder.remember(pid);
  pin(pid, cores.proxy);
  return { name: 'nginx', port: started.port, pid };
}

async function startOurs(
  runFolder: RunFolder,
  stops: AsyncDisposableStack,
  name: string,
  words: readonly string[],
  core: string,
) {
  const { pid, said, stop, exited } = await startProcess({
    name,
    runFolder,
    run: ['--disable-warning=ExperimentalWarning', ...words],
    env: { NODE_ENV: 'production' },
  });
  stops.defer(async () => {
    await stop();
    await exited;
  });
  pin(pid, core);
  return { name, port: Number(new URL(said.listening ?? '').port), pid };
}

/** Runs on a stage of its own, and takes it down, whatever happens. */
export async function onFacadeStage<T>(run: (stage: FacadeStage) => Promise<T>): Promise<T> {
  if (process.platform !== 'linux' || availableParallelism() < 2)
    throw new Error('the benchmark of the facade needs Linux, and two cores: one for the proxy alone');
  const folder = join(import.meta.dirname, '..', 'var', 'bench', `facade-${process.pid}`);
  const runFolder = await claimRunFolder(folder);
  const file = (name: string) => join(import.meta.dirname, name);
  const stops = new AsyncDisposableStack();
  try {
    const direct = await startOurs(runFolder, stops, 'direct', [file('http-upstream.ts')], cores.others);
    const url = `http://127.0.0.1:${direct.port}`;
    const facade = (name: string, capabilities: number, routes: number) => {
      const flags = join(folder, `${name}.json`);
      const words = [
        ...facadeFlags,
        file('facade-ours.ts'),
        url,
        String(capabilities),
        String(routes),
        flags,
      ];
      return startOurs(runFolder, stops, name, words, cores.proxy);
    };
    return await run({
      direct,
      nginx: await startNginx(runFolder, direct.port),
      httpProxy: await startOurs(runFolder, stops, 'http-proxy', [file('facade-peer.ts'), url], cores.proxy),
      least: await startOurs(runFolder, stops, 'least', [file('facade-least.ts'), url], cores.proxy),
      bare: await facade('bare', 0, 0),
      one: await facade('one', 1, 1),
      full: await facade('full', 20, 200),
    });
  } finally {
    await stops.disposeAsync();
    await runFolder.endChildren(); // nginx
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @throws Error when an answer is not what it should be */
export async function load(target: Target, what: Omit<Load, 'port' | 'pid'>): Promise<Loaded> {
  const given: Load = { ...what, port: target.port, pid: target.pid };
  const child = spawn(
    'taskset',
    ['-c', cores.others, process.execPath, join(import.meta.dirname, 'http-load.ts'), JSON.stringify(given)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`the load on ${target.name} failed: ${what.method} ${what.path}`);
  return JSON.parse(said);
}

/** Mebibytes that a process has in memory while so many clients keep a connection, each used once. */
export async function idleMib({ port, pid }: Target, connections: number, path: string): Promise<number> {
  const open = await Promise.all(
    Array.from({ length: connections }, async (_, number) => {
      await delay(number / 5); // 5,000 a second: more than its queue of connections would be refused
      const socket = connect(port, '127.0.0.1');
      await once(socket, 'connect');
      socket.write(`GET ${path} HTTP/1.1\r\nHost: shop.example\r\nCookie: ${clientsCookie}\r\n\r\n`);
      await once(socket, 'data');
      return socket;
    }),
  );
  await delay(1_000);
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  for (const socket of open) socket.destroy();
  return Number(kib) / 1024;
}
