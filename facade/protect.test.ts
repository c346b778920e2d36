// What happens to clients when an upstream fails, is slow, or has several instances: through a whole facade.

import { once } from 'node:events';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { expect, test } from 'vitest';
import type { ReadRoute, WriteRoute } from '../capability/capability.ts';
import type { Limits } from './limits.ts';
import { startDns } from './test-dns.ts';
import { startFacade, type TestFacade, type TestServer, until, upstream } from './test-servers.ts';
import type { OwnerWrites } from './writes.ts';

const isError = ({ body }: { body: unknown }) =>
  typeof body === 'object' && body !== null && 'broken' in body && body.broken === true;

const read: ReadRoute = {
  method: 'GET',
  path: '/api/list.do',
  kind: 'read',
  safe: true,
  isError,
  translate: {
    request: () => ({ ask: { path: '/things' } }),
    response: ({ status, body }) => ({ status, body }),
  },
};

const write: WriteRoute = {
  method: 'POST',
  path: '/api/write.do',
  kind: 'write',
  translate: {
    request: () => ({ ask: { method: 'POST', path: '/things', body: {} } }),
    response: ({ status, body }) => ({ status, body }),
  },
};

/** Writes of which the service is owner. */
const toService: OwnerWrites['group'] = () => ({
  enter: () => ({ is: 'entered', to: 'service' }),
  leave: () => {},
  changingMs: () => 0,
});
const serviceOwns: Parameters<typeof startFacade>[0]['owners'] = {
  view: {
    owner: () => undefined,
    side: () => undefined,
    latest: () => undefined,
    look: async () => {},
    refresh: async () => {},
  },
  writes: { group: toService },
} as never;

const legacyAnswers: RequestListener = (_request, response) => void response.end('{"by":"legacy"}');
const json = (response: ServerResponse, body: unknown, status = 200) =>
  void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));

type Said = { readonly status: number; readonly code: string | undefined; readonly by: string | undefined };

async function ask(facade: TestFacade, path: string, init: RequestInit = {}): Promise<Said> {
  const response = await fetch(facade.url + path, init);
  const body = (await response.json()) as { by?: string; error?: { code: string } };
  return { status: response.status, code: body.error?.code, by: body.by };
}
const list = (facade: TestFacade) => ask(facade, '/api/list.do');
const many = (count: number, one: () => Promise<Said>) => Promise.all(Array.from({ length: count }, one));

const leftAlone = {
  breakerFailuresMax: 4,
  breakerOpenMs: 60_000,
  breakerOpenMsMax: 60_000,
  breakerProbes: 2,
};
const breakerOf = (facade: TestFacade, name = 'reviews') =>
  facade.facade.upstreams().find((each) => each.name === name)?.breaker.state;

/** One that counts what arrives, and may be told to behave otherwise. */
async function counting(name: string, initially?: RequestListener) {
  let arrived = 0;
  const usual: RequestListener = (request, response) => {
    request.resume().once('end', () => json(response, { by: name }));
  };
  const server: TestServer & { answer: RequestListener; arrived(): number } = Object.assign(
    await upstream((request: IncomingMessage, response) => {
      arrived += 1;
      server.answer(request, response);
    }),
    { answer: initially ?? usual, arrived: () => arrived },
  );
  return Object.assign(server, { usual });
}

const failing = (service: TestServer, legacy: TestServer, limits: Partial<Limits>) =>
  startFacade({ legacy: legacy.url, service: service.url, routes: [read], limits });

test.each<[string, RequestListener]>([
  ['5xx', (_request, response) => json(response, {}, 503)],
  ['errors inside 200', (_request, response) => json(response, { broken: true })],
  ['lost connections', (request) => request.socket.destroy()],
])("a service that fails by %s is left alone, and its safe reads are legacy's", async (_how, fails) => {
  await using legacy = await upstream(legacyAnswers);
  await using service = await counting('service', fails);
  await using facade = await failing(service, legacy, leftAlone);
  for (let i = 0; i < 4; i++) await list(facade);
  expect([service.arrived(), breakerOf(facade)]).toEqual([4, 'open']);
  const said = await many(20, () => list(facade));
  expect(said).toEqual(Array(20).fill({ status: 200, code: undefined, by: 'legacy' }));
  expect(service.arrived()).toBe(4);
  expect(await facade.metric('banyan_facade_fallbacks_total', { reason: 'breaker' })).toBe(20);
  expect(await facade.metric('banyan_facade_breaker_turns_total', { upstream: 'reviews' })).toBe(1);
});

test('probes find a service well again, and say why it was not', async () => {
  await using legacy = await upstream(legacyAnswers);
  await using service = await counting('service', (_request, response) => json(response, {}, 503));
  await using facade = await failing(service, legacy, {
    ...leftAlone,
    breakerOpenMs: 100,
    breakerOpenMsMax: 200,
  });
  for (let i = 0; i < 4; i++) await list(facade);
  await until(() => breakerOf(facade) === 'half-open', 'the time to probe');
  expect((await list(facade)).by).toBe('legacy');
  expect(service.arrived()).toBe(5);
  service.answer = service.usual;
  await until(async () => (await list(facade)).by === 'service', 'the service to be asked again');
  await until(async () => {
    await list(facade);
    return breakerOf(facade) === 'closed';
  }, 'it to close');
  expect(facade.facade.upstreams().find(({ name }) => name === 'reviews')?.breaker.turns).toMatchObject([
    { to: 'open', why: '4 failures in a row' },
    { to: 'open', why: 'a probe failed' },
    { to: 'closed' },
  ]);
}, 20_000);

test('a write to a service whose breaker is open is refused with Retry-After, and was not executed', async () => {
  await using legacy = await upstream(legacyAnswers);
  await using service = await counting('service', (_request, response) => json(response, {}, 502));
  await using facade = await startFacade({
    legacy: legacy.url,
    service: service.url,
    routes: [read, write],
    owners: serviceOwns,
    limits: leftAlone,
  });
  const post = () => ask(facade, '/api/write.do', { method: 'POST', body: 'a=1' });
  for (let i = 0; i < 4; i++) expect((await post()).code).toBe('upstream_failed');
  const refused = await fetch(`${facade.url}/api/write.do`, { method: 'POST', body: 'a=1' });
  expect([refused.status, refused.headers.get('retry-after'), await refused.json()]).toMatchObject([
    503,
    '2',
    { error: { code: 'breaker_open' } },
  ]);
  expect(refused.headers.get('set-cookie') ?? '').not.toMatch(/banyan_pin/);
  expect(service.arrived()).toBe(4);
});

test('a slow service takes no more than its bounds: reads beyond fall back, legacy stays as fast as it was', async () => {
  await using legacy = await upstream(legacyAnswers);
  const kept: ServerResponse[] = [];
  await using service = await counting('service', (_request, response) => void kept.push(response));
  await using facade = await startFacade({
    legacy: legacy.url,
    service: { origins: [service.url], inFlightMax: 5 },
    routes: [read],
    limits: { upstreamQueueMax: 10, upstreamQueueMsMax: 100, serviceMsMax: 60_000 },
  });
  const stuck = many(5, () => list(facade));
  await until(() => kept.length === 5, 'five under way');
  const beyond = await many(100, () => list(facade));
  expect(beyond.every(({ by }) => by === 'legacy')).toBe(true);
  expect(service.arrived()).toBe(5);
  const open = await new Promise<number>((resolve) =>
    service.server.getConnections((_error, count) => resolve(count)),
  );
  expect(open).toBeLessThanOrEqual(5);
  expect(await facade.metric('banyan_facade_fallbacks_total', { reason: 'busy' })).toBe(100);
  expect(await facade.metric('banyan_facade_turned_away_total', { why: 'busy' })).toBe(100);
  expect((await many(50, () => ask(facade, '/other'))).every(({ status }) => status === 200)).toBe(true);
  for (const response of kept) json(response, { by: 'service' });
  expect((await stuck).every(({ by }) => by === 'service')).toBe(true);
  service.answer = service.usual;
  expect((await list(facade)).by).toBe('service');
});

test('what legacy has no room for waits for a moment, then gets 503 with Retry-After; an upload that waits is not read', async () => {
  const kept: ServerResponse[] = [];
  await using legacy = await upstream((_request, response) => void kept.push(response));
  await using facade = await startFacade({
    legacy: { origins: [legacy.url], inFlightMax: 1 },
    limits: { upstreamQueueMax: 1, upstreamQueueMsMax: 200 },
  });
  const first = ask(facade, '/a');
  await until(() => kept.length === 1, 'the first');
  const second = fetch(`${facade.url}/b`, { method: 'POST', body: 'x'.repeat(1_000) });
  await until(() => facade.facade.upstreams()[0]?.waiting === 1, 'one that waits');
  const third = await fetch(`${facade.url}/c`);
  expect([third.status, third.headers.get('retry-after')]).toEqual([503, '1']);
  const late = await second;
  expect([late.status, await late.json()]).toMatchObject([503, { error: { code: 'upstream_busy' } }]);
  const next = ask(facade, '/d');
  for (const response of kept) json(response, { by: 'legacy' });
  expect((await first).by).toBe('legacy');
  await until(() => kept.length === 2, 'the next');
  for (const response of kept.slice(1)) json(response, { by: 'legacy' });
  expect((await next).by).toBe('legacy');
});

test('a slow instance gets less than a quick one', async () => {
  await using legacy = await upstream(legacyAnswers);
  await using slow = await counting('slow', (_request, response) => {
    setTimeout(() => json(response, { by: 'slow' }), 400);
  });
  await using quickOne = await counting('quick');
  await using facade = await startFacade({
    legacy: legacy.url,
    service: [slow.url, quickOne.url],
    routes: [read],
  });
  let left = 200;
  const client = async () => {
    while (left-- > 0) expect((await list(facade)).status).toBe(200);
  };
  await Promise.all(Array.from({ length: 8 }, client));
  expect(slow.arrived()).toBeGreaterThan(0);
  expect(quickOne.arrived()).toBeGreaterThan(slow.arrived() * 2);
});

/** A port that refuses, and will not be another's meanwhile. */
async function refusing(): Promise<string> {
  const server = await upstream(() => {});
  await server[Symbol.asyncDispose]();
  return server.url;
}

test('an instance that refuses connections costs no request: whatever it is goes to another one, once', async () => {
  await using a = await counting('a');
  await using service = await counting('service');
  const gone = await refusing();
  await using facade = await startFacade({
    legacy: [gone, a.url],
    service: [await refusing(), service.url],
    routes: [read, write],
    owners: serviceOwns,
    limits: { ejectFailuresMax: 3, ejectMs: 60_000 },
  });
  for (let i = 0; i < 10; i++) {
    expect(await ask(facade, '/plain')).toMatchObject({ status: 200, by: 'a' });
    expect(await ask(facade, '/post', { method: 'POST', body: 'x'.repeat(i * 30_000) })).toMatchObject({
      by: 'a',
    });
    expect(await list(facade)).toMatchObject({ by: 'service' });
    expect(await ask(facade, '/api/write.do', { method: 'POST', body: 'x' })).toMatchObject({
      by: 'service',
    });
  }
  expect([a.arrived(), service.arrived()]).toEqual([20, 20]);
  expect(await facade.metric('banyan_facade_ejections_total', { upstream: 'legacy' })).toBe(1);
  const [legacy] = facade.facade.upstreams();
  expect(legacy?.instances.map(({ origin, up }) => [origin, up])).toEqual([
    [gone, false],
    [a.url, true],
  ]);
  expect(await facade.metric('banyan_facade_fallbacks_total')).toBe(0);
});

test('what may have been executed is sent to no other instance; a safe read that was lost is', async () => {
  const executed: string[] = [];
  const dies: RequestListener = (request) => {
    executed.push(request.method ?? '');
    request.socket.destroy();
  };
  await using a = await counting('a', dies);
  await using b = await counting('b', dies);
  await using facade = await startFacade({
    legacy: [a.url, b.url],
    service: [a.url, b.url],
    routes: [{ ...read, safe: false, path: '/unsafe.do' }, read, write],
    owners: serviceOwns,
    limits: { breakerFailuresMax: 0, breakerPercentMax: 0, ejectFailuresMax: 0 },
  });
  expect(await ask(facade, '/plain', { method: 'POST', body: 'x' })).toMatchObject({ status: 502 });
  expect(await ask(facade, '/plain')).toMatchObject({ status: 502 });
  expect(await ask(facade, '/api/write.do', { method: 'POST', body: 'x' })).toMatchObject({ status: 502 });
  expect(await ask(facade, '/unsafe.do')).toMatchObject({ status: 502 });
  expect(executed).toEqual(['POST', 'GET', 'POST', 'GET']);
  b.answer = b.usual;
  a.answer = dies;
  executed.length = 0;
  for (let i = 0; i < 6; i++) expect(await list(facade)).toMatchObject({ status: 200, by: 'b' });
  expect(executed.length).toBe(3);
});

test('instances by DNS follow what it says; one that is no longer named ends what it has', async () => {
  await using dns = await startDns();
  await using one = await counting('one');
  const other = createServer((_request, response) => json(response, { by: 'two' })).listen(
    one.port,
    '127.0.0.2',
  );
  await once(other, 'listening');
  try {
    dns.a.set('shop.internal', ['127.0.0.1']);
    await using facade = await startFacade({
      legacy: { dns: 'shop.internal', port: one.port, everyMs: 100 },
      limits: { dnsServers: [dns.server] },
    });
    const kept: ServerResponse[] = [];
    one.answer = (_request, response) => void kept.push(response);
    const long = ask(facade, '/long');
    await until(() => kept.length === 1, 'a long request');
    one.answer = one.usual;
    expect((await ask(facade, '/')).by).toBe('one');
    dns.a.set('shop.internal', ['127.0.0.2']);
    await until(async () => (await ask(facade, '/')).by === 'two', 'the other one');
    for (let i = 0; i < 10; i++) expect((await ask(facade, '/')).by).toBe('two');
    const instances = () =>
      facade.facade
        .upstreams()[0]
        ?.instances.map(({ origin, leaving }) => [new URL(origin).hostname, leaving]);
    expect(instances()).toEqual([
      ['127.0.0.2', false],
      ['127.0.0.1', true],
    ]);
    for (const response of kept) json(response, { by: 'one' });
    expect((await long).by).toBe('one');
    await until(() => instances()?.length === 1, 'the end of the one that left');
    dns.isSilent = true;
    await until(() => facade.facade.upstreams()[0]?.fault !== null, 'silence to be noticed');
    expect((await ask(facade, '/')).by).toBe('two');
  } finally {
    other.close();
    other.closeAllConnections();
  }
});

test('while nobody knows an instance of legacy, one is told so', async () => {
  await using dns = await startDns();
  await using facade = await startFacade({
    legacy: { srv: '_shop._tcp.internal', everyMs: 100 },
    limits: { dnsServers: [dns.server] },
  });
  expect(await ask(facade, '/')).toMatchObject({ status: 503, code: 'upstream_unavailable' });
  await using one = await counting('one');
  dns.a.set('one.internal', ['127.0.0.1']);
  dns.srv.set('_shop._tcp.internal', [{ priority: 0, target: 'one.internal', port: one.port }]);
  await until(async () => (await ask(facade, '/')).by === 'one', 'it to be found');
});
