// Two processes of the reviews service behind one facade, while clients read and write: one is killed, and comes back.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { identityKeysIn } from '../../scripts/identity-keys.ts';
import { type RunningStack, startStack } from '../story/stack.ts';
import { until } from '../sync/until.ts';

const root = join(import.meta.dirname, '..', '..');

type Process = { readonly child: ChildProcess; readonly said: Readonly<Record<string, string>> };

let stack: RunningStack;
let facade: Process;
const services: Process[] = [];
const children: ChildProcess[] = [];

async function start(file: string, env: Readonly<Record<string, string>>): Promise<Process> {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(BANYAN|REVIEWS)_/.test(name));
  const child = spawn(process.execPath, [join(root, file)], {
    cwd: root,
    env: { ...Object.fromEntries(inherited), ...env },
    stdio: ['ignore', 'pipe', process.env.BANYAN_TEST_LOG ? 'inherit' : 'ignore'],
  });
  children.push(child);
  const line = createInterface({ input: child.stdout }).once('line', () => {});
  const [text] = await Promise.race([
    once(line, 'line'),
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`${file} ended with ${code}`))),
  ]);
  return { child, said: JSON.parse(String(text)) };
}

const asUser = (url: string, user: string, path?: string) => {
  const password = readFileSync(join(stack.folder, 'secrets', user), 'utf8').trim();
  const changed = Object.assign(new URL(url), { username: user, password });
  if (path !== undefined) changed.pathname = path;
  return changed.href;
};

async function startService(port = 0): Promise<Process> {
  const { publicKeys } = await identityKeysIn(stack.folder);
  return start('extracted/reviews/server.ts', {
    REVIEWS_DATABASE_URL: asUser(stack.databases.services, 'reviews_app'),
    REVIEWS_PORT: String(port),
    REVIEWS_IDENTITY_KEYS: publicKeys,
    REVIEWS_LOG_LEVEL: 'warn',
  });
}

async function startFacade(): Promise<Process> {
  const { privateKey } = await identityKeysIn(stack.folder);
  const reviews = services.map(({ said }) => `reviews=${said.listening}`);
  return start('facade/server.ts', {
    BANYAN_FACADE_PORT: '0',
    BANYAN_ADMIN_PORT: '0',
    BANYAN_ADMIN_TOKEN: stack.token,
    BANYAN_CONTROL_URL: asUser(stack.databases.control, 'banyan_facade'),
    BANYAN_LEGACY_URL: asUser(stack.databases.legacy, 'banyan_facade', '/'),
    BANYAN_SERVICES_URL: asUser(stack.databases.services, 'banyan_facade', '/'),
    BANYAN_IDENTITY_KEY: privateKey,
    BANYAN_FLAGS: stack.flags,
    BANYAN_LOG_LEVEL: 'warn',
    BANYAN_WARM_UP_MS_MAX: '0',
    BANYAN_UPSTREAMS: [`legacy=${stack.legacy}`, ...reviews, `wishlist=${stack.services.wishlist}`].join(),
  });
}

beforeAll(async () => {
  stack = await startStack(['--reviews', '200']);
  services.push(await startService(), await startService());
  facade = await startFacade();
  for (const words of [
    ['backfill', 'reviews'],
    ['verify', 'reviews'],
    ['fence', 'reviews', '--enforce', '--execute'],
    ['shift', 'reviews', '--reads', '100'],
    ['cutover', 'reviews', '--execute', '--wait', '30', '--override', 'reads,writers', '--reason', 'a test'],
  ]) {
    const { code, stderr, stdout } = await stack.banyan(...words, '--json');
    if (code !== 0) throw new Error(`${words.join(' ')}: ${code} ${stderr} ${stdout}`);
  }
}, 180_000);

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await stack?.[Symbol.asyncDispose]();
});

type Done = {
  readonly kind: 'read' | 'write';
  readonly from: number;
  readonly to: number;
  readonly fault: string;
};

/** Clients until they are told to stop; what each request came to. */
function startLoad(cookies: readonly string[]) {
  const done: Done[] = [];
  let isOver = false;
  const request = async (kind: Done['kind'], path: string, init: RequestInit) => {
    const from = performance.now();
    let fault = '';
    try {
      const response = await fetch(new URL(path, facade.said.listening), init);
      const body = (await response.json()) as { resultCode?: string; error?: { code: string } };
      if (response.status !== 200 || body.resultCode !== '0000')
        fault = `${response.status} ${body.error?.code ?? body.resultCode}`;
    } catch (error) {
      fault = String(error);
    }
    done.push({ kind, from, to: performance.now(), fault });
  };
  const reader = async () => {
    while (!isOver) await request('read', '/api/review/list.do?prdNo=1', {});
  };
  const writer = async (cookie: string) => {
    for (let turn = 0; !isOver; turn++)
      await request('write', '/api/review/write.do', {
        method: 'POST',
        headers: { cookie },
        body: new URLSearchParams({ prdNo: '1', starPnt: '08', rvwCtnt: `글 ${turn}` }),
      });
  };
  const clients = [...Array.from({ length: 6 }, reader), ...cookies.map(writer)];
  return {
    done,
    async more(count: number) {
      const target = done.length + count;
      await until(`${count} more requests`, () => done.length >= target, { msMax: 60_000 });
    },
    async end() {
      isOver = true;
      await Promise.all(clients);
    },
  };
}

async function logIn(member: string): Promise<string> {
  const response = await fetch(new URL('/api/member/login.do', facade.said.listening), {
    method: 'POST',
    body: new URLSearchParams({ mbrId: member, mbrPw: 'shop1234' }),
  });
  return response.headers
    .getSetCookie()
    .map((cookie) => cookie.split(';', 1)[0])
    .join('; ');
}

/** Reads and writes of reviews that an instance has answered. */
async function answered({ said }: Process): Promise<number> {
  const text = await (await fetch(new URL('/metrics', said.listening))).text();
  return [
    ...text.matchAll(/^reviews_http_requests_total\{.*route="\/(?:products|reviews)[^}]*\} (\d+)$/gm),
  ].reduce((sum, [, count]) => sum + Number(count), 0);
}

const status = async () => {
  const { stdout } = await stack.banyan(
    ...['status', '--json', '--admin-url', facade.said.admin ?? '', '--admin-token', stack.token],
  );
  return JSON.parse(stdout) as {
    facade: { upstreams: { name: string; instances: { origin: string; up: boolean }[] }[] };
  };
};

test('kill -9 of one of two under load fails no read, and only the writes that it had; back again, it is used', async () => {
  const load = startLoad(await Promise.all(['member1', 'member2', 'member3'].map(logIn)));
  const [killed, other] = services;
  if (!killed || !other) throw new Error('there are two');
  await load.more(150);
  for (const each of services) expect(await answered(each)).toBeGreaterThan(10);
  const killedAt = performance.now();
  killed.child.kill('SIGKILL');
  await once(killed.child, 'exit');
  const goneAt = performance.now();
  await load.more(200);
  const { stdout } = await stack.banyan(
    ...['status', '--admin-url', facade.said.admin ?? '', '--admin-token', stack.token],
  );
  expect(stdout).toMatch(/upstream reviews: .*is left out for its failures/);
  expect((await status()).facade.upstreams.find(({ name }) => name === 'reviews')?.instances).toMatchObject([
    { origin: killed.said.listening, up: false },
    { origin: other.said.listening, up: true },
  ]);
  const again = await startService(Number(new URL(killed.said.listening ?? '').port));
  await until('it to be used again', async () => (await answered(again)) > 20, { msMax: 60_000 });
  await load.end();

  const faults = load.done.filter(({ fault }) => fault !== '');
  expect(faults.filter(({ kind }) => kind === 'read')).toEqual([]);
  // Those that it had, and those that were being handed to it while nobody had noticed yet.
  expect(faults.filter(({ from, to }) => from > goneAt + 50 || to < killedAt)).toEqual([]);
  expect(faults.length).toBeLessThanOrEqual(3);
  console.log(
    `${load.done.length} requests, ${load.done.filter(({ kind }) => kind === 'write').length} writes; failed: ${faults.map(({ kind, fault }) => `${kind} ${fault}`).join(', ') || 'none'}`,
  );
}, 120_000);
