// Writes wait while their owner changes, and go to who owns then: by the statements of a change on real servers.
import { type ClientRequest, request } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import * as fence from '../../capability/fence.ts';
import { until } from '../sync/until.ts';
import { type Replica, type Sides, startReplica, startSides, startUpstream, type Upstream } from './sides.ts';

const reviews = 'reviews';
const at = { capability: reviews, owner: 'legacy', epoch: 1n } as const;
const form = { 'content-type': 'application/x-www-form-urlencoded' };

let sides: Sides;
let legacy: Upstream;
let service: Upstream;
let replicas: Replica[] = [];
let number = 100n;

beforeAll(async () => {
  sides = await startSides();
});
afterAll(() => sides?.[Symbol.asyncDispose]());
beforeEach(async () => {
  await sides.reset(['reviews', 'orders']);
  legacy = await startUpstream('legacy');
  service = await startUpstream('service');
});
afterEach(async () => {
  legacy.letGo();
  service.letGo();
  await Promise.all(replicas.map((each) => each[Symbol.asyncDispose]()));
  replicas = [];
  await legacy[Symbol.asyncDispose]();
  await service[Symbol.asyncDispose]();
});

async function replica(...words: string[]): Promise<Replica> {
  const started = await startReplica(sides, { legacy, service }, words);
  replicas.push(started);
  return started;
}

/** One that has registered, looked, and sends. */
async function running(...words: string[]): Promise<Replica> {
  const started = await replica(...words);
  await started.started;
  expect(state(started)).toMatchObject({ state: 'sending' });
  return started;
}

const state = ({ owners }: Replica, capability = reviews) => owners.writes.status(capability);
const write = ({ url }: Replica, path = '/api/review/write.do', body = 'a=1') =>
  fetch(url + path, { method: 'POST', headers: form, body });
const isHolding = (one: Replica, held: number) =>
  until(`${held} held`, () => state(one)?.held === held && state(one)?.state !== 'sending');

async function hold(seconds = 4): Promise<bigint> {
  number += 1n;
  expect(await fence.hold(sides.on.legacy, reviews, number, seconds)).toEqual({ is: 'rows', rows: 1 });
  return number;
}

async function turn(id: bigint): Promise<void> {
  const ids = { hold: id, turn: id + 10_000n };
  expect(await fence.turn(sides.on.legacy, at, ids, 2)).toEqual({ is: 'rows', rows: 1 });
}

async function close(id: bigint): Promise<void> {
  expect(await fence.close(sides.on.legacy, at, id + 10_000n, 'service')).toEqual({ is: 'rows', rows: 1 });
}

/** A request of which the test sends the body, and which it may leave. */
function slowly(one: Replica, path: string, length: number): ClientRequest {
  const sent = request(one.url + path, { method: 'POST', headers: { ...form, 'content-length': length } });
  sent.on('error', () => undefined);
  sent.flushHeaders();
  return sent;
}

test('held, acknowledged when nothing is in flight, let go when the service is open: none is refused, none lost', async () => {
  const one = await running();
  legacy.keep();
  const inFlight = write(one);
  await until('the write at legacy', () => legacy.waiting() === 1);
  const id = await hold();
  expect(await one.owners.look(reviews, 0)).toMatchObject({
    writes: 'holding',
    epoch: '1',
    acknowledged: [],
  });
  const held = [write(one, undefined, 'b=1'), write(one, undefined, 'b=2')];
  await isHolding(one, 2);
  expect(legacy.arrived).toHaveLength(1);
  const waiting = one.owners.look(reviews, 1_000);
  legacy.letGo();
  expect(await waiting).toMatchObject({ writes: 'holding', acknowledged: [String(id)], held: 2 });
  expect((await inFlight).status).toBe(200);

  await turn(id);
  expect(await one.owners.look(reviews, 0)).toMatchObject({ writes: 'holding', held: 2 });
  await close(id);
  // Closed, and not open: nobody has the writes.
  await fence.removeHold(sides.on.legacy, reviews, id);
  expect(await one.owners.look(reviews, 0)).toMatchObject({ writes: 'holding', epoch: '2', held: 2 });
  expect([legacy.arrived.length, service.arrived.length]).toEqual([1, 0]);

  await sides.open('service', reviews, 2);
  expect(await one.owners.look(reviews, 0)).toMatchObject({ writes: 'sending', epoch: '2' });
  for (const answer of await Promise.all(held)) {
    expect([answer.status, await answer.text()]).toEqual([200, '{"resultCode":"0000"}']);
    // As legacy says a write: no validator, nothing of caches.
    expect([answer.headers.get('etag'), answer.headers.get('cache-control')]).toEqual([null, null]);
  }
  expect(service.arrived.map(({ body }) => JSON.parse(body).form)).toEqual(['b=1', 'b=2']);
  expect((await write(one)).status).toBe(200);
  expect(legacy.arrived).toHaveLength(1);
  expect(state(one)).toMatchObject({ inFlight: 0, held: 0 });
});

test('a hold that runs out by its server’s clock lets all go to legacy, in their order, a bounded number at a time', async () => {
  const one = await running('--hold-release-max', '4');
  await hold(1);
  await one.owners.look(reviews, 0);
  const held: Promise<Response>[] = [];
  for (let index = 0; index < 16; index++) {
    held.push(write(one, undefined, `n=${index}`));
    await isHolding(one, index + 1);
  }
  legacy.keep();
  await until('the first at legacy', () => legacy.waiting() === 4);
  expect(state(one)).toMatchObject({ state: 'sending', inFlight: 4, held: 12 });
  legacy.letGo();
  for (const answer of await Promise.all(held)) expect(answer.status).toBe(200);
  const order = legacy.arrived.map(({ body }) => Number(body.slice(2)));
  expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 16 }, (_, index) => index));
  // Four at a time arrive in any order among themselves.
  for (const [place, index] of order.entries()) expect(Math.abs(place - index)).toBeLessThan(8);
  expect(await one.metric('banyan_facade_writes_held_total', { capability: reviews })).toBe(16);
  expect(service.arrived).toEqual([]);
});

test('what is undone goes back to legacy at the coordinator’s word; a turn in force keeps it, though its hold is gone', async () => {
  const one = await running();
  const id = await hold();
  await one.owners.look(reviews, 0);
  const held = write(one);
  await isHolding(one, 1);
  await turn(id);
  await fence.removeHold(sides.on.legacy, reviews, id);
  expect(await one.owners.look(reviews, 0)).toMatchObject({ writes: 'holding', held: 1 });
  await fence.endTurn(sides.on.legacy, at, id + 10_000n);
  expect(await one.owners.look(reviews, 0)).toMatchObject({ writes: 'sending', held: 0 });
  expect((await held).status).toBe(200);
  expect(legacy.arrived).toHaveLength(1);
});

test('the hold is bounded in number and age; who leaves makes room; a refused one was not executed', async () => {
  const one = await running('--hold-max', '2', '--hold-ms-max', '700');
  await hold();
  await one.owners.look(reviews, 0);
  const leaving = slowly(one, '/api/review/write.do', 3);
  await isHolding(one, 1);
  const second = write(one);
  await isHolding(one, 2);
  const third = await write(one);
  expect([third.status, third.headers.get('retry-after'), await third.json()]).toEqual([
    503,
    '2',
    { error: { code: 'write_held', message: expect.any(String) } },
  ]);
  leaving.destroy();
  await isHolding(one, 1);
  const fourth = write(one);
  await isHolding(one, 2);
  expect((await second).status).toBe(503);
  expect((await fourth).status).toBe(503);
  expect(state(one)).toMatchObject({ state: expect.not.stringMatching('sending'), inFlight: 0, held: 0 });
  expect(legacy.arrived).toEqual([]);
  for (const [outcome, count] of [
    ['gone', 1],
    ['refused', 2],
    ['entered', 0],
  ] as const) {
    const metric = await one.metrics.registry.getSingleMetric('banyan_facade_hold_seconds')?.get();
    const found = metric?.values.find(
      (value) =>
        'metricName' in value &&
        value.metricName === 'banyan_facade_hold_seconds_count' &&
        value.labels.outcome === outcome,
    );
    expect([outcome, found?.value ?? 0]).toEqual([outcome, count]);
  }
});

test('a replica that boots in any step holds until a side has the writes, and is registered before', async () => {
  const booted: Replica[] = [];
  const held: Promise<Response>[] = [];
  const boot = async () => {
    const one = await replica();
    held.push(write(one));
    await one.started;
    await isHolding(one, 1);
    booted.push(one);
    const known = await sides.legacy.query('SELECT name FROM banyan.replica');
    expect(known.map(({ name }) => name)).toContain(one.owners.replica.name);
  };
  const id = await hold();
  await boot();
  await turn(id);
  await boot();
  await close(id);
  await boot();
  await sides.open('service', reviews, 2);
  for (const answer of await Promise.all(held)) expect(answer.status).toBe(200);
  expect([legacy.arrived.length, service.arrived.length]).toEqual([0, 3]);
  const late = await running();
  expect((await write(late)).status).toBe(200);
  expect(service.arrived).toHaveLength(4);
  for (const each of [...booted, late])
    expect(await each.owners.look(reviews, 0)).toMatchObject({ writes: 'sending', epoch: '2' });
});

test('a facade that was killed is forgotten after a day', async () => {
  await sides.legacy.query(
    `INSERT INTO banyan.replica (name, admin_url, beat_at) VALUES
       ('long ago', 'http://127.0.0.1:1', CURRENT_TIMESTAMP(6) - INTERVAL 25 HOUR),
       ('lately', 'http://127.0.0.1:1', CURRENT_TIMESTAMP(6) - INTERVAL 23 HOUR)`,
  );
  const one = await running();
  const known = await sides.legacy.query('SELECT name FROM banyan.replica');
  expect(known.map(({ name }) => name).sort()).toEqual(['lately', one.owners.replica.name].sort());
  await sides.legacy.query("DELETE FROM banyan.replica WHERE name = 'lately'");
});

test('without the control store at boot nothing is registered, so nothing is written; the rest is served', async () => {
  sides.control.refuse();
  const one = await replica();
  const held = write(one);
  await isHolding(one, 1);
  expect(await (await fetch(`${one.url}/products`)).json()).toEqual({ by: 'legacy' });
  expect((await fetch(`${one.url}/api/order/list.do`, { method: 'POST' })).status).toBe(200);
  expect(await sides.legacy.query('SELECT name FROM banyan.replica')).toEqual([]);
  sides.control.accept();
  expect((await held).status).toBe(200);
  const name = one.owners.replica.name;
  expect(await sides.legacy.query('SELECT name FROM banyan.replica')).toEqual([{ name }]);
  // Later it may go: who sends goes on sending.
  sides.control.refuse();
  expect((await write(one)).status).toBe(200);
  sides.control.accept();
});

test('a server that cannot be read keeps nobody who sends, and nobody who holds is let go by it', async () => {
  const one = await running();
  sides.service.relay.refuse();
  sides.legacy.relay.refuse();
  await one.owners.view.look();
  expect((await write(one)).status).toBe(200);
  sides.legacy.relay.accept();
  await until('legacy to be read again', () => one.owners.view.status().legacy.reachable);
  const id = await hold();
  await one.owners.look(reviews, 0);
  const held = write(one);
  await isHolding(one, 1);
  sides.legacy.relay.refuse();
  await fence.removeHold(sides.on.legacy, reviews, id);
  expect(await one.owners.look(reviews, 0)).toMatchObject({ writes: 'holding', held: 1 });
  sides.legacy.relay.accept();
  expect((await held).status).toBe(200);
  sides.service.relay.accept();
});

test('a server that hangs keeps the other one’s news back once, for its time limit, and no longer', async () => {
  const one = await running();
  sides.service.relay.stall();
  await one.owners.view.look();
  expect(one.owners.view.status().service.reachable).toBe(false);
  const id = await hold();
  const startedAt = performance.now();
  expect(await one.owners.look(reviews, 0)).toMatchObject({ acknowledged: [String(id)] });
  await fence.removeHold(sides.on.legacy, reviews, id);
  expect(await one.owners.look(reviews, 0)).toMatchObject({ writes: 'sending' });
  expect(performance.now() - startedAt).toBeLessThan(1_000);
  sides.service.relay.resume();
  await until('the service to be read again', () => one.owners.view.status().service.reachable);
});

test('routes of others that write the capability wait with it, and go to legacy, whoever owns', async () => {
  const one = await running();
  legacy.keep();
  const leave = write(one, '/api/member/leave.do');
  await until('the write at legacy', () => legacy.waiting() === 1);
  const id = await hold();
  // It counts as in flight for the capability that it writes as well.
  expect(await one.owners.look(reviews, 20)).toMatchObject({ writes: 'holding', acknowledged: [] });
  expect(await one.owners.look('orders', 0)).toMatchObject({ writes: 'sending' });
  legacy.letGo();
  await leave;
  const held = [write(one, '/api/member/leave.do'), write(one, '/api/order/cancel.do')];
  await isHolding(one, 2);
  expect(await one.owners.look(reviews, 1_000)).toMatchObject({ acknowledged: [String(id)] });
  await turn(id);
  await close(id);
  await sides.open('service', reviews, 2);
  for (const answer of await Promise.all(held)) expect(await answer.json()).toEqual({ by: 'legacy' });
  expect(service.arrived).toEqual([]);
  // A write that has no translator cannot be executed by who owns now.
  const untranslated = await write(one, '/api/review/modify.do');
  expect([untranslated.status, await untranslated.json()]).toEqual([
    503,
    { error: { code: 'write_untranslated', message: expect.any(String) } },
  ]);
  expect(state(one)).toMatchObject({ inFlight: 0 });
});

test('a write that the fence has refused waits for the side that has it, and goes there with the same body, once', async () => {
  await sides.legacy.query("UPDATE banyan.banyan_fence SET owner = 'service', epoch = 2");
  await sides.service.query("UPDATE banyan.banyan_fence SET owner = 'service', epoch = 2");
  const one = await running();
  // Rolled back, and this replica was left out.
  await sides.service.query("UPDATE banyan.banyan_fence SET owner = 'legacy', epoch = 3");
  service.answer = (response) => void response.writeHead(409).end('{}');
  const refused = write(one, undefined, 'text=%EB%A6%AC%EB%B7%B0');
  await isHolding(one, 1);
  await sides.open('legacy', reviews, 3);
  expect(await (await refused).json()).toEqual({ by: 'legacy' });
  expect([legacy.arrived.map(({ body }) => body), service.arrived.length]).toEqual([
    ['text=%EB%A6%AC%EB%B7%B0'],
    1,
  ]);
  expect(await one.metric('banyan_facade_refusals_retried_total', { capability: reviews })).toBe(1);
});

test('a side that refuses although its fence names it is asked twice, not for ever', async () => {
  await sides.legacy.query("UPDATE banyan.banyan_fence SET owner = 'service', epoch = 2");
  await sides.service.query("UPDATE banyan.banyan_fence SET owner = 'service', epoch = 2");
  const one = await running();
  service.answer = (response) => void response.writeHead(409).end('{}');
  expect((await write(one)).status).toBe(503);
  expect([legacy.arrived.length, service.arrived.length]).toEqual([0, 2]);
  expect(state(one)).toMatchObject({ inFlight: 0 });
});

test.each(['legacy', 'service'] as const)(
  'a write whose answer %s never gave is not sent again',
  async (owner) => {
    if (owner === 'service')
      for (const side of [sides.legacy, sides.service])
        await side.query("UPDATE banyan.banyan_fence SET owner = 'service', epoch = 2");
    const one = await running();
    const [asked, other] = owner === 'legacy' ? [legacy, service] : [service, legacy];
    asked.answer = (response) => void response.socket?.destroy();
    const answer = await write(one);
    expect([answer.status, await answer.json()]).toEqual([
      502,
      { error: { code: 'upstream_failed', message: expect.any(String) } },
    ]);
    expect([asked.arrived.length, other.arrived.length]).toEqual([1, 0]);
    expect(state(one)).toMatchObject({ inFlight: 0 });
    // It may have been executed: its client reads where it was sent.
    expect(answer.headers.getSetCookie().join()).toContain(`banyan_pin=reviews.${owner[0]}.`);
  },
);

test('a slow or lost client keeps no change waiting once the service owns; a body that is too large is refused', async () => {
  for (const side of [sides.legacy, sides.service])
    await side.query("UPDATE banyan.banyan_fence SET owner = 'service', epoch = 2");
  const one = await running('--write-bytes-max', '100');
  const slow = slowly(one, '/api/review/write.do', 3);
  slow.write('a');
  const lost = slowly(one, '/api/review/write.do', 3);
  lost.write('b');
  number += 1n;
  await fence.hold(sides.on.service, reviews, number, 4);
  expect(await one.owners.look(reviews, 0)).toMatchObject({
    writes: 'holding',
    acknowledged: [String(number)],
  });
  lost.destroy();
  slow.end('=1');
  await isHolding(one, 1);
  expect(service.arrived).toEqual([]);
  await fence.removeHold(sides.on.service, reviews, number);
  await until('the write at the service', () => service.arrived.length === 1);
  expect((await write(one, undefined, 'x'.repeat(101))).status).toBe(413);
  await until('nothing in flight', () => state(one)?.inFlight === 0 && state(one)?.held === 0);
  expect(service.arrived).toHaveLength(1);
});

test('a write is waited for at the service as it would be at legacy; where the service hangs, a hold ends that', async () => {
  for (const side of [sides.legacy, sides.service])
    await side.query("UPDATE banyan.banyan_fence SET owner = 'service', epoch = 2");
  const one = await running('--service-ms-max', '100');
  service.keep();
  const slow = write(one);
  await until('the write at the service', () => service.waiting() === 1);
  // A read gives up, and legacy answers it: the write, which came first, has waited for longer than that by then.
  const read = await fetch(`${one.url}/api/review/list.do`);
  expect([await read.json(), state(one)]).toMatchObject([{ by: 'legacy' }, { inFlight: 1 }]);
  service.letGo();
  expect((await slow).status).toBe(200);

  service.keep();
  const hung = write(one);
  await until('the write at the service', () => service.waiting() === 1);
  number += 1n;
  await fence.hold(sides.on.service, reviews, number, 4);
  expect(await one.owners.look(reviews, 3_000)).toMatchObject({ acknowledged: [String(number)] });
  const answer = await hung;
  expect([answer.status, await answer.json()]).toMatchObject([504, { error: { code: 'upstream_timeout' } }]);
  // It may have been executed.
  expect(answer.headers.getSetCookie().join()).toContain('banyan_pin=reviews.s.');
});

test('a client that leaves a write under way at legacy, or half sent, leaves nothing in flight', async () => {
  const one = await running();
  legacy.keep();
  const sent = slowly(one, '/api/review/write.do', 3);
  sent.end('a=1');
  await until('the write at legacy', () => legacy.waiting() === 1);
  const half = slowly(one, '/api/review/write.do', 3);
  half.write('a');
  await until('both in flight', () => state(one)?.inFlight === 2);
  sent.destroy();
  half.destroy();
  await until('nothing in flight', () => state(one)?.inFlight === 0);
});

test('a turn that waits for a writer keeps the look for its second at most, and no connection is lost by it', async () => {
  const one = await running();
  const id = await hold();
  await one.owners.look(reviews, 0);
  const writer = await sides.legacy.connect();
  await writer.query(
    "START TRANSACTION; SELECT owner FROM banyan.banyan_fence WHERE capability = 'reviews' LOCK IN SHARE MODE",
  );
  const turning = fence.turn(sides.on.legacy, at, { hold: id, turn: id + 10_000n }, 2);
  // Not INNODB_TRX: asked so often, it shows what it showed the first time.
  await until('the turn to wait', async () => {
    const [row] = await sides.legacy.query("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'");
    return Number(row?.Value) > 0;
  });
  const startedAt = performance.now();
  expect(await one.owners.look(reviews, 0)).toMatchObject({ writes: 'holding' });
  expect(performance.now() - startedAt).toBeLessThan(2_000);
  expect(await turning).toMatchObject({ is: 'busy' });
  writer.destroy();
  expect(one.owners.view.status().legacy).toEqual({ reachable: true, error: null });
  await fence.removeHold(sides.on.legacy, reviews, id);
  expect(await one.owners.look(reviews, 0)).toMatchObject({ writes: 'sending', epoch: '1' });
});

test('a replica that stops in order lets its last write finish, then signs off', async () => {
  const one = await running();
  legacy.keep();
  const last = write(one);
  await until('the write at legacy', () => legacy.waiting() === 1);
  const names = async () => (await sides.legacy.query('SELECT name FROM banyan.replica')).length;
  const stopping = one.facade.stop().then(() => one.owners.stop());
  expect(await names()).toBe(1);
  legacy.letGo();
  expect((await last).status).toBe(200);
  await stopping;
  expect(await names()).toBe(0);
});
