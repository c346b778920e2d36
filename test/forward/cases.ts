// Exchanges by a seed: what a client asks, what an upstream answers, honestly or not, and where both are cut.
import { Chance } from './chance.ts';

export type Ask = {
  readonly id: string;
  readonly method: string;
  readonly version: '1.0' | '1.1';
  readonly bytes: string;
  readonly body: string;
  readonly cuts: readonly number[];
};

/** What is wrong with an answer, by a name; 'nothing' is most. */
export type Lie =
  | 'nothing'
  | 'short'
  | 'reset amid it'
  | 'longer than it says'
  | 'something after it'
  | 'two lengths'
  | 'equal lengths'
  | 'length and chunks'
  | 'an unknown coding'
  | 'a folded header'
  | 'a space before a colon'
  | 'a bare line feed'
  | 'a bare carriage return'
  | 'a control character'
  | 'no status'
  | 'a strange version'
  | 'a chunk that is none'
  | 'a chunk without an end'
  | 'chunks by HTTP/1.0'
  | 'a space after a chunk size'
  | 'a switch of protocols'
  | 'an unasked 100'
  | 'no answer'
  | 'a reset without an answer'
  | 'too soon'
  | 'too many headers';

export type Answer = {
  readonly lie: Lie;
  readonly status: number;
  readonly framing: 'length' | 'chunks' | 'connection' | 'none';
  readonly isOld: boolean;
  readonly informed: readonly number[];
  readonly bytes: string;
  readonly body: string;
  readonly cuts: readonly number[];
  /** After the last byte. */
  readonly then: 'keep' | 'end' | 'reset';
};

export type Exchange = { readonly ask: Ask; readonly answer: Answer };
export type Case = { readonly exchanges: readonly Exchange[]; readonly isPipelined: boolean };

const lies: readonly Lie[] = [
  'short',
  'reset amid it',
  'longer than it says',
  'something after it',
  'two lengths',
  'equal lengths',
  'length and chunks',
  'an unknown coding',
  'a folded header',
  'a space before a colon',
  'a bare line feed',
  'a bare carriage return',
  'a control character',
  'no status',
  'a strange version',
  'a chunk that is none',
  'a chunk without an end',
  'chunks by HTTP/1.0',
  'a space after a chunk size',
  'a switch of protocols',
  'an unasked 100',
  'no answer',
  'a reset without an answer',
  'too soon',
  'too many headers',
];

function bodyOf(chance: Chance, mark: string): string {
  const size = chance.of(
    0,
    1,
    10,
    300,
    1_024,
    8_191,
    8_192,
    8_193,
    20_000,
    chance.is(20) ? 70_000 : 2,
    chance.is(5) ? 600_000 : 3,
  );
  return mark.repeat(Math.ceil(size / mark.length)).slice(0, size);
}

function cutsOf(chance: Chance, length: number): number[] {
  if (length < 400 && chance.is(5)) return Array.from({ length: length - 1 }, (_, at) => at + 1);
  const many = chance.of(0, 0, 0, 1, 1, 2, 4);
  return Array.from({ length: many }, () =>
    chance.below(chance.is(60) ? Math.min(length, 300) : length),
  ).sort((a, b) => a - b);
}

function chunked(chance: Chance, body: string, isTold: boolean, lie: Lie): string {
  let text = '';
  let at = 0;
  while (at < body.length) {
    const size = Math.min(body.length - at, 1 + chance.below(chance.is(50) ? 20_000 : 300));
    const extension = chance.is(10) ? ';a=b' : '';
    const gap = lie === 'a space after a chunk size' ? ' ' : '';
    text += `${size.toString(16)}${gap}${extension}\r\n${body.slice(at, at + size)}\r\n`;
    at += size;
  }
  if (lie === 'a chunk that is none') return `${text}zz\r\n`;
  if (lie === 'a chunk without an end') return `${text}1\r\nab\r\n0\r\n\r\n`;
  return `${text}0\r\n${isTold ? 'X-Sum: 1\r\n' : ''}\r\n`;
}

function headersOf(chance: Chance): string[] {
  const headers = [
    'Content-Type: text/plain',
    'X-Bytes: \xb0\xa1\xff',
    'Set-Cookie: a=1',
    'Set-Cookie: b=2; Path=/',
    'x-empty:',
    'X-Tab:\ta\t b \t',
    'ETag: "x"',
    'Keep-Alive: timeout=9',
    'Proxy-Authenticate: Basic',
    'Cache-Control: no-cache',
  ];
  return headers.filter(() => chance.is(35));
}

function answerOf(chance: Chance, id: string, method: string): Answer {
  const lie = chance.is(70) ? 'nothing' : chance.of(...lies);
  const isOld =
    lie === 'chunks by HTTP/1.0' || (lie !== 'a strange version' && !lie.includes('chunk') && chance.is(8));
  const status = chance.of(200, 200, 200, 200, 201, 404, 500, 503, 299, 301, 204, 304);
  const isBare = (status === 204 || status === 304) && !lie.includes('chunk');
  const framing = isBare
    ? 'none'
    : lie.includes('chunk') && lie !== 'length and chunks'
      ? 'chunks'
      : chance.of(
          'length',
          'length',
          'length',
          'connection',
          ...(isOld ? (['length'] as const) : (['chunks', 'chunks'] as const)),
        );
  const evil = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil';
  // Where the connection is the end, whatever comes belongs to it.
  const isAll = lie === 'something after it' && framing === 'connection';
  const body = isBare ? '' : bodyOf(chance, `<${id}>`) + (isAll ? evil : '');
  const lines = headersOf(chance);
  const at = () => chance.below(lines.length + 1);
  const connection = chance.of('', '', '', 'close', 'keep-alive', 'X-Hop, keep-alive');
  if (connection !== '') lines.splice(at(), 0, `Connection: ${connection}`);
  if (connection.startsWith('X-Hop')) lines.splice(at(), 0, 'X-Hop: 1');
  if (framing === 'length')
    lines.splice(
      at(),
      0,
      `Content-Length: ${lie === 'longer than it says' ? Math.max(body.length - 1, 0) : body.length}`,
    );
  if (framing === 'chunks') lines.splice(at(), 0, 'Transfer-Encoding: chunked');
  if (lie === 'two lengths') lines.push('Content-Length: 5', 'Content-Length: 6');
  if (lie === 'equal lengths') lines.push('Content-Length: 5', 'Content-Length: 5');
  if (lie === 'length and chunks') lines.push('Content-Length: 5', 'Transfer-Encoding: chunked');
  if (lie === 'an unknown coding') lines.push('Transfer-Encoding: xchunked');
  if (lie === 'a folded header') lines.push('X-Fold: 1', ' 2');
  if (lie === 'a space before a colon') lines.push('X-Space : 1');
  if (lie === 'a bare carriage return') lines.push('X-Bare: 1\rX-Other: 2');
  if (lie === 'a control character') lines.push('X-Control: \x01');
  if (lie === 'too many headers') lines.push(...Array.from({ length: 1_100 }, () => 'X-Many: 1'));
  const version = lie === 'a strange version' ? 'HTTP/1.7' : isOld ? 'HTTP/1.0' : 'HTTP/1.1';
  const first =
    lie === 'a switch of protocols'
      ? `${version} 101 X`
      : lie === 'no status'
        ? `${version} x`
        : `${version} ${status} ${chance.of('OK', '', 'What Ever')}`;
  const informed = isOld ? [] : chance.is(10) ? chance.of([103], [102, 103]) : [];
  let text = informed.map((each) => `HTTP/1.1 ${each} X\r\nLink: <a>\r\n\r\n`).join('');
  if (lie === 'an unasked 100') text += 'HTTP/1.1 100 Continue\r\n\r\n';
  text += `${first}${lie === 'a bare line feed' ? '\n' : '\r\n'}${lines.map((line) => `${line}\r\n`).join('')}\r\n`;
  // To a HEAD nothing but the head, by those that are in order.
  const headEnd = text.length;
  if (method !== 'HEAD') text += framing === 'chunks' ? chunked(chance, body, chance.is(30), lie) : body;
  const isShort = lie === 'short' || lie === 'reset amid it';
  if (isShort)
    text = text.slice(
      0,
      chance.is(30)
        ? chance.below(text.length)
        : Math.min(headEnd + chance.below(Math.max(text.length - headEnd, 1)), text.length - 1),
    );
  if (lie === 'no answer' || lie === 'a reset without an answer') text = '';
  if (lie === 'something after it' && !isAll) text += evil;
  const isLonger = lie === 'something after it' || lie === 'longer than it says';
  const isReset = lie === 'reset amid it' || lie === 'a reset without an answer';
  const isEnded =
    framing === 'connection' ||
    isShort ||
    lie === 'no answer' ||
    connection === 'close' ||
    (isOld && connection === '');
  const then = isReset ? 'reset' : isEnded || (lie !== 'nothing' && chance.is(50)) ? 'end' : 'keep';
  return {
    lie,
    status,
    framing,
    isOld,
    informed,
    bytes: text,
    body,
    // What comes behind an answer when the next request is on its way already, nobody can tell from the answer to that one.
    cuts: cutsOf(chance, text.length).filter((cut) => !isLonger || cut < headEnd),
    then,
  };
}

function askOf(chance: Chance, id: string, isLast: boolean): Ask {
  const method = chance.of('GET', 'GET', 'GET', 'HEAD', 'POST', 'POST', 'PUT', 'DELETE', 'OPTIONS');
  const version = chance.is(8) && isLast ? '1.0' : '1.1';
  const lines = [
    'Host: shop.example',
    `X-Case: ${id}`,
    'X-Bytes: \xc0\xfe',
    'Cookie: a=1',
    'X-Twice: 1',
    'X-Twice: 2',
  ];
  const mayHave = method === 'POST' || method === 'PUT' || (method === 'DELETE' && chance.is(20));
  const body = mayHave ? bodyOf(chance, `[${id}]`) : '';
  let sent = body;
  if (mayHave && version === '1.1' && chance.is(40)) {
    lines.push('Transfer-Encoding: chunked');
    sent = chunked(chance, body, chance.is(20), 'nothing');
  } else if (mayHave) lines.push(`Content-Length: ${body.length}`);
  if (isLast && chance.is(30)) lines.push('Connection: close');
  const head = `${method} /${id}?q=%zz HTTP/${version}\r\n${lines.join('\r\n')}\r\n\r\n`;
  const bytes = head + sent;
  return { id, method, version, bytes, body, cuts: cutsOf(chance, bytes.length) };
}

export function caseOf(seed: number): Case {
  const chance = new Chance(seed);
  const many = chance.of(1, 1, 1, 2, 3);
  const exchanges: Exchange[] = [];
  for (let at = 0; at < many; at++) {
    const ask = askOf(chance, `${seed}-${at}`, at === many - 1);
    exchanges.push({ ask, answer: answerOf(chance, ask.id, ask.method) });
  }
  return { exchanges, isPipelined: chance.is(25) };
}
