// The head of an answer, read to the letter of RFC 9112: what two readers could take for two different answers is none. Pure.
import { UpstreamError } from './errors.ts';
import type { HeaderList } from './headers.ts';

/** An answer that is not to be believed: its connection ends with it. */
export const notHttp = (what: string) =>
  new UpstreamError('upstream_failed', `the answer is no HTTP: ${what}`);

export type AnswerHead = {
  readonly status: number;
  /** All of them, as they came; a character is a byte. */
  readonly headers: HeaderList;
  /** By its Content-Length; -1: it does not say. */
  readonly length: number;
  readonly isChunked: boolean;
  /** Whether another answer may follow on this connection. */
  readonly isKept: boolean;
  /** For how long the upstream keeps it, by its own word; -1: it does not say. */
  readonly keptMs: number;
};

export const headBytesMax = 64 * 1024;
const headersMax = 1_000;

const [tab, lf, cr, space, colon, del] = [9, 10, 13, 32, 58, 127];
const tokenByte = 1;
const valueByte = 2;

/** RFC 9110, 5.5 and 5.6.2: what may stand in a name, and in a value. */
const classes = new Uint8Array(256);
for (let byte = space; byte < 256; byte++) if (byte !== del) classes[byte] = valueByte;
classes[tab] = valueByte;
for (const char of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
  classes[char.charCodeAt(0)] = tokenByte | valueByte;

export const isTokenByte = (byte: number): boolean => ((classes[byte] ?? 0) & tokenByte) !== 0;
export const isValueByte = (byte: number): boolean => ((classes[byte] ?? 0) & valueByte) !== 0;

const begin = Buffer.from('HTTP/1.');

/** Finds where a head ends. It goes on where it stopped: a head that comes byte by byte is still looked at only once. */
export class HeadEnd {
  #looked = 0;
  #line = 0;

  /**
   * @param from where the head begins, in `bytes` of all that has come of it
   * @returns where its body begins; -1: more is to come
   * @throws UpstreamError
   */
  find(bytes: Uint8Array, from: number, to: number): number {
    if (this.#looked < begin.length)
      for (let at = this.#looked; at < begin.length && from + at < to; at++)
        if (bytes[from + at] !== begin[at]) throw notHttp('it does not begin as an answer');
    let line = from + this.#line;
    for (let at = from + this.#looked; at < to; at++) {
      if (bytes[at] !== lf) continue;
      if (at === line || bytes[at - 1] !== cr) throw notHttp('a line feed without a carriage return');
      if (at === line + 1) {
        this.#looked = 0;
        this.#line = 0;
        if (at + 1 - from > headBytesMax) break;
        return at + 1;
      }
      line = at + 1;
    }
    if (to - from > headBytesMax) throw notHttp(`its head has more than ${headBytesMax} bytes`);
    this.#looked = to - from;
    this.#line = line - from;
    return -1;
  }
}

const digit = (byte: number | undefined): number =>
  byte !== undefined && byte >= 48 && byte <= 57 ? byte - 48 : Number.NaN;

/** What a head says of its own framing. */
class Framing {
  length = -1;
  isChunked = false;
  keptMs = -1;
  saysClose = false;
  saysKeep = false;

  /** @param lower of its name */
  read(lower: string, value: string): void {
    if (lower === 'content-length') {
      // Also twice the same: there is no such answer of a server that is in order.
      if (this.length >= 0 || !/^\d{1,15}$/.test(value)) throw notHttp('its length is ambiguous');
      this.length = Number(value);
    } else if (lower === 'transfer-encoding') {
      if (this.isChunked || value.toLowerCase() !== 'chunked') throw notHttp('an unknown transfer coding');
      this.isChunked = true;
    } else if (lower === 'connection') {
      for (const option of value.toLowerCase().split(',')) {
        const name = option.trim();
        if (name === 'close') this.saysClose = true;
        else if (name === 'keep-alive') this.saysKeep = true;
      }
    } else if (lower === 'keep-alive') {
      const seconds = /(?:^|[,;\s])timeout\s*=\s*(\d{1,6})/i.exec(value)?.[1];
      if (seconds !== undefined) this.keptMs = Number(seconds) * 1000;
    }
  }
}

/** Names that speak of framing have one of these lengths. */
const mayFrame = (length: number) => length === 10 || length === 14 || length === 17;

/** @returns its status; @throws UpstreamError */
function readStatus(bytes: Uint8Array, from: number, lineEnd: number): number {
  // HTTP/1.1 200 OK; of the phrase nothing is passed on, and its space may be left out with it (RFC 9112, 4).
  const at = from + begin.length;
  const minor = bytes[at];
  const status = digit(bytes[at + 2]) * 100 + digit(bytes[at + 3]) * 10 + digit(bytes[at + 4]);
  const isWhole = at + 5 === lineEnd || (at + 5 < lineEnd && bytes[at + 5] === space);
  if (
    (minor !== 48 && minor !== 49) ||
    bytes[at + 1] !== space ||
    !isWhole ||
    !(status >= 100 && status < 600)
  )
    throw notHttp('its status line is malformed');
  for (let i = at + 5; i < lineEnd; i++)
    if (!isValueByte(bytes[i] ?? 0)) throw notHttp('its status line is malformed');
  return status;
}

/**
 * @param end as found: after its empty line
 * @throws UpstreamError
 */
export function readHead(bytes: Buffer, from: number, end: number): AnswerHead {
  const text = bytes.toString('latin1', from, end);
  let at = from + text.indexOf('\r\n');
  const status = readStatus(bytes, from, at);
  const isOld = bytes[from + begin.length] === 48;
  const framing = new Framing();
  const headers: string[] = [];
  for (at += 2; at < end - 2; at += 2) {
    const nameAt = at;
    while (isTokenByte(bytes[at] ?? 0)) at += 1;
    // A line that continues another one begins with a space; RFC 9112, 5.2 lets us refuse that.
    if (at === nameAt || bytes[at] !== colon) throw notHttp('the name of a header is malformed');
    const name = text.slice(nameAt - from, at - from);
    at += 1;
    while (bytes[at] === space || bytes[at] === tab) at += 1;
    const valueAt = at;
    while (isValueByte(bytes[at] ?? 0)) at += 1;
    if (bytes[at] !== cr || bytes[at + 1] !== lf) throw notHttp('the value of a header is malformed');
    let valueEnd = at;
    while (valueEnd > valueAt && (bytes[valueEnd - 1] === space || bytes[valueEnd - 1] === tab))
      valueEnd -= 1;
    const value = text.slice(valueAt - from, valueEnd - from);
    headers.push(name, value);
    if (mayFrame(name.length)) framing.read(name.toLowerCase(), value);
  }
  if (headers.length > 2 * headersMax) throw notHttp(`it has more than ${headersMax} headers`);
  const { length, isChunked, keptMs, saysClose, saysKeep } = framing;
  if (isChunked && (length >= 0 || isOld)) throw notHttp('its length is ambiguous');
  return { status, headers, length, isChunked, isKept: !saysClose && (!isOld || saysKeep), keptMs };
}
