// What goes upstream of a trace, and which spans come of it; a collector that is not there, or worse, is no client's affair.
import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import type { Route } from '../capability/capability.ts';
import { openSpanSink } from '../capability/otlp.ts';
import type { Span, SpanSink } from '../capability/span.ts';
import { atMost } from '../test/at-most.ts';
import { type Collector, startCollector } from '../test/trace/collector.ts';
import { speak, startFacade, type TestFacade, type TestServer, until, upstream } from './test-servers.ts';
import { createTracing, type TraceOptions } from './tracing.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';
const silent = pino({ level: 'silent' });

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (let each = open.pop(); each; each = open.pop()) await each[Symbol.asyncDispose]();
});
const kept = <T extends AsyncDisposable>(it: T): T => {
  open.push(it);
  return it;
};

const routes: readonly Route[] = [
  {
    method: 'GET',
    path: '/api/review/:id',
    kind: 'read',
    safe: true,
    translate: {
      request: () => ({ ask: { path: '/reviews/7' } }),
      response: () => ({ status: 200, body: {} }),
    },
  },
];

type Heard = { readonly headers: Record<string, string>; readonly raw: string[] };

async function echo(status = 200): Promise<TestServer & { heard: Heard[] }> {
  const heard: Heard[] = [];
  const answer: RequestListener = ({ headers, rawHeaders }, response) => {
    heard.push({ headers: headers as Record<string, string>, raw: rawHeaders });
    response.writeHead(status, { 'content-type': 'application/json' }).end('{}');
  };
  return { ...kept(await upstream(answer)), heard };
}

/** Where spans are kept at once. */
function memory(): SpanSink & { readonly spans: Span[] } {
  const spans: Span[] = [];
  return {
    spans,
    add: (span) => void spans.push(span),
    counts: () => ({ exported: spans.length, lost: 0 }),
    stop: async () => undefined,
  };
}

async function traced(options: Partial<TraceOptions>, sink: SpanSink = memory(), trusted: string[] = []) {
  const legacy = await echo();
  const tracing = createTracing({ ratio: 0, trustClients: false, ...options }, sink);
  const facade = kept(await startFacade({ legacy: legacy.url, routes, tracing, trusted }));
  return { legacy, facade };
}

const get = async ({ url }: TestFacade, path = '/any', headers: Record<string, string> = {}) => {
  const response = await fetch(new URL(path, url), { headers });
  await response.text();
  return response;
};

test('without tracing what a client says of a trace passes as it is, and nothing is added', async () => {
  const legacy = await echo();
  const facade = kept(await startFacade({ legacy: legacy.url, routes }));
  await speak(
    facade.port,
    'GET /any HTTP/1.1\r\nHost: shop\r\nTraceParent: anything\r\nX-Request-ID: mine\r\nConnection: close\r\n\r\n',
  );
  const { raw = [] } = legacy.heard[0] ?? {};
  for (const [name, value] of [
    ['TraceParent', 'anything'],
    ['X-Request-ID', 'mine'],
  ] as const)
    expect(raw[raw.indexOf(name) + 1]).toBe(value);
  await get(facade);
  expect(Object.keys(legacy.heard[1]?.headers ?? {})).not.toEqual(
    expect.arrayContaining([expect.stringMatching(/trace|request-id/)]),
  );
});

test('a client’s trace goes on, its word that it is sampled does not', async () => {
  const { legacy, facade } = await traced({ ratio: 0 });
  await get(facade, '/any', { traceparent: `00-${traceId}-${spanId}-01`, tracestate: 'congo=t61' });
  const [asked] = legacy.heard;
  expect(asked?.headers.traceparent).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-00$`));
  expect(asked?.headers.traceparent).not.toContain(spanId);
  expect(asked?.headers.tracestate).toBe('congo=t61');
});

test('a malformed context begins a new trace, without its state', async () => {
  const { legacy, facade } = await traced({ ratio: 0 });
  for (const traceparent of ['00-0-0-01', `00-${traceId}-${spanId}-01, 00-${traceId}-${spanId}-01`, 'x'])
    await get(facade, '/any', { traceparent, tracestate: 'congo=t61' });
  for (const { headers } of legacy.heard) {
    expect(headers.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    expect(headers.traceparent).not.toContain(traceId);
    expect(headers.tracestate).toBeUndefined();
  }
  expect(new Set(legacy.heard.map(({ headers }) => headers.traceparent)).size).toBe(3);
});

test('a client is believed only where it is declared', async () => {
  const sink = memory();
  const { legacy, facade } = await traced({ ratio: 0, trustClients: true }, sink);
  await get(facade, '/any', { traceparent: `00-${traceId}-${spanId}-01` });
  await get(facade, '/any', { traceparent: `00-${traceId}-${spanId}-00` });
  expect(legacy.heard.map(({ headers }) => headers.traceparent?.slice(-2))).toEqual(['01', '00']);
  await until(() => sink.spans.length === 2, 'a span of the facade and one of its request to legacy');
});

test('a request id is a trusted proxy’s, or ours; it goes upstream and stands in answers of our own', async () => {
  const untrusted = await traced({});
  await get(untrusted.facade, '/any', { 'x-request-id': 'theirs' });
  expect(untrusted.legacy.heard[0]?.headers['x-request-id']).toMatch(/^[0-9a-f]{32}$/);
  const trusted = await traced({}, memory(), ['127.0.0.1']);
  await get(trusted.facade, '/any', { 'x-request-id': 'theirs' });
  await get(trusted.facade, '/any', { 'x-request-id': 'no id: "<script>"' });
  expect(trusted.legacy.heard[0]?.headers['x-request-id']).toBe('theirs');
  expect(trusted.legacy.heard[1]?.headers['x-request-id']).toMatch(/^[0-9a-f]{32}$/);
  trusted.legacy.server.closeAllConnections();
  await trusted.legacy[Symbol.asyncDispose]();
  const refused = await get(trusted.facade, '/any', { 'x-request-id': 'theirs' });
  expect([refused.status, refused.headers.get('x-request-id')]).toEqual([503, 'theirs']);
});

test('a span for the request and one for each request upstream, without path, query or anything personal', async () => {
  const sink = memory();
  const legacy = await echo();
  const service = await echo(500);
  const tracing = createTracing({ ratio: 1, trustClients: false }, sink);
  const facade = kept(await startFacade({ legacy: legacy.url, service: service.url, routes, tracing }));
  await get(facade, '/api/review/4711?mbrId=kim@example.com', {
    traceparent: `00-${traceId}-${spanId}-00`,
    cookie: 'SHOPSESSION=secret',
  });
  await until(() => sink.spans.length === 3, 'three spans');
  const [server, toService, toLegacy] = sink.spans;
  expect(server).toMatchObject({
    kind: 'server',
    name: 'GET /api/review/:id',
    traceId,
    parentId: spanId,
    attributes: {
      'http.request.method': 'GET',
      'http.route': '/api/review/:id',
      'http.response.status_code': 200,
      'url.scheme': 'http',
      'banyan.capability': 'reviews',
      'banyan.side': 'legacy',
      'banyan.fallback': 'status',
    },
    error: undefined,
  });
  expect(toService).toMatchObject({
    kind: 'client',
    traceId,
    parentId: server?.spanId,
    attributes: { 'banyan.upstream': 'reviews', 'http.response.status_code': 500 },
    error: 'status',
  });
  expect(toLegacy).toMatchObject({ kind: 'client', parentId: server?.spanId, error: undefined });
  expect(service.heard[0]?.headers.traceparent).toBe(`00-${traceId}-${toService?.spanId}-01`);
  expect(legacy.heard[0]?.headers.traceparent).toBe(`00-${traceId}-${toLegacy?.spanId}-01`);
  expect(JSON.stringify(sink.spans)).not.toMatch(/4711|kim|secret|mbrId|127\.0\.0\.1/);
  for (const span of sink.spans) {
    expect(span.endMs).toBeGreaterThanOrEqual(span.startMs);
    expect(Math.abs(span.endMs - Date.now())).toBeLessThan(60_000);
  }
});

test('a client that leaves, and one that nobody answers, are spans too', async () => {
  const sink = memory();
  const stuck = kept(await upstream(() => {}));
  const tracing = createTracing({ ratio: 1, trustClients: false }, sink);
  const facade = kept(await startFacade({ legacy: stuck.url, tracing }));
  const leaving = new AbortController();
  const asked = fetch(facade.url, { signal: leaving.signal }).catch(() => 'left');
  await once(stuck.server, 'request');
  leaving.abort();
  expect(await asked).toBe('left');
  await until(() => sink.spans.length === 2, 'both spans');
  expect(sink.spans[0]?.attributes).toMatchObject({ 'banyan.client_left': true });
});

/** So many requests, and how many of them were answered well. */
async function load(facade: TestFacade, requests: number): Promise<number> {
  let well = 0;
  for (let sent = 0; sent < requests; sent += 50)
    await Promise.all(
      Array.from({ length: 50 }, async () => {
        if ((await get(facade)).status === 200) well += 1;
      }),
    );
  return well;
}

const sinkAt = (url: string) => {
  const sink = openSpanSink(url, 'banyan-facade', silent);
  open.push({ [Symbol.asyncDispose]: () => sink.stop() });
  return sink;
};

test('a collector gets them', async () => {
  const collector: Collector = kept(await startCollector());
  const sink = sinkAt(collector.url);
  const { facade } = await traced({ ratio: 1 }, sink);
  await load(facade, 100);
  await until(() => collector.spans.length === 200, 'all spans');
  expect(new Set(collector.spans.map(({ traceId: id }) => id)).size).toBe(100);
  expect(collector.spans[0]?.service).toBe('banyan-facade');
  await until(() => sink.counts().exported === 200, 'and they are counted');
  expect(sink.counts().lost).toBe(0);
});

test.each<[string, RequestListener | undefined]>([
  ['is not there', undefined],
  ['takes and never answers', () => {}],
  [
    'answers without an end',
    (_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write('x'.repeat(64 * 1024)));
      };
      response.on('drain', more);
      more();
    },
  ],
  ['says no', (_request, response) => void response.writeHead(503).end('no')],
  ['hangs up', (request) => void request.socket.destroy()],
])(
  'a collector that %s: clients do not notice, memory is bounded, and what is lost is counted',
  { timeout: 60_000 },
  (_how, answer) =>
    // A stop waits 2 s; one question alone has 3.
    atMost(2_900, async () => {
      const collector = answer ? kept(await startCollector(answer)) : undefined;
      const sink = sinkAt(collector?.url ?? 'http://127.0.0.1:1/v1/traces');
      const { facade } = await traced({ ratio: 1 }, sink);
      expect(await load(facade, 200)).toBe(200);
      for (let i = 0; i < 20_000; i++)
        sink.add({
          kind: 'server',
          name: 'GET',
          traceId,
          spanId,
          parentId: undefined,
          startMs: 0,
          endMs: 1,
          attributes: {},
          error: undefined,
        });
      expect(sink.counts().lost).toBeGreaterThan(15_000);
      const startedAt = performance.now();
      await sink.stop();
      return performance.now() - startedAt;
    }),
);
