// The facade's answers beside those of a Fastify application with the plugins that they imitate.
import { once } from 'node:events';
import { createServer } from 'node:http';
import compress from '@fastify/compress';
import etag from '@fastify/etag';
import fastify from 'fastify';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { acceptsGzip, dress } from './legacy-manner.ts';
import { manner, portOf, speak } from './test-servers.ts';

const bodies: Record<string, unknown> = {
  '/small': { resultCode: '0000', rvwCtnt: '좋아요' },
  '/edge': { a: 'x'.repeat(1024 - 8) },
  '/under': { a: 'x'.repeat(1024 - 9) },
  '/large': {
    rvwList: Array.from({ length: 40 }, (_, i) => ({ rvwSeq: i, rvwCtnt: '아주 좋아요 '.repeat(3) })),
  },
  '/huge': {
    rvwList: Array.from({ length: 2_000 }, (_, i) => ({ rvwSeq: i, rvwCtnt: '아주 좋아요 '.repeat(3) })),
  },
};

// HEAD by the handler and the hooks of GET, as the sample monolith does it; all packed at once, whatever the machine.
const reference = fastify({ exposeHeadRoutes: false });
const ours = createServer(async (request, response) => {
  const { headers, method = '', url = '' } = request;
  const dressed = await dress({ status: 200, body: bodies[url] }, manner, {
    method,
    ifNoneMatch: headers['if-none-match'],
    acceptEncoding: headers['accept-encoding'],
  });
  response.writeHead(dressed.status, [...dressed.headers]).end(dressed.body);
});

beforeAll(async () => {
  await reference.register(etag, { weak: true });
  await reference.register(compress, { threshold: 1024, encodings: ['gzip'], syncThreshold: 256 * 1024 });
  for (const [path, body] of Object.entries(bodies))
    for (const method of ['GET', 'HEAD'])
      reference.route({
        method,
        url: path,
        handler(_request, reply) {
          reply.header('content-type', manner.contentType);
          for (const [name, value] of Object.entries(manner.headers)) reply.header(name, value);
          return reply.send(body);
        },
      });
  await reference.listen({ port: 0, host: '127.0.0.1' });
  ours.listen(0, '127.0.0.1');
  await once(ours, 'listening');
});

afterAll(async () => {
  await reference.close();
  ours.close();
});

/** Status, headers but the date, and the bytes of the body. */
async function ask(port: number, method: string, path: string, headers: string) {
  const heard = Buffer.from(
    await speak(port, `${method} ${path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n${headers}\r\n`),
    'latin1',
  );
  const end = heard.indexOf('\r\n\r\n');
  const [status, ...lines] = heard.subarray(0, end).toString('latin1').split('\r\n');
  const all = Object.fromEntries(
    lines.map((line) => line.split(/: (.*)/s, 2).map((part, i) => (i === 0 ? part.toLowerCase() : part))),
  );
  const body = heard.subarray(end + 4);
  const { date: _date, ...rest } = all;
  return { status, headers: rest, body };
}

const requests = Object.keys(bodies).flatMap((path) =>
  ['GET', 'HEAD'].flatMap((method) =>
    [
      '',
      'gzip',
      'gzip, deflate, br',
      'br',
      'identity',
      '*',
      'gzip;q=0',
      'br, gzip;q=0.5',
      'x-gzip',
      'GZIP',
    ].map((coding) => [method, path, coding] as const),
  ),
);

test.each(requests)('%s %s with accept-encoding "%s": as the reference', async (method, path, coding) => {
  const headers = coding === '' ? '' : `Accept-Encoding: ${coding}\r\n`;
  const address = reference.server.address();
  if (address === null || typeof address === 'string') throw new Error('it listens');
  const [expected, got] = [
    await ask(address.port, method, path, headers),
    await ask(portOf(ours), method, path, headers),
  ];
  expect(got).toEqual(expected);

  const tag = expected.headers.etag ?? '';
  for (const condition of [tag, tag.slice(2), '"other"', `${tag}, "other"`, '*']) {
    const asked = `${headers}If-None-Match: ${condition}\r\n`;
    const [itsAnswer, ourAnswer] = [
      await ask(address.port, method, path, asked),
      await ask(portOf(ours), method, path, asked),
    ];
    expect([ourAnswer.status, ourAnswer.headers.etag]).toEqual([itsAnswer.status, itsAnswer.headers.etag]);
    if (itsAnswer.status?.includes('304')) expect(ourAnswer).toEqual(itsAnswer);
  }
});

test('gzip only where it is accepted', () => {
  for (const header of ['gzip', '*', 'x-gzip', 'br;q=1, gzip; q=0.1']) expect(acceptsGzip(header)).toBe(true);
  for (const header of [undefined, '', 'br', 'gzip;q=0', 'gzip;q=0.0', 'gzipped'])
    expect(acceptsGzip(header)).toBe(false);
});
