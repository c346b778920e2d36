// The proxies that the cases are run against, each a process before an upstream of its own: the facade as production starts it, and its
// peers as their own documentation has them.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { rolloutFlag } from '../../capability/flag-file.ts';
import { isListening, peerProxy, type StartedProxy } from './peer-proxies.ts';
import { startRecordingUpstream } from './recording-upstream.ts';
import type { Stage } from './run-case.ts';

export type ProxyStage = Stage & {
  readonly name: string;
  readonly pid: number;
  /** Starts it anew when a case has ended it. @returns whether one had */
  revive(): Promise<boolean>;
  [Symbol.asyncDispose](): Promise<void>;
};

const root = join(import.meta.dirname, '..', '..');

async function proxyOf(
  name: string,
  start: (folder: string, upstream: number) => Promise<StartedProxy>,
): Promise<ProxyStage> {
  const folder = mkdtempSync(join(tmpdir(), 'banyan-faithful-'));
  const upstream = await startRecordingUpstream();
  let { child, port } = await start(folder, upstream.port);
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  const stage: ProxyStage = {
    name,
    get port() {
      return port;
    },
    get pid() {
      return child.pid ?? 0;
    },
    upstream,
    second: undefined,
    requests: 0,
    async revive() {
      // It may end while that is looked at.
      if (!hasEnded() && !(await isListening(port)) && !hasEnded()) await once(child, 'exit');
      if (!hasEnded()) return false;
      ({ child, port } = await start(folder, upstream.port));
      stage.second = undefined;
      return true;
    },
    async [Symbol.asyncDispose]() {
      if (!hasEnded()) {
        const ended = once(child, 'exit');
        child.kill('SIGKILL');
        await ended;
      }
      await upstream[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return stage;
}

/** Of one of ours, or one that speaks as ours do: its first line says where it listens. */
async function listeningOf(child: ChildProcess): Promise<number> {
  if (!child.stdout) throw new Error('its output is a pipe');
  const line = await Promise.race([
    once(createInterface({ input: child.stdout }), 'line').then(([text]) => String(text)),
    once(child, 'exit').then(() => undefined),
  ]);
  if (line === undefined) throw new Error('it ended before it listened');
  const said: { listening: string } = JSON.parse(line);
  return Number(new URL(said.listening).port);
}

/** The breaker and the ejection of instances would answer for an upstream that lies. */
const lyingUpstream = [
  '--breaker-failures-max',
  '0',
  '--breaker-percent-max',
  '0',
  '--eject-failures-max',
  '0',
];

/** @param words options of the facade, besides */
export const startFacade = (words: readonly string[] = []): Promise<ProxyStage> =>
  proxyOf('the facade', async (folder, upstream) => {
    const flags = join(folder, 'flags.json');
    writeFileSync(flags, JSON.stringify({ version: 2, features: [rolloutFlag('reviews.read', 0)] }));
    const child = spawn(process.execPath, [join(root, 'facade', 'server.ts'), ...lyingUpstream, ...words], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: {
        PATH: process.env.PATH,
        NODE_ENV: 'production',
        BANYAN_ADMIN_TOKEN: 'a-token-of-the-tests',
        BANYAN_CONFIG: join(root, 'banyan.config.ts'),
        BANYAN_FLAGS: flags,
        BANYAN_FACADE_PORT: '0',
        BANYAN_ADMIN_PORT: '0',
        BANYAN_UPSTREAMS: `legacy=http://127.0.0.1:${upstream}`,
      },
    });
    return { child, port: await listeningOf(child) };
  });

const startHttpProxy = (): Promise<ProxyStage> =>
  proxyOf('http-proxy', async (_folder, upstream) => {
    const child = spawn(
      process.execPath,
      [join(root, 'bench', 'facade-peer.ts'), `http://127.0.0.1:${upstream}`],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    return { child, port: await listeningOf(child) };
  });

/** Those that are there: @fastify/http-proxy always. */
export async function startPeers(): Promise<ProxyStage[]> {
  const others = (['nginx', 'haproxy'] as const).flatMap((name) => {
    const start = peerProxy(name);
    return start ? [proxyOf(name, start)] : [];
  });
  return Promise.all([...others, startHttpProxy()]);
}
