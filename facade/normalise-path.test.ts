import fc from 'fast-check';
import { expect, test } from 'vitest';
import { normaliseTarget } from './normalise-path.ts';

const normalise = (raw: string) => normaliseTarget(raw, 4_096);

test.each([
  ['/', '/'],
  ['/a/b', '/a/b'],
  ['/a/b/', '/a/b/'],
  ['//a///b', '/a/b'],
  ['/a/./b', '/a/b'],
  ['/a/../b', '/b'],
  ['/a/..', '/'],
  ['/a/.', '/a/'],
  ['/../../a', '/a'],
  ['/%2e%2E/a', '/a'],
  ['/a/%2e/b', '/a/b'],
  ['/a//../b', '/b'],
  ['/%61pi/%7Ename', '/api/~name'],
  ['/%b0%a1', '/%B0%A1'],
  ['/%ff', '/%FF'],
  ['/...', '/...'],
  ['/..a', '/..a'],
  ['/.well-known/x', '/.well-known/x'],
  ['/a%25b', '/a%25b'],
  ['/%252e%252e/a', '/%252e%252e/a'],
  ['/a{b}|c^"<>`[]', '/a%7Bb%7D%7Cc%5E%22%3C%3E%60%5B%5D'],
  ["/a!$&'()*+,;=:@b", "/a!$&'()*+,;=:@b"],
  ['/a%20b', '/a%20b'],
  ['/a%3Fb', '/a%3Fb'],
])('%s is %s', (raw, path) => {
  expect(normalise(raw)).toEqual({ target: { path, query: '' } });
});

test.each([
  ['/a?', { path: '/a', query: '?' }],
  ['/a?b=/../%zz//%2F?|', { path: '/a', query: '?b=/../%zz//%2F?|' }],
  ['http://h:1/a//b?c', { path: '/a/b', query: '?c', authority: 'h:1' }],
  ['https://h', { path: '/', query: '', authority: 'h' }],
  ['http://h?c', { path: '/', query: '?c', authority: 'h' }],
])('%s keeps its query and its authority', (raw, target) => {
  expect(normalise(raw)).toEqual({ target });
});

test.each([
  ['/%', 'encoding'],
  ['/%4', 'encoding'],
  ['/%zz', 'encoding'],
  ['/%00', 'encoding'],
  ['/a%2fb', 'encoding'],
  ['/a%2Fb', 'encoding'],
  ['/a%5cb', 'encoding'],
  ['/a/..;/b', 'encoding'],
  ['/a/.;x=1/b', 'encoding'],
  ['/a\\b', 'character'],
  ['/a b', 'character'],
  ['/a\u0001', 'character'],
  ['/\u00b0', 'character'],
  ['/a#b', 'character'],
  ['/a?\u0007', 'character'],
  ['*', 'form'],
  ['', 'form'],
  ['a/b', 'form'],
  ['ftp://h/', 'form'],
  ['file:///etc/passwd', 'form'],
  ['http://user@h/', 'form'],
  ['http:///a', 'form'],
  [`/${'a'.repeat(4_096)}`, 'length'],
])('%s is refused: %s', (raw, fault) => {
  expect(normalise(raw)).toEqual({ fault });
});

const pieces = fc.constantFrom(
  '/',
  '//',
  '.',
  '..',
  '...',
  '%2e',
  '%2E%2e',
  'a',
  '%41',
  '%ff',
  '%B0',
  '{',
  ';',
  '%25',
  '2e',
  '%7e',
  '~',
  '@',
);

test('a normalised path is in its one form: no dot segment, no empty one, and normalising it changes nothing', () => {
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
      const result = normalise(`/${parts.join('')}`);
      if ('fault' in result) return;
      const { path } = result.target;
      expect(path.startsWith('/')).toBe(true);
      expect(path.split('/').some((segment) => segment === '.' || segment === '..')).toBe(false);
      expect(path).not.toContain('//');
      expect(path).not.toMatch(/%2e/i);
      expect(normalise(path)).toEqual(result);
      // What a URL parser makes of it, as servers do, is the same again.
      expect(new URL(`http://h${path}`).pathname).toBe(path);
    }),
    { numRuns: 2_000 },
  );
});
