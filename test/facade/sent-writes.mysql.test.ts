// Writes that have been sent, or are about to be: refused by the fence, slow, lost, left by their client, or the last of a replica.
import { expect, test } from 'vitest';
import * as fence from '../../capability/fence.ts';
import { until } from '../sync/until.ts';
import { isHolding, reviews, slowly, state, useWriteStage, write } from './write-stage.ts';

const on = useWriteStage();

test('a write that the fence has refused waits for the side that has it, and goes there with the same body, once', async () => {
  await on.serviceOwns();
  const one = await on.running();
  // Rolled back, and this replica was left out.
  await on.sides.service.query("UPDATE banyan.banyan_fence SET owner = 'legacy', epoch = 3");
  on.service.answer = (response) => void response.writeHead(409).end('{}');
  const refused = write(one, undefined, 'text=%EB%A6%AC%EB%B7%B0');
  await isHolding(one, 1);
  await on.sides.open('legacy', reviews, 3);
  expect(await (await refused).json()).toEqual({ by: 'legacy' });
  expect([on.legacy.arrived.map(({ body }) => body), on.service.arrived.length]).toEqual([
    ['text=%EB%A6%AC%EB%B7%B0'],
    1,
  ]);
  expect(await one.metric('banyan_facade_refusals_retried_total', { capability: reviews })).toBe(1);
});

test('a side that refuses although its fence names it is asked twice, not for ever', async () => {
  await on.serviceOwns();
  const one = await on.running();
  on.service.answer = (response) => void response.writeHead(409).end('{}');
  expect((await write(one)).status).toBe(503);
  expect([on.legacy.arrived.length, on.service.arrived.length]).toEqual([0, 2]);
  expect(state(one)).toMatchObject({ inFlight: 0 });
});

test.each(['legacy', 'service'] as const)(
  'a write whose answer %s never gave is not sent again',
  async (owner) => {
    if (owner === 'service') await on.serviceOwns();
    const one = await on.running();
    const [asked, other] = owner === 'legacy' ? [on.legacy, on.service] : [on.service, on.legacy];
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
  await on.serviceOwns();
  const one = await on.running('--write-bytes-max', '100');
  const slow = slowly(one, '/api/review/write.do', 3);
  slow.write('a');
  const lost = slowly(one, '/api/review/write.do', 3);
  lost.write('b');
  const id = await on.hold('service');
  expect(await one.owners.look(reviews, 0)).toMatchObject({
    writes: 'holding',
    acknowledged: [String(id)],
  });
  lost.destroy();
  slow.end('=1');
  await isHolding(one, 1);
  expect(on.service.arrived).toEqual([]);
  await fence.removeHold(on.sides.on.service, reviews, id);
  await until('the write at the service', () => on.service.arrived.length === 1);
  expect((await write(one, undefined, 'x'.repeat(101))).status).toBe(413);
  await until('nothing in flight', () => state(one)?.inFlight === 0 && state(one)?.held === 0);
  expect(on.service.arrived).toHaveLength(1);
});

test('a write is waited for at the service as it would be at legacy; where the service hangs, a hold ends that', async () => {
  await on.serviceOwns();
  const one = await on.running('--service-ms-max', '100');
  on.service.keep();
  const slow = write(one);
  await until('the write at the service', () => on.service.waiting() === 1);
  // A read gives up, and legacy answers it: the write, which came first, has waited for longer than that by then.
  const read = await fetch(`${one.url}/api/review/list.do`);
  expect([await read.json(), state(one)]).toMatchObject([{ by: 'legacy' }, { inFlight: 1 }]);
  on.service.letGo();
  expect((await slow).status).toBe(200);

  on.service.keep();
  const hung = write(one);
  await until('the write at the service', () => on.service.waiting() === 1);
  const id = await on.hold('service');
  expect(await one.owners.look(reviews, 3_000)).toMatchObject({ acknowledged: [String(id)] });
  const answer = await hung;
  expect([answer.status, await answer.json()]).toMatchObject([504, { error: { code: 'upstream_timeout' } }]);
  // It may have been executed.
  expect(answer.headers.getSetCookie().join()).toContain('banyan_pin=reviews.s.');
});

test('a client that leaves a write under way at on.legacy, or half sent, leaves nothing in flight', async () => {
  const one = await on.running();
  on.legacy.keep();
  const sent = slowly(one, '/api/review/write.do', 3);
  sent.end('a=1');
  await until('the write at legacy', () => on.legacy.waiting() === 1);
  const half = slowly(one, '/api/review/write.do', 3);
  half.write('a');
  await until('both in flight', () => state(one)?.inFlight === 2);
  sent.destroy();
  half.destroy();
  await until('nothing in flight', () => state(one)?.inFlight === 0);
});

test('a replica that stops in order lets its last write finish, then signs off', async () => {
  const one = await on.running();
  on.legacy.keep();
  const last = write(one);
  await until('the write at legacy', () => on.legacy.waiting() === 1);
  const names = async () => (await on.sides.legacy.query('SELECT name FROM banyan.replica')).length;
  const stopping = one.facade.stop().then(() => one.owners.stop());
  expect(await names()).toBe(1);
  on.legacy.letGo();
  expect((await last).status).toBe(200);
  await stopping;
  expect(await names()).toBe(0);
});
