// Reads HTTP/1.1 as RFC 9112 has it, and nothing else: what this does not accept, nobody may say. Texts are bytes as latin1.

export type Header = { readonly name: string; readonly value: string };

export type ReadRequest = {
  readonly method: string;
  readonly target: string;
  readonly version: string;
  readonly headers: readonly Header[];
  readonly trailers: readonly Header[];
  readonly body: string;
};

export type Requests = {
  /** Whole ones. */
  readonly requests: readonly ReadRequest[];
  /** What has come of one that is not whole. */
  readonly rest: string;
  /** Why the reader stopped at `rest`. */
  readonly fault: string | undefined;
};

export type ReadAnswer = {
  readonly status: number;
  readonly version: string;
  readonly headers: readonly Header[];
  readonly body: string;
  /** Its end has come, or is that of the connection. */
  readonly isWhole: boolean;
};

export type Answers = {
  readonly answers: readonly ReadAnswer[];
  readonly rest: string;
  readonly fault: string | undefined;
};

class Fault extends Error {}

const headerLine = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*$/s;
/** Bytes beyond ASCII do no harm in a target, and old clients send them. */
const requestLine = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!-~\x80-\xff]+) HTTP\/(1\.[01])$/;
const statusLine = /^HTTP\/(1\.[01]) ([1-9]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?$/;
const hostValue = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~!$&'()*+,;=%]*)(?::\d*)?$/;

export const valuesOf = (headers: readonly Header[], name: string) =>
  headers.filter((each) => each.name.toLowerCase() === name).map(({ value }) => value);

function readHeaders(lines: readonly string[]): Header[] {
  return lines.map((line) => {
    const [, name, value] = headerLine.exec(line) ?? [];
    if (name === undefined || value === undefined || /[\r\n\0]/.test(value))
      throw new Fault(`a malformed line: ${JSON.stringify(line.slice(0, 80))}`);
    return { name, value };
  });
}

/** @returns bytes of the body, 'chunked', or undefined: nothing says so */
function framingOf(headers: readonly Header[], version: string): number | 'chunked' | undefined {
  const lengths = valuesOf(headers, 'content-length');
  const encodings = valuesOf(headers, 'transfer-encoding');
  if (encodings.length + lengths.length > 1) throw new Fault('more than one header says how long it is');
  const [encoding] = encodings;
  if (encoding !== undefined) {
    if (encoding.toLowerCase() !== 'chunked') throw new Fault(`Transfer-Encoding: ${encoding}`);
    if (version === '1.0') throw new Fault('chunks in HTTP/1.0');
    return 'chunked';
  }
  const [length] = lengths;
  if (length === undefined) return undefined;
  // More than 63 bits are less than nothing to some.
  if (!/^\d{1,19}$/.test(length) || BigInt(length) >= 2n ** 63n) throw new Fault(`Content-Length: ${length}`);
  return Number(length);
}

type Part = { readonly text: string; readonly end: number; readonly trailers: readonly Header[] };

/** @returns undefined as long as it is not whole */
function readChunks(bytes: string, start: number): Part | undefined {
  let text = '';
  for (let at = start; ; ) {
    const end = bytes.indexOf('\r\n', at);
    const line = end < 0 ? bytes.slice(at).replace(/\r$/, '') : bytes.slice(at, end);
    if (!/^[0-9A-Fa-f]{0,15}(;[^\r\n\0]*)?$/.test(line) || (end >= 0 && line === ''))
      throw new Fault(`a malformed chunk: ${JSON.stringify(line.slice(0, 80))}`);
    if (end < 0) return undefined;
    const size = Number.parseInt(line, 16);
    at = end + 2;
    if (size === 0) {
      const last = bytes.startsWith('\r\n', at) ? at : bytes.indexOf('\r\n\r\n', at);
      if (last < 0) return undefined;
      const trailers = last === at ? [] : readHeaders(bytes.slice(at, last).split('\r\n'));
      return { text, end: last === at ? at + 2 : last + 4, trailers };
    }
    if (bytes.length < at + size) return undefined;
    text += bytes.slice(at, at + size);
    at += size;
    const after = bytes.slice(at, at + 2);
    if (!'\r\n'.startsWith(after)) throw new Fault('a chunk is longer than its size');
    if (after.length < 2) return undefined;
    at += 2;
  }
}

function headAt(bytes: string, at: number): { lines: string[]; end: number } | undefined {
  const end = bytes.indexOf('\r\n\r\n', at);
  const head = bytes.slice(at, end < 0 ? bytes.length : end);
  if (/(^|[^\r])\n/.test(head)) throw new Fault('a bare line feed');
  return end < 0 ? undefined : { lines: head.split('\r\n'), end: end + 4 };
}

function bodyAt(bytes: string, at: number, framing: number | 'chunked'): Part | undefined {
  if (framing === 'chunked') return readChunks(bytes, at);
  if (bytes.length < at + framing) return undefined;
  return { text: bytes.slice(at, at + framing), end: at + framing, trailers: [] };
}

function requestHead([first = '', ...lines]: readonly string[]) {
  const [, method, target, version] = requestLine.exec(first) ?? [];
  if (method === undefined || target === undefined || version === undefined)
    throw new Fault(`a malformed request line: ${JSON.stringify(first.slice(0, 80))}`);
  if (target.includes('#')) throw new Fault('a target with a fragment');
  const headers = readHeaders(lines);
  const hosts = valuesOf(headers, 'host');
  if (hosts.length > 1 || (hosts.length === 0 && version !== '1.0')) throw new Fault(`${hosts.length} hosts`);
  if (hosts.some((host) => !hostValue.test(host))) throw new Fault(`Host: ${hosts[0]}`);
  return { method, target, version, headers };
}

export function readRequests(bytes: string): Requests {
  const requests: ReadRequest[] = [];
  let at = 0;
  try {
    while (at < bytes.length) {
      const head = headAt(bytes, at);
      if (!head) break;
      const request = requestHead(head.lines);
      const body = bodyAt(bytes, head.end, framingOf(request.headers, request.version) ?? 0);
      if (!body) break;
      requests.push({ ...request, body: body.text, trailers: body.trailers });
      at = body.end;
    }
    return { requests, rest: bytes.slice(at), fault: undefined };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { requests, rest: bytes.slice(at), fault: error.message };
  }
}

/** Its end is that of the connection, when nothing says where it is. */
function readAnswerAt(bytes: string, at: number, asked: Asked, isClosed: boolean) {
  const head = headAt(bytes, at);
  if (!head) return undefined;
  const [, version, code] = statusLine.exec(head.lines[0] ?? '') ?? [];
  if (version === undefined || code === undefined)
    throw new Fault(`a malformed status line: ${JSON.stringify(head.lines[0]?.slice(0, 80))}`);
  const status = Number(code);
  const headers = readHeaders(head.lines.slice(1));
  const framing = framingOf(headers, asked.version);
  if (framing !== undefined && (status < 200 || status === 204))
    throw new Fault(`a ${status} that says how long it is`);
  const start = { status, version, headers };
  if (asked.method === 'HEAD' || status < 200 || status === 204 || status === 304)
    return { answer: { ...start, body: '', isWhole: true }, end: head.end };
  const body = framing === undefined ? undefined : bodyAt(bytes, head.end, framing);
  if (body) return { answer: { ...start, body: body.text, isWhole: true }, end: body.end };
  const isWhole = framing === undefined && isClosed;
  return { answer: { ...start, body: bytes.slice(head.end), isWhole }, end: bytes.length };
}

export type Asked = { readonly method: string; readonly version: string };

/** @param asked what each final answer is to; after those GET is taken for granted */
export function readAnswers(bytes: string, asked: readonly Asked[], isClosed: boolean): Answers {
  const answers: ReadAnswer[] = [];
  let at = 0;
  let finals = 0;
  try {
    while (at < bytes.length) {
      const read = readAnswerAt(bytes, at, asked[finals] ?? { method: 'GET', version: '1.1' }, isClosed);
      if (!read) break;
      answers.push(read.answer);
      at = read.end;
      if (read.answer.status === 101) break; // what follows is of another protocol
      if (read.answer.status >= 200) finals += 1;
    }
    return { answers, rest: bytes.slice(at), fault: undefined };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { answers, rest: bytes.slice(at), fault: error.message };
  }
}
