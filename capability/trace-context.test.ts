import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  formatTraceparent,
  isTracestate,
  mintSpanId,
  mintTraceId,
  parseTraceparent,
} from './trace-context.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';

test('what is written is read again', () => {
  for (const isSampled of [true, false]) {
    const ids = { traceId: mintTraceId(), spanId: mintSpanId(), isSampled };
    expect(parseTraceparent(formatTraceparent(ids.traceId, ids.spanId, isSampled))).toEqual(ids);
  }
});

test('minted ids are hex of the right length, and none comes twice', () => {
  const ids = new Set<string>();
  for (let i = 0; i < 5_000; i++) {
    const [trace, span] = [mintTraceId(), mintSpanId()];
    expect(trace).toMatch(/^[0-9a-f]{32}$/);
    expect(span).toMatch(/^[0-9a-f]{16}$/);
    ids.add(trace).add(span);
  }
  expect(ids.size).toBe(10_000);
});

test.each(['00', '02', '04', 'fe', 'a8', '0c', 'f2'])('flags %s: not sampled', (flags) => {
  expect(parseTraceparent(`00-${traceId}-${spanId}-${flags}`)?.isSampled).toBe(false);
});
test.each(['01', '03', '05', 'ff', 'ab', '0d', 'f9'])('flags %s: sampled', (flags) => {
  expect(parseTraceparent(`00-${traceId}-${spanId}-${flags}`)?.isSampled).toBe(true);
});

test.each([
  ['nothing', ''],
  ['capitals', `00-${traceId.toUpperCase()}-${spanId}-01`],
  ['a trace of zeros', `00-${'0'.repeat(32)}-${spanId}-01`],
  ['a span of zeros', `00-${traceId}-${'0'.repeat(16)}-01`],
  ['version ff', `ff-${traceId}-${spanId}-01`],
  ['more than version 00 has', `00-${traceId}-${spanId}-01-more`],
  ['an end of line', `00-${traceId}-${spanId}-01\n`],
  ['two headers', `00-${traceId}-${spanId}-01, 00-${traceId}-${spanId}-01`],
  ['a short id', `00-${traceId.slice(1)}-${spanId}-01`],
  ['a later version without a separator', `01-${traceId}-${spanId}-01more`],
  ['a later version without an end', `01-${traceId}-${spanId}-01-${'x'.repeat(5_000)}`],
  ['blanks', ` 00-${traceId}-${spanId}-01`],
])('%s is no traceparent', (_what, text) => {
  expect(parseTraceparent(text)).toBeUndefined();
});

test('a later version is read as far as its first four fields are known', () => {
  expect(parseTraceparent(`01-${traceId}-${spanId}-01-new`)).toEqual({ traceId, spanId, isSampled: true });
});

test('whatever else comes is refused, and nothing is thrown', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 80 }), (text) => {
      expect(parseTraceparent(text)).toBeUndefined();
      isTracestate(text);
    }),
  );
});

test.each([
  'congo=t61rcWkgMzE',
  'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE',
  '0tenant@vendor=a b!',
  'a=1, ,b=2',
])('tracestate %s passes', (text) => {
  expect(isTracestate(text)).toBe(true);
});
test.each([
  ['nothing', ''],
  ['no value', 'a='],
  ['a capital', 'A=1'],
  ['two of a key', 'a=1,a=2'],
  ['two equals', 'a=b=c'],
  ['a control character', 'a=\u0001'],
  ['too much', `a=${'x'.repeat(600)}`],
  ['too many', Array.from({ length: 33 }, (_, i) => `a${i}=1`).join()],
])('tracestate with %s is dropped', (_what, text) => {
  expect(isTracestate(text)).toBe(false);
});
