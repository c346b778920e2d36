// The proxies that the cases are run against, each a process before an upstream of its own: the facade as production starts it, and its
// peers as their own documentation has them.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { rolloutFlag } from '../../capability/flag-file.ts';
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
const peers = join(root, 'var', 'peers', 'usr');
const startMsMax = 20_000;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return address.port;
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

type Started = { readonly child: ChildProcess; readonly port: number };

async function proxyOf(
  name: string,
  start: (folder: string, upstream: number) => Promise<Started>,
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

/** Where a program is, the machine's own or the one that the set-up has unpacked. */
const found = (program: string): string | undefined =>
  [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', join(peers, 'sbin')]
    .map((folder) => join(folder, program))
    .find((file) => existsSync(file));

async function startProgram(program: string, words: readonly string[], port: number): Promise<Started> {
  const libraries = ['x86_64-linux-gnu', 'aarch64-linux-gnu'].map((machine) => join(peers, 'lib', machine));
  const child = spawn(program, words, {
    stdio: 'ignore',
    env: { ...process.env, LD_LIBRARY_PATH: libraries.join(':') },
  });
  for (const end = Date.now() + startMsMax; !(await isListening(port)); await pause(20))
    if (child.exitCode !== null || Date.now() > end) throw new Error(`${program} does not listen`);
  return { child, port };
}

const nginxConfig = (folder: string, port: number, upstream: number) => `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log crit;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  client_max_body_size 100m;
  keepalive_requests 1000000;
  upstream behind { server 127.0.0.1:${upstream} max_fails=0; keepalive 16; keepalive_requests 1000000; }
  server {
    listen 127.0.0.1:${port};
    server_name shop.example;
    location / {
      proxy_pass http://behind;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $host;
    }
  }
}
`;

const startNginx = (program: string): Promise<ProxyStage> =>
  proxyOf('nginx', async (folder, upstream) => {
    const port = await freePort();
    const config = join(folder, 'nginx.conf');
    mkdirSync(join(folder, 'logs'));
    writeFileSync(config, nginxConfig(folder, port, upstream));
    return startProgram(program, ['-p', folder, '-c', config, '-e', join(folder, 'error.log')], port);
  });

const haproxyConfig = (port: number, upstream: number) => `
global
  maxconn 1000
defaults
  mode http
  timeout connect 3s
  timeout client 30s
  timeout server 30s
  option forwardfor
frontend clients
  bind 127.0.0.1:${port}
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  default_backend behind
backend behind
  server one 127.0.0.1:${upstream}
`;

const startHaproxy = (program: string): Promise<ProxyStage> =>
  proxyOf('haproxy', async (folder, upstream) => {
    const port = await freePort();
    const config = join(folder, 'haproxy.cfg');
    writeFileSync(config, haproxyConfig(port, upstream));
    return startProgram(program, ['-db', '-f', config], port);
  });

/** Those that are there: @fastify/http-proxy always. */
export async function startPeers(): Promise<ProxyStage[]> {
  const [nginx, haproxy] = [found('nginx'), found('haproxy')];
  return Promise.all([
    ...(nginx === undefined ? [] : [startNginx(nginx)]),
    ...(haproxy === undefined ? [] : [startHaproxy(haproxy)]),
    startHttpProxy(),
  ]);
}
