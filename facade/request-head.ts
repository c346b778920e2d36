// The head of a request to an upstream. It is written here, and so its framing is ours: a header from outside can neither end it nor
// speak of the length of its body. Pure.
import { isTokenByte } from './answer-head.ts';
import { UpstreamError } from './errors.ts';
import type { HeaderList } from './headers.ts';

/** Bytes, where they are known. */
export type BodyLength = number | 'chunked' | 'none';

// What is beyond a byte would be another character on the wire: U+010A a line feed.
const notInValue = /[^\t\x20-\x7e\x80-\xff]/;
const notInPath = /[^\x21-\x7e\x80-\xff]/;

/** RFC 9110, 8.6: without a length, others would wait for the body of these. */
const expectsBody = new Set(['POST', 'PUT', 'PATCH', 'QUERY', 'PROPFIND', 'PROPPATCH']);

type Name = 'other' | 'host' | 'framing' | 'malformed';

function judgeName(name: string): Name {
  const lower = name.toLowerCase();
  if (lower === 'host') return lower;
  if (lower === 'content-length' || lower === 'transfer-encoding' || lower === 'connection') return 'framing';
  for (let at = 0; at < name.length; at++) if (!isTokenByte(name.charCodeAt(at))) return 'malformed';
  return name === '' ? 'malformed' : 'other';
}

/** As in headers.ts: the names as they are written are few. */
const names = new Map<string, Name>();
const namesMax = 1_000;
const nameLengthMax = 64;

function nameOf(name: string): Name {
  const known = names.get(name);
  if (known) return known;
  const judged = judgeName(name);
  if (names.size < namesMax && name.length <= nameLengthMax) names.set(name, judged);
  return judged;
}

const unsendable = (what: string) => new UpstreamError('bad_request', `${what} cannot be sent`);

/**
 * @param headers what they say of connection and length is left out
 * @param host said where the headers say none: HTTP/1.1 has no request without one
 * @throws UpstreamError bad_request
 */
export function requestHead(
  method: string,
  path: string,
  headers: HeaderList,
  host: string,
  length: BodyLength,
): string {
  if (judgeName(method) === 'malformed') throw unsendable('the method');
  if (path === '' || notInPath.test(path)) throw unsendable('the path');
  let text = `${method} ${path} HTTP/1.1\r\n`;
  let hasHost = false;
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] ?? '';
    const value = headers[at + 1] ?? '';
    const is = nameOf(name);
    if (is === 'malformed' || notInValue.test(value)) throw unsendable('a header');
    if (is === 'framing') continue;
    if (is === 'host') hasHost = true;
    text += `${name}: ${value}\r\n`;
  }
  if (!hasHost) text += `host: ${host}\r\n`;
  // HTTP/1.0 keeps a connection only when it is asked to. One that carried a HEAD is never kept (answer-reader.ts says why).
  text += method === 'HEAD' ? 'connection: close\r\n' : 'connection: keep-alive\r\n';
  if (length === 'chunked') text += 'transfer-encoding: chunked\r\n';
  else if (length !== 'none') text += `content-length: ${length}\r\n`;
  else if (expectsBody.has(method)) text += 'content-length: 0\r\n';
  return `${text}\r\n`;
}
