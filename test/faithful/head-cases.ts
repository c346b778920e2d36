// The head of a request, line by line. RFC 9112, 2.2, 3 and 5; RFC 9110, 5.
import type { Meant, RequestCase } from './case.ts';
import { host } from './framing-cases.ts';

const got: readonly (readonly Meant[])[] = [[{ method: 'GET', target: '/t' }]];

const hex = (code: number) => code.toString(16).padStart(2, '0');
const controls = Array.from({ length: 33 }, (_, index) => (index === 32 ? 127 : index)).filter(
  (code) => code !== 9,
);

const withLine = (
  name: string,
  line: string,
  ours: string | string[],
  more: Partial<RequestCase> = {},
): RequestCase => ({
  name: `header: ${name}`,
  send: [`GET /t HTTP/1.1\r\n${host}${line}\r\n\r\n`],
  readings: got,
  ours,
  ...more,
});

const inValues = controls.map((code) =>
  withLine(`control character ${hex(code)} in a value`, `X-A: a${String.fromCharCode(code)}b`, '400', {
    ...([0, 10, 13].includes(code) && { never: /X-A: a[\0\r\n]+b/ }),
  }),
);
const inNames = [...controls, 9, 32].map((code) =>
  withLine(`character ${hex(code)} in a name`, `X-A${String.fromCharCode(code)}b: c`, '400'),
);
const delimiters = [
  '"',
  '(',
  ')',
  ',',
  '/',
  ';',
  '<',
  '=',
  '>',
  '?',
  '@',
  '[',
  '\\',
  ']',
  '{',
  '}',
  '\x80',
  '\xff',
].map((character) => withLine(`${JSON.stringify(character)} in a name`, `X${character}A: c`, '400'));

const lines: readonly RequestCase[] = [
  withLine('empty name', ': a', '400'),
  withLine('only a colon', ':', '400'),
  withLine('empty name, a space before the colon', ' : a', '400'),
  withLine('no colon', 'X-A', '400'),
  withLine('no value', 'X-A:', '200'),
  withLine('only spaces as the value', 'X-A:   ', '200'),
  withLine('no space after the colon', 'X-A:b', '200', { always: /\r\nX-A: ?b\r\n/i }),
  withLine('tabs around the value', 'X-A:\t b \t', '200', { always: /\r\nX-A:\s*b[ \t]*\r\n/i }),
  withLine('space before the colon', 'X-A : b', '400'),
  withLine('tab before the colon', 'X-A\t: b', '400'),
  withLine('every letter of a token', "!#$%&'*+-.^_`|~09azAZ: b", '200'),
  withLine('bytes beyond ASCII in a value', 'X-A: caf\xe9 \xff\x80', '200', { always: /caf\xe9 \xff\x80/ }),
  withLine('UTF-8 in a value', 'X-A: \xec\x95\x88', '200', { always: /\xec\x95\x88/ }),
  withLine('folded', 'X-A: b\r\n c', '400', { never: /\n c/ }),
  withLine('folded by a tab', 'X-A: b\r\n\tc', '400', { never: /\n\tc/ }),
  withLine('folded to nothing', 'X-A: b\r\n ', '400', { never: /b\r\n / }),
  withLine('folded after the first line', ` X-A: b`, '400'),
  withLine('a line of one space', ' ', '400'),
  withLine('bare line feed as its end', 'X-A: b\nX-B: c', '400', { never: /[^\r]\n/ }),
  withLine('bare carriage return as its end', 'X-A: b\rX-B: c', '400', { never: /\r[^\n]/ }),
  withLine('two carriage returns as its end', 'X-A: b\r\r\nX-B: c', '400', { never: /\r\r/ }),
  withLine('line feed, carriage return as its end', 'X-A: b\n\rX-B: c', '400', { never: /\n\r[^\n]/ }),
  withLine('a long name', `X-${'a'.repeat(6_000)}: b`, ['200', '431']),
  withLine('a long value', `X-A: ${'a'.repeat(8_000)}`, '200', { always: /a{8000}/ }),
  withLine('two of the same', 'X-A: 1\r\nX-A: 2', '200', { always: /X-A: ?(1\r\nX-A: ?2|1, ?2)\r\n/i }),
  withLine('an empty one among others', 'X-A:\r\nX-A: 2', '200'),
  withLine('commas only', 'X-A: ,,,', '200', { always: /X-A: ?,,,/i }),
  withLine('a request within a value', 'X-A: GET /smuggled HTTP/1.1', '200'),
  withLine('a value that looks like an end', 'X-A: \\r\\n\\r\\n', '200'),
  withLine('percent-encoded line ends', 'X-A: %0d%0aX-B: c', '200', { always: /%0d%0aX-B/ }),
  withLine('line ends of Unicode', 'X-A: a\xe5\x98\x8a\xe5\x98\x8dX-B: c', '200', { never: /\nX-B/ }),
  withLine('line separator of Unicode', 'X-A: a\xe2\x80\xa8X-B: c', '200', { never: /\nX-B/ }),
];

/** Nobody but the facade says these, in whatever spelling. */
const claimed = [
  'X-Forwarded-For',
  'X-Forwarded-Proto',
  'X-Forwarded-Host',
  'X-Forwarded-Port',
  'X-Real-IP',
  'Forwarded',
]
  .concat(['Banyan-Identity', 'X-Banyan-Identity', 'X-Banyan-Anything'])
  .flatMap((name) =>
    [name, name.toLowerCase(), name.toUpperCase(), name.replaceAll('-', '_')]
      .filter((spelling, index, all) => all.indexOf(spelling) === index)
      .map((spelling) =>
        withLine(`a client's own ${spelling}`, `${spelling}: 6.6.6.6`, '200', { oursNever: /6\.6\.6\.6/ }),
      ),
  );

/** Framing and connection headers of other spellings, which CGI and the like would read as the real ones. */
const shadowed = [
  'Content_Length: 5',
  'Transfer_Encoding: chunked',
  'Host_: evil',
  'Proxy_Connection: evil',
  'Proxy_Authorization: evil',
].map((line) =>
  withLine(`underscores for dashes, ${line.split(':')[0]}`, line, '200', {
    ...(/^(Content|Transfer)/.test(line) && { oursNever: /content_length|transfer_encoding/i }),
  }),
);

const whole = (
  name: string,
  send: string,
  ours: string | string[],
  more: Partial<RequestCase> = {},
): RequestCase => ({
  name: `request line: ${name}`,
  send: [send],
  readings: got,
  ours,
  ...more,
});
const line = (name: string, first: string, ours: string | string[], more: Partial<RequestCase> = {}) =>
  whole(name, `${first}\r\n${host}\r\n`, ours, more);

const versions = [
  '1.2',
  '1.9',
  '2.0',
  '3.0',
  '0.9',
  '1',
  '11',
  '1.10',
  '01.1',
  '1.01',
  '1,1',
  '1.',
  '.1',
  '1.1.1',
  'x.y',
  '+1.1',
].map((version) =>
  line(`HTTP/${version}`, `GET /t HTTP/${version}`, ['400', '505', ''], { without: 'an answer' }),
);
const protocols = [
  'HTTP',
  'http/1.1',
  'HTP/1.1',
  'HTTPS/1.1',
  'ICE/1.0',
  'RTSP/1.0',
  'SIP/2.0',
  'XHTTP/1.1',
  'HTTP 1.1',
  'HTTP\\1.1',
].map((protocol) =>
  // Node takes that one for HTTP/1.0; it goes on as HTTP/1.1.
  line(protocol, `GET /t ${protocol}`, protocol === 'RTSP/1.0' ? ['200', '400'] : '400', {
    without: 'an answer',
  }),
);
const methodNames = [
  'get',
  'Get',
  'GETS',
  'G\0ET',
  'G\tET',
  'GET,',
  'G(ET',
  '"GET"',
  '',
  'G'.repeat(5_000),
  'BREW',
  'DEBUG',
  'TRACK',
].map((method) =>
  line(`method ${JSON.stringify(method.slice(0, 10))}`, `${method} /t HTTP/1.1`, ['400', '431'], {
    readings: [[{ method, target: '/t' }]],
  }),
);
const known = [
  'GET',
  'POST',
  'PUT',
  'DELETE',
  'PATCH',
  'OPTIONS',
  'HEAD',
  'PROPFIND',
  'MKCOL',
  'REPORT',
  'PURGE',
  'M-SEARCH',
  'QUERY',
  'LINK',
  'SOURCE',
  'TRACE',
].map((method) =>
  line(`method ${method}`, `${method} /t HTTP/1.1`, '200', { readings: [[{ method, target: '/t' }]] }),
);

const requestLines: readonly RequestCase[] = [
  line('two spaces before the target', 'GET  /t HTTP/1.1', ['200', '400']),
  line('two spaces before the version', 'GET /t  HTTP/1.1', ['200', '400']),
  line('tab before the target', 'GET\t/t HTTP/1.1', '400'),
  line('tab before the version', 'GET /t\tHTTP/1.1', '400'),
  line('vertical tab before the version', 'GET /t\x0bHTTP/1.1', '400'),
  line('a space after the version', 'GET /t HTTP/1.1 ', '400'),
  line('a tab after the version', 'GET /t HTTP/1.1\t', '400'),
  line('a space before the method', ' GET /t HTTP/1.1', '400'),
  line('a space in the target', 'GET /t t HTTP/1.1', '400'),
  line('the version twice', 'GET /t HTTP/1.1 HTTP/1.1', '400'),
  line('no target', 'GET HTTP/1.1', '400'),
  line('no version', 'GET /t', '400', { without: 'an answer' }),
  line('no version, a space', 'GET /t ', '400', { without: 'an answer' }),
  line('only a method', 'GET', '400'),
  line('a bare carriage return in it', 'GET /t\rX HTTP/1.1', '400'),
  line('a bare line feed in it', 'GET /t\nX HTTP/1.1', '400', { without: 'an answer' }),
  line('NUL in it', 'GET /t\0X HTTP/1.1', '400'),
  line('two carriage returns at its end', 'GET /t HTTP/1.1\r', '400'),
  whole('bare line feeds everywhere', 'GET /t HTTP/1.1\nHost: shop.example\n\n', '400'),
  whole('a bare line feed at its end', `GET /t HTTP/1.1\n${host}\r\n`, '400'),
  whole('a bare line feed as the empty line', `GET /t HTTP/1.1\r\n${host}\n`, '400'),
  whole('bare carriage returns everywhere', 'GET /t HTTP/1.1\rHost: shop.example\r\r', '400', {
    without: 'an end',
  }),
  whole('an empty line before it', `\r\nGET /t HTTP/1.1\r\n${host}\r\n`, '200'),
  whole('two empty lines before it', `\r\n\r\nGET /t HTTP/1.1\r\n${host}\r\n`, '200'),
  whole('a bare line feed before it', `\nGET /t HTTP/1.1\r\n${host}\r\n`, ['200', '400']),
  whole('a NUL before it', `\0GET /t HTTP/1.1\r\n${host}\r\n`, '400'),
  whole('a byte order mark before it', `\xef\xbb\xbfGET /t HTTP/1.1\r\n${host}\r\n`, '400'),
];

const other = (name: string, send: string): RequestCase => ({
  name: `no HTTP/1.1: ${name}`,
  send: [send],
  readings: [],
  ours: ['400', '505', ''],
  without: 'an answer',
});
const others: readonly RequestCase[] = [
  other('the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0'),
  other('TLS', '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03aaaaaaaaaaaaaaaa'),
  other('SSH', 'SSH-2.0-OpenSSH_9.2\r\n'),
  other('SMTP', 'EHLO a.example\r\n'),
  other('the PROXY protocol', `PROXY TCP4 6.6.6.6 1.1.1.1 1 2\r\nGET /t HTTP/1.1\r\n${host}\r\n`),
  other(
    'the PROXY protocol, binary',
    '\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x06\x06\x06\x06\x01\x01\x01\x01\0\x01\0\x02',
  ),
  other('an answer', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'),
  other('FastCGI', '\x01\x01\0\x01\0\x08\0\0\0\x01\0\0\0\0\0\0'),
  other('zeros', '\0'.repeat(64)),
  other('bytes of all values', Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join('')),
];

/** More than once may be needed by somebody; beyond the facade's limit a defined answer. */
const floods = [
  ...[50, 500, 1_500, 2_100, 3_000, 10_000].map((many) =>
    withLine(
      `${many} of them`,
      Array.from({ length: many }, () => 'a:b').join('\r\n'),
      many <= 3_000 ? '200' : '431',
    ),
  ),
  ...[15_000, 17_000, 65_000, 300_000].map((bytes) =>
    withLine(`${bytes} bytes in one`, `X-A: ${'a'.repeat(bytes)}`, bytes < 16_000 ? '200' : '431', {
      without: 'an answer',
    }),
  ),
  ...[3_000, 5_000, 15_000, 40_000].map((bytes) =>
    line(
      `a target of ${bytes} bytes`,
      `GET /${'t'.repeat(bytes - 1)} HTTP/1.1`,
      bytes < 4_096 ? '200' : ['400', '431'],
      {
        readings: [[{ method: 'GET', target: `/${'t'.repeat(bytes - 1)}` }]],
        without: 'an answer',
      },
    ),
  ),
  ...[1_000, 1_990, 2_000, 2_500].map(
    (many): RequestCase => ({
      name: `header: a length after ${many} others`,
      send: [`POST /t HTTP/1.1\r\n${host}${'a:b\r\n'.repeat(many)}Content-Length: 5\r\n\r\nhello`],
      readings: [[{ method: 'POST', target: '/t', body: 'hello' }]],
      ours: ['200', '431'],
    }),
  ),
];

export const headCases: readonly RequestCase[] = [
  ...inValues,
  ...inNames,
  ...delimiters,
  ...lines,
  ...claimed,
  ...shadowed,
  ...versions,
  ...protocols,
  ...methodNames,
  ...known,
  ...requestLines,
  ...others,
  ...floods,
];
