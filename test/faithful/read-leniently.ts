// Reads requests as the most forgiving of old servers would: whatever looks like a length is one. What this reader finds in bytes beyond
// what the strict one finds is harm: some server behind would have served it. Texts are bytes as latin1.
import type { Header, ReadRequest, Requests } from './read-strictly.ts';

/** A line, however it ends; undefined when its end has not come. */
function lineAt(bytes: string, at: number): { text: string; end: number } | undefined {
  const found = /\r\r\n|\r\n|\n|\r(?!\n|$)/g;
  found.lastIndex = at;
  const match = found.exec(bytes);
  return match ? { text: bytes.slice(at, match.index), end: match.index + match[0].length } : undefined;
}

/** As it may be meant: without what is no letter, with dashes for underscores. */
const meantName = (name: string) =>
  name
    .toLowerCase()
    .replaceAll('_', '-')
    .replace(/[^a-z0-9-]/g, '');

function readHead(bytes: string, start: number) {
  let at = start;
  const lines: string[] = [];
  for (;;) {
    const line = lineAt(bytes, at);
    if (!line) return undefined;
    at = line.end;
    if (line.text === '') {
      if (lines.length > 0) break;
    } else if (lines.length > 1 && /^[ \t]/.test(line.text)) lines.push(`${lines.pop()} ${line.text.trim()}`);
    else lines.push(line.text);
  }
  const [first = '', ...rest] = lines;
  const headers: Header[] = rest.map((line) => {
    const colon = line.indexOf(':');
    return { name: meantName(line.slice(0, Math.max(0, colon))), value: line.slice(colon + 1).trim() };
  });
  const [method = '', target = '', version = ''] = first.trim().split(/\s+/);
  return { method, target, version: version.replace(/^HTTP\//i, ''), headers, end: at };
}

const meantLength = (value: string): number => {
  const digits = /0x[0-9a-f]+|\d+/i.exec(value)?.[0];
  return digits === undefined ? 0 : Number(digits);
};

function readChunks(bytes: string, start: number): { text: string; end: number } | undefined {
  let text = '';
  let at = start;
  for (;;) {
    const line = lineAt(bytes, at);
    if (!line) return undefined;
    at = line.end;
    const size = Number.parseInt(line.text.replace(/^[^0-9a-f]*(0x)?/i, ''), 16) || 0;
    if (size === 0) break;
    if (bytes.length <= at + size) return undefined;
    text += bytes.slice(at, at + size);
    at += size;
    at += /^(?:\r\n|\n|\r)?/.exec(bytes.slice(at, at + 2))?.[0].length ?? 0;
  }
  for (;;) {
    const trailer = lineAt(bytes, at);
    if (!trailer) return undefined;
    at = trailer.end;
    if (trailer.text === '') return { text, end: at };
  }
}

export function readRequestsLeniently(bytes: string): Requests {
  const requests: ReadRequest[] = [];
  for (let at = 0; ; ) {
    const none = { requests, rest: bytes.slice(at), fault: undefined };
    const head = readHead(bytes, at);
    if (!head) return none;
    const isChunked = head.headers.some(
      ({ name, value }) => name === 'transfer-encoding' && value.toLowerCase().includes('chunked'),
    );
    const length = head.headers.find(({ name }) => name === 'content-length')?.value ?? '';
    const until = head.end + (isChunked ? 0 : meantLength(length));
    const body = isChunked
      ? readChunks(bytes, head.end)
      : bytes.length < until
        ? undefined
        : { text: bytes.slice(head.end, until), end: until };
    if (!body) return none;
    const { method, target, version, headers } = head;
    requests.push({ method, target, version, headers, trailers: [], body: body.text });
    at = body.end;
  }
}
