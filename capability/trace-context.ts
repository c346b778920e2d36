// W3C trace context (https://www.w3.org/TR/trace-context/): what a hop says of the trace that a request belongs to. All of it is
// written by others, and so read to the letter. Ids come from randomness that is fetched for many at once.
import { randomFillSync } from 'node:crypto';

export type Traceparent = {
  /** 32 hex digits. */
  readonly traceId: string;
  /** Of the span that asks: 16 hex digits. */
  readonly spanId: string;
  readonly isSampled: boolean;
};

const poolBytes = Buffer.alloc(8 * 1024);
let pool = '';
let at = 0;

/** @param digits hex digits, an even number */
function randomHex(digits: number): string {
  if (at + digits > pool.length) {
    pool = randomFillSync(poolBytes).toString('hex');
    at = 0;
  }
  const from = at;
  at += digits;
  return pool.slice(from, at);
}

export const mintTraceId = (): string => randomHex(32);
export const mintSpanId = (): string => randomHex(16);

/** Version ff is no version, and ids of zeros are none. What comes after four fields is a later version's. */
const traceparentShape = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-|$)/;
const traceparentLength = 55;
const laterLengthMax = 256;

/** @param text of one header, or of several joined by commas: then it is none */
export const isTraceparent = (text: string): boolean =>
  text.length >= traceparentLength &&
  text.length <= laterLengthMax &&
  traceparentShape.test(text) &&
  (text.length === traceparentLength || !text.startsWith('00'));

const isOddDigit = (text: string, index: number) => {
  const digit = text.charCodeAt(index);
  // '0' is even, 'a' is odd and stands for ten.
  return digit < 97 ? (digit & 1) === 1 : (digit & 1) === 0;
};

/** @returns undefined for whatever is not to the letter */
export const parseTraceparent = (text: string | undefined): Traceparent | undefined =>
  text !== undefined && isTraceparent(text)
    ? { traceId: text.slice(3, 35), spanId: text.slice(36, 52), isSampled: isOddDigit(text, 54) }
    : undefined;

export const formatTraceparent = (traceId: string, spanId: string, isSampled: boolean): string =>
  `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`;

const tracestateLengthMax = 512;
const membersMax = 32;
const keyShape = /^(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})$/;
const valueShape = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;

/** Whether a tracestate may be passed on; one that may not is dropped as a whole. */
export function isTracestate(text: string): boolean {
  if (text.length > tracestateLengthMax) return false;
  const keys = new Set<string>();
  for (const member of text.split(',').map((each) => each.trim())) {
    if (member === '') continue;
    const [key = '', value = '', ...more] = member.split('=');
    if (more.length > 0 || !keyShape.test(key) || !valueShape.test(value) || keys.has(key)) return false;
    keys.add(key);
  }
  return keys.size > 0 && keys.size <= membersMax;
}
