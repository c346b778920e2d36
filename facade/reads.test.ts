// Reads that the service answers: by flag and interlock, in legacy's bytes, with legacy to fall back on.
import type { RequestListener } from 'node:http';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import type { HttpReadTranslator } from '../acl/http.ts';
import { TranslationError } from '../acl/translation-error.ts';
import type { ReadRoute, Route } from '../capability/capability.ts';
import type { Standing } from '../capability/phase.ts';
import { startFacade, until, upstream } from './test-servers.ts';

type Model = { id: number; body: string };
const isModel = (body: unknown): body is Model =>
  typeof body === 'object' && body !== null && 'id' in body && 'body' in body;

const translate: HttpReadTranslator = {
  request({ query }) {
    const number = query.get('prdNo');
    return number === null
      ? { answer: { status: 200, body: { resultCode: '9001' } } }
      : { ask: { path: `/reviews?productId=${number}` } };
  },
  response({ status, body }) {
    if (status === 404) return { status: 200, body: { resultCode: '0404' } };
    if (!isModel(body))
      throw new TranslationError({
        capability: 'reviews',
        table: 'review',
        key: {},
        field: 'id',
        value: body,
        reason: 'is missing',
      });
    return { status: 200, body: { resultCode: '0000', rvwSeq: body.id, rvwCtnt: body.body } };
  },
};
const list: ReadRoute = { method: 'GET', path: '/api/review/list.do', kind: 'read', safe: true, translate };
const routes: Route[] = [list, { method: 'POST', path: '/api/review/write.do', kind: 'write' }];
const path = '/api/review/list.do?prdNo=7';
const sameBytes = JSON.stringify({ resultCode: '0000', rvwSeq: 7, rvwCtnt: '좋아요' });

const legacyAnswers: RequestListener = (_request, response) =>
  void response.setHeader('x-side', 'legacy').end('legacy');
const serviceAnswers: RequestListener = (_request, response) =>
  void response.setHeader('content-type', 'application/json').end(JSON.stringify({ id: 7, body: '좋아요' }));

test('the service is asked for no more than it needs, and its answer is in the manner of legacy', async () => {
  let asked = '';
  await using legacy = await upstream(legacyAnswers);
  await using service = await upstream((request, response) => {
    asked = `${request.method} ${request.url} ${Object.keys(request.headers).sort().join(' ')}`;
    serviceAnswers(request, response);
  });
  await using facade = await startFacade({ legacy: legacy.url, service: service.url, routes });
  const headers = { cookie: 'sid=secret', authorization: 'secret', 'x-request-id': 'r1', traceparent: 't1' };
  const answer = await fetch(facade.url + path, { headers });
  expect(await answer.text()).toBe(sameBytes);
  expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
  expect(answer.headers.get('cache-control')).toBe('no-cache');
  expect(asked).toBe('GET /reviews?productId=7 accept connection host traceparent x-request-id');
  const etag = answer.headers.get('etag') ?? '';
  expect((await fetch(facade.url + path, { headers: { 'if-none-match': etag } })).status).toBe(304);
  const head = await fetch(facade.url + path, { method: 'HEAD' });
  expect([head.headers.get('content-length'), await head.text()]).toEqual([
    String(Buffer.byteLength(sameBytes)),
    '',
  ]);
  expect(await (await fetch(`${facade.url}/api/review/list.do`)).json()).toEqual({ resultCode: '9001' });
  expect(
    await facade.metric('banyan_facade_requests_total', {
      side: 'service',
      capability: 'reviews',
      kind: 'read',
    }),
  ).toBe(4);
});

test('the interlock: a flag opens nothing without phase and evidence', async () => {
  await using legacy = await upstream(legacyAnswers);
  await using service = await upstream(serviceAnswers);
  let standing: Standing | undefined;
  await using facade = await startFacade({
    legacy: legacy.url,
    service: service.url,
    routes,
    standing: () => standing,
  });
  const side = async () =>
    (await (await fetch(facade.url + path)).text()) === 'legacy' ? 'legacy' : 'service';
  expect(await side()).toBe('legacy');
  standing = { phase: 'canary', ready: false };
  expect(await side()).toBe('legacy');
  standing = { phase: 'shadow', ready: true };
  expect(await side()).toBe('legacy');
  standing = { phase: 'canary', ready: true };
  expect(await side()).toBe('service');
  standing = { phase: 'legacy', ready: true };
  expect(await side()).toBe('legacy');
  expect(await facade.metric('banyan_facade_choices_total', { reason: 'interlock' })).toBe(4);
});

test('writes go to legacy whatever the flag says', async () => {
  await using legacy = await upstream(legacyAnswers);
  await using facade = await startFacade({ legacy: legacy.url, routes });
  expect(
    (await fetch(`${facade.url}/api/review/write.do`, { method: 'POST', body: 'a=1' })).headers.get('x-side'),
  ).toBe('legacy');
});

const failing: [string, RequestListener, string][] = [
  ['status', (_request, response) => void response.writeHead(500).end(), 'upstream_failed'],
  ['lost', (request) => void request.socket.destroy(), 'upstream_failed'],
  ['timeout', () => {}, 'upstream_timeout'],
  [
    'too_large',
    (_request, response) => void response.end(JSON.stringify({ id: 7, body: 'x'.repeat(5_000) })),
    'upstream_failed',
  ],
  ['not_json', (_request, response) => void response.end('<html>'), 'upstream_failed'],
  ['translation', (_request, response) => void response.end('{}'), 'upstream_failed'],
];

test.each(failing)(
  'a safe read falls back to legacy, another one fails plainly: %s',
  async (reason, handler, code) => {
    await using legacy = await upstream(legacyAnswers);
    await using service = await upstream(handler);
    const unsafe: Route = { ...list, path: '/unsafe.do', safe: false };
    const limits = { serviceMsMax: 100, serviceBytesMax: 4_096 };
    await using facade = await startFacade({
      legacy: legacy.url,
      service: service.url,
      routes: [list, unsafe],
      limits,
    });
    const answer = await fetch(facade.url + path);
    expect([answer.status, answer.headers.get('x-side')]).toEqual([200, 'legacy']);
    expect(await facade.metric('banyan_facade_fallbacks_total', { capability: 'reviews', reason })).toBe(1);
    expect(facade.metrics.fallbacksLastMinute('reviews')).toBe(1);
    const failed = await fetch(`${facade.url}/unsafe.do?prdNo=7`);
    expect(await failed.json()).toEqual({ error: { code, message: expect.any(String) } });
    expect(failed.status).toBeGreaterThanOrEqual(502);
  },
);

test('with both sides down the client hears of one', async () => {
  await using facade = await startFacade({
    legacy: 'http://127.0.0.1:1',
    service: 'http://127.0.0.1:1',
    routes,
  });
  const answer = await fetch(facade.url + path);
  expect([answer.status, await answer.json()]).toEqual([
    503,
    { error: { code: 'upstream_unavailable', message: expect.any(String) } },
  ]);
});

test('a client that leaves ends the question to the service, and legacy is not asked instead', async () => {
  let asked = false;
  let left = false;
  let legacyAsked = false;
  await using legacy = await upstream((request, response) => {
    legacyAsked = true;
    legacyAnswers(request, response);
  });
  await using service = await upstream((request) => {
    asked = true;
    request.socket.once('close', () => {
      left = true;
    });
  });
  await using facade = await startFacade({
    legacy: legacy.url,
    service: service.url,
    routes,
    limits: { serviceMsMax: 60_000 },
  });
  const leave = new AbortController();
  const answer = fetch(facade.url + path, { signal: leave.signal });
  await until(() => asked, 'the question');
  leave.abort();
  await expect(answer).rejects.toThrow();
  await until(() => left, 'the end at the service');
  expect(legacyAsked).toBe(false);
});

test('an id is given once, used at once, and kept', async () => {
  const ids: string[] = [];
  await using legacy = await upstream(legacyAnswers);
  await using service = await upstream(serviceAnswers);
  await using facade = await startFacade({
    legacy: legacy.url,
    service: service.url,
    routes,
    flags: {
      isOn: (flag, id) => {
        expect(flag).toBe('reviews.read');
        ids.push(id);
        return false;
      },
    },
  });
  const first = await fetch(facade.url + path);
  const cookie = first.headers.getSetCookie();
  expect(cookie).toHaveLength(1);
  expect(cookie[0]).toBe(`banyan_id=${ids[0]}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax`);
  const second = await fetch(facade.url + path, { headers: { cookie: `x=1; banyan_id=${ids[0]}` } });
  expect(second.headers.getSetCookie()).toEqual([]);
  expect(ids[1]).toBe(ids[0]);
  expect(
    (await fetch(facade.url + path, { headers: { cookie: 'banyan_id=forged' } })).headers.getSetCookie(),
  ).toHaveLength(1);
  expect((await fetch(`${facade.url}/other`)).headers.getSetCookie()).toEqual([]);
});

test('no id before a capability moves, and none on an answer that caches share', async () => {
  await using legacy = await upstream((request, response) => {
    response
      .setHeader(
        'cache-control',
        request.url?.includes('own') ? 'private, max-age=5' : 'max-age=5, s-maxage=60',
      )
      .end('x');
  });
  let standing: Standing = { phase: 'legacy', ready: false };
  await using facade = await startFacade({ legacy: legacy.url, routes, standing: () => standing });
  expect((await fetch(`${facade.url + path}&own`)).headers.getSetCookie()).toEqual([]);
  standing = { phase: 'synced', ready: false };
  expect((await fetch(`${facade.url + path}&own`)).headers.getSetCookie()).toHaveLength(1);
  expect((await fetch(facade.url + path)).headers.getSetCookie()).toEqual([]);
});

test('a value that cannot be translated is not in the log', async () => {
  await using legacy = await upstream(legacyAnswers);
  await using service = await upstream(
    (_request, response) => void response.end('{"private":"value of a person"}'),
  );
  const lines: string[] = [];
  const log = pino({}, { write: (line: string) => void lines.push(line) });
  await using facade = await startFacade({ legacy: legacy.url, service: service.url, routes, log });
  for (let i = 0; i < 3; i += 1) await fetch(`${facade.url + path}&secret=1`);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/"reason":"translation"/);
  expect(lines[0]).not.toMatch(/value of a person|secret/);
});
