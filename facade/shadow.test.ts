// The shadow: which reads are mirrored, what the other side is asked, what is kept of it; and no client ever notices.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import type { Standing } from '../capability/phase.ts';
import { headersForLegacy } from './mirror.ts';
import { until } from './test-servers.ts';
import { answering, path, route, shadowed } from './test-shadow.ts';

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
