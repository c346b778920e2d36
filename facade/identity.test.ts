import { expect, test } from 'vitest';
import { idCookie, idFrom, mintId, withoutOwnCookies } from './identity.ts';

test.each([
  ['a=1; b=2', 'a=1; b=2'],
  ['banyan_id=x', ''],
  ['banyan_id=x; a=1', 'a=1'],
  ['a=1; banyan_id=x', 'a=1'],
  ['a=1;banyan_pin="y;b=2', 'a=1;b=2'],
  ['a="q; r";  banyan_id=x;b= 2 ;', 'a="q; r";b= 2 ;'],
  ['xbanyan_id=1; a=banyan_id', 'xbanyan_id=1; a=banyan_id'],
])('of "%s" upstreams get "%s"', (header, rest) => {
  expect(withoutOwnCookies(header)).toBe(rest);
});

test('only an id in the form of ours is one', () => {
  const id = mintId();
  expect(idFrom(`a=1; banyan_id=${id}`)).toBe(id);
  for (const cookie of [
    undefined,
    '',
    'banyan_id',
    'banyan_id=',
    'banyan_id=short',
    `banyan_id=${id}x`,
    `banyan_id=${'!'.repeat(22)}`,
    `xbanyan_id=${id}`,
  ])
    expect(idFrom(cookie)).toBeUndefined();
});

test('ids differ, hold 128 bits, and are Secure only on https', () => {
  expect(new Set(Array.from({ length: 100 }, mintId)).size).toBe(100);
  expect(Buffer.from(mintId(), 'base64url').length).toBe(16);
  expect(idCookie('x', 'http')).toBe('banyan_id=x; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax');
  expect(idCookie('x', 'https')).toContain('; Secure');
});
