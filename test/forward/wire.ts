// Reads what went over the wires, for who compares: requests as an upstream gets them, answers as a client does.
import type { Ask } from './cases.ts';

/** @returns the data of chunks that are in order, and what follows; undefined: more is to come */
function unchunk(text: string): { data: string; rest: number } | undefined {
  let data = '';
  for (let at = 0; ; ) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    at = lineEnd + 2;
    if (size === 0) {
      // A facade sends no trailers.
      return text.startsWith('\r\n', at) ? { data, rest: at + 2 } : undefined;
    }
    if (text.length < at + size + 2) return undefined;
    data += text.slice(at, at + size);
    at += size + 2;
  }
}

type Request = {
  readonly id: string;
  readonly isWhole: boolean;
  readonly bytes: number;
  readonly head: string;
  /** Head and body, in one form for all that mean the same: the order of names, and where chunks are cut, do not count. */
  readonly said: string;
};

/** @returns the first one; undefined as long as its head is not whole */
export function readRequest(text: string): Request | undefined {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [line = '', ...lines] = text.slice(0, end).split('\r\n');
  const fields = lines.map((each) => {
    const colon = each.indexOf(':');
    return `${each.slice(0, colon).toLowerCase()}:${each.slice(colon + 1)}`;
  });
  const value = (name: string) =>
    fields
      .find((field) => field.startsWith(`${name}:`))
      ?.slice(name.length + 1)
      .trim();
  // How long a body is may be said in either way (RFC 9112, 6.1); undici finds it out later, and so more often.
  const isFraming = (field: string) => /^(content-length|transfer-encoding):/.test(field);
  const head = [line, ...fields.filter((field) => !isFraming(field)).sort()].join('\n');
  const id = value('x-case') ?? '';
  const rest = text.slice(end + 4);
  if (value('transfer-encoding') !== undefined) {
    const body = unchunk(rest);
    const bytes = end + 4 + (body?.rest ?? rest.length);
    return { id, isWhole: body !== undefined, bytes, head, said: `${head}\n\n${body?.data}` };
  }
  const length = Number(value('content-length') ?? 0);
  return {
    id,
    isWhole: rest.length >= length,
    bytes: end + 4 + length,
    head,
    said: `${head}\n\n${rest.slice(0, length)}`,
  };
}

export type Heard = {
  readonly informed: readonly string[];
  readonly status: number;
  /** Without Date. */
  readonly headers: string;
  readonly body: string;
  readonly isWhole: boolean;
};

/** @param isClosed no more comes; the last one may end there */
export function readAnswers(text: string, asks: readonly Ask[], isClosed: boolean): Heard[] {
  const answers: Heard[] = [];
  let informed: string[] = [];
  for (let at = 0; answers.length < asks.length; ) {
    const end = text.indexOf('\r\n\r\n', at);
    if (end < 0) return answers;
    const [line = '', ...lines] = text.slice(at, end).split('\r\n');
    const status = Number(line.split(' ')[1]);
    // What stands around a value is not part of it (RFC 9112, 5.1): undici leaves what stands behind it.
    const headers = lines
      .filter((each) => !each.startsWith('Date: '))
      .map((each) => each.trimEnd())
      .join('\n');
    at = end + 4;
    if (status < 200) {
      informed.push(`${line}\n${headers}`);
      continue;
    }
    const length = /^content-length: (\d+)$/im.exec(headers)?.[1];
    const isEmpty = asks[answers.length]?.method === 'HEAD' || status === 204 || status === 304;
    let body = '';
    let isWhole = true;
    if (isEmpty) body = '';
    else if (/^transfer-encoding: chunked$/im.test(headers)) {
      const read = unchunk(text.slice(at));
      body = read?.data ?? '';
      isWhole = read !== undefined;
      at += read?.rest ?? text.length;
    } else if (length !== undefined) {
      body = text.slice(at, at + Number(length));
      isWhole = body.length === Number(length);
      at += Number(length);
    } else {
      body = text.slice(at);
      isWhole = isClosed;
      at = text.length;
    }
    answers.push({ informed, status, headers, body, isWhole });
    informed = [];
    if (!isWhole) return answers;
  }
  return answers;
}
