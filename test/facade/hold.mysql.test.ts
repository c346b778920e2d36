// Writes wait while their owner changes, and go to who owns then: by the statements of a change on real servers.
import { expect, test } from 'vitest';
import * as fence from '../../capability/fence.ts';
import { until } from '../sync/until.ts';
import type { Replica } from './sides.ts';
import { isHolding, reviews, slowly, state, useWriteStage, write } from './write-stage.ts';

const at = { capability: reviews, owner: 'legacy', epoch: 1n } as const;
const on = useWriteStage();

async function turn(id: bigint): Promise<void> {
  const ids = { hold: id, turn: id + 10_000n };
  expect(await fence.turn(on.sides.on.legacy, at, ids, 2)).toEqual({ is: 'rows', rows: 1 });
}

async function close(id: bigint): Promise<void> {
  expect(await fence.close(on.sides.on.legacy, at, id + 10_000n, 'service')).toEqual({ is: 'rows', rows: 1 });
}

test('held, acknowledged when nothing is in flight, let go when the service is open: none is refused, none lost', async () => {
  const one = await on.running();
  on.legacy.keep();
  const inFlight = write(one);
  await until('the write at legacy', () => on.legacy.waiting() === 1);
  const id = await on.hold();
  expect(await one.owners.look(reviews, 0)).toMatchObject({
    writes: 'holding',
    epoch: '1',
    acknowledged: [],
  });
  const held = [write(one, undefined, 'b=1'), write(one, undefined, 'b=2')];
  await isHolding(one, 2);
  expect(on.legacy.arrived).toHaveLength(1);
  const waiting = one.owners.look(reviews, 1_000);
  on.legacy.letGo();
  expect(await waiting).toMatchObject({ writes: 'holding', acknowledged: [String(id)], held: 2 });
  expect((await inFlight).status).toBe(200);

  await turn(id);
  expect(await one.owners.look(reviews, 0)).toMatchObject({ writes: 'holding', held: 2 });
  await close(id);
  // Closed, and not open: nobody has the writes.
  await fence.removeHold(on.sides.on.legacy, reviews, id);
  expect(await one.owners.look(reviews, 0)).toMatchObject({ writes: 'holding', epoch: '2', held: 2 });
  expect([on.legacy.arrived.length, on.service.arrived.length]).toEqual([1, 0]);

  await on.sides.open('service', reviews, 2);
  expect(await one.owners.look(reviews, 0)).toMatchObject({ writes: 'sending', epoch: '2' });
  for (const answer of await Promise.all(held)) {
    expect([answer.status, await answer.text()]).toEqual([200, '{"resultCode":"0000"}']);
    // As legacy says a write: no validator, nothing of caches.
    expect([answer.headers.get('etag'), answer.headers.get('cache-control')]).toEqual([null, null]);
  }
  expect(on.service.arrived.map(({ body }) => JSON.parse(body).form)).toEqual(['b=1', 'b=2']);
  expect((await write(one)).status).toBe(200);
  expect(on.legacy.arrived).toHaveLength(1);
  expect(state(one)).toMatchObject({ inFlight: 0, held: 0 });
});

test('a hold that runs out by its server’s clock lets all go to on.legacy, in their order, a bounded number at a time', async () => {
  const one = await on.running('--hold-release-max', '4');
  await on.hold('legacy', 1);
  await one.owners.look(reviews, 0);
  const held: Promise<Response>[] = [];
  for (let index = 0; index < 16; index++) {
    held.push(write(one, undefined, `n=${index}`));
    await isHolding(one, index + 1);
  }
  on.legacy.keep();
  await until('the first at legacy', () => on.legacy.waiting() === 4);
  expect(state(one)).toMatchObject({ state: 'sending', inFlight: 4, held: 12 });
  on.legacy.letGo();
  for (const answer of await Promise.all(held)) expect(answer.status).toBe(200);
  const order = on.legacy.arrived.map(({ body }) => Number(body.slice(2)));
  expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 16 }, (_, index) => index));
  // Four at a time arrive in any order among themselves.
  for (const [place, index] of order.entries()) expect(Math.abs(place - index)).toBeLessThan(8);
  expect(await one.metric('banyan_facade_writes_held_total', { capability: reviews })).toBe(16);
  expect(on.service.arrived).toEqual([]);
});

test('what is undone goes back to legacy at the coordinator’s word; a turn in force keeps it, though its hold is gone', async () => {
  const one = await on.running();
  const id = await on.hold();
  await one.owners.look(reviews, 0);
  const held = write(one);
  await isHolding(one, 1);
  await turn(id);
  await fence.removeHold(on.sides.on.legacy, reviews, id);
  expect(await one.owners.look(reviews, 0)).toMatchObject({ writes: 'holding', held: 1 });
  await fence.endTurn(on.sides.on.legacy, at, id + 10_000n);
  expect(await one.owners.look(reviews, 0)).toMatchObject({ writes: 'sending', held: 0 });
  expect((await held).status).toBe(200);
  expect(on.legacy.arrived).toHaveLength(1);
});

test('the hold is bounded in number and age; who leaves makes room; a refused one was not executed', async () => {
  const one = await on.running('--hold-max', '2', '--hold-ms-max', '700');
  await on.hold();
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
  expect(on.legacy.arrived).toEqual([]);
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
    const one = await on.replica();
    held.push(write(one));
    await one.started;
    await isHolding(one, 1);
    booted.push(one);
    const known = await on.sides.legacy.query('SELECT name FROM banyan.replica');
    expect(known.map(({ name }) => name)).toContain(one.owners.replica.name);
  };
  const id = await on.hold();
  await boot();
  await turn(id);
  await boot();
  await close(id);
  await boot();
  await on.sides.open('service', reviews, 2);
  for (const answer of await Promise.all(held)) expect(answer.status).toBe(200);
  expect([on.legacy.arrived.length, on.service.arrived.length]).toEqual([0, 3]);
  const late = await on.running();
  expect((await write(late)).status).toBe(200);
  expect(on.service.arrived).toHaveLength(4);
  for (const each of [...booted, late])
    expect(await each.owners.look(reviews, 0)).toMatchObject({ writes: 'sending', epoch: '2' });
});

test('a facade that was killed is forgotten after a day', async () => {
  await on.sides.legacy.query(
    `INSERT INTO banyan.replica (name, admin_url, beat_at) VALUES
       ('long ago', 'http://127.0.0.1:1', CURRENT_TIMESTAMP(6) - INTERVAL 25 HOUR),
       ('lately', 'http://127.0.0.1:1', CURRENT_TIMESTAMP(6) - INTERVAL 23 HOUR)`,
  );
  const one = await on.running();
  const known = await on.sides.legacy.query('SELECT name FROM banyan.replica');
  expect(known.map(({ name }) => name).sort()).toEqual(['lately', one.owners.replica.name].sort());
  await on.sides.legacy.query("DELETE FROM banyan.replica WHERE name = 'lately'");
});

test('without the control store at boot nothing is registered, so nothing is written; the rest is served', async () => {
  on.sides.control.refuse();
  const one = await on.replica();
  const held = write(one);
  await isHolding(one, 1);
  expect(await (await fetch(`${one.url}/products`)).json()).toEqual({ by: 'legacy' });
  expect((await fetch(`${one.url}/api/order/list.do`, { method: 'POST' })).status).toBe(200);
  expect(await on.sides.legacy.query('SELECT name FROM banyan.replica')).toEqual([]);
  on.sides.control.accept();
  expect((await held).status).toBe(200);
  const name = one.owners.replica.name;
  expect(await on.sides.legacy.query('SELECT name FROM banyan.replica')).toEqual([{ name }]);
  // Later it may go: who sends goes on sending.
  on.sides.control.refuse();
  expect((await write(one)).status).toBe(200);
  on.sides.control.accept();
});

test('a server that cannot be read keeps nobody who sends, and nobody who holds is let go by it', async () => {
  const one = await on.running();
  on.sides.service.relay.refuse();
  on.sides.legacy.relay.refuse();
  await one.owners.view.look();
  expect((await write(one)).status).toBe(200);
  on.sides.legacy.relay.accept();
  await until('legacy to be read again', () => one.owners.view.status().legacy.reachable);
  const id = await on.hold();
  await one.owners.look(reviews, 0);
  const held = write(one);
  await isHolding(one, 1);
  on.sides.legacy.relay.refuse();
  await fence.removeHold(on.sides.on.legacy, reviews, id);
  expect(await one.owners.look(reviews, 0)).toMatchObject({ writes: 'holding', held: 1 });
  on.sides.legacy.relay.accept();
  expect((await held).status).toBe(200);
  on.sides.service.relay.accept();
});

test('a server that hangs keeps the other one’s news back once, for its time limit, and no longer', async () => {
  const one = await on.running();
  on.sides.service.relay.stall();
  await one.owners.view.look();
  expect(one.owners.view.status().service.reachable).toBe(false);
  const id = await on.hold();
  const startedAt = performance.now();
  expect(await one.owners.look(reviews, 0)).toMatchObject({ acknowledged: [String(id)] });
  await fence.removeHold(on.sides.on.legacy, reviews, id);
  expect(await one.owners.look(reviews, 0)).toMatchObject({ writes: 'sending' });
  expect(performance.now() - startedAt).toBeLessThan(1_000);
  on.sides.service.relay.resume();
  await until('the service to be read again', () => one.owners.view.status().service.reachable);
});

test('routes of others that write the capability wait with it, and go to on.legacy, whoever owns', async () => {
  const one = await on.running();
  on.legacy.keep();
  const leave = write(one, '/api/member/leave.do');
  await until('the write at legacy', () => on.legacy.waiting() === 1);
  const id = await on.hold();
  // It counts as in flight for the capability that it writes as well.
  expect(await one.owners.look(reviews, 20)).toMatchObject({ writes: 'holding', acknowledged: [] });
  expect(await one.owners.look('orders', 0)).toMatchObject({ writes: 'sending' });
  on.legacy.letGo();
  await leave;
  const held = [write(one, '/api/member/leave.do'), write(one, '/api/order/cancel.do')];
  await isHolding(one, 2);
  expect(await one.owners.look(reviews, 1_000)).toMatchObject({ acknowledged: [String(id)] });
  await turn(id);
  await close(id);
  await on.sides.open('service', reviews, 2);
  for (const answer of await Promise.all(held)) expect(await answer.json()).toEqual({ by: 'legacy' });
  expect(on.service.arrived).toEqual([]);
  // A write that has no translator cannot be executed by who owns now.
  const untranslated = await write(one, '/api/review/modify.do');
  expect([untranslated.status, await untranslated.json()]).toEqual([
    503,
    { error: { code: 'write_untranslated', message: expect.any(String) } },
  ]);
  expect(state(one)).toMatchObject({ inFlight: 0 });
});

test('a turn that waits for a writer keeps the look for its second at most, and no connection is lost by it', async () => {
  const one = await on.running();
  const id = await on.hold();
  await one.owners.look(reviews, 0);
  const writer = await on.sides.legacy.connect();
  await writer.query(
    "START TRANSACTION; SELECT owner FROM banyan.banyan_fence WHERE capability = 'reviews' LOCK IN SHARE MODE",
  );
  const turning = fence.turn(on.sides.on.legacy, at, { hold: id, turn: id + 10_000n }, 2);
  // Not INNODB_TRX: asked so often, it shows what it showed the first time.
  await until('the turn to wait', async () => {
    const [row] = await on.sides.legacy.query("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'");
    return Number(row?.Value) > 0;
  });
  const startedAt = performance.now();
  expect(await one.owners.look(reviews, 0)).toMatchObject({ writes: 'holding' });
  // A look that has failed takes 2.5 s.
  expect(performance.now() - startedAt).toBeLessThan(2_400);
  expect(await turning).toMatchObject({ is: 'busy' });
  writer.destroy();
  expect(one.owners.view.status().legacy).toEqual({ reachable: true, error: null });
  await fence.removeHold(on.sides.on.legacy, reviews, id);
  expect(await one.owners.look(reviews, 0)).toMatchObject({ writes: 'sending', epoch: '1' });
});
