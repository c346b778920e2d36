// Connections to an upstream: which one is used, which one is not used again, and what becomes of a request on one that ends.
import { once } from 'node:events';
import {
  createServer as createHttpServer,
  type IncomingMessage,
  request,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect, createServer, type Server, type Socket } from 'node:net';
import {
  createServer as createTlsServer,
  getCACertificates,
  setDefaultCACertificates,
  type TLSSocket,
} from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { AnswerHandler, Answering } from './call.ts';
import { faultOf } from './errors.ts';
import { Pool } from './pool.ts';
import { ClientBody } from './request-body.ts';
import { authority, certificate } from './test-certificates.ts';
import { upstream as httpUpstream, until } from './test-servers.ts';

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

type Said = { status: number; body: string; error: Error | undefined };

class Told implements AnswerHandler {
  readonly told = Promise.withResolvers<Said>();
  readonly said: Said = { status: 0, body: '', error: undefined };
  answering: Answering | undefined;

  onRequestStart(answering: Answering): void {
    this.answering = answering;
  }
  onResponseStart(_answering: Answering, status: number): void {
    this.said.status = status;
  }
  onResponseData(_answering: Answering, chunk: Buffer): void {
    this.said.body += chunk.toString('latin1');
  }
  onResponseEnd(): void {
    this.told.resolve(this.said);
  }
  onResponseError(_answering: Answering, error: Error): void {
    this.said.error = error;
    this.told.resolve(this.said);
  }
}

type Asking = { method?: string; path?: string; body?: Buffer; mayRepeat?: boolean };

function begin(pool: Pool, { method = 'GET', path = '/', body, mayRepeat = false }: Asking = {}): Told {
  const told = new Told();
  pool.dispatch({ method, path, headers: ['Host', 'h'], body: body ?? null, mayRepeat }, told);
  return told;
}

const ask = (pool: Pool, asking?: Asking): Promise<Said> => begin(pool, asking).told.promise;

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

async function portOf(server: Server): Promise<number> {
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return address.port;
}

/**
 * @param answer to a request, by its number on the connection and its path
 * @returns its paths, with the number of the connection each came on
 */
async function upstream(answer: (socket: Socket, path: string, number: number, connection: number) => void) {
  const paths: string[] = [];
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    const connection = sockets.push(socket);
    let number = 0;
    let heard = '';
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      heard += chunk.toString('latin1');
      for (let end = heard.indexOf('\r\n\r\n'); end >= 0; end = heard.indexOf('\r\n\r\n')) {
        const path = heard.split(' ')[1] ?? '';
        heard = heard.slice(end + 4);
        paths.push(`${connection}${path}`);
        number += 1;
        answer(socket, path, number, connection);
      }
    });
  }).listen(0, '127.0.0.1');
  const port = await portOf(server);
  ends.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { paths, sockets, origin: `http://127.0.0.1:${port}` };
}

function poolOf(origin: string, connectionsMax = 100, connectMsMax = 3_000, servername?: string): Pool {
  const pool = new Pool(origin, { upstreamConnectionsMax: connectionsMax, connectMsMax }, servername);
  ends.push(() => pool.destroy());
  return pool;
}

test('the connection that was used last is used next', async () => {
  const { paths, origin } = await upstream((socket) => socket.write(ok));
  const pool = poolOf(origin);
  await Promise.all(['/1', '/2', '/3'].map((path) => ask(pool, { path })));
  for (const path of ['/4', '/5', '/6']) {
    // After its answer a connection rests until the system has been asked for news.
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    expect(await ask(pool, { path })).toMatchObject({ status: 200, body: 'ok' });
  }
  expect(new Set(paths.slice(3).map((path) => path[0])).size).toBe(1);
});

test('no more connections than may be; who waits gets one in its turn, and who leaves the queue is not sent', async () => {
  const open: (() => void)[] = [];
  const { paths, origin } = await upstream((socket) => void open.push(() => socket.write(ok)));
  const pool = poolOf(origin, 2);
  const asked = ['/1', '/2', '/3', '/4', '/5'].map((path) => begin(pool, { path }));
  await until(() => open.length === 2, 'two at the upstream');
  asked[2]?.answering?.abort(new Error('left'));
  expect((await asked[2]?.told.promise)?.error?.message).toBe('left');
  for (let number = 0; number < 4; number++) {
    await until(() => open.length > number, 'the next one');
    open[number]?.();
  }
  await Promise.all(asked.map(({ told }) => told.promise));
  expect(paths.map((path) => path.slice(1)).sort()).toEqual(['/1', '/2', '/4', '/5']);
  expect(new Set(paths.map((path) => path[0]))).toEqual(new Set(['1', '2']));
});

test.each([
  ['bytes after the answer', `${ok}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`, 'GET'],
  ['the body of a HEAD', ok, 'HEAD'],
  ['Connection: close', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok', 'GET'],
  ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok', 'GET'],
  ['a 304 that has a length', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n', 'GET'],
])('a connection is not used again after %s', async (_name, answer, method) => {
  const { paths, origin } = await upstream((socket, path) => socket.write(path === '/first' ? answer : ok));
  const pool = poolOf(origin);
  expect((await ask(pool, { method, path: '/first' })).error).toBeUndefined();
  expect(await ask(pool, { path: '/second' })).toMatchObject({ status: 200, body: 'ok' });
  expect(paths).toEqual(['1/first', '2/second']);
});

test.each([
  'HTTP/1.1 204 No Content\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
])('but it is used again after %j', async (answer) => {
  const { paths, origin } = await upstream((socket) => socket.write(answer));
  const pool = poolOf(origin);
  await ask(pool);
  await ask(pool);
  expect(paths).toEqual(['1/', '1/']);
});

test('bytes on a connection that nobody uses end it: they are nobody\u2019s answer', async () => {
  const { paths, sockets, origin } = await upstream((socket, path) =>
    socket.write(path === '/evil' ? 'x' : ok),
  );
  const pool = poolOf(origin);
  await ask(pool, { path: '/1' });
  const [socket] = sockets;
  socket?.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil');
  if (socket) await once(socket, 'close');
  expect(await ask(pool, { path: '/2' })).toMatchObject({ body: 'ok' });
  expect(paths).toEqual(['1/1', '2/2']);
});

test('an answer before all of its request is whole, and its connection is not used again', async () => {
  const { paths, origin } = await upstream((socket) =>
    socket.write('HTTP/1.1 413 X\r\nContent-Length: 2\r\n\r\nno'),
  );
  const pool = poolOf(origin);
  const { server, body, socket } = await unfinishedBody();
  const told = new Told();
  pool.dispatch({ method: 'POST', path: '/upload', headers: [], body }, told);
  expect(await told.told.promise).toMatchObject({ status: 413, body: 'no', error: undefined });
  await ask(pool, { path: '/next' });
  expect(paths).toEqual(['1/upload', '2/next']);
  socket.destroy();
  server.close();
});

test.each(['by its length', 'in chunks', 'in small chunks', 'over TLS'])(
  'a large body arrives as it was, %s, and the memory of each part is given back when that is on its way',
  async (how) => {
    const sent = Buffer.from(Uint32Array.from({ length: 4 * 1024 * 1024 }, (_, number) => number).buffer);
    let heard = Buffer.alloc(0);
    let isHeldBack = false;
    const answer = async (asked: IncomingMessage, response: ServerResponse) => {
      await until(() => isHeldBack, 'the body to be held back');
      heard = Buffer.concat(await asked.toArray());
      response.end();
    };
    const isTls = how === 'over TLS';
    const legacy = isTls ? createHttpsServer(certificate, answer) : createHttpServer(answer);
    const port = await portOf(legacy.listen(0, '127.0.0.1'));
    ends.push(() => legacy.close());
    const pool = poolOf(`${isTls ? 'https' : 'http'}://127.0.0.1:${port}`, 100, 3_000, 'shop.test');
    const parts: Buffer[] = [];
    const told = new Told();
    await using clients = await httpUpstream((raw, response) => {
      const body = new ClientBody(raw, sent.length);
      const flow = body.flow.bind(body);
      body.flow = (sink) =>
        flow({
          take: (part) => {
            parts.push(part);
            const mayGoOn = sink.take(part);
            isHeldBack ||= !mayGoOn;
            return mayGoOn;
          },
          ended: () => sink.ended(),
          failed: (error) => sink.failed(error),
        });
      pool.dispatch({ method: 'POST', path: '/', headers: [], body }, told);
      told.told.promise.then(() => response.end());
    });
    const headers = how === 'by its length' ? { 'content-length': sent.length } : {};
    const asked = request(clients.url, { method: 'POST', headers });
    const step = how === 'in small chunks' ? 1024 : sent.length;
    for (let at = 0; at < sent.length; at += step) asked.write(sent.subarray(at, at + step));
    await once(asked.end(), 'response');
    expect((await told.told.promise).status).toBe(200);
    expect(heard.equals(sent)).toBe(true);
    expect(parts.length).toBeGreaterThan(100);
    expect(parts.map(({ buffer }) => buffer.byteLength).filter((bytes) => bytes > 0)).toEqual([]);
  },
);

/** Of a client that has sent a part of it, and goes on later. */
async function unfinishedBody() {
  const server = createHttpServer().listen(0, '127.0.0.1');
  const socket = connect(await portOf(server), '127.0.0.1');
  socket.on('error', () => {});
  socket.write('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\npart');
  const [raw] = await once(server, 'request');
  return { server, socket, body: new ClientBody(raw, 1_000) };
}

test('on a connection that was reset before, nothing is sent: whatever it is goes on another one', async () => {
  const { paths, sockets, origin } = await upstream((socket) => socket.write(ok));
  const pool = poolOf(origin);
  await ask(pool, { path: '/1' });
  // At once, before anybody can have read that it was reset.
  sockets[0]?.resetAndDestroy();
  expect(await ask(pool, { method: 'POST', path: '/2', body: Buffer.from('once') })).toMatchObject({
    body: 'ok',
  });
  expect(paths).toEqual(['1/1', '2/2']);
});

test('what may be repeated is sent once more when a kept connection ends under it; nothing else is', async () => {
  const { paths, origin } = await upstream((socket, _path, number) => {
    if (number === 1) socket.write(ok);
    else socket.destroy();
  });
  const pool = poolOf(origin);
  await ask(pool, { path: '/1' });
  expect((await ask(pool, { path: '/unsafe' })).error).toBeDefined();
  await ask(pool, { path: '/2' });
  expect(await ask(pool, { path: '/safe', mayRepeat: true })).toMatchObject({ body: 'ok' });
  expect(paths).toEqual(['1/1', '1/unsafe', '2/2', '2/safe', '3/safe']);
});

test('what may be repeated is not, once something of its answer has come, or on a new connection', async () => {
  const { paths, origin } = await upstream((socket, path, number) => {
    if (path === '/first') socket.write(ok);
    else if (number === 1) socket.destroy();
    else socket.end('HTTP/1.1 2');
  });
  const pool = poolOf(origin);
  expect((await ask(pool, { path: '/new', mayRepeat: true })).error).toBeDefined();
  await ask(pool, { path: '/first' });
  expect((await ask(pool, { path: '/begun', mayRepeat: true })).error).toBeDefined();
  expect(paths).toEqual(['1/new', '2/first', '2/begun']);
});

test('an upstream says for how long it keeps a connection, and it is left sooner than that', async () => {
  const { paths, sockets, origin } = await upstream((socket) =>
    socket.write('HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok'),
  );
  const pool = poolOf(origin);
  await ask(pool, { path: '/1' });
  await ask(pool, { path: '/2' });
  const [socket] = sockets;
  const since = performance.now();
  if (socket) await once(socket, 'close');
  expect(performance.now() - since).toBeLessThan(3_500);
  await ask(pool, { path: '/3' });
  expect(paths).toEqual(['1/1', '1/2', '2/3']);
});

test('a head that is cut anywhere is one, and so is what comes before it', async () => {
  const answer = `HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n${ok}`;
  for (let cut = 1; cut < answer.length; cut += 3) {
    const { origin } = await upstream(async (socket) => {
      socket.setNoDelay(true).write(answer.slice(0, cut));
      await new Promise((resolve) => setTimeout(resolve, 2));
      socket.write(answer.slice(cut));
    });
    expect(await ask(poolOf(origin))).toMatchObject({ status: 200, body: 'ok', error: undefined });
  }
});

test('no connection in time, and none at all, mean that nothing was sent', async () => {
  const { origin } = await upstream(() => {});
  // It is no TLS server: the handshake has no end.
  const late = await ask(poolOf(origin.replace('http:', 'https:'), 10, 100));
  expect(late.error && faultOf(late.error)).toBe('upstream_unavailable');
  const refused = await ask(poolOf('http://127.0.0.1:1'));
  expect(refused.error && faultOf(refused.error)).toBe('upstream_unavailable');
});

test('what is closed ends what it has, and takes nothing new', async () => {
  const open: (() => void)[] = [];
  const { sockets, origin } = await upstream((socket) => void open.push(() => socket.write(ok)));
  const pool = poolOf(origin);
  const asked = ask(pool);
  await until(() => open.length === 1, 'it at the upstream');
  const closed = pool.close();
  expect((await ask(pool)).error).toBeDefined();
  open[0]?.();
  expect(await asked).toMatchObject({ body: 'ok' });
  await closed;
  await until(() => sockets.every((socket) => socket.destroyed), 'the end of the connection');
});

const before = getCACertificates('default');
beforeAll(() => setDefaultCACertificates([...before, authority]));
afterAll(() => setDefaultCACertificates(before));

test('over TLS: the certificate must be right, the next handshake is a short one, and large answers come whole', async () => {
  const resumed: boolean[] = [];
  const body = 'x'.repeat(3_000_000);
  const server = createTlsServer(certificate, (socket: TLSSocket) => {
    resumed.push(socket.isSessionReused());
    socket.on('error', () => {});
    socket.on('data', () => socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`));
  }).listen(0, '127.0.0.1');
  const origin = `https://127.0.0.1:${await portOf(server)}`;
  ends.push(() => server.close());
  const pool = poolOf(origin, 10, 3_000, 'shop.test');
  const first = await ask(pool);
  expect([first.error, first.body === body]).toEqual([undefined, true]);
  expect((await ask(pool)).body === body).toBe(true);
  expect(resumed).toEqual([false]);
  await Promise.all([ask(pool), ask(pool)]);
  expect(resumed).toEqual([false, true]);
  const wrong = await ask(poolOf(origin, 10, 3_000, 'other.test'));
  expect(wrong.error && faultOf(wrong.error)).toBe('upstream_unavailable');
});
