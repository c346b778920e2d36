// What of a mirrored read counts as a difference: what is there still at a second look, is no noise, and can be compared at all.
import { expect, test } from 'vitest';
import { answering, shadowed } from './test-shadow.ts';

test('what differs is looked at again: only what differs still counts', async () => {
  const [legacy, service] = [answering({ a: 1, b: 1 }, true), answering({ a: 1, b: 1 })];
  let behind = 0;
  await using it = await shadowed({
    legacy: legacy.handler,
    service(request, response) {
      service.body = behind-- > 0 ? { a: 0, b: 0 } : { a: 1, b: service.status === 201 ? 0 : 1 };
      service.handler(request, response);
    },
  });
  behind = 2;
  await it.becomes('settled');
  expect(it.report()).toMatchObject({ compared: 1, equal: 1, different: 0 });
  behind = 2;
  service.status = 201;
  await it.becomes('different');
  expect(it.report()).toMatchObject({ compared: 2, different: 1, paths: [{ path: '$.b', kind: 'value' }] });
});

test('where the owner says something else at each look, the other side may just be behind: that says nothing', async () => {
  const written = (n: number) => ({ total: n, items: [n, n - 1, n - 2].map((id) => ({ id, of: id % 2 })) });
  const [legacy, service] = [answering({}, true), answering({ ...written(0), a: 1 })];
  await using it = await shadowed({
    legacy(request, response) {
      // Asked by the client, for the noise, and three times for what differs: it has been written to before each of these.
      const times = legacy.asked.length;
      legacy.body = { ...written(1 + Math.floor(times / 5) * 3 + Math.max(0, (times % 5) - 1)), a: 1 };
      legacy.handler(request, response);
    },
    service: service.handler,
  });
  for (let n = 0; n < 5; n++) await it.becomes('moving');
  expect(it.report()).toMatchObject({ compared: 0, different: 0, notCompared: 5, noisy: 0, paths: [] });
  service.body = { ...written(0), a: 2 };
  await it.becomes('different');
  expect(it.report()).toMatchObject({ compared: 1, different: 1 });
  expect(it.report()?.paths.map(({ path: place }) => place)).toEqual(['$.a']);
});

test('once the service owns, what it says anew at each look has not arrived at legacy', async () => {
  const [legacy, service] = [answering({ a: 0, b: 1 }, true), answering({})];
  await using it = await shadowed({
    legacy: legacy.handler,
    service(request, response) {
      service.body = { a: 1 + service.asked.length, b: 1 };
      service.handler(request, response);
    },
    owner: 'service',
  });
  await it.becomes('moving');
  legacy.body = { a: 0, b: 2 };
  await it.becomes('different');
  expect(it.report()?.paths.map(({ path: place }) => place)).toEqual(['$.b']);
});

test('what the other side says anew each time counts where the owner does not', async () => {
  const [legacy, service] = [answering({ a: 0 }, true), answering({})];
  await using it = await shadowed({
    legacy: legacy.handler,
    service(request, response) {
      service.body = { a: 1 + service.asked.length };
      service.handler(request, response);
    },
  });
  await it.becomes('different');
  expect(it.report()).toMatchObject({ compared: 1, different: 1, paths: [{ path: '$.a' }] });
});

test('what legacy says differently each time is noise, and no difference', async () => {
  const [legacy, service] = [answering({}, true), answering({ now: 0, a: 1 })];
  await using it = await shadowed({
    legacy(request, response) {
      legacy.body = { now: Math.random(), a: 1 };
      legacy.handler(request, response);
    },
    service: service.handler,
  });
  for (let n = 0; n < 10; n++) await it.becomes('different');
  expect(it.report()).toMatchObject({ compared: 10, equal: 0, different: 0, repeated: 10, noisy: 10 });
  service.body = { now: 0, a: 2 };
  await it.becomes('different');
  expect(it.report()).toMatchObject({ compared: 11, different: 1 });
});

test('an answer that is of no use differs; a side that does not answer is not compared', async () => {
  const [legacy, service] = [answering({ a: 1 }, true), answering({ spoiled: true })];
  await using it = await shadowed({ legacy: legacy.handler, service: service.handler });
  await it.becomes('different');
  service.status = 500;
  await it.becomes('different');
  expect(it.report()?.paths).toMatchObject([
    { path: '(answer)', kind: 'fault', count: 2, example: { legacy: '200', service: 'status' } },
  ]);
  it.service.server.close();
  it.service.server.closeAllConnections();
  await it.becomes('failed');
  expect(it.report()).toMatchObject({ compared: 2, notCompared: 1 });
});

test('a fall-back is compared where the service did answer, and not where it was lost', async () => {
  const [legacy, service] = [answering({ a: 1 }, true), answering({ spoiled: true })];
  await using it = await shadowed({ legacy: legacy.handler, service: service.handler, reads: 100 });
  expect((await it.becomes('different')).status).toBe(200);
  expect(it.report()?.paths).toMatchObject([{ path: '(answer)', example: { service: 'translation' } }]);
  it.service.server.close();
  it.service.server.closeAllConnections();
  expect((await it.becomes('abandoned')).status).toBe(200);
  expect(it.report()).toMatchObject({ compared: 1, notCompared: 0 });
});
