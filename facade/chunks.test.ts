// Chunks: the same data wherever they are cut, and nothing that two readers could read differently.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Chunks } from './chunks.ts';

type Read = { data: string; isOver: boolean; rest: string };

/** @param cuts where what has come ends each time */
function read(text: string, cuts: readonly number[] = []): Read {
  const chunks = new Chunks();
  const bytes = Buffer.from(text, 'latin1');
  let data = '';
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    const part = Buffer.from(bytes.subarray(from, to));
    chunks.read(part, 0, part.length);
    data += part.toString('latin1', 0, chunks.dataEnd);
    from += chunks.at;
    if (chunks.isOver) break;
  }
  return { data, isOver: chunks.isOver, rest: bytes.toString('latin1', from) };
}

test.each([
  ['0\r\n\r\n', { data: '', isOver: true, rest: '' }],
  ['3\r\nabc\r\n00\r\n\r\nHTTP', { data: 'abc', isOver: true, rest: 'HTTP' }],
  ['A\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n', { data: '0123456789x', isOver: true, rest: '' }],
  ['a;name=value;other="x y"\r\n0123456789\r\n0;last\r\n\r\n', { data: '0123456789', isOver: true }],
  ['1\r\na\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n', { data: 'a', isOver: true, rest: '' }],
  ['5\r\nab', { data: 'ab', isOver: false }],
  ['2\r\nab\r\n', { data: 'ab', isOver: false }],
  ['2\r\nab\r\n0\r\n', { data: 'ab', isOver: false }],
  ['2\r\nab\r\n0\r\nX: 1\r\n', { data: 'ab', isOver: false }],
])('%j', (text, expected) => {
  expect(read(text)).toMatchObject(expected);
  for (let cut = 0; cut <= text.length; cut++) expect(read(text, [cut])).toMatchObject(expected);
});

test.each([
  ['no size', '\r\nabc'],
  ['only an extension', ';a=b\r\n'],
  ['no number', 'x\r\n'],
  ['a sign', '+1\r\na\r\n'],
  ['0x', '0x1\r\na\r\n'],
  ['an underscore', '1_0\r\n'],
  ['a space before the size', ' 1\r\na\r\n'],
  ['a space after the size', '1 \r\na\r\n'],
  ['a tab after the size', '1\t\r\na\r\n'],
  ['a bare line feed after the size', '1\na\r\n'],
  ['a bare carriage return after the size', '1\ra\r\n'],
  ['a bare line feed in an extension', '1;a\na\r\n'],
  ['a bare carriage return in an extension', '1;a\rb\r\n'],
  ['a control character in an extension', '1;\0\r\na\r\n'],
  ['more data than it says', '1\r\nab\r\n'],
  ['a bare line feed after the data', '1\r\na\n'],
  ['a bare carriage return after the data', '1\r\na\rb'],
  ['a size beyond numbers', '10000000000000\r\n'.padStart(20, '1')],
  ['zeros without end', '00000000000000\r\n'],
  ['no name in a trailer', '0\r\n: 1\r\n\r\n'],
  ['a space in the name of a trailer', '0\r\nA : 1\r\n\r\n'],
  ['a folded trailer', '0\r\nA: 1\r\n 2\r\n\r\n'],
  ['a bare line feed after a trailer', '0\r\nA: 1\n\r\n'],
  ['a bare line feed at the end', '0\r\n\n'],
  ['extensions without end', `${`1;${'x'.repeat(200)}\r\na\r\n`.repeat(100)}0\r\n\r\n`],
  ['trailers without end', `0\r\n${`A: ${'x'.repeat(200)}\r\n`.repeat(100)}\r\n`],
])('refused: %s', (_name, text) => {
  expect(() => read(text)).toThrow(/a chunk is malformed/);
});

test('any data in any chunks comes out as it was, wherever it is cut', () => {
  const chunk = fc.uint8Array({ minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(fc.array(chunk, { maxLength: 8 }), fc.array(fc.nat(300), { maxLength: 8 }), (chunks, at) => {
      const whole = chunks.map((data) => Buffer.from(data).toString('latin1'));
      const text = `${whole.map((data) => `${data.length.toString(16)}\r\n${data}\r\n`).join('')}0\r\n\r\nnext`;
      const cuts = at.map((each) => Math.min(each, text.length)).sort((a, b) => a - b);
      expect(read(text, cuts)).toEqual({ data: whole.join(''), isOver: true, rest: 'next' });
    }),
    { numRuns: 2_000 },
  );
});
