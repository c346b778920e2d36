// The head of an answer: what would become two answers, or another one. RFC 9112, 4 and 5; RFC 9110, 5.5, 7.6.1, 15.2.
import type { AnswerCase } from './case.ts';

const get = { method: 'GET', version: '1.1' } as const;
const refused = ['502', 'broken'];

type More = Partial<AnswerCase>;

const answer = (name: string, say: string, ours: AnswerCase['ours'], more: More = {}): AnswerCase => ({
  name: `answer, ${name}`,
  asked: get,
  say,
  ending: 'keep',
  bodies: ['hello'],
  ours,
  ...more,
});

const said = (lines: string) => `HTTP/1.1 200 OK\r\n${lines}\r\nContent-Length: 5\r\n\r\nhello`;
const withLine = (name: string, line: string, ours: AnswerCase['ours'], more: More = {}) =>
  answer(`header: ${name}`, said(line), ours, { ending: 'close', ...more });

const controls = Array.from({ length: 33 }, (_, index) => (index === 32 ? 127 : index)).filter(
  (code) => code !== 9,
);
const hex = (code: number) => code.toString(16).padStart(2, '0');

const inValues = controls.map((code) =>
  withLine(
    `control character ${hex(code)} in a value`,
    `X-A: a${String.fromCharCode(code)}b`,
    code === 10 || code === 13 || code === 0 ? refused : [...refused, '200'],
  ),
);
const inNames = [0, 1, 9, 11, 13, 32, 127, 0x22, 0x28, 0x2f, 0x40, 0xa0].map((code) =>
  withLine(`character ${hex(code)} in a name`, `X-A${String.fromCharCode(code)}b: c`, refused),
);

/** A response in a response: whatever the upstream took from a request and did not encode. */
const split = [
  ['line feed', '\n'],
  ['carriage return', '\r'],
  ['two carriage returns and a line feed', '\r\r\n'],
  ['line feed and carriage return', '\n\r'],
  ['vertical tab', '\x0b'],
  ['next line', '\x85'],
].flatMap(([name, end]) => [
  withLine(
    `another header after a ${name}`,
    `X-A: a${end}X-Injected: b`,
    [...refused, ...(name === 'vertical tab' || name === 'next line' ? ['200'] : [])],
    {
      never: /\nX-Injected/,
    },
  ),
  withLine(
    `another answer after a ${name}`,
    `X-A: a${end}${end}HTTP/1.1 200 OK${end}X-Injected: b`,
    [...refused, ...(name === 'vertical tab' || name === 'next line' ? ['200'] : [])],
    {
      never: /\n(X-Injected|HTTP\/1\.1 200 OK[\s\S]*HTTP\/1\.1 200)/,
    },
  ),
]);

const lines = [
  withLine('folded', 'X-A: a\r\n b', [...refused, '200'], { never: /\n b/ }),
  withLine('folded by a tab', 'X-A: a\r\n\tb', [...refused, '200'], { never: /\n\tb/ }),
  withLine('folded, a header in it', 'X-A: a\r\n X-Injected: b', [...refused, '200'], { never: /\n X-Inj/ }),
  withLine('folded after the status line', ' X-A: a', [...refused, '200'], { never: /\n X-A/ }),
  withLine('empty name', ': a', [...refused, '200'], { never: /\n:/ }),
  withLine('no colon', 'X-A', [...refused, '200'], { never: /\nX-A\r/ }),
  withLine('space before the colon', 'X-A : a', [...refused, '200'], { never: / :/ }),
  withLine('no value', 'X-A:', '200', { always: /\r\nX-A: *\r\n/i }),
  withLine('bytes beyond ASCII', 'X-A: caf\xe9\xff', '200', { always: /caf\xe9\xff/ }),
  withLine('UTF-8', 'X-A: \xec\x95\x88', '200', { always: /\xec\x95\x88/ }),
  withLine('several cookies', 'Set-Cookie: a=1\r\nSet-Cookie: b=2, c', '200', {
    always: /a=1\r\nSet-Cookie: b=2, c\r\n/i,
  }),
  withLine('percent-encoded line ends', 'X-A: %0d%0aX-Injected: b', '200', {
    always: /%0d%0aX-Inj/,
    never: /\nX-Inj/,
  }),
  withLine('line ends of Unicode', 'X-A: a\xe5\x98\x8a\xe5\x98\x8dX-Injected: b', '200', {
    never: /\nX-Inj/,
  }),
  withLine('a long value', `X-A: ${'a'.repeat(15_000)}`, ['200', '502']),
];

const status = (first: string, ours: AnswerCase['ours'], more: More = {}) =>
  answer(
    `status line: ${JSON.stringify(first.length > 40 ? `${first.slice(0, 20)} and ${first.length - 20} more` : first)}`,
    `${first}\r\nContent-Length: 5\r\n\r\nhello`,
    ours,
    {
      ending: 'close',
      ...more,
    },
  );
const statusLines = [
  status('HTTP/1.1 200 Fine', '200'),
  status('HTTP/1.1 200 ', '200'),
  status('HTTP/1.1 200', '200'),
  status('HTTP/1.0 200 OK', '200'),
  status('HTTP/1.1 299 Odd', '200'.replace('200', '299')),
  status('HTTP/1.1 499 Odd', '499'),
  status('HTTP/1.1 599 Odd', '599', { bodies: ['hello'] }),
  status('HTTP/1.1 999 Odd', ['999', ...refused]),
  status('HTTP/1.1 600 Odd', ['600', ...refused]),
  status('HTTP/1.1 099 Odd', refused),
  status('HTTP/1.1 000 Odd', refused),
  status('HTTP/1.1 20 OK', refused),
  status('HTTP/1.1 2000 OK', refused),
  status('HTTP/1.1 2x0 OK', refused),
  status('HTTP/1.1 -200 OK', refused),
  status('HTTP/1.1  200 OK', refused),
  status('HTTP/1.1\t200 OK', refused),
  status('HTTP/1.1 OK', refused),
  status('HTTP/2 200', refused),
  status('HTTP/2.0 200 OK', [...refused, '200']),
  status('HTTP/0.9 200 OK', [...refused, '200']),
  status('HTTP/1.2 200 OK', [...refused, '200']),
  status('HTTP/11 200 OK', refused),
  status('http/1.1 200 OK', refused),
  status('ICY 200 OK', refused),
  status('XHTTP/1.1 200 OK', refused),
  status(' HTTP/1.1 200 OK', refused),
  status('200 OK', refused),
  status('', refused),
  status('<html>hello</html>', refused),
  status('\x16\x03\x01\x02\0', refused),
  status('SSH-2.0-OpenSSH_9.2', refused),
  status('HTTP/1.1 200 caf\xe9', '200'),
  status('HTTP/1.1 200 a\0b', [...refused, '200']),
  status('HTTP/1.1 200 a\x01b', [...refused, '200']),
  status('HTTP/1.1 200 a\rX-Injected: b', [...refused, '200'], { never: /[\r\n]X-Inj/ }),
  status('HTTP/1.1 200 a\nX-Injected: b', refused, { never: /[^\r]\nX-Inj/ }),
  status(`HTTP/1.1 200 ${'a'.repeat(5_000)}`, ['200', ...refused]),
  status(`HTTP/1.1 200 ${'a'.repeat(200_000)}`, [...refused, '200']),
];

const nothing = [
  answer('nothing, the connection ends', '', '502', { ending: 'close' }),
  answer('nothing, the connection is reset', '', '502', { ending: 'reset' }),
  answer('half a status line', 'HTTP/1.1 20', '502', { ending: 'close' }),
  answer('half a head', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n', '502', { ending: 'close' }),
  answer('half a head, reset', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n', '502', { ending: 'reset' }),
  answer('an empty line, then the answer', `\r\n${said('X-A: b')}`, ['200', '502'], { ending: 'close' }),
  answer('bare line feeds everywhere', 'HTTP/1.1 200 OK\nContent-Length: 5\n\nhello', [...refused, '200'], {
    ending: 'close',
  }),
  answer(
    'a bare line feed as the empty line',
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\nhello',
    [...refused, '200'],
    {
      ending: 'close',
    },
  ),
];

/** What an upstream says of its own connection. */
const namings = [
  'Connection: X-Hop',
  'connection: x-hop',
  'Connection: close, X-Hop',
  'Connection: keep-alive,X-Hop',
  'Connection: keep-alive\r\nConnection: X-Hop',
  'Connection: ,X-Hop,',
];
const hops = [
  ...namings.flatMap((line) =>
    [`${line}\r\nX-Hop: hop-value`, `X-Hop: hop-value\r\n${line}`].map((both, index) =>
      withLine(`named by ${JSON.stringify(line)}, ${index === 0 ? 'behind' : 'before'} it`, both, '200', {
        never: /hop-value/,
      }),
    ),
  ),
  ...[
    'Keep-Alive: timeout=7',
    'Proxy-Connection: hop',
    'Proxy-Authenticate: Basic',
    'Trailer: X-Check',
    'Upgrade: h2c',
  ].map((line) =>
    withLine(`of its connection only, ${line}`, line, '200', { oursNever: new RegExp(`\\n${line}\\r`, 'i') }),
  ),
  withLine('Connection names Content-Length', 'Connection: Content-Length', '200'),
  withLine('Connection names Set-Cookie', 'Connection: Set-Cookie\r\nSet-Cookie: a=1', '200'),
  withLine('Connection names Date', 'Connection: Date', '200'),
  withLine('Connection: garbage', 'Connection: \xff"(', '200'),
];

const floods = [100, 500, 1_000, 5_000].map((many) =>
  withLine(
    `${many} of them`,
    Array.from({ length: many }, (_, index) => `x-${index}: y`).join('\r\n'),
    many <= 500 ? '200' : ['200', '502'],
  ),
);
const large = [8_000, 30_000, 100_000, 1_000_000].map((bytes) =>
  withLine(
    `${bytes} bytes of them`,
    Array.from({ length: bytes / 1_000 }, () => `X-A: ${'a'.repeat(993)}`).join('\r\n'),
    bytes <= 30_000 ? '200' : '502',
  ),
);

const final = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';
const hint = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n';
const informing = (name: string, before: string, ours: AnswerCase['ours'], more: More = {}) =>
  answer(`1xx: ${name}`, `${before}${final}`, ours, more);
const informational = [
  informing('103', hint, '200'),
  informing('103 three times', hint.repeat(3), '200'),
  informing('103 a thousand times', hint.repeat(1_000), ['200', '502', 'broken']),
  informing(
    '103 with a hop',
    'HTTP/1.1 103 Early Hints\r\nConnection: X-Hop\r\nX-Hop: hop-value\r\n\r\n',
    '200',
    { never: /hop-value/ },
  ),
  informing('103 with a length', 'HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n', ['200', '502']),
  informing(
    '103 with a length and a body',
    'HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhello',
    ['502', 'broken'],
    { ending: 'close' },
  ),
  informing('103 with chunks', 'HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n', [
    '200',
    '502',
  ]),
  informing(
    '103 with a line feed in a value',
    'HTTP/1.1 103 Early Hints\r\nX-A: a\nX-Injected: b\r\n\r\n',
    refused,
    { ending: 'close', never: /\nX-Inj/ },
  ),
  informing('102', 'HTTP/1.1 102 Processing\r\n\r\n', '200'),
  informing('100 unasked', 'HTTP/1.1 100 Continue\r\n\r\n', ['200', '502'], { ending: 'close' }),
  informing('100 twice', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(2), ['200', '502'], { ending: 'close' }),
  informing('199', 'HTTP/1.1 199 Odd\r\n\r\n', ['200', '502']),
  informing(
    '101 unasked',
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    '502',
    { ending: 'close', bodies: [], never: /HTTP\/1\.1 101/ },
  ),
  informing('101 unasked, without Upgrade', 'HTTP/1.1 101 Switching Protocols\r\n\r\n', '502', {
    ending: 'close',
    bodies: [],
    never: /HTTP\/1\.1 101/,
  }),
  informing(
    '101 to h2c',
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n',
    '502',
    { ending: 'close', bodies: [], never: /HTTP\/1\.1 101/ },
  ),
  answer('1xx: 103, then the connection ends', hint, ['502', 'broken'], { ending: 'close' }),
  answer('1xx: 103, then it is reset', hint, ['502', 'broken'], { ending: 'reset' }),
  answer('1xx: half a 103', 'HTTP/1.1 103 Early Hints\r\nLink: ', ['502'], { ending: 'close' }),
];

export const answerHeadCases: readonly AnswerCase[] = [
  ...inValues,
  ...inNames,
  ...split,
  ...lines,
  ...statusLines,
  ...nothing,
  ...hops,
  ...floods,
  ...large,
  ...informational,
];
