// How long a request is: every way to say it twice, or so that not all see it. RFC 9112, 6 and 7.
import type { Meant, RequestCase } from './case.ts';
import { chunkEnds, chunkSizes, encodings, hugeLengths, lastChunks, lengths } from './disguises.ts';

export const host = 'Host: shop.example\r\n';

const posted = (body: string): Meant => ({ method: 'POST', target: '/t', body });

export const smuggled = `GET /smuggled HTTP/1.1\r\n${host}\r\n`;
const smuggling: Meant = { method: 'GET', target: '/smuggled' };

const post = (lines: string, body: string) => [`POST /t HTTP/1.1\r\n${host}${lines}\r\n\r\n${body}`];
const chunkedHello = '5\r\nhello\r\n0\r\n\r\n';

const alone = encodings.map(
  ({ name, line, isPlain, isOther }): RequestCase => ({
    name: `Transfer-Encoding alone: ${name}`,
    send: post(line, chunkedHello),
    readings: isPlain ? [[posted('hello')]] : [[posted('hello')], [posted('')]],
    ours: isPlain ? '200' : isOther ? '200 400' : '400',
  }),
);

/** By the length it is one request, by the chunks two. */
const lengthThenChunks = encodings.flatMap(({ name, line, isPlain, isOther }) => {
  const body = `0\r\n\r\n${smuggled}`;
  const length = `Content-Length: ${body.length}`;
  return (['before', 'after'] as const).map(
    (place): RequestCase => ({
      name: `Content-Length ${place} Transfer-Encoding, a request in its body: ${name}`,
      send: post(place === 'before' ? `${length}\r\n${line}` : `${line}\r\n${length}`, body),
      readings: [...(isOther ? [] : [[posted('')]]), ...(isPlain ? [] : [[posted(body)]])],
      ours: isOther ? '200' : '400',
    }),
  );
});

/** By the chunks it is one request, by the length more. */
const chunksThenLength = encodings.flatMap(({ name, line, isPlain, isOther }) => {
  const size = `${smuggled.length.toString(16)}\r\n`;
  const length = `Content-Length: ${size.length}`;
  return (['before', 'after'] as const).map(
    (place): RequestCase => ({
      name: `short Content-Length ${place} Transfer-Encoding, a request in a chunk: ${name}`,
      send: post(
        place === 'before' ? `${length}\r\n${line}` : `${line}\r\n${length}`,
        `${size}${smuggled}\r\n0\r\n\r\n`,
      ),
      readings: [...(isOther ? [] : [[posted(smuggled)]]), ...(isPlain ? [] : [[posted(size), smuggling]])],
      ours: isOther ? '200 200 400' : '400',
    }),
  );
});

const lengthCases = lengths.flatMap(({ name, line, isPlain, isOther, isDouble }) =>
  [
    ['a word', 'hello', [[posted('')]]],
    ['a request', smuggled, [[posted(''), smuggling]]],
  ].map(
    ([what, body = '', without]): RequestCase => ({
      name: `Content-Length, ${what} as the body: ${name}`,
      send: post(line.replaceAll('NNN', String(body.length)), String(body)),
      readings: isDouble
        ? []
        : [[posted(String(body))], ...(isPlain ? [] : (without as readonly (readonly Meant[])[]))],
      ours: isPlain ? '200' : isOther ? (what === 'a word' ? '200 400' : '200 200') : '400',
    }),
  ),
);

const huge = hugeLengths.map(
  (length): RequestCase => ({
    name: `Content-Length: ${length.length > 30 ? 'of 301 digits' : length}`,
    send: post(`Content-Length: ${length}`, 'hello'),
    readings: [[posted('')]],
    ours: ['413', '400'],
    without: 'an end',
  }),
);

/** Methods that have no body here, and others that may. */
const methods = ['GET', 'HEAD', 'TRACE', 'OPTIONS', 'DELETE', 'PUT', 'PATCH', 'QUERY', 'PROPFIND'].flatMap(
  (method) =>
    [
      ['a length', 'Content-Length: 5', 'hello'],
      ['chunks', 'Transfer-Encoding: chunked', chunkedHello],
    ].map(
      ([what, line, body]): RequestCase => ({
        name: `${method} with a body by ${what}`,
        send: [`${method} /t HTTP/1.1\r\n${host}${line}\r\n\r\n${body}`],
        readings: [[{ method, target: '/t', body: 'hello' }]],
        ours: ['GET', 'HEAD', 'TRACE'].includes(method) ? '400' : '200',
      }),
    ),
);

const next = `GET /next HTTP/1.1\r\n${host}\r\n`;
const chunked = (body: string) => post('Transfer-Encoding: chunked', body);

const chunkCases = chunkSizes.flatMap(({ name, line, isPlain }) =>
  ['', next].map(
    (then): RequestCase => ({
      name: `chunk size${then === '' ? '' : ', then another request'}: ${name}`,
      send: chunked(`${line}hello\r\n0\r\n\r\n${then}`),
      readings: [[posted('hello'), { method: 'GET', target: '/next' }], [posted('')]],
      // Node reads sizes of up to 64 bits: what comes of such a chunk is counted.
      ours: isPlain ? (then === '' ? '200' : '200 200') : name.startsWith('2^') ? ['400', ''] : '400',
      without: 'an end',
    }),
  ),
);

const chunkEndCases = chunkEnds.flatMap(({ name, line }) =>
  ['', next].map(
    (then): RequestCase => ({
      name: `end of a chunk${then === '' ? '' : ', then another request'}: ${name}`,
      send: chunked(`5\r\nhello${line}0\r\n\r\n${then}`),
      readings: [[posted('hello'), { method: 'GET', target: '/next' }]],
      ours: '400',
      without: 'an end',
    }),
  ),
);

const droppedTrailers = / as a trailer$/;
const lastChunkCases = lastChunks.flatMap(({ name, line, isPlain }) =>
  ['', next].map((then): RequestCase => {
    const taken = then === '' ? '200' : '200 200';
    // Node refuses a second length there, and takes a word of the connection for one.
    const ours = isPlain ? taken : droppedTrailers.test(name) ? [taken, '400', '200 400'] : ['400', '431'];
    return {
      name: `last chunk${then === '' ? '' : ', then another request'}: ${name}`,
      send: chunked(`5\r\nhello\r\n${line}${then}`),
      readings: [[posted('hello'), { method: 'GET', target: '/next' }]],
      ours,
      never: /(evil|6\.6\.6\.6)[\s\S]*hello/,
      oursNever: /evil|6\.6\.6\.6|X-Check/,
      without: 'an end',
    };
  }),
);

const notWhole: readonly RequestCase[] = [
  ['fewer bytes than its length', 'Content-Length: 9', 'hello'],
  ['a chunk that is not whole', 'Transfer-Encoding: chunked', '9\r\nhello'],
  ['no last chunk', 'Transfer-Encoding: chunked', '5\r\nhello\r\n'],
  ['no end of the trailers', 'Transfer-Encoding: chunked', '5\r\nhello\r\n0\r\nX-Check: 1\r\n'],
  ['no end of its head', 'Content-Length: 5\r\nX-Part: ', ''],
].map(
  ([name, line = '', body = '']): RequestCase => ({
    name: `not whole: ${name}`,
    send: [`POST /t HTTP/1.1\r\n${host}${line}${line.endsWith(' ') ? '' : '\r\n\r\n'}${body}`],
    readings: [[posted('')]],
    ours: '',
    without: 'an end',
  }),
);

export const framingCases: readonly RequestCase[] = [
  ...alone,
  ...lengthThenChunks,
  ...chunksThenLength,
  ...lengthCases,
  ...huge,
  ...methods,
  ...chunkCases,
  ...chunkEndCases,
  ...lastChunkCases,
  ...notWhole,
];
