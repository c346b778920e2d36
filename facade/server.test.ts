// The facade as a process: what it prints, what it refuses to start with, how it stops, what it weighs.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, expect, test } from 'vitest';
import { rolloutFlag } from '../capability/flag-file.ts';
import { parseTrustedProxies, resolveUpstreams } from './server.ts';
import { manner, portOf, testIdentityKey, until, upstream } from './test-servers.ts';

const folder = mkdtempSync(join(tmpdir(), 'banyan-facade-'));
const token = 'a-token-of-the-tests';
const children: ChildProcess[] = [];
const root = join(import.meta.dirname, '..');
const config = join(root, 'banyan.config.ts');
const flags = join(folder, 'flags.json');
writeFileSync(flags, JSON.stringify({ version: 2, features: [rolloutFlag('reviews.read', 25)] }));

afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

function run(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, [join(root, 'facade', 'server.ts'), ...args], {
    env: {
      PATH: process.env.PATH,
      BANYAN_ADMIN_TOKEN: token,
      BANYAN_CONFIG: config,
      BANYAN_FLAGS: flags,
      BANYAN_FACADE_PORT: '0',
      BANYAN_ADMIN_PORT: '0',
      BANYAN_WARM_UP_MS_MAX: '0',
      ...env,
    },
  });
  children.push(child);
  const said = { out: '', err: '' };
  child.stdout.on('data', (chunk) => {
    said.out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    said.err += chunk;
  });
  return { child, said, ended: once(child, 'exit') };
}

async function start(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const process = run(args, env);
  await until(() => process.said.out.includes('\n') || process.child.exitCode !== null, 'the first line');
  const { listening, admin } = JSON.parse(process.said.out) as { listening: string; admin: string };
  const ask = (
    path: string,
    headers: Readonly<Record<string, string>> = { authorization: `Bearer ${token}` },
  ) => fetch(admin + path, { headers });
  return { ...process, listening, admin, ask };
}

/** Whether nobody listens there any more. */
async function isRefused(url: string): Promise<boolean> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  const outcome = await Promise.race([
    once(socket, 'connect').then(() => false),
    once(socket, 'error').then(() => true),
  ]).catch(() => true);
  socket.destroy();
  return outcome;
}

test('it serves, says of itself what it knows, and stops in order', async () => {
  let finish: (() => void) | undefined;
  await using legacy = await upstream((_request, response) => {
    response.writeHead(200, { 'content-length': 8 }).write('half');
    finish = () => response.end('half');
  });
  const facade = await start(['--upstream', `legacy=${legacy.url}`]);
  const download = await fetch(facade.listening);
  finish?.();
  expect(await download.text()).toBe('halfhalf');

  expect((await facade.ask('/healthz', {})).status).toBe(200);
  const ready = await facade.ask('/readyz', {});
  expect([ready.status, await ready.json()]).toEqual([
    200,
    {
      ready: true,
      checks: { listener: 'ok', flags: 'ok', controlStore: expect.stringContaining('--control-url') },
    },
  ]);
  const metrics = await (await facade.ask('/metrics')).text();
  expect(metrics).toContain('banyan_facade_flag_proposed_percent{capability="reviews"} 25');
  expect(metrics).toContain('banyan_facade_flag_effective_percent{capability="reviews"} 0');
  expect(metrics).toContain(
    'banyan_facade_requests_total{capability="none",side="legacy",kind="other",status="2xx"} 1',
  );
  // No Unleash has confirmed anything, and there is no control store: an age of 0 would say the opposite.
  expect(metrics).not.toMatch(/^banyan_facade_(?:flags|control_store)_age_seconds /m);
  expect(await (await facade.ask('/api/status')).json()).toMatchObject({
    version: expect.any(String),
    uptimeSeconds: expect.any(Number),
    capabilities: [
      {
        name: 'reviews',
        phase: null,
        ready: false,
        interlock: { open: false, why: expect.any(String) },
        proposedPercent: 25,
        effectivePercent: 0,
        readsLastMinute: { legacy: 0, service: 0 },
        unpinnedReadsLastMinute: { legacy: 0, service: 0 },
        fallbacksLastMinute: 0,
      },
      { name: 'wishlist' },
    ],
    controlStore: { connected: false, lastReadAt: null, error: expect.any(String) },
    flags: { source: 'file', place: flags, loadedAt: expect.any(String), fault: null },
    upstreams: [
      {
        name: 'legacy',
        breaker: { state: 'closed' },
        inFlight: 0,
        instances: [{ origin: legacy.url, up: true }],
      },
      { name: 'reviews' },
      { name: 'wishlist' },
    ],
  });

  const slow = await fetch(facade.listening);
  facade.child.kill('SIGTERM');
  await until(() => isRefused(facade.listening), 'the end of the listener');
  expect((await facade.ask('/readyz', {})).status).toBe(503);
  finish?.();
  expect(await slow.text()).toBe('halfhalf');
  expect(await facade.ended).toEqual([0, null]);
  expect(facade.said.out.trim().split('\n')).toHaveLength(1);
});

test('the second signal ends what the first one waits for', async () => {
  await using legacy = await upstream(
    (_request, response) => void response.writeHead(200, { 'content-length': 8 }).write('half'),
  );
  const facade = await start(['--upstream', `legacy=${legacy.url}`]);
  const hanging = await fetch(facade.listening);
  facade.child.kill('SIGTERM');
  await until(() => facade.said.err.includes('stopping'), 'the stop');
  facade.child.kill('SIGINT');
  await expect(hanging.text()).rejects.toThrow();
  expect(await facade.ended).toEqual([0, null]);
});

test('the admin listener is for who shows the token, and for no page of another site', async () => {
  await using legacy = await upstream((_request, response) => void response.end());
  const facade = await start(['--upstream', `legacy=${legacy.url}`]);
  const status = async (headers: Readonly<Record<string, string>>) =>
    (await facade.ask('/api/status', headers)).status;
  expect(await status({})).toBe(401);
  expect(await status({ authorization: 'Bearer wrong' })).toBe(401);
  expect(await status({ authorization: `Basic ${token}` })).toBe(401);
  expect(await status({ authorization: `Bearer ${token}`, origin: 'http://evil.example' })).toBe(403);
  expect(await status({ authorization: `Bearer ${token}`, 'sec-fetch-site': 'cross-site' })).toBe(403);
  expect(await status({ authorization: `Bearer ${token}`, origin: facade.admin })).toBe(200);
  expect((await facade.ask('/metrics', {})).status).toBe(401);
  expect((await facade.ask('/nothing', {})).status).toBe(401);
  expect((await facade.ask('/nothing')).status).toBe(404);
  const look = async (
    path: string,
    sent: Record<string, string> = { authorization: `Bearer ${token}` },
    body?: string,
  ) => (await fetch(facade.admin + path, { method: 'POST', headers: sent, ...(body && { body }) })).status;
  expect(await look('/api/writes/reviews/look', {})).toBe(401);
  expect(await look('/api/writes/reviews/look?waitMs=5000')).toBe(400);
  expect(await look('/api/writes/reviews/look', undefined, '{}')).toBe(415);
  // Without a control store no writes are watched.
  expect(await look('/api/writes/reviews/look')).toBe(404);
  facade.child.kill('SIGTERM');
  await facade.ended;
});

test('a name that is given more than once has as many instances, and keeps what is declared of it', () => {
  const upstreams = {
    legacy: 'http://127.0.0.1:1',
    reviews: { dns: 'reviews.internal', port: 80, health: { path: '/readyz' }, inFlightMax: 7 },
    wishlist: 'http://127.0.0.1:2',
  };
  const given = ['reviews=http://a:8083/', 'legacy=http://b', 'reviews=http://c'];
  expect(
    resolveUpstreams({ upstreams, legacy: { database: 'shop', manner }, capabilities: [] }, given),
  ).toEqual({
    legacy: { origins: ['http://b'] },
    reviews: { origins: ['http://a:8083', 'http://c'], health: { path: '/readyz' }, inFlightMax: 7 },
    wishlist: 'http://127.0.0.1:2',
  });
});

// Sixteen processes, one after the other.
test('what stands in the way of a start is one plain message, and exit code 1', {
  timeout: 120_000,
}, async () => {
  const busy = createServer().listen(0, '127.0.0.1');
  await once(busy, 'listening');
  const port = String(portOf(busy));
  const broken = join(folder, 'broken.json');
  writeFileSync(broken, '{');
  const empty = join(folder, 'empty.ts');
  writeFileSync(empty, 'export default {};');
  const cases: [Record<string, string>, string[], RegExp][] = [
    [
      { BANYAN_FACADE_PORT: port },
      [],
      new RegExp(`port ${port} on 127.0.0.1 is in use: .*--port or BANYAN_FACADE_PORT`),
    ],
    [
      { BANYAN_ADMIN_PORT: port },
      [],
      new RegExp(`port ${port} on 127.0.0.1 is in use: .*--admin-port or BANYAN_ADMIN_PORT`),
    ],
    [{}, ['--host', '203.0.113.7'], /203\.0\.113\.7 is not an address of this machine: .*--host/],
    [{ BANYAN_ADMIN_TOKEN: 'short' }, [], /admin token has 5 characters, and 16/],
    [{ BANYAN_FLAGS: broken }, [], /flag file .*broken\.json is not JSON/],
    [{ BANYAN_FLAGS: join(folder, 'none.json') }, [], /flag file .*none\.json cannot be read/],
    [{ BANYAN_CONFIG: empty }, [], /upstreams\.legacy.*missing/],
    [{ BANYAN_CONFIG: join(folder, 'none.ts') }, [], /no such file/],
    [{ UNLEASH_URL: 'http://127.0.0.1:1/api' }, [], /UNLEASH_TOKEN is not/],
    [
      { UNLEASH_URL: 'http://u:secret@127.0.0.1:1/api', UNLEASH_TOKEN: 'x' },
      [],
      /^(?!.*secret).*UNLEASH_URL is not http/,
    ],
    [
      { BANYAN_CONTROL_URL: 'mysql://127.0.0.1:1/banyan', BANYAN_IDENTITY_KEY: await testIdentityKey() },
      [],
      /there is a control store, and no --legacy-url \(BANYAN_LEGACY_URL\)/,
    ],
    [
      {
        BANYAN_CONTROL_URL: 'mysql://127.0.0.1:1/banyan',
        BANYAN_LEGACY_URL: 'mysql://127.0.0.1:1',
        BANYAN_IDENTITY_KEY: await testIdentityKey(),
      },
      [],
      /there is a control store, and no --services-url \(BANYAN_SERVICES_URL\)/,
    ],
    [{}, ['--upstream', 'other=http://h'], /names "other"/],
    [{}, ['--upstream', 'legacy'], /not name=http/],
    [{}, ['--trusted-proxies', '10.0.0.0/99'], /10\.0\.0\.0\/99/],
    [{}, ['--prot', '1'], /no option --prot/],
  ];
  for (const [env, args, message] of cases) {
    const { ended, said } = run(args, env);
    const [code] = await ended;
    expect([code, said.out], said.err).toEqual([1, '']);
    expect(said.err).toMatch(message);
    expect(said.err).not.toMatch(/\n\s+at /);
  }
  busy.close();
});

test('a control store that is not there is no reason not to start: reads are legacy’s, writes wait, then 503', async () => {
  await using legacy = await upstream((_request, response) => void response.end('legacy'));
  const facade = await start(['--upstream', `legacy=${legacy.url}`, '--hold-ms-max', '100'], {
    BANYAN_CONTROL_URL: 'mysql://u:secret@127.0.0.1:1/banyan',
    BANYAN_LEGACY_URL: 'mysql://u:secret@127.0.0.1:1',
    BANYAN_SERVICES_URL: 'mysql://u:secret@127.0.0.1:1',
    BANYAN_IDENTITY_KEY: await testIdentityKey(),
  });
  expect(await (await fetch(`${facade.listening}/api/review/list.do`)).text()).toBe('legacy');
  expect(await (await fetch(`${facade.listening}/api/order/add.do`, { method: 'POST' })).text()).toBe(
    'legacy',
  );
  const write = await fetch(`${facade.listening}/api/review/write.do`, { method: 'POST', body: 'a=1' });
  expect([write.status, write.headers.get('retry-after'), await write.json()]).toEqual([
    503,
    '2',
    { error: { code: 'write_held', message: expect.any(String) } },
  ]);
  expect((await facade.ask('/readyz', {})).status).toBe(200);
  expect(await (await facade.ask('/api/status')).json()).toMatchObject({
    capabilities: [{ owner: null, epoch: null, writes: { state: 'asking', inFlight: 0, held: 0 } }, {}],
    sides: { legacy: { reachable: false }, service: { reachable: false } },
    replica: { registered: false },
  });
  expect(facade.said.err).toContain('all is served from legacy until it can');
  expect(facade.said.err).not.toContain('secret');
  facade.child.kill('SIGTERM');
  expect(await facade.ended).toEqual([0, null]);
});

test.runIf(process.platform === 'linux')('100 MiB each way cost the process little memory', async () => {
  const bytes = 100 * 1024 * 1024;
  const block = Buffer.alloc(1024 * 1024, 'x');
  const blocks = () => Readable.from(Array.from({ length: 100 }, () => block));
  await using legacy = await upstream(async (incoming, response) => {
    for await (const _chunk of incoming);
    response.writeHead(200, { 'content-length': bytes });
    blocks().pipe(response);
  });
  const facade = await start(['--upstream', `legacy=${legacy.url}`]);
  const peakMib = () =>
    Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${facade.child.pid}/status`, 'utf8'))?.[1]) / 1024;
  await (await fetch(facade.listening, { method: 'HEAD' })).text();
  const pass = async () => {
    const asked = request(facade.listening, { method: 'POST', headers: { 'content-length': bytes } });
    blocks().pipe(asked);
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    let received = 0;
    for await (const chunk of answer) received += chunk.length;
    expect(received).toBe(bytes);
    return peakMib();
  };
  const [start0, first] = [peakMib(), await pass()];
  const fourth = [await pass(), await pass(), await pass()].at(-1) ?? 0;
  console.log(
    `peak memory: ${Math.round(start0)} MiB, ${Math.round(first)} after 100 MiB each way, ${Math.round(fourth)} after 400`,
  );
  // Buffers wait for the collector; what must not be is growth with what went through.
  expect(fourth - first).toBeLessThan(60);
  facade.child.kill('SIGTERM');
  await facade.ended;
});

test('trusted proxies are addresses and networks of both families', () => {
  const list = parseTrustedProxies(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32']);
  for (const [address, family] of [
    ['10.200.1.1', 'ipv4'],
    ['192.0.2.7', 'ipv4'],
    ['2001:db8::1', 'ipv6'],
  ] as const)
    expect(list.check(address, family)).toBe(true);
  expect(list.check('192.0.2.8', 'ipv4')).toBe(false);
  for (const wrong of ['proxy', '10.0.0.0/x', '10.0.0.0/33', ''])
    expect(() => parseTrustedProxies([wrong])).toThrow(/is no address/);
});
