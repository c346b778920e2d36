import { expect, test } from 'vitest';
import { startFacade, upstream } from './test-servers.ts';

const kept = { method: 'GET', path: '/api/kept.do', kind: 'read', safe: true, cache: true } as const;
const other = { method: 'GET', path: '/api/other.do', kind: 'read', safe: true } as const;

test('an answer is kept on a route that says so, as legacy allows it, and for nobody in particular', async () => {
  const arrived: string[] = [];
  let cacheControl = 'public, max-age=60';
  await using legacy = await upstream((request, response) => {
    arrived.push(request.url ?? '');
    response.writeHead(200, { 'cache-control': cacheControl, 'x-By': 'legacy' }).end(`${arrived.length}`);
  });
  await using facade = await startFacade({
    legacy: [legacy.url, legacy.url.replace('127.0.0.1', 'localhost')],
    routes: [kept, other],
    trusted: ['127.0.0.1'],
  });
  const ask = async (path: string, headers: Record<string, string> = {}) => {
    const response = await fetch(facade.url + path, { headers });
    expect([response.status, response.headers.get('x-by')]).toEqual([200, 'legacy']);
    return response.text();
  };
  expect([await ask('/api/kept.do?a=1'), await ask('/api/kept.do?a=1')]).toEqual(['1', '1']);
  expect(await ask('/api/kept.do?a=2')).toBe('2');
  expect([await ask('/api/other.do'), await ask('/api/other.do')]).toEqual(['3', '4']);
  // Who says who one is gets an answer of one's own; the facade's cookies say it to nobody.
  expect(await ask('/api/kept.do?a=1', { cookie: 'SESSION=1' })).toBe('5');
  expect(await ask('/api/kept.do?a=1', { authorization: 'Bearer x' })).toBe('6');
  expect(await ask('/api/kept.do?a=1', { cookie: `banyan_id=${'a'.repeat(22)}` })).toBe('1');
  // Behind another name is another page.
  expect(await ask('/api/kept.do?a=1', { 'x-forwarded-host': 'other.example' })).toBe('7');
  expect(await ask('/api/kept.do?a=1', { 'x-forwarded-host': 'other.example' })).toBe('7');
  for (const control of ['private, max-age=60', 'no-store', 'no-cache']) {
    cacheControl = control;
    const path = `/api/kept.do?control=${encodeURIComponent(control)}`;
    expect(await ask(path)).not.toBe(await ask(path));
  }
});
