// The sample's reads are mirrored, both ways: both sides answer alike, a row that is not the same shows where it is, and whatever
// becomes of the side that is asked a second time, no client notices.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Connection, createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { asks } from '../story/client-suite.ts';
import { logIn } from '../story/log-in.ts';
import { type RunningStack, startStack } from '../story/stack.ts';
import { until } from '../sync/until.ts';

const reviews = 'reviews';
const list = 'GET /api/review/list.do';
/** Nobody's real name, and nothing that a program says. */
const secret = 'Geheimnis42';

let stack: RunningStack;
let services: Connection;

beforeAll(async () => {
  stack = await startStack(['--reviews', '300', '--replicas', '2']);
  services = await createConnection(stack.databases.services);
  for (const words of [
    ['backfill', reviews],
    ['verify', reviews],
  ])
    await done(...words);
}, 120_000);

afterAll(async () => {
  services?.destroy();
  await stack?.[Symbol.asyncDispose]();
});

type Answer = Record<string, unknown>;

async function done(...words: string[]): Promise<Answer> {
  const { code, stdout, stderr } = await stack.banyan(...words, '--json');
  expect([words.join(' '), code, stderr]).toEqual([words.join(' '), 0, expect.any(String)]);
  return JSON.parse(stdout);
}

const facadeUrl = (index: number) => stack.facades[index % stack.facades.length]?.url ?? stack.facade;
const idOf = (index: number) =>
  `banyan_id=${Buffer.from(String(index).padStart(16, '0')).toString('base64url')}`;

async function read(path: string, index: number): Promise<string> {
  const response = await fetch(new URL(path, facadeUrl(index)), { headers: { cookie: idOf(index) } });
  expect(response.status).toBeLessThan(500);
  return response.text();
}

const suite = asks([1, 2, 3, 4, 5, 6]).filter(({ moves, method }) => moves && method === 'GET');

/** Every read of the client suite, through both replicas. @returns how many were sent */
async function readAll(rounds: number): Promise<number> {
  for (let round = 0; round < rounds; round++)
    for (const [index, { path }] of suite.entries()) await read(path, index + round);
  return rounds * suite.length;
}

/** When so many more have been compared than before. */
async function compared(more: number, before: Answer): Promise<Answer> {
  let diff = before;
  await until(`${more} more comparisons`, async () => {
    diff = await done('diff', reviews);
    return Number(diff.compared) >= Number(before.compared) + more;
  });
  return diff;
}

async function metrics(index: number): Promise<string> {
  const url = new URL('/metrics', stack.facades[index]?.admin);
  return (await fetch(url, { headers: { authorization: `Bearer ${stack.token}` } })).text();
}

test('the sample answers its reads alike on both sides: by the service’s word, and then by legacy’s', async () => {
  expect(await done('diff', reviews)).toMatchObject({ compared: 0, equalPercent: null });
  expect(await done('shift', reviews, '--shadow', '100')).toMatchObject({ shadow: 100, phase: 'shadow' });
  await until('both facades to follow', async () =>
    (await Promise.all([metrics(0), metrics(1)])).every((text) =>
      text.includes('banyan_facade_shadow_percent{capability="reviews"} 100'),
    ),
  );
  const nothing = await done('diff', reviews);
  const sent = await readAll(3);
  // A few may find no room; nothing else may be lost.
  const mirrored = await compared(Math.floor(sent * 0.9), nothing);
  expect(mirrored).toMatchObject({ different: 0, equalPercent: 100 });

  await done('shift', reviews, '--reads', '100');
  const back = await compared(Math.floor((await readAll(2)) * 0.9), mirrored);
  expect(back).toMatchObject({ different: 0, equalPercent: 100, unheard: [] });
  const routes = Array.isArray(back.routes) ? back.routes : [];
  expect(routes.map(({ route }) => route).sort()).toEqual([list, 'GET /api/review/summary.do']);
  for (const route of routes) expect(route).toMatchObject({ equalPercent: 100, noisy: 0, paths: [] });
  console.log(`${back.compared} mirrored reads of ${sent + (sent / 3) * 2}, ${back.equalPercent} % alike`);
}, 120_000);

test('while members write, what has not arrived yet is looked at again and does not count', async () => {
  const before = await done('diff', reviews);
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const cookie = await logIn(stack.facade, 'member1');
  for (let n = 0; n < 10; n++) {
    const body = new URLSearchParams({ prdNo: '1', starPnt: '08', rvwCtnt: `${n}` });
    await fetch(new URL('/api/review/write.do', stack.facade), {
      method: 'POST',
      headers: { ...form, cookie },
      body,
    });
    for (let each = 0; each < 4; each++) await read('/api/review/list.do?prdNo=1', each);
  }
  expect(await compared(35, before)).toMatchObject({ different: 0, equalPercent: 100 });
}, 120_000);

test('a row that is not the same shows at its place, without a word of what it says, and closes the gate', async () => {
  const gate = async () => {
    const { stdout } = await stack.banyan('cutover', reviews, '--json');
    const said: { gates: { gate: string }[] } = JSON.parse(stdout);
    return said.gates.find((each) => each.gate === 'parity');
  };
  expect(await gate()).toMatchObject({ verdict: 'pass', ageMs: expect.any(Number) });
  const before = await done('diff', reviews);
  await services.query('UPDATE reviews.review SET body = ? WHERE product_id = 2', [secret]);
  for (let n = 0; n < 6; n++) expect(await read('/api/review/list.do?prdNo=2', n)).toContain(secret);
  const diff = await compared(6, before);
  expect(diff).toMatchObject({ different: 6 });
  const routes = Array.isArray(diff.routes) ? diff.routes : [];
  const { paths } = routes.find(({ route }) => route === list);
  expect(paths).toMatchObject([
    {
      path: '$.rvwList[*].rvwCtnt',
      kind: 'value',
      count: 6,
      counted: 6,
      example: { legacy: 'redacted text', service: 'redacted text', asked: 'prdNo=2' },
    },
  ]);
  expect(await gate()).toMatchObject({
    verdict: 'fail',
    remedy: 'banyan diff reviews',
    mayBeOverridden: true,
  });
  const logs = readdirSync(stack.folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.log'),
  );
  const kept = [
    JSON.stringify(diff),
    await metrics(0),
    await metrics(1),
    (await stack.banyan('diff', reviews)).stdout,
    ...logs
      .filter((name) => name.includes('facade'))
      .map((name) => readFileSync(join(stack.folder, name), 'utf8')),
  ];
  for (const text of kept) expect(text).not.toContain(secret);
}, 120_000);

type Load = { readonly medianMs: number; readonly failed: number; readonly sent: number };

/** So many clients at once, each one request after the other. */
async function load(clients: number, each: number): Promise<Load> {
  const times: number[] = [];
  let failed = 0;
  const client = async (index: number) => {
    for (let n = 0; n < each; n++) {
      const began = performance.now();
      const ok = await fetch(new URL(`/api/review/list.do?prdNo=${1 + ((index + n) % 6)}`, stack.facade), {
        headers: { cookie: idOf(index) },
      })
        .then(async (response) => response.status === 200 && (await response.text()).startsWith('{'))
        .catch(() => false);
      if (!ok) failed += 1;
      times.push(performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, index) => client(index)));
  times.sort((a, b) => a - b);
  return { medianMs: times[Math.floor(times.length / 2)] ?? 0, failed, sent: times.length };
}

const residentMb = (name: string) => {
  const pid = stack.pidOf(name);
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1_024;
};

function signal(name: string, what: NodeJS.Signals): void {
  const pid = stack.pidOf(name);
  if (pid === undefined) throw new Error(`${name} does not run`);
  process.kill(pid, what);
}

test('the mirrored side frozen, killed or flooded: no client fails, none waits, and memory stays', async () => {
  await done('stop', reviews);
  const status = await done('status');
  expect(status.capabilities).toMatchObject([{ name: reviews, phase: 'synced', shadowPercent: 0 }, {}]);
  await load(16, 20);
  const off = await load(16, 40);
  const memory = residentMb('facade');
  expect((await done('audit', reviews)).audit).toMatchObject([
    { action: 'shift' },
    { action: 'stop' },
    {},
    {},
    {},
    {},
  ]);

  await done('shift', reviews, '--shadow', '100');
  const found: Record<string, Load> = { off, flooded: await load(16, 40) };
  signal(reviews, 'SIGSTOP');
  found.frozen = await load(16, 40);
  signal(reviews, 'SIGCONT');
  signal(reviews, 'SIGKILL');
  found.killed = await load(16, 40);
  const grownMb = residentMb('facade') - memory;
  console.log(
    Object.entries(found)
      .map(([name, { medianMs }]) => `${name} ${medianMs.toFixed(1)} ms`)
      .join(', '),
    `and ${grownMb.toFixed(0)} MB more`,
  );
  for (const [name, { failed, medianMs }] of Object.entries(found))
    expect([name, failed, medianMs < 3 * off.medianMs + 20]).toEqual([name, 0, true]);
  expect(grownMb).toBeLessThan(96);
  expect(await metrics(0)).toMatch(/banyan_facade_shadow_total\{[^}]*outcome="dropped"\} [1-9]/);
  expect(await metrics(0)).toMatch(/banyan_facade_shadow_total\{[^}]*outcome="failed"\} [1-9]/);
}, 120_000);
