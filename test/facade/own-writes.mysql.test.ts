// A client reads its own writes, through two replicas and across a change of owner. The streams are rows that the test moves, so that
// nothing arrives before it is said to.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Side } from '../../capability/capability.ts';
import * as fence from '../../capability/fence.ts';
import { until } from '../sync/until.ts';
import { type Replica, type Sides, startReplica, startSides, startUpstream, type Upstream } from './sides.ts';

const reviews = 'reviews';
const words = ['--own-read-ms-max', '150'];

let sides: Sides;
let legacy: Upstream;
let service: Upstream;
let one: Replica;
let two: Replica;

beforeAll(async () => {
  sides = await startSides();
});
afterAll(() => sides?.[Symbol.asyncDispose]());
beforeEach(async () => {
  await sides.reset([reviews, 'orders']);
  legacy = await startUpstream('legacy');
  service = await startUpstream('service');
  one = await startReplica(sides, { legacy, service }, words);
  two = await startReplica(sides, { legacy, service }, words);
  await Promise.all([one.started, two.started]);
});
afterEach(async () => {
  await Promise.all([one, two].map((each) => each?.[Symbol.asyncDispose]()));
  await legacy[Symbol.asyncDispose]();
  await service[Symbol.asyncDispose]();
});

/** A client that keeps cookies, and one that keeps none. */
const headersOf = (name: string, cookie = '') => ({ 'user-agent': name, ...(cookie !== '' && { cookie }) });

/** @returns the cookie `banyan_pin` as the client sends it back */
async function write({ url }: Replica, name: string, path = '/api/review/write.do'): Promise<string> {
  const answer = await fetch(url + path, {
    method: 'POST',
    headers: headersOf(name),
    body: new URLSearchParams({ a: '1' }),
  });
  expect(answer.status).toBe(200);
  const pin = answer.headers.getSetCookie().find((cookie) => cookie.startsWith('banyan_pin='));
  return pin?.split(';', 1)[0] ?? '';
}

async function read({ url }: Replica, name: string, cookie?: string): Promise<unknown> {
  const answer = await fetch(`${url}/api/review/list.do`, { headers: headersOf(name, cookie) });
  const body: unknown = await answer.json();
  return typeof body === 'object' && body !== null && 'by' in body ? body.by : body;
}

const other = (side: Side): Side => (side === 'legacy' ? 'service' : 'legacy');

/** The stream has passed a heartbeat that its source took just now. */
async function arrive(source: Side): Promise<void> {
  const server = source === 'legacy' ? sides.legacy : sides.service;
  const target = source === 'legacy' ? sides.service : sides.legacy;
  // Later by more than a replica may be unsure of the source's clock.
  const [row] = await server.query('SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) + 1 AS CHAR) AS at');
  await target.query('REPLACE INTO banyan.banyan_stream (capability, source, source_time) VALUES (?, ?, ?)', [
    reviews,
    source,
    row?.at,
  ]);
}

/** By the statements of a change; the stream opens when it is told to. */
async function change(from: Side, epoch: number, id: bigint): Promise<void> {
  const at = { capability: reviews, owner: from, epoch: BigInt(epoch) };
  await fence.hold(sides.on[from], reviews, id, 4);
  for (const each of [one, two])
    expect(await each.owners.look(reviews, 500)).toMatchObject({
      acknowledged: expect.arrayContaining([String(id)]),
    });
  await fence.turn(sides.on[from], at, { hold: id, turn: id + 1n }, 2);
  expect(await fence.close(sides.on[from], at, id + 1n, other(from))).toEqual({ is: 'rows', rows: 1 });
  await sides.open(other(from), reviews, epoch + 1);
  await fence.removeHold(sides.on[from], reviews, id);
}

test('with the stream behind, who wrote reads from the owner, on both replicas; others read where the flag says', async () => {
  expect(await read(one, 'writer')).toBe('service');
  const pin = await write(one, 'writer');
  expect(pin).toMatch(/^banyan_pin=reviews\.l\.1\.\d{16}$/);
  expect(await read(one, 'writer', pin)).toBe('legacy');
  expect(await read(two, 'writer', pin)).toBe('legacy');
  // Without cookies it is known where it wrote.
  expect(await read(one, 'writer')).toBe('legacy');
  expect(await read(one, 'somebody else')).toBe('service');
  // Of two behind one address, with the same browser, an id tells which it was.
  expect(await read(one, 'writer', `banyan_id=${'a'.repeat(22)}`)).toBe('service');
  await arrive('legacy');
  for (const each of [one, two])
    await until('the stream to be seen', async () => (await read(each, 'writer', pin)) === 'service');
  expect(await one.metric('banyan_facade_own_write_reads_total', { outcome: 'owner' })).toBeGreaterThan(0);
});

test('across the change a pin of before is fresh on who owns now, and one of after is known to a replica that is behind', async () => {
  const before = await write(one, 'writer');
  await change('legacy', 1, 1_001n);
  // Nobody has told the replicas yet: the cookie is of an epoch that they know.
  await two.owners.look(reviews, 0);
  expect(await read(two, 'writer', before)).toBe('service');

  await one.owners.look(reviews, 0);
  const after = await write(one, 'writer');
  expect(after).toMatch(/^banyan_pin=reviews\.s\.2\./);
  expect([legacy.arrived.length, service.arrived.filter(({ method }) => method === 'POST').length]).toEqual([
    1, 1,
  ]);
  expect(await read(two, 'writer', after)).toBe('service');

  // Back again, and the second replica hears of it by the client's cookie alone.
  await change('service', 2, 2_001n);
  await one.owners.look(reviews, 0);
  const back = await write(one, 'writer');
  expect(back).toMatch(/^banyan_pin=reviews\.l\.3\./);
  expect(await read(two, 'writer', back)).toBe('legacy');
  // It read the fences, so it can send, too.
  await until('two to send', () => two.owners.writes.status(reviews)?.state === 'sending');
});

test('a cookie that nobody wrote costs looks at the fences, and moves nobody', async () => {
  expect(await read(one, 'forger', 'banyan_pin=reviews.s.99.1')).toBe('service');
  expect(await read(one, 'forger', 'banyan_pin=reviews.s.1.99999999999999999999')).toBe('service');
  expect(await read(one, 'forger', 'banyan_pin=nonsense')).toBe('service');
});

test('a read that stays on legacy waits for what its client wrote to the service, but not for ever', async () => {
  await change('legacy', 1, 3_001n);
  await one.owners.look(reviews, 0);
  const page = (cookie: string) => fetch(`${one.url}/products/7`, { headers: headersOf('buyer', cookie) });
  const pin = await write(one, 'writer');
  const startedAt = performance.now();
  expect(await (await page(pin)).json()).toEqual({ by: 'legacy' });
  expect(performance.now() - startedAt).toBeGreaterThan(140);
  expect(await one.metric('banyan_facade_own_write_reads_total', { outcome: 'late' })).toBe(1);
  const waiting = page(pin);
  await arrive('service');
  expect((await waiting).status).toBe(200);
  expect(await one.metric('banyan_facade_own_write_reads_total', { outcome: 'waited' })).toBe(1);
});

test('while the service owns and fails, legacy stands in, but not for who would miss an own write', async () => {
  await change('legacy', 1, 4_001n);
  await one.owners.look(reviews, 0);
  const pin = await write(one, 'writer');
  service.answer = (response) => void response.writeHead(500).end();
  expect(await read(one, 'somebody else')).toBe('legacy');
  const failed = await fetch(`${one.url}/api/review/list.do`, { headers: headersOf('writer', pin) });
  expect(failed.status).toBe(502);
  await arrive('service');
  await until('the stream to be seen', async () => (await read(one, 'writer', pin)) === 'legacy');
});

test('who writes through a route of another one reads its own, too', async () => {
  const leaving = await write(one, 'leaver', '/api/member/leave.do');
  expect(leaving).toMatch(/^banyan_pin=reviews\.l\.1\./);
  expect(await read(two, 'leaver', leaving)).toBe('legacy');
});
