// The head of an answer: what is taken, what is refused, and that it does not matter where it is cut.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type AnswerHead, HeadEnd, headBytesMax, readHead } from './answer-head.ts';

const head = (text: string): AnswerHead => {
  const bytes = Buffer.from(text, 'latin1');
  const end = new HeadEnd().find(bytes, 0, bytes.length);
  if (end < 0) throw new Error('more is to come');
  return readHead(bytes, 0, end);
};

test('status, headers in their order and spelling, and where the body begins', () => {
  const bytes = Buffer.from(
    'zzHTTP/1.1 404 Not Found\r\nA: 1\r\nb:2 \t\r\nA:\r\nX-C: \xb0\xa1 \xff\r\n\r\nbody',
    'latin1',
  );
  const end = new HeadEnd().find(bytes, 2, bytes.length);
  expect(bytes.toString('latin1', end)).toBe('body');
  const { status, headers } = readHead(bytes, 2, end);
  expect([status, headers]).toEqual([404, ['A', '1', 'b', '2', 'A', '', 'X-C', '\xb0\xa1 \xff']]);
});

test.each([
  ['HTTP/1.1 200 OK\r\n\r\n', { length: -1, isChunked: false, isKept: true, keptMs: -1 }],
  ['HTTP/1.1 200\r\n\r\n', { status: 200 }],
  ['HTTP/1.1 200 \r\n\r\n', { status: 200 }],
  ['HTTP/1.0 200 OK\r\n\r\n', { isKept: false }],
  ['HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\n', { isKept: true }],
  ['HTTP/1.1 200 OK\r\nconnection: x, CLOSE\r\n\r\n', { isKept: false }],
  ['HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n', { isKept: false }],
  ['HTTP/1.1 200 OK\r\nKeep-Alive: max=3, timeout=5\r\n\r\n', { keptMs: 5_000 }],
  ['HTTP/1.1 200 OK\r\ncontent-LENGTH: 007\r\n\r\n', { length: 7 }],
  ['HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n', { isChunked: true, length: -1 }],
])('%j', (text, expected) => {
  expect(head(text)).toMatchObject(expected);
});

test.each([
  ['another protocol', 'SSH-2.0-x\r\n\r\n'],
  ['an empty line first', '\r\nHTTP/1.1 200 OK\r\n\r\n'],
  ['HTTP/1.2', 'HTTP/1.2 200 OK\r\n\r\n'],
  ['HTTP/1.10', 'HTTP/1.10 200 OK\r\n\r\n'],
  ['two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
  ['four digits', 'HTTP/1.1 2000 OK\r\n\r\n'],
  ['099', 'HTTP/1.1 099 OK\r\n\r\n'],
  ['600', 'HTTP/1.1 600 OK\r\n\r\n'],
  ['two spaces', 'HTTP/1.1  200 OK\r\n\r\n'],
  ['a bare carriage return in the phrase', 'HTTP/1.1 200 O\rK\r\n\r\n'],
  ['a bare line feed after the status', 'HTTP/1.1 200 OK\nA: 1\r\n\r\n'],
  ['a bare line feed after a header', 'HTTP/1.1 200 OK\r\nA: 1\nB: 2\r\n\r\n'],
  ['bare line feeds at the end', 'HTTP/1.1 200 OK\r\nA: 1\n\n'],
  ['a bare line feed at the very end', 'HTTP/1.1 200 OK\r\nA: 1\r\n\n'],
  ['a bare carriage return in a value', 'HTTP/1.1 200 OK\r\nA: 1\rB: 2\r\n\r\n'],
  ['a NUL', 'HTTP/1.1 200 OK\r\nA: \0\r\n\r\n'],
  ['a DEL', 'HTTP/1.1 200 OK\r\nA: \x7f\r\n\r\n'],
  ['a control character', 'HTTP/1.1 200 OK\r\nA: \x01\r\n\r\n'],
  ['a space before the colon', 'HTTP/1.1 200 OK\r\nA : 1\r\n\r\n'],
  ['no colon', 'HTTP/1.1 200 OK\r\nA\r\n\r\n'],
  ['no name', 'HTTP/1.1 200 OK\r\n: 1\r\n\r\n'],
  ['a name of another character set', 'HTTP/1.1 200 OK\r\n\xe9: 1\r\n\r\n'],
  ['a folded header', 'HTTP/1.1 200 OK\r\nA: 1\r\n 2\r\n\r\n'],
  ['a folded first line', 'HTTP/1.1 200 OK\r\n A: 1\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n'],
  ['the same length twice', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n'],
  ['a list of lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\n'],
  ['a signed length', 'HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n'],
  ['no length', 'HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n'],
  ['a length beyond numbers', 'HTTP/1.1 200 OK\r\nContent-Length: 9007199254740993\r\n\r\n'],
  ['a length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['chunks and a length', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n'],
  ['chunked twice', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['another coding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n'],
  ['identity', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n'],
  ['a vertical tab after chunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\x0b\r\n\r\n'],
  ['chunks in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['too many headers', `HTTP/1.1 200 OK\r\n${'a:b\r\n'.repeat(1_001)}\r\n`],
  ['too many bytes', `HTTP/1.1 200 OK\r\nA: ${'x'.repeat(headBytesMax)}\r\n\r\n`],
  ['too many bytes without an end', `HTTP/1.1 200 OK\r\nA: ${'x'.repeat(headBytesMax)}`],
])('refused: %s', (_name, text) => {
  expect(() => head(text)).toThrow(/the answer is no HTTP/);
});

test('it is found wherever it is cut, and no byte is looked for twice', () => {
  const text = 'HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length: 2\r\n\r\nok';
  const bytes = Buffer.from(text);
  for (let first = 0; first <= bytes.length; first++)
    for (let second = first; second <= bytes.length; second++) {
      const finder = new HeadEnd();
      const ends = [first, second, bytes.length].map((to) => finder.find(bytes, 0, to));
      expect(ends.find((end) => end >= 0)).toBe(text.indexOf('ok'));
    }
});

test('whatever the bytes are, it is a head or an error, and the same wherever it is cut', () => {
  const piece = fc.constantFrom(
    'HTTP/1.1 200 OK',
    'HTTP/1.',
    '\r\n',
    '\r',
    '\n',
    'a',
    ':',
    ' ',
    'b: c',
    '\0',
    '\xff',
    'Content-Length: 1',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), fc.nat(40), (pieces, cut) => {
      const bytes = Buffer.from(`HTTP/1.1 200 OK${pieces.join('')}\r\n\r\n`, 'latin1');
      const read = (cuts: number[]) => {
        try {
          const finder = new HeadEnd();
          for (const to of cuts) {
            const end = finder.find(bytes, 0, Math.min(to, bytes.length));
            if (end >= 0) return readHead(bytes, 0, end);
          }
          return 'unfinished';
        } catch {
          return 'refused';
        }
      };
      expect(read([cut, bytes.length])).toEqual(read([bytes.length]));
    }),
    { numRuns: 3_000 },
  );
});
