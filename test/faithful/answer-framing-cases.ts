// How long an answer is: what an upstream says that is not so, or that not all see. RFC 9112, 6, 7 and 8; RFC 9110, 6.4.1, 8.6, 15.
import type { AnswerCase } from './case.ts';
import { chunkEnds, chunkSizes, encodings, hugeLengths, lastChunks, lengths } from './disguises.ts';

const get = { method: 'GET', version: '1.1' } as const;

/** If anybody else gets this, an upstream has answered a request that was never asked. */
const evil = 'HTTP/1.1 200 OK\r\nX-Echo: 0 GET /evil\r\nContent-Length: 4\r\n\r\nEVIL';

const said = (lines: string, body: string) => `HTTP/1.1 200 OK\r\n${lines}\r\n\r\n${body}`;

type More = Partial<AnswerCase>;

const answer = (
  name: string,
  say: string,
  bodies: readonly string[],
  ours: AnswerCase['ours'],
  more: More = {},
): AnswerCase => ({ name: `answer, ${name}`, asked: get, say, ending: 'close', bodies, ours, ...more });

const chunkedHello = '5\r\nhello\r\n0\r\n\r\n';
/** What of a refused answer has come through may only be a beginning. */
const refused = ['502', 'broken'];

/** Whoever does not see the encoding reads until the end of the connection. */
const alone = encodings.map(({ name, line, isPlain, isOther }) =>
  answer(
    `Transfer-Encoding alone: ${name}`,
    said(line, chunkedHello),
    isPlain ? ['hello'] : isOther ? [chunkedHello] : ['hello', chunkedHello],
    isPlain || isOther ? '200' : refused,
  ),
);

/** RFC 9112, 6.3: chunks go before a length, and it may be an attack. */
const lengthAndChunks = encodings.flatMap(({ name, line, isOther }) =>
  (['before', 'after'] as const).map((place) => {
    const body = `0\r\n\r\n${evil}`;
    const length = `Content-Length: ${body.length}`;
    return answer(
      `Content-Length ${place} Transfer-Encoding, an answer in its body: ${name}`,
      said(place === 'before' ? `${length}\r\n${line}` : `${line}\r\n${length}`, body),
      isOther ? [body] : ['', body],
      isOther ? '200' : [...refused, '200'],
      { ending: 'keep' },
    );
  }),
);

const lengthCases = lengths.map(({ name, line, isPlain, isOther, isDouble }) =>
  answer(
    `Content-Length, an answer behind it: ${name}`,
    said(line.replaceAll('NNN', '5'), `hello${evil}`),
    isDouble ? [] : isOther ? [`hello${evil}`] : ['hello', `hello${evil}`],
    isPlain ? ['200'] : isOther ? '200' : [...refused, ...(/equal/.test(name) ? ['200'] : [])],
  ),
);

const huge = hugeLengths.map((length) =>
  answer(
    `Content-Length: ${length.length > 30 ? 'of 301 digits' : length}`,
    said(`Content-Length: ${length}`, 'hello'),
    [],
    refused,
  ),
);

const chunked = (body: string) => said('Transfer-Encoding: chunked', body);

const chunkCases = chunkSizes.map(({ name, line, isPlain }) =>
  answer(
    `chunk size: ${name}`,
    chunked(`${line}hello\r\n0\r\n\r\n`),
    ['hello'],
    isPlain && !/zeros/.test(name)
      ? '200'
      : [...refused, ...(/zeros|extension|after$/.test(name) ? ['200'] : [])],
  ),
);
const chunkEndCases = chunkEnds.map(({ name, line }) =>
  answer(`end of a chunk: ${name}`, chunked(`5\r\nhello${line}0\r\n\r\n`), [], refused),
);
const lastChunkCases = lastChunks.map(({ name, line, isPlain }) =>
  answer(
    `last chunk: ${name}`,
    chunked(`5\r\nhello\r\n${line}`),
    ['hello'],
    isPlain ? '200' : [...refused, '200'],
    { never: /(evil|6\.6\.6\.6)[\s\S]*hello/ },
  ),
);

/** The second client must not get what comes behind the end. */
const behind = [
  ['a length', said('Content-Length: 5', 'hello'), ['hello']],
  ['a length of zero', said('Content-Length: 0', ''), ['']],
  ['chunks', chunked(chunkedHello), ['hello']],
  ['no chunks but the last', chunked('0\r\n\r\n'), ['']],
  ['204', 'HTTP/1.1 204 No Content\r\n\r\n', ['']],
  ['304', 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n', ['']],
  ['304 with a length', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', ['']],
  ['404', 'HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno', ['no']],
].flatMap(([name, say, bodies]) =>
  [
    ['an answer', evil],
    ['half an answer', 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n'],
    ['a line end', '\r\n'],
    ['letters', 'EVIL'],
    ['a 100', 'HTTP/1.1 100 Continue\r\n\r\n'],
    ['a 101', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: a\r\n\r\n'],
  ].flatMap(([what, more = '']) =>
    [
      ['at once', { say: `${say}${more}` }],
      ['a moment later', { say: String(say), late: more }],
    ].map(([when, words]) =>
      answer(
        `${what} behind ${name}, ${when}`,
        '',
        bodies as readonly string[],
        ['200', '204', '304', '404', '502', 'broken'],
        {
          ending: 'keep',
          ...(words as More),
          never: /EVIL/,
        },
      ),
    ),
  ),
);

const lies = [
  answer('shorter than its length', said('Content-Length: 9', 'hello'), [], 'broken'),
  answer('no body for its length', said('Content-Length: 9', ''), [], ['broken', '502']),
  answer('a chunk shorter than its size', chunked('9\r\nhello'), [], 'broken'),
  answer('no last chunk', chunked('5\r\nhello\r\n'), [], 'broken'),
  answer('no end of the trailers', chunked('5\r\nhello\r\n0\r\nX-Check: 1\r\n'), [], 'broken'),
  answer('reset amid a length', said('Content-Length: 9', 'hello'), [], ['broken', '502'], {
    ending: 'reset',
  }),
  answer('reset amid chunks', chunked('5\r\nhello\r\n'), [], ['broken', '502'], { ending: 'reset' }),
  // What ends with the connection must not look whole when the connection broke.
  answer('reset without a length', said('X-A: b', 'hello'), [], ['broken', '502'], { ending: 'reset' }),
  answer('until the end of the connection', said('X-A: b', 'hello'), ['hello'], '200'),
  answer(
    'until the end of the connection, of HTTP/1.0',
    'HTTP/1.0 200 OK\r\nX-A: b\r\n\r\nhello',
    ['hello'],
    '200',
  ),
  answer('empty, until the end of the connection', said('X-A: b', ''), [''], '200'),
  answer(
    'chunks of HTTP/1.0',
    'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    ['hello', chunkedHello],
    ['200', ...refused],
  ),
  answer(
    'a length of HTTP/1.0, kept alive',
    'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello',
    ['hello'],
    '200',
    { ending: 'keep' },
  ),
];

/** Statuses and methods that have no body, whatever is said. RFC 9112, 6.3. */
const bodiless = [
  ['HEAD', get.version, '200 OK'],
  ['HEAD', get.version, '404 Not Found'],
  ['GET', get.version, '204 No Content'],
  ['GET', get.version, '304 Not Modified'],
].flatMap(([method = '', , status]) =>
  [
    ['no body, a length', 'Content-Length: 5\r\n\r\n'],
    ['no body, chunks', 'Transfer-Encoding: chunked\r\n\r\n'],
    ['no body, nothing', '\r\n'],
    ['a body by a length', 'Content-Length: 5\r\n\r\nhello'],
    ['a body by chunks', `Transfer-Encoding: chunked\r\n\r\n${chunkedHello}`],
    ['a body without a length', '\r\nhello'],
    ['an answer as the body', `Content-Length: ${evil.length}\r\n\r\n${evil}`],
  ].map(([what, rest]) =>
    answer(
      `${method} ${status} with ${what}`,
      `HTTP/1.1 ${status}\r\n${rest}`,
      [''],
      [(status ?? '').slice(0, 3), '502', 'broken'],
      {
        asked: { method, version: '1.1' },
        ending: what?.startsWith('no body') ? 'keep' : 'close',
        never: /EVIL|hello/,
      },
    ),
  ),
);
const resetContent = [
  answer(
    '205 with a body',
    'HTTP/1.1 205 Reset Content\r\nContent-Length: 5\r\n\r\nhello',
    ['hello', ''],
    ['205', '502'],
  ),
  answer('205 without one', 'HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n', [''], '205', {
    ending: 'keep',
  }),
];

/** A client of HTTP/1.0 knows no chunks. */
const toOld = [
  ['chunks', chunked(chunkedHello), ['hello'], '200'],
  ['chunks, none but the last', chunked('0\r\n\r\n'), [''], '200'],
  ['a length', said('Content-Length: 5', 'hello'), ['hello'], '200'],
  ['the end of the connection', said('X-A: b', 'hello'), ['hello'], '200'],
  ['204', 'HTTP/1.1 204 No Content\r\n\r\n', [''], '204'],
  [
    '103 before it',
    `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${said('Content-Length: 5', 'hello')}`,
    ['hello'],
    '200',
  ],
  ['102 before it', `HTTP/1.1 102 Processing\r\n\r\n${said('Content-Length: 5', 'hello')}`, ['hello'], '200'],
].flatMap(([name, say, bodies, ours]) =>
  ['', 'Connection: keep-alive\r\n'].map((headers) =>
    answer(
      `to HTTP/1.0${headers === '' ? '' : ', kept alive'}: ${name}`,
      String(say),
      bodies as readonly string[],
      String(ours),
      {
        asked: { method: 'GET', version: '1.0', headers },
        ending: name === 'the end of the connection' ? 'close' : 'keep',
        never: /\r\ntransfer-encoding|HTTP\/1\.\d 10\d/i,
      },
    ),
  ),
);

export const answerFramingCases: readonly AnswerCase[] = [
  ...alone,
  ...lengthAndChunks,
  ...lengthCases,
  ...huge,
  ...chunkCases,
  ...chunkEndCases,
  ...lastChunkCases,
  ...behind,
  ...lies,
  ...bodiless,
  ...resetContent,
  ...toOld,
];
