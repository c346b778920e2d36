// The head of a request: its framing is ours, and nothing from outside gets out of its line.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { requestHead } from './request-head.ts';

test('headers in their order and spelling; of connection and length only what is so', () => {
  const headers = [
    'Host',
    'shop',
    'X-A',
    '\xff',
    'Content-Length',
    '99',
    'connection',
    'close',
    'transfer-ENCODING',
    'x',
    'x-a',
    '',
  ];
  expect(requestHead('PUT', '/a?b', headers, 'origin:80', 3)).toBe(
    'PUT /a?b HTTP/1.1\r\nHost: shop\r\nX-A: \xff\r\nx-a: \r\nconnection: keep-alive\r\ncontent-length: 3\r\n\r\n',
  );
});

test.each([
  ['GET', 'none', ''],
  ['DELETE', 'none', ''],
  ['POST', 'none', 'content-length: 0\r\n'],
  ['GET', 0, 'content-length: 0\r\n'],
  ['POST', 'chunked', 'transfer-encoding: chunked\r\n'],
] as const)('%s with a body of %s', (method, length, said) => {
  expect(requestHead(method, '/', [], 'origin:80', length)).toBe(
    `${method} / HTTP/1.1\r\nhost: origin:80\r\nconnection: keep-alive\r\n${said}\r\n`,
  );
});

test.each([
  ['a line feed in a value', 'GET', '/', ['A', '1\nB: 2']],
  ['a carriage return in a value', 'GET', '/', ['A', '1\r']],
  ['a NUL in a value', 'GET', '/', ['A', '\0']],
  ['what becomes a line feed as a byte', 'GET', '/', ['A', '1\u010aB: 2']],
  ['a line feed in a name', 'GET', '/', ['A\n', '1']],
  ['a colon in a name', 'GET', '/', ['A: 1', '1']],
  ['a space in a name', 'GET', '/', ['A ', '1']],
  ['what becomes a line feed in a name', 'GET', '/', ['A\u010a', '1']],
  ['no name', 'GET', '/', ['', '1']],
  ['a space in the path', 'GET', '/a b', []],
  ['a line feed in the path', 'GET', '/a\n', []],
  ['what becomes a space in the path', 'GET', '/a\u0120', []],
  ['no path', 'GET', '', []],
  ['a space in the method', 'GET /', '/', []],
  ['no method', '', '/', []],
])('refused: %s', (_name, method, path, headers) => {
  // Twice: a name is remembered.
  for (const _time of [1, 2])
    expect(() => requestHead(method, path, headers, 'h', 'none')).toThrow(/cannot be sent/);
});

test('whatever is given, it is one head of as many lines as there are headers, or nothing', () => {
  const text = fc.string({
    unit: fc.constantFrom('a', ':', ' ', '\r', '\n', '\0', '\xff', '\u010a', '\u010d', 'Host'),
    maxLength: 4,
  });
  fc.assert(
    fc.property(text, text, fc.array(text, { maxLength: 6 }), (method, path, flat) => {
      const headers = flat.length % 2 === 0 ? flat : flat.slice(1);
      let head: string;
      try {
        head = requestHead(method, path, headers, 'h', 5);
      } catch {
        return;
      }
      const wire = Buffer.from(head, 'latin1').toString('latin1');
      expect(wire.indexOf('\r\n\r\n')).toBe(wire.length - 4);
      const lines = wire.slice(0, -4).split(/[\r\n]+/);
      const hosts = headers.filter((name, at) => at % 2 === 0 && name.toLowerCase() === 'host').length;
      expect(lines.length).toBe(1 + headers.length / 2 + (hosts === 0 ? 1 : 0) + 2);
    }),
    { numRuns: 3_000 },
  );
});
