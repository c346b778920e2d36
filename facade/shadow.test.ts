// The shadow: reads are mirrored after their answers, compared, looked at again, and counted; and no client ever notices.
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import type { HttpReadTranslator } from '../acl/http.ts';
import { etagOf } from '../acl/http.ts';
import type { ReadRoute, Route, Side } from '../capability/capability.ts';
import type { Standing } from '../capability/phase.ts';
import { headersForLegacy } from './mirror.ts';
import { createParity } from './parity.ts';
import { manner, startFacade, until, upstream } from './test-servers.ts';

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;
const translate: HttpReadTranslator = {
  request: ({ query }) => ({ ask: { path: `/reviews?productId=${query.get('prdNo')}` } }),
  response({ body }) {
    if (!isRecord(body) || body.spoiled === true) throw new Error('cannot be said: kim@example.com');
    return { status: 200, body };
  },
};
const list: ReadRoute = {
  method: 'GET',
  path: '/api/review/list.do',
  kind: 'read',
  safe: true,
  translate,
  shadow: { show: ['?prdNo'], ignore: ['$.at'] },
};
const routes: Route[] = [
  list,
  { method: 'GET', path: '/api/review/unsafe.do', kind: 'read', safe: false, translate },
  { method: 'GET', path: '/api/review/untranslated.do', kind: 'read', safe: true },
  { method: 'GET', path: '/api/review/view.do', kind: 'write' },
];
const path = '/api/review/list.do?prdNo=7&name=kim@example.com';
const route = 'GET /api/review/list.do';

type Answering = { body: unknown; status: number; asked: IncomingMessage[]; handler: RequestListener };

/** As legacy does it, or the service. */
function answering(body: unknown, isLegacy = false): Answering {
  const side: Answering = {
    body,
    status: 200,
    asked: [],
    handler(request: IncomingMessage, response: ServerResponse) {
      side.asked.push(request);
      const text = JSON.stringify(side.body);
      const etag = etagOf(manner, Buffer.from(text)) ?? '';
      response.setHeader('content-type', manner.contentType).setHeader('cache-control', 'no-cache');
      if (isLegacy && request.headers['if-none-match'] === etag)
        return void response.writeHead(304, { etag }).end();
      if (isLegacy) response.setHeader('etag', etag);
      if (isLegacy && /gzip/.test(request.headers['accept-encoding'] ?? ''))
        return void response.setHeader('content-encoding', 'gzip').end(gzipSync(text));
      response.writeHead(side.status).end(text);
    },
  };
  return side;
}

type Given = {
  readonly legacy: RequestListener;
  readonly service: RequestListener;
  readonly reads?: number;
  readonly shadow?: () => number;
  readonly standing?: () => Standing;
  readonly limits?: NonNullable<Parameters<typeof startFacade>[0]['limits']>;
  readonly log?: (line: string) => void;
  readonly owner?: Side;
};

/** As far as reads ask: no write is under way. */
const ownedBy = (side: Side): Parameters<typeof startFacade>[0]['owners'] =>
  ({ view: { owner: () => ({ side, epoch: 0n }), side: () => undefined, latest: () => undefined } }) as never;

async function shadowed(given: Given) {
  const stack = new AsyncDisposableStack();
  const legacy = stack.use(await upstream(given.legacy));
  const service = stack.use(await upstream(given.service));
  const parity = createParity(60_000);
  const shadow = given.shadow ?? (() => 100);
  const facade = stack.use(
    await startFacade({
      legacy: legacy.url,
      service: service.url,
      routes,
      parity,
      flags: {
        isOn: (flag) => (flag.endsWith('.read') ? (given.reads ?? 0) > 0 : shadow() > 0),
        proposedPercent: (flag) => (flag.endsWith('.read') ? (given.reads ?? 0) : shadow()),
      },
      standing: given.standing ?? (() => ({ phase: 'reads', ready: true })),
      limits: { shadowAgainMs: 5, ...given.limits },
      ...(given.owner && { owners: ownedBy(given.owner) }),
      ...(given.log && { log: pino({ level: 'info' }, { write: given.log }) }),
    }),
  );
  const counted = (outcome: string) => facade.metric('banyan_facade_shadow_total', { outcome, route });
  const get = (headers: Record<string, string> = {}, of = path) => fetch(facade.url + of, { headers });
  return {
    legacy,
    service,
    facade,
    counted,
    get,
    /** One request, and what became of it. */
    async becomes(outcome: string, headers: Record<string, string> = {}) {
      const before = await counted(outcome);
      const answer = await get(headers);
      await answer.text();
      await until(async () => (await counted(outcome)) === before + 1, `one more ${outcome}`);
      return answer;
    },
    report: () => parity.report('reviews', 0n, 60).routes[0],
    [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose](),
  };
}

const names = ({ headers }: IncomingMessage) => Object.keys(headers).sort().join(' ');

test('what legacy answered is asked of the service once more, by nothing of the client’s, and is the same', async () => {
  const [legacy, service] = [answering({ a: 1, at: 1 }, true), answering({ a: 1, at: 2 })];
  await using it = await shadowed({ legacy: legacy.handler, service: service.handler });
  const secret = { cookie: 'SHOPSESSION=s; banyan_id=x', authorization: 'secret', 'x-request-id': 'r1' };
  await it.becomes('equal', secret);
  expect(service.asked.map(({ method, url }) => `${method} ${url}`)).toEqual(['GET /reviews?productId=7']);
  expect(service.asked.map(names)).toEqual(['accept banyan-mirror connection host x-request-id']);
  // The second time is for the noise.
  await until(() => legacy.asked.length === 2, 'the repeat');
  expect(legacy.asked[1]?.headers).toMatchObject({ 'banyan-mirror': '1', authorization: 'secret' });
  expect(legacy.asked[1]?.headers.cookie).toBeUndefined();
  expect(it.report()).toMatchObject({ route, compared: 1, equal: 1, different: 0, repeated: 1, noisy: 0 });
  // A client says nothing of mirrors.
  await (await it.get({ 'banyan-mirror': '1' })).text();
  expect(legacy.asked[2]?.headers['banyan-mirror']).toBeUndefined();
  for (const of of ['/api/review/unsafe.do', '/api/review/untranslated.do', '/api/review/view.do', '/other'])
    await (await it.get({}, of)).text();
  await fetch(it.facade.url + path, { method: 'HEAD' });
  await it.becomes('equal');
  expect(service.asked.every(({ url }) => url === '/reviews?productId=7')).toBe(true);
  expect(await it.facade.metric('banyan_facade_shadow_total')).toBe(3);
});

test('what the service answered is asked of legacy, whole and plain, with the client’s own session and no other cookie', async () => {
  const [legacy, service] = [answering({ a: 1 }, true), answering({ a: 1 })];
  await using it = await shadowed({ legacy: legacy.handler, service: service.handler, reads: 100 });
  const etag = (await it.becomes('equal')).headers.get('etag') ?? '';
  expect((await it.becomes('equal', { 'if-none-match': etag })).status).toBe(304);
  expect(it.report()).toMatchObject({ compared: 2, equal: 2 });
  for (const { headers } of legacy.asked)
    expect([headers['if-none-match'], headers['accept-encoding'], headers['banyan-mirror']]).toEqual([
      undefined,
      undefined,
      '1',
    ]);
  const rawHeaders = ['Host', 'shop', 'Cookie', 'a=1; SHOPSESSION=s; banyan_pin=p', 'Range', 'bytes=0-1'];
  const origin = { forwardedFor: '10.0.0.1', proto: 'https', host: 'shop' } as const;
  expect(headersForLegacy({ rawHeaders, origin }, 'SHOPSESSION')).toEqual({
    host: 'shop',
    cookie: 'SHOPSESSION=s',
    'x-forwarded-for': '10.0.0.1',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'shop',
    'banyan-mirror': '1',
  });
  expect(headersForLegacy({ rawHeaders, origin }, undefined).cookie).toBeUndefined();
});

test('answers that legacy compressed, and those that were not modified, are compared all the same', async () => {
  const [legacy, service] = [answering({ a: 1 }, true), answering({ a: 1 })];
  await using it = await shadowed({ legacy: legacy.handler, service: service.handler });
  const etag = (await it.becomes('equal', { 'accept-encoding': 'gzip' })).headers.get('etag') ?? '';
  expect((await it.becomes('equal', { 'if-none-match': etag })).status).toBe(304);
  service.body = { a: 2 };
  expect((await it.becomes('different', { 'if-none-match': etag })).status).toBe(304);
  await it.becomes('different', { 'accept-encoding': 'gzip' });
  expect(it.report()).toMatchObject({
    compared: 4,
    equal: 2,
    different: 2,
    paths: [{ path: '$.a', kind: 'value', count: 2 }],
  });
});

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

test('nothing raw is in parity, metrics or the log', async () => {
  const [legacy, service] = [
    answering({ name: 'kim@example.com', phone: 1_012_345_678 }, true),
    answering({ name: 'lee@example.com', phone: 1_087_654_321, spoiled: false }),
  ];
  const lines: string[] = [];
  await using it = await shadowed({
    legacy: legacy.handler,
    service: service.handler,
    log: (line) => lines.push(line),
  });
  await it.becomes('different');
  service.body = { spoiled: true };
  await it.becomes('different');
  it.service.server.close();
  it.service.server.closeAllConnections();
  await it.becomes('failed');
  const text = JSON.stringify(it.report()) + lines.join() + (await it.facade.metrics.registry.metrics());
  for (const raw of ['kim', 'lee', '1012345678', '1087654321']) expect(text).not.toContain(raw);
  expect(text).toContain('prdNo=7&name=<text of 15 (a .)>');
  expect(lines.join()).toContain('value $.name');
});

test('off by flag or phase, nothing is mirrored; what is being looked at again ends there', async () => {
  let percent = 0;
  let standing: Standing = { phase: 'shadow', ready: false };
  const [legacy, service] = [answering({ a: 1 }, true), answering({ a: 2 })];
  await using it = await shadowed({
    legacy: legacy.handler,
    service: service.handler,
    shadow: () => percent,
    standing: () => standing,
    limits: { shadowAgainMs: 200 },
  });
  const gone = async () => {
    for (let n = 0; n < 5; n++) await (await it.get()).text();
    expect(service.asked.length).toBe(0);
  };
  await gone();
  standing = { phase: 'synced', ready: true };
  percent = 100;
  await gone();
  standing = { phase: 'shadow', ready: false };
  await until(async () => {
    await (await it.get()).text();
    return service.asked.length > 0;
  }, 'a mirror');
  percent = 0;
  await until(async () => (await it.counted('stopped')) > 0, 'its end');
  const asked = service.asked.length;
  for (let n = 0; n < 5; n++) await (await it.get()).text();
  expect(service.asked.length).toBe(asked);
  expect(it.report()?.different ?? 0).toBe(0);
});

test('so many at a time and no more: what does not fit is dropped, and no client waits', async () => {
  const legacy = answering({ a: 'x'.repeat(2_000) }, true);
  const held: ServerResponse[] = [];
  await using it = await shadowed({
    legacy: legacy.handler,
    service: (_request, response) => void held.push(response),
    limits: { shadowInFlightMax: 2, shadowMsMax: 60_000 },
  });
  for (let n = 0; n < 20; n++) expect((await (await it.get()).text()).length).toBeGreaterThan(2_000);
  expect(held.length).toBe(2);
  expect(await it.counted('dropped')).toBe(18);
  // And it stops at once, whatever it waits for.
  const began = performance.now();
  await it.facade.facade.stop();
  expect(performance.now() - began).toBeLessThan(1_000);
});

test('no more in a second than that; what is too large, or was left, is not compared', async () => {
  const legacy = answering({ a: 'x'.repeat(20_000) }, true);
  const service = answering({ a: 1 });
  await using it = await shadowed({
    legacy: legacy.handler,
    service: service.handler,
    limits: { shadowPerSecondMax: 5, shadowBytesMax: 1_000 },
  });
  const began = performance.now();
  for (let n = 0; n < 40; n++) await (await it.get()).text();
  const seconds = Math.ceil((performance.now() - began) / 1_000) + 1;
  const tooLarge = await it.counted('too_large');
  expect(tooLarge).toBeGreaterThanOrEqual(4);
  expect(tooLarge).toBeLessThanOrEqual(5 * seconds);
  expect(service.asked.length).toBe(0);
  expect(await it.counted('dropped')).toBe(40 - tooLarge);
});

test('who leaves before the end frees the place of its answer', async () => {
  const held: ServerResponse[] = [];
  const service = answering({ a: 1 });
  await using it = await shadowed({
    legacy: (_request, response) => void held.push(response),
    service: service.handler,
    limits: { shadowInFlightMax: 1 },
  });
  for (let n = 1; n <= 12; n++) {
    const socket = connect(it.facade.port, '127.0.0.1');
    socket.write(`GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`);
    await until(() => held.length === n, 'the request at legacy');
    socket.destroy();
    await until(async () => (await it.counted('abandoned')) === n, 'its place to be free');
  }
  expect(await it.counted('dropped')).toBe(0);
  expect(service.asked.length).toBe(0);
});
