// The proxies that the facade is measured against, and how they are started: as their own documentation has them.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../../scripts/private-server.ts';

export type StartedProxy = { readonly child: ChildProcess; readonly port: number };

/** Puts the configuration of a proxy into a folder. @returns the words that start it */
type Configure = (folder: string, port: number, upstream: number) => string[];

const unpacked = join(import.meta.dirname, '..', '..', 'var', 'peers', 'usr');
const startMsMax = 20_000;

export async function isListening(port: number): Promise<boolean> {
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

/** Where a program is, the machine's own or the one that the set-up has unpacked. */
const found = (program: string): string | undefined =>
  [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', join(unpacked, 'sbin')]
    .map((folder) => join(folder, program))
    .find((file) => existsSync(file));

const nginx: Configure = (folder, port, upstream) => {
  const config = join(folder, 'nginx.conf');
  mkdirSync(join(folder, 'logs'), { recursive: true });
  writeFileSync(
    config,
    `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log crit;
events { worker_connections 8192; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  client_max_body_size 100m;
  keepalive_requests 1000000000;
  upstream behind { server 127.0.0.1:${upstream} max_fails=0; keepalive 256; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} backlog=8192;
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
`,
  );
  return ['-p', folder, '-c', config, '-e', join(folder, 'error.log')];
};

const haproxy: Configure = (folder, port, upstream) => {
  const config = join(folder, 'haproxy.cfg');
  writeFileSync(
    config,
    `
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
`,
  );
  return ['-db', '-f', config];
};

const configures = { nginx, haproxy };
export type PeerProxy = keyof typeof configures;

/** @returns how it is started, undefined when it is not there */
export function peerProxy(
  name: PeerProxy,
): ((folder: string, upstream: number) => Promise<StartedProxy>) | undefined {
  const program = found(name);
  if (program === undefined) return undefined;
  return async (folder, upstream) => {
    mkdirSync(folder, { recursive: true });
    const port = await freePort();
    const libraries = ['x86_64-linux-gnu', 'aarch64-linux-gnu'].map((machine) =>
      join(unpacked, 'lib', machine),
    );
    const child = spawn(program, configures[name](folder, port, upstream), {
      stdio: 'ignore',
      env: { ...process.env, LD_LIBRARY_PATH: libraries.join(':') },
    });
    for (const end = Date.now() + startMsMax; !(await isListening(port)); await delay(20))
      if (child.exitCode !== null || Date.now() > end) {
        child.kill('SIGKILL');
        throw new Error(`${program} does not listen on port ${port}: its configuration is in ${folder}`);
      }
    return { child, port };
  };
}
