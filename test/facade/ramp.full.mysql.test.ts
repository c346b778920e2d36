// A ramp under load, through two facades: a service that does well takes over step by step; one that fails, in whatever way, has its
// reads back on legacy within five seconds, whether or not the ramp still runs, and no client sees it. About 75 s.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { type Connection, createConnection } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { identityKeysIn } from '../../scripts/identity-keys.ts';
import {
  type RunningCommand,
  type RunningStack,
  stackFolder,
  startCommand,
  startStack,
} from '../story/stack.ts';
import { until } from '../sync/until.ts';

const root = join(import.meta.dirname, '..', '..');
const backWithinMs = 5_000;

/** How fast a machine is that does other things, too, is not what this is about. */
const hurried = ['--override', 'latency', '--reason', 'a test'];

type Facade = { readonly child: ChildProcess; readonly url: string; readonly admin: string };
type Answer = Record<string, unknown>;

let stack: RunningStack;
let services: Connection;
let configFile: string;
let service: Awaited<ReturnType<typeof startFront>>;
const facades: Facade[] = [];
const commands: RunningCommand[] = [];
const loads: { stop(): void }[] = [];

/** Stands before the reviews service, and answers as it is told. */
async function startFront(target: string) {
  let mode: 'well' | 'error' | 'says-error' | 'slow' | 'silent' | 'gone' = 'well';
  let asked = 0;
  const server = createServer(async (request, response) => {
    asked += 1;
    if (mode === 'silent') return;
    if (mode === 'gone') return void request.socket.resetAndDestroy();
    if (mode === 'error' || mode === 'says-error')
      return void response
        .writeHead(mode === 'error' ? 500 : 200, { 'content-type': 'application/json' })
        .end('{"title":"out of memory"}');
    if (mode === 'slow') await delay(1_000);
    try {
      const answer = await fetch(new URL(request.url ?? '/', target));
      response
        .writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' })
        .end(Buffer.from(await answer.arrayBuffer()));
    } catch {
      response.destroy();
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('it listens on a port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    asked: () => asked,
    becomes(next: typeof mode) {
      mode = next;
    },
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}

const asUser = (url: string, user: string, path?: string) => {
  const password = readFileSync(join(stack.folder, 'secrets', user), 'utf8').trim();
  return Object.assign(new URL(url), {
    username: user,
    password,
    ...(path !== undefined && { pathname: path }),
  }).href;
};

async function startFacade(): Promise<Facade> {
  const { privateKey } = await identityKeysIn(stack.folder);
  const inherited = Object.entries(process.env).filter(([name]) => !/^BANYAN_/.test(name));
  const child = spawn(process.execPath, [join(root, 'facade/server.ts')], {
    cwd: root,
    env: {
      ...Object.fromEntries(inherited),
      BANYAN_CONFIG: configFile,
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
      BANYAN_UPSTREAMS: `legacy=${stack.legacy},reviews=${service.url},wishlist=${stack.services.wishlist}`,
    },
    stdio: ['ignore', 'pipe', process.env.BANYAN_TEST_LOG ? 'inherit' : 'ignore'],
  });
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  const { listening, admin } = JSON.parse(String(line));
  return { child, url: listening, admin };
}

beforeAll(async () => {
  const folder = stackFolder();
  configFile = join(folder, 'banyan.config.ts');
  // A few reads are enough for a step: how many there are in a second is the machine's affair.
  writeFileSync(
    configFile,
    `import config from ${JSON.stringify(join(root, 'banyan.config.ts'))};
export default { ...config, capabilities: config.capabilities.map((each) => ({ ...each, analysis: { samplesMin: 5, comparedMin: 5 } })) };
`,
  );
  stack = await startStack(['--reviews', '300', '--config', configFile], folder);
  services = await createConnection(stack.databases.services);
  service = await startFront(stack.services.reviews ?? '');
  facades.push(await startFacade(), await startFacade());
  for (const words of [
    ['backfill', 'reviews'],
    ['verify', 'reviews'],
    ['shift', 'reviews', '--shadow', '100'],
  ])
    await done(...words);
}, 120_000);

afterEach(() => {
  service.becomes('well');
  for (const command of commands.splice(0)) command.kill('SIGKILL');
  for (const load of loads.splice(0)) load.stop();
});

afterAll(async () => {
  for (const { child } of facades) child.kill('SIGKILL');
  service?.stop();
  services?.destroy();
  await stack?.[Symbol.asyncDispose]();
});

async function banyan(...words: string[]): Promise<{ code: number; said: Answer }> {
  const { code, stdout, stderr } = await stack.banyan(...words, '--json', '--config', configFile);
  if (stdout === '') throw new Error(`${words.join(' ')}: ${code} ${stderr}`);
  return { code, said: JSON.parse(stdout) };
}

async function done(...words: string[]): Promise<Answer> {
  const { code, said } = await banyan(...words);
  if (code !== 0) throw new Error(`${words.join(' ')}: ${code} ${JSON.stringify(said)}`);
  return said;
}

type Served = { readonly effectivePercent: number; readonly interlock: { readonly why: string | null } };

async function served({ admin }: Facade): Promise<Served> {
  const response = await fetch(new URL('/api/status', admin), {
    headers: { authorization: `Bearer ${stack.token}` },
  });
  const status = (await response.json()) as { capabilities: readonly (Served & { name: string })[] };
  const found = status.capabilities.find(({ name }) => name === 'reviews');
  if (!found) throw new Error('the facade knows reviews');
  return found;
}

const isEverywhere = async (percent: number) =>
  (await Promise.all(facades.map(served))).every(({ effectivePercent }) => effectivePercent === percent);

const newest = async (action: string): Promise<Answer> => {
  const { audit } = await done('audit', 'reviews');
  const found = Array.isArray(audit) ? audit.find((each) => each.action === action) : undefined;
  return found ?? {};
};

/** Clients of both facades, each request another of 200 people. */
function startLoad() {
  const failures: string[] = [];
  let [sent, isOver] = [0, false];
  const client = async (index: number) => {
    for (let turn = index; !isOver; turn += 8) {
      const id = Buffer.from(String((turn * 7) % 200).padStart(16, '0')).toString('base64url');
      const path = `/api/review/${turn % 3 === 0 ? 'summary' : 'list'}.do?prdNo=${1 + (turn % 6)}`;
      try {
        const response = await fetch(new URL(path, facades[turn % 2]?.url), {
          headers: { cookie: `banyan_id=${id}` },
        });
        const body = (await response.json()) as { resultCode?: string };
        if (response.status !== 200 || body.resultCode !== '0000')
          failures.push(`${path} ${response.status} ${JSON.stringify(body).slice(0, 80)}`);
      } catch (error) {
        failures.push(`${path} ${String(error)}`);
      }
      sent += 1;
      await delay(20);
    }
  };
  const clients = Array.from({ length: 8 }, (_, index) => client(index));
  const stop = () => {
    isOver = true;
  };
  loads.push({ stop });
  return {
    async end() {
      stop();
      await Promise.all(clients);
      expect(failures).toEqual([]);
      return sent;
    },
  };
}

/** Has half of the reads at the service, and some of them answered. */
async function half(): Promise<void> {
  await done('shift', 'reviews', '--reads', '50');
  await until('both facades to serve 50 %', () => isEverywhere(50));
  const before = service.asked();
  await until('reads of the service', () => service.asked() > before + 30);
}

/** From now on. @returns milliseconds until both facades serve nobody from the service */
async function backAtLegacy(): Promise<number> {
  const began = performance.now();
  await until('the reads to be back on legacy', () => isEverywhere(0), { msMax: 15_000 });
  return performance.now() - began;
}

test('a plan changes nothing; steps that the service does well in lead to 100 %, and are in the audit', async () => {
  const words = ['ramp', 'reviews', '--steps', '30,60,100', '--every', '4s'];
  expect(await done(...words)).toMatchObject({ executed: false, steps: [30, 60, 100], percent: 0 });
  expect(await isEverywhere(0)).toBe(true);
  const load = startLoad();
  const said = await done(...words, '--execute', ...hurried);
  await load.end();
  expect(said).toMatchObject({ executed: true, ok: true, outcome: 'done', percent: 100 });
  const steps = Array.isArray(said.steps) ? said.steps : [];
  expect(steps.map(({ percent }) => percent)).toEqual([30, 60, 100]);
  for (const { verdicts, facades: byFacade } of steps) {
    expect(verdicts.map(({ gate, verdict }: Answer) => [gate, verdict])).toEqual([
      ['samples', 'pass'],
      ['errors', 'pass'],
      ['latency', expect.stringMatching(/pass|overridden/)],
      ['parity', 'pass'],
    ]);
    expect(Object.keys(byFacade)).toHaveLength(3);
  }
  expect(await isEverywhere(100)).toBe(true);
  expect(await newest('ramp-step')).toMatchObject({
    reason: 'a test',
    detail: { percent: 100, figures: { service: { reads: expect.any(Number), errors: 0 } } },
  });
  console.log(JSON.stringify(steps.map(({ percent, figures }) => ({ percent, ...figures }))));
}, 60_000);

test.each([
  // The shadow sees errors as answers that differ, and may see enough of them first.
  ['broken', 'gone', /failed|differently/],
  ['failing', 'error', /failed|differently/],
  ['saying errors in HTTP 200', 'says-error', /failed|differently/],
  ['slow', 'slow', /took longer|failed/],
  ['silent', 'silent', /took longer|failed/],
] as const)(
  'a service that is %s has its reads back on legacy in time, and no client fails',
  async (name, mode, why) => {
    const load = startLoad();
    await half();
    service.becomes(mode);
    const ms = await backAtLegacy();
    const status = await done('status');
    const sent = await load.end();
    console.log(`${name}: back after ${Math.round(ms)} ms, ${sent} reads`);
    expect(ms).toBeLessThan(backWithinMs);
    expect(await newest('return')).toMatchObject({
      actor: expect.stringMatching(/^facade /),
      reason: expect.stringMatching(why),
      detail: { reads: 0, figures: { service: { reads: expect.any(Number) } } },
    });
    expect(status.capabilities).toMatchObject([
      { name: 'reviews', effectivePercent: 0, interlock: expect.stringMatching(/by themselves/) },
      {},
    ]);
  },
  60_000,
);

test('wrong answers: rows that are not the same on both sides are seen by the shadow in time', async () => {
  const load = startLoad();
  await half();
  await services.query('UPDATE reviews.review SET body = REVERSE(body)');
  const ms = await backAtLegacy();
  await load.end();
  await services.query('UPDATE reviews.review SET body = REVERSE(body)');
  console.log(`wrong answers: back after ${Math.round(ms)} ms`);
  expect(ms).toBeLessThan(backWithinMs);
  expect(await newest('return')).toMatchObject({ reason: expect.stringMatching(/answered differently/) });
}, 60_000);

test('a ramp that is killed leaves the percentage, and the facades still protect', async () => {
  const load = startLoad();
  const words = ['ramp', 'reviews', '--steps', '50,100', '--every', '30s', '--execute', '--json'];
  const ramp = startCommand([...words, '--config', configFile, '--folder', stack.folder]);
  commands.push(ramp);
  await until('both facades to serve 50 %', () => isEverywhere(50));
  const before = service.asked();
  await until('reads of the service', () => service.asked() > before + 30);
  // Two at once: one acts.
  const second = await banyan('ramp', 'reviews', '--steps', '50,100', '--every', '1s', '--execute');
  expect(second).toMatchObject({ code: 7, said: { ok: false, heldBy: expect.stringMatching(/ramp, /) } });
  ramp.kill('SIGKILL');
  await ramp.ended;
  expect(await isEverywhere(50)).toBe(true);
  service.becomes('error');
  expect(await backAtLegacy()).toBeLessThan(backWithinMs);
  service.becomes('well');
  const again = await done('ramp', 'reviews', '--steps', '50,100', '--every', '2s', '--execute', ...hurried);
  expect(again).toMatchObject({ ok: true, steps: [{ percent: 50 }, { percent: 100 }] });
  // What a ramp has moved is watched at 100 %, too.
  service.becomes('gone');
  expect(await backAtLegacy()).toBeLessThan(backWithinMs);
  await load.end();
}, 90_000);

test('a service that fails ends the ramp, with the reason; another operator’s word does, too', async () => {
  const load = startLoad();
  const words = ['ramp', 'reviews', '--steps', '50,100', '--every', '30s', '--execute', '--json'];
  const start = async () => {
    const ramp = startCommand([...words, '--config', configFile, '--folder', stack.folder]);
    commands.push(ramp);
    await until('both facades to serve 50 %', () => isEverywhere(50));
    const before = service.asked();
    await until('reads of the service', () => service.asked() > before + 30);
    return ramp;
  };
  const ramp = await start();
  service.becomes('error');
  const failed = await ramp.ended;
  expect(failed.code).toBe(4);
  expect(JSON.parse(failed.stdout)).toMatchObject({
    outcome: 'returned',
    percent: 0,
    reason: expect.stringMatching(/a facade took the reads back: .*(failed|differently)/),
  });
  service.becomes('well');
  const other = await start();
  await done('shift', 'reviews', '--reads', '0');
  const superseded = await other.ended;
  expect(superseded.code).toBe(6);
  expect(JSON.parse(superseded.stdout)).toMatchObject({ outcome: 'superseded' });
  expect(await isEverywhere(0)).toBe(true);
  await load.end();
}, 90_000);

test('cohorts: members by their session, and whoever sends the header, whatever the percentage', async () => {
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const [facade] = facades;
  const session = async (member: string) => {
    const login = await fetch(new URL('/api/member/login.do', facade?.url), {
      method: 'POST',
      headers: form,
      body: `mbrId=${member}&mbrPw=shop1234`,
    });
    return login.headers
      .getSetCookie()
      .map((each) => each.split(';', 1)[0])
      .join('; ');
  };
  const [first, second] = [await session('member1'), await session('member2')];
  // Mirrored reads would be the service's, too.
  await done('shift', 'reviews', '--shadow', '0');
  const isAtService = async (headers: Record<string, string>) => {
    const before = service.asked();
    const response = await fetch(new URL('/api/review/list.do?prdNo=1', facade?.url), { headers });
    expect(await response.json()).toMatchObject({ resultCode: '0000' });
    return service.asked() > before;
  };
  expect(await done('shift', 'reviews', '--reads', '0', '--cohort', 'member=member1;beta=1')).toMatchObject({
    phase: 'canary',
    cohorts: ['member=member1', 'beta=1'],
  });
  await until('the flag to be followed', () => isAtService({ 'x-beta': '1' }));
  const found = async () => ({
    nobody: await isAtService({}),
    first: await isAtService({ cookie: first }),
    second: await isAtService({ cookie: second }),
    asking: await isAtService({ cookie: second, 'x-beta': '1' }),
    otherwise: await isAtService({ 'x-beta': '2' }),
  });
  const named = { nobody: false, first: true, second: false, asking: true, otherwise: false };
  for (let round = 0; round < 3; round++) expect(await found()).toEqual(named);
  expect((await done('status')).capabilities).toMatchObject([{ cohorts: ['member=member1', 'beta=1'] }, {}]);
  await done('shift', 'reviews', '--reads', '100');
  await until('everybody to be moved', () => isAtService({}));
  expect(await found()).toEqual({ nobody: true, first: true, second: true, asking: true, otherwise: true });
  await done('shift', 'reviews', '--reads', '0');
  await until('nobody to be moved', async () => !(await isAtService({ 'x-beta': '1' })));
  expect(await isAtService({ cookie: first })).toBe(false);
  const unknown = await stack.banyan('shift', 'reviews', '--reads', '0', '--cohort', 'colour=red');
  expect(unknown).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/no property "colour" \(it has member, beta\)/),
  });
  await done('shift', 'reviews', '--shadow', '100');
}, 60_000);

test('a step without traffic ends the ramp where it is, and says so', async () => {
  const { code, said } = await banyan('ramp', 'reviews', '--steps', '5,100', '--every', '1s', '--execute');
  expect({ code, ...said }).toMatchObject({
    code: 3,
    outcome: 'no-data',
    percent: 5,
    reason: expect.stringMatching(/^at 5 %: samples: the service was asked 0 times/),
  });
  expect(await isEverywhere(5)).toBe(true);
  await done('stop', 'reviews');
  const closed = await banyan('ramp', 'reviews', '--steps', '5', '--execute');
  expect(closed).toMatchObject({
    code: 3,
    said: { executed: false, reason: expect.stringMatching(/--shadow 100/) },
  });
}, 60_000);
