// What a connection is to become, and several requests on one. RFC 9110, 7.6.1, 7.8, 10.1.1; RFC 9112, 9.
import type { Meant, RequestCase } from './case.ts';
import { host, smuggled } from './framing-cases.ts';

const got: readonly (readonly Meant[])[] = [[{ method: 'GET', target: '/t' }]];

type More = Partial<RequestCase>;

const withLines = (name: string, lines: string, ours: RequestCase['ours'], more: More = {}): RequestCase => ({
  name,
  send: [`GET /t HTTP/1.1\r\n${host}${lines}\r\n\r\n`],
  readings: got,
  ours,
  ...more,
});

/** A header that Connection names ends here, however it is named. */
const namings: readonly (readonly [string, string])[] = [
  ['', 'Connection: X-Hop'],
  [' in lower case', 'connection: x-hop'],
  [' in capitals', 'CONNECTION: X-HOP'],
  [' after close', 'Connection: close, X-Hop'],
  [' before keep-alive', 'Connection: X-Hop, keep-alive'],
  [' without a space', 'Connection: keep-alive,X-Hop'],
  [' between tabs', 'Connection: keep-alive\t,\tX-Hop\t'],
  [' among commas', 'Connection: ,,X-Hop,,'],
  [' on a second line', 'Connection: keep-alive\r\nConnection: X-Hop'],
  [' on a first line', 'Connection: X-Hop\r\nConnection: keep-alive'],
  [' among many', `Connection: ${Array.from({ length: 200 }, (_, index) => `x-${index}`).join(',')},X-Hop`],
];
const named = namings.flatMap(([how, line]) =>
  ['before', 'after'].map((place) =>
    withLines(
      `Connection names a header ${place} it${how}`,
      place === 'before' ? `${line}\r\nX-Hop: hop-value` : `X-Hop: hop-value\r\n${line}`,
      '200',
      { never: /hop-value/ },
    ),
  ),
);

/** Of these a proxy must not be robbed by its client. */
const robbed = ['X-Forwarded-For', 'X-Forwarded-Proto', 'X-Forwarded-Host', 'Host'].flatMap((name) =>
  [name, name.toLowerCase(), `close, ${name}`, `${name}, ${name}`].map((value) =>
    withLines(`Connection: ${value}`, `Connection: ${value}`, '200', {
      always: /\r\nhost: *\S/i,
      oursAlways:
        /\r\nhost: *shop\.example\r\n[\s\S]*X-Forwarded-For: 127\.0\.0\.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: shop\.example\r\n/i,
    }),
  ),
);
const kept = [
  ['Cookie', 'a=1'],
  ['Authorization', 'Basic a'],
].map(([name, value]) =>
  withLines(`Connection names the client's ${name}`, `Connection: ${name}\r\n${name}: ${value}`, '200', {
    oursAlways: new RegExp(`${name}: ${value}`, 'i'),
  }),
);
const keptLength: RequestCase = {
  name: 'Connection names Content-Length',
  send: [
    `POST /t HTTP/1.1\r\n${host}Connection: Content-Length\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
  ],
  readings: [[{ method: 'POST', target: '/t', body: smuggled }]],
  ours: '200',
};
const keptChunks: RequestCase = {
  name: 'Connection names Transfer-Encoding',
  send: [
    `POST /t HTTP/1.1\r\n${host}Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
  ],
  readings: [[{ method: 'POST', target: '/t', body: 'hello' }]],
  ours: '200',
};
const claimed = ['Banyan-Identity', 'X-Banyan-Identity'].map((name) =>
  withLines(
    `Connection names ${name}, which the client says`,
    `Connection: ${name}\r\n${name}: evil`,
    '200',
    {
      never: /evil/,
    },
  ),
);
const oddConnections = [
  'Connection:',
  'Connection: ,',
  'Connection: "close"',
  'Connection: close, close',
  'Connection: keep-alive, close',
  'Connection: Keep-Alive, Upgrade',
  'Connection: Connection',
  'Connection: a b',
  'Connection: \xff',
  `Connection: ${'a,'.repeat(2_000)}`,
].map((line) => withLines(`${line.slice(0, 40)}`, line, ['200', '400']));
const hops = [
  'Keep-Alive: timeout=5',
  'Proxy-Connection: keep-alive',
  'Proxy-Authorization: Basic hop',
  'Proxy-Authenticate: Basic',
  'TE: trailers',
  'TE: gzip',
  'Trailer: X-Check',
  'HTTP2-Settings: AAMAAABk',
].map((line) =>
  withLines(`of this connection only, ${line}`, line, '200', {
    oursNever: new RegExp(`\\n${line.split(':')[0]}:`, 'i'),
  }),
);

const settings = 'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA';
/** Whoever behind the proxy speaks that protocol would take what follows past it. */
const upgrades = [
  ['h2c', `Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n${settings}`],
  ['h2c without its settings', 'Connection: Upgrade\r\nUpgrade: h2c'],
  ['h2c that Connection does not name', `Upgrade: h2c\r\n${settings}`],
  ['H2C', `Connection: upgrade\r\nUpgrade: H2C\r\n${settings}`],
  ['h2c among others', `Connection: Upgrade, HTTP2-Settings\r\nUpgrade: foo, h2c\r\n${settings}`],
  [
    'h2c on a second line',
    `Connection: Upgrade, HTTP2-Settings\r\nUpgrade: foo\r\nUpgrade: h2c\r\n${settings}`,
  ],
  ['TLS', 'Connection: Upgrade\r\nUpgrade: TLS/1.2'],
  ['HTTP/2.0', 'Connection: Upgrade\r\nUpgrade: HTTP/2.0'],
  ['another one', 'Connection: Upgrade\r\nUpgrade: foo/1'],
  ['nothing', 'Connection: Upgrade\r\nUpgrade:'],
  ['nothing, which Connection names', 'Connection: Upgrade'],
].map(([name, lines = '']) =>
  withLines(`Upgrade to ${name}`, lines, '200', { never: /\r\nupgrade: *[^\s]/i }),
);

const key = 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
const websocket = (name: string, lines: string, ours: RequestCase['ours'], more: More = {}): RequestCase =>
  withLines(`websocket: ${name}`, lines, ours, more);
const websockets = [
  websocket('as it should be', `Connection: Upgrade\r\nUpgrade: websocket\r\n${key}`, '101'),
  websocket('in other letters', `connection: keep-alive, UPGRADE\r\nupgrade: WebSocket\r\n${key}`, [
    '101',
    '200',
  ]),
  websocket('that Connection does not name', `Upgrade: websocket\r\n${key}`, '200'),
  websocket('then h2c', `Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n${key}`, ['200', '101'], {
    never: /h2c/,
  }),
  websocket('after h2c', `Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n${key}`, ['200', '101'], {
    never: /h2c/,
  }),
  websocket(
    'h2c on a second line',
    `Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n${key}`,
    ['200', '101'],
    { never: /h2c/ },
  ),
  websocket(
    'of another version',
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 777\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ['426', '101'],
  ),
  websocket('with a length', `Connection: Upgrade\r\nUpgrade: websocket\r\n${key}\r\nContent-Length: 0`, [
    '101',
    '400',
  ]),
  websocket(
    'with a Host of garbage',
    `Connection: Upgrade\r\nUpgrade: websocket\r\n${key}\r\nHost: b`,
    '400',
  ),
  {
    ...websocket('with chunks', '', '400'),
    readings: [
      [
        { method: 'GET', target: '/t' },
        { method: 'GET', target: '/smuggled' },
      ],
    ],
    send: [
      `GET /t HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\n${key}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
    ],
  },
  {
    ...websocket('with a body that is a request', '', '400'),
    readings: [[{ method: 'GET', target: '/t', body: /^$|^GET \/smuggled/ }]],
    send: [
      `GET /t HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\n${key}\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
    ],
  },
  {
    ...websocket('by POST', '', '200'),
    send: [
      `POST /t HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\n${key}\r\nContent-Length: 0\r\n\r\n`,
    ],
    readings: [[{ method: 'POST', target: '/t' }]],
    oursNever: /upgrade/i,
  },
  {
    ...websocket('by HTTP/1.0', '', '200'),
    send: [`GET /t HTTP/1.0\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\n${key}\r\n\r\n`],
    oursNever: /upgrade/i,
  },
] satisfies RequestCase[];

const old = (name: string, send: string, ours: RequestCase['ours'], more: More = {}): RequestCase => ({
  name: `HTTP/1.0: ${name}`,
  send: [send],
  readings: got,
  ours,
  ...more,
});
const oldPost: readonly (readonly Meant[])[] = [[{ method: 'POST', target: '/t', body: 'hello' }]];
const oldChunks = '5\r\nhello\r\n0\r\n\r\n';
const http10 = [
  old('without a Host', 'GET /t HTTP/1.0\r\n\r\n', '200'),
  old('with a Host', `GET /t HTTP/1.0\r\n${host}\r\n`, '200'),
  old('two Hosts', `GET /t HTTP/1.0\r\n${host}Host: b\r\n\r\n`, '400'),
  old('garbage as its Host', 'GET /t HTTP/1.0\r\nHost: a/b\r\n\r\n', '400'),
  old('keep-alive', `GET /t HTTP/1.0\r\n${host}Connection: keep-alive\r\n\r\n`, '200'),
  old('a length', `POST /t HTTP/1.0\r\n${host}Content-Length: 5\r\n\r\nhello`, '200', { readings: oldPost }),
  old('no length', `POST /t HTTP/1.0\r\n${host}\r\n`, '200', {
    readings: [[{ method: 'POST', target: '/t' }]],
  }),
  old(
    'Expect is not its word',
    `POST /t HTTP/1.0\r\n${host}Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello`,
    '200',
    {
      readings: oldPost,
    },
  ),
  old('absolute', `GET http://shop.example/t HTTP/1.0\r\n${host}\r\n`, '200', {
    readings: [[{ method: 'GET', target: /^(http:\/\/shop\.example)?\/t$/ }]],
  }),
  // RFC 9112, 6.1: chunks in HTTP/1.0 are faulty framing, and the connection ends.
  ...[
    ['chunks', ''],
    ['chunks, kept alive', 'Connection: keep-alive\r\n'],
    ['chunks and a length', 'Content-Length: 15\r\n'],
    ['chunks and a length, kept alive', 'Connection: keep-alive\r\nContent-Length: 15\r\n'],
  ].map(([name = '', lines]) =>
    old(name, `POST /t HTTP/1.0\r\n${host}${lines}Transfer-Encoding: chunked\r\n\r\n${oldChunks}`, '400', {
      readings: [[{ method: 'POST', target: '/t', body: 'hello' }]],
    }),
  ),
  ...['', 'Connection: keep-alive\r\n'].map((lines) =>
    old(
      `chunks with a request behind them${lines === '' ? '' : ', kept alive'}`,
      `POST /t HTTP/1.0\r\n${host}${lines}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
      '400',
      { readings: [[{ method: 'POST', target: '/t' }]] },
    ),
  ),
];

const expecting = (name: string, line: string, ours: RequestCase['ours']): RequestCase => ({
  name: `Expect: ${name}`,
  send: [`POST /t HTTP/1.1\r\n${host}${line}\r\nContent-Length: 5\r\n\r\n`, 'hello'],
  readings: [[{ method: 'POST', target: '/t', body: 'hello' }]],
  ours,
});
const expectations = [
  expecting('100-continue', 'Expect: 100-continue', '200'),
  expecting('other letters', 'expect: 100-Continue', '200'),
  expecting('with spaces', 'Expect:  100-continue  ', '200'),
  expecting('unknown', 'Expect: 200-ok', '417'),
  expecting('another word', 'Expect: banana', '417'),
  expecting('one known, one not', 'Expect: 100-continue, 200-ok', ['417', '200']),
  expecting('twice', 'Expect: 100-continue\r\nExpect: 100-continue', ['200', '417']),
  expecting('two lines, one unknown', 'Expect: 100-continue\r\nExpect: 200-ok', ['417', '200']),
  expecting('with a parameter', 'Expect: 100-continue;a=b', ['417', '200']),
  expecting('in quotes', 'Expect: "100-continue"', ['417', '200']),
  expecting('a prefix', 'Expect: 100-continued', '417'),
  expecting('a version of it', 'Expect: x100-continue', '417'),
  expecting('empty', 'Expect:', ['200', '417']),
  withLines('Expect: 100-continue without a body', 'Expect: 100-continue', '200'),
  withLines('Expect: unknown without a body', 'Expect: 200-ok', '417'),
  {
    ...expecting('chunks', '', '200'),
    send: [
      `POST /t HTTP/1.1\r\n${host}Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n`,
      '5\r\nhello\r\n0\r\n\r\n',
    ],
  },
  {
    ...expecting('unknown, with a request as its body', '', ['417', '417 200']),
    send: [
      `POST /t HTTP/1.1\r\n${host}Expect: 200-ok\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
    ],
    readings: [[{ method: 'POST', target: '/t', body: smuggled }]],
  },
  {
    ...expecting('100-continue, with a request as its body', '', '200'),
    send: [
      `POST /t HTTP/1.1\r\n${host}Expect: 100-continue\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
    ],
    readings: [[{ method: 'POST', target: '/t', body: smuggled }]],
  },
  {
    ...expecting('unknown on a bad path', '', ['400', '417']),
    send: [`POST /%00 HTTP/1.1\r\n${host}Expect: 200-ok\r\nContent-Length: 5\r\n\r\nhello`],
    readings: [[{ method: 'POST', target: '/%00', body: 'hello' }]],
  },
] satisfies RequestCase[];

const get = (target: string, lines = '') => `GET ${target} HTTP/1.1\r\n${host}${lines}\r\n`;
const post = (target: string, body: string) =>
  `POST ${target} HTTP/1.1\r\n${host}Content-Length: ${body.length}\r\n\r\n${body}`;
const postChunks = (target: string, body: string) =>
  `POST ${target} HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
const meant = (target: string, method = 'GET', body = ''): Meant => ({ method, target, body });

const behind = (
  name: string,
  send: string,
  reading: readonly Meant[],
  ours: RequestCase['ours'],
): RequestCase => ({
  name: `one behind another: ${name}`,
  send: [send],
  readings: [reading],
  ours,
});
const pipelined = [
  behind('two', get('/1') + get('/2'), [meant('/1'), meant('/2')], '200 200'),
  behind('three', get('/1') + get('/2') + get('/3'), [meant('/1'), meant('/2'), meant('/3')], '200 200 200'),
  behind(
    'twenty',
    Array.from({ length: 20 }, (_, index) => get(`/${index}`)).join(''),
    Array.from({ length: 20 }, (_, index) => meant(`/${index}`)),
    Array.from({ length: 20 }, () => '200').join(' '),
  ),
  behind(
    'a body, then none',
    post('/1', 'hello') + get('/2'),
    [meant('/1', 'POST', 'hello'), meant('/2')],
    '200 200',
  ),
  behind(
    'chunks, then none',
    postChunks('/1', 'hello') + get('/2'),
    [meant('/1', 'POST', 'hello'), meant('/2')],
    '200 200',
  ),
  behind(
    'none, then a body',
    get('/1') + post('/2', 'hello'),
    [meant('/1'), meant('/2', 'POST', 'hello')],
    '200 200',
  ),
  behind(
    'two bodies',
    post('/1', 'a') + post('/2', 'b'),
    [meant('/1', 'POST', 'a'), meant('/2', 'POST', 'b')],
    '200 200',
  ),
  behind(
    'HEAD, then GET',
    `HEAD /1 HTTP/1.1\r\n${host}\r\n${get('/2')}`,
    [meant('/1', 'HEAD'), meant('/2')],
    '200 200',
  ),
  behind('a bad request line behind a good one', `${get('/1')}NONSENSE\r\n\r\n`, [meant('/1')], '200 400'),
  behind('a bad header behind a good one', get('/1') + get('/2', 'X-A : b\r\n'), [meant('/1')], '200 400'),
  behind('a bad path behind a good one', get('/1') + get('/%00'), [meant('/1'), meant('/%00')], '200 400'),
  behind(
    'bad framing behind a good one',
    get('/1') + get('/2', 'Content-Length: 1\r\nTransfer-Encoding: chunked\r\n'),
    [meant('/1'), meant('/2')],
    '200 400',
  ),
  behind(
    'a bad one behind two good ones',
    `${get('/1')}${get('/2')}NONSENSE\r\n\r\n`,
    [meant('/1'), meant('/2')],
    '200 200 400',
  ),
  behind(
    'a bad one behind a body',
    `${post('/1', 'hello')}NONSENSE\r\n\r\n`,
    [meant('/1', 'POST', 'hello')],
    '200 400',
  ),
  behind(
    'a bad one behind chunks',
    `${postChunks('/1', 'hello')}NONSENSE\r\n\r\n`,
    [meant('/1', 'POST', 'hello')],
    '200 400',
  ),
  behind('a bad one between good ones', `${get('/1')}NONSENSE\r\n\r\n${get('/3')}`, [meant('/1')], '200 400'),
  behind('a bad one before a good one', `NONSENSE\r\n\r\n${get('/2')}`, [], '400'),
  behind(
    'after a refused framing',
    get('/1', 'Content-Length: 5\r\n') + get('/2'),
    [meant('/1', 'GET', get('/2').slice(0, 5))],
    '400',
  ),
  behind('after close', get('/1', 'Connection: close\r\n') + get('/2'), [meant('/1')], '200'),
  behind('after close of HTTP/1.0', `GET /1 HTTP/1.0\r\n${host}\r\n${get('/2')}`, [meant('/1')], '200'),
  behind(
    'a switch of protocols behind a request',
    get('/1') + get('/2', `Connection: Upgrade\r\nUpgrade: h2c\r\n`),
    [meant('/1'), meant('/2')],
    '200 200',
  ),
  behind('an empty line between', `${get('/1')}\r\n${get('/2')}`, [meant('/1'), meant('/2')], '200 200'),
];

const upgradeBehind = behind(
  'a websocket behind a request',
  get('/1') + get('/2', `Connection: Upgrade\r\nUpgrade: websocket\r\n${key}\r\n`),
  [meant('/1'), meant('/2')],
  ['200 200', '200 426'],
);

/** TCP may cut anywhere. */
const cut = [
  ['a request', get('/1', 'X-A: b\r\n'), [meant('/1')], '200'],
  ['a body', post('/1', 'hello'), [meant('/1', 'POST', 'hello')], '200'],
  ['chunks', postChunks('/1', 'hello'), [meant('/1', 'POST', 'hello')], '200'],
  [
    'both lengths',
    `POST /1 HTTP/1.1\r\n${host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
    [],
    '400',
  ],
].flatMap(([what, bytes, reading, ours]) =>
  Array.from({ length: Math.ceil(String(bytes).length / 5) - 1 }, (_, index) => (index + 1) * 5).map(
    (at): RequestCase => ({
      name: `${what}, cut at byte ${at}`,
      send: [String(bytes).slice(0, at), String(bytes).slice(at)],
      readings: [reading as readonly Meant[]],
      ours: String(ours),
    }),
  ),
);

export const exchangeCases: readonly RequestCase[] = [
  ...named,
  ...robbed,
  ...kept,
  keptLength,
  keptChunks,
  ...claimed,
  ...oddConnections,
  ...hops,
  ...upgrades,
  ...websockets,
  ...http10,
  ...expectations,
  ...pipelined,
  upgradeBehind,
  ...cut,
];
