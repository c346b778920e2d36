import { expect, test } from 'vitest';
import { startFacade, upstream } from './test-servers.ts';

const limited = {
  method: 'GET',
  path: '/api/list.do',
  kind: 'read',
  safe: true,
  rateLimit: { max: 3, perMs: 60_000 },
} as const;
const other = { method: 'GET', path: '/api/other.do', kind: 'read', safe: true } as const;

test('a client that comes too often to a route with a limit is told when to come again; nobody else is', async () => {
  let arrived = 0;
  await using legacy = await upstream((_request, response) => {
    arrived += 1;
    response.end('{}');
  });
  await using facade = await startFacade({
    legacy: legacy.url,
    routes: [limited, other],
    trusted: ['127.0.0.1'],
  });
  const ask = (path: string, address: string) =>
    fetch(facade.url + path, { headers: { 'x-forwarded-for': address } });
  for (let i = 0; i < 3; i++) {
    const answer = await ask(limited.path, '203.0.113.7');
    expect(answer.status).toBe(200);
    // Legacy's answer as it is.
    expect([...answer.headers.keys()].filter((name) => /rate/.test(name))).toEqual([]);
  }
  const refused = await ask(limited.path, '203.0.113.7');
  expect([refused.status, await refused.json()]).toMatchObject([
    429,
    { error: { code: 'too_many_requests' } },
  ]);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(60);
  expect(arrived).toBe(3);
  expect((await ask(limited.path, '203.0.113.8')).status).toBe(200);
  expect((await ask(other.path, '203.0.113.7')).status).toBe(200);
  expect((await ask('/undeclared', '203.0.113.7')).status).toBe(200);
  expect(await facade.metric('banyan_facade_own_answers_total', { code: 'too_many_requests' })).toBe(1);
});

test('a client cannot say it is another one; the addresses of one IPv6 network are one client', async () => {
  await using legacy = await upstream((_request, response) => void response.end('{}'));
  await using direct = await startFacade({ legacy: legacy.url, routes: [limited] });
  const statuses: number[] = [];
  for (let i = 0; i < 4; i++) {
    const headers = { 'x-forwarded-for': `203.0.113.${i}` };
    statuses.push((await fetch(direct.url + limited.path, { headers })).status);
  }
  expect(statuses).toEqual([200, 200, 200, 429]);
  await using behind = await startFacade({ legacy: legacy.url, routes: [limited], trusted: ['127.0.0.1'] });
  statuses.length = 0;
  for (let i = 0; i < 4; i++) {
    const headers = { 'x-forwarded-for': `spoofed, 2001:db8::${i + 1}` };
    statuses.push((await fetch(behind.url + limited.path, { headers })).status);
  }
  expect(statuses).toEqual([200, 200, 200, 429]);
});
