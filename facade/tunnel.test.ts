import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { speak, startFacade, until, upstream } from './test-servers.ts';

/** An upstream with an echoing websocket at every path but /no, which it refuses. */
async function echo() {
  const asked: IncomingMessage[] = [];
  const test = await upstream((_request, response) => void response.end('plain'));
  const sockets = new WebSocketServer({
    noServer: true,
    handleProtocols: (protocols) => [...protocols][0] ?? false,
  });
  sockets.on('headers', (headers) => headers.push('Set-Cookie: a=1', 'Set-Cookie: b=2', 'X-Up: 1'));
  test.server.on('upgrade', (incoming: IncomingMessage, socket: Socket, head: Buffer) => {
    asked.push(incoming);
    if (incoming.url === '/no')
      return void socket.end(
        'HTTP/1.1 403 Forbidden\r\nX-Why: log in\r\nContent-Length: 6\r\nConnection: close\r\n\r\nlog in',
      );
    if (incoming.url === '/silent') return;
    sockets.handleUpgrade(incoming, socket, head, (webSocket) => {
      webSocket.on('message', (data, isBinary) => {
        if (String(data) === 'close') webSocket.close(4001, 'as asked');
        else if (String(data) === 'die') socket.destroy();
        else webSocket.send(data, { binary: isBinary });
      });
    });
  });
  return { ...test, asked, sockets };
}

const wsUrl = (url: string) => url.replace('http:', 'ws:');

async function open(
  url: string,
  options: ConstructorParameters<typeof WebSocket>[2] = {},
  protocols: string[] = [],
) {
  const socket = new WebSocket(wsUrl(url), protocols, options);
  const upgrade = once(socket, 'upgrade');
  await once(socket, 'open');
  const [answer] = (await upgrade) as [IncomingMessage];
  return { socket, answer };
}

test('messages go both ways, with the headers of the handshake, over one normalised path', async () => {
  await using legacy = await echo();
  await using facade = await startFacade({ legacy: legacy.url });
  const headers = {
    cookie: 'sid=1; banyan_id=x',
    'x-forwarded-for': '6.6.6.6',
    'x-banyan-identity': 'admin',
  };
  const { socket, answer } = await open(
    `${facade.url}/a/../%77s?q=%zz`,
    { headers, origin: 'http://shop.example' },
    ['v2', 'v1'],
  );
  expect(socket.protocol).toBe('v2');
  expect(answer.headers['set-cookie']).toEqual(['a=1', 'b=2']);
  expect(answer.headers['x-up']).toBe('1');
  const [asked] = legacy.asked;
  expect(asked?.url).toBe('/ws?q=%zz');
  expect(asked?.headers).toMatchObject({
    host: new URL(facade.url).host,
    cookie: 'sid=1',
    origin: 'http://shop.example',
    'x-forwarded-for': '127.0.0.1',
    'sec-websocket-protocol': 'v2,v1',
  });
  expect(asked?.headers['x-banyan-identity']).toBeUndefined();
  for (const message of ['안녕', 'x'.repeat(1_000_000)]) {
    socket.send(message);
    const [data] = await once(socket, 'message');
    expect(String(data) === message).toBe(true);
  }
  expect(facade.facade.openWebsockets()).toBe(1);
  socket.close();
  await until(() => facade.facade.openWebsockets() === 0, 'the end of the tunnel');
});

test('closing codes, from either side, and a broken connection are passed on', async () => {
  await using legacy = await echo();
  await using facade = await startFacade({ legacy: legacy.url });
  const asked = await open(facade.url);
  asked.socket.send('close');
  expect((await once(asked.socket, 'close')).map(String)).toEqual(['4001', 'as asked']);

  const closing = await open(facade.url);
  const [webSocket] = legacy.sockets.clients.size > 0 ? [...legacy.sockets.clients].slice(-1) : [];
  if (!webSocket) throw new Error('it is open');
  closing.socket.close(4002, 'enough');
  expect((await once(webSocket, 'close')).map(String)).toEqual(['4002', 'enough']);

  const broken = await open(facade.url);
  broken.socket.send('die');
  expect((await once(broken.socket, 'close'))[0]).toBe(1006);

  const vanishing = await open(facade.url);
  const [other] = [...legacy.sockets.clients].slice(-1);
  vanishing.socket.terminate();
  if (other) await once(other, 'close');
  await until(() => facade.facade.openWebsockets() === 0, 'the end of the tunnels');
});

test('a refusal by the upstream is relayed as it is', async () => {
  await using legacy = await echo();
  await using facade = await startFacade({ legacy: legacy.url });
  const socket = new WebSocket(`${wsUrl(facade.url)}/no`);
  const [, answer] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage];
  let body = '';
  for await (const chunk of answer) body += chunk;
  expect([answer.statusCode, answer.headers['x-why'], body]).toEqual([403, 'log in', 'log in']);
});

test('no upstream, a silent one, too many: a plain answer', async () => {
  await using legacy = await echo();
  const handshake = (path: string) =>
    `GET ${path} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;
  await using nowhere = await startFacade({ legacy: 'http://127.0.0.1:1' });
  expect(await speak(nowhere.port, handshake('/'))).toMatch(
    /^HTTP\/1\.1 503 [\s\S]*"code":"upstream_unavailable"/,
  );
  await using slow = await startFacade({ legacy: legacy.url, limits: { upstreamMsMax: 50 } });
  expect(await speak(slow.port, handshake('/silent'))).toMatch(/^HTTP\/1\.1 504 /);
  expect(await speak(slow.port, handshake('/a%2f'))).toMatch(/^HTTP\/1\.1 400 /);
  expect(slow.facade.openWebsockets()).toBe(0);
  await using few = await startFacade({ legacy: legacy.url, limits: { websocketsMax: 1 } });
  const { socket } = await open(few.url);
  expect(await speak(few.port, handshake('/'))).toMatch(/^HTTP\/1\.1 503 [\s\S]*too_many_websockets/);
  socket.terminate();
});

test('a tunnel lives longer than the time for its handshake and for idle connections', async () => {
  await using legacy = await echo();
  await using facade = await startFacade({
    legacy: legacy.url,
    limits: { upstreamMsMax: 60, idleMsMax: 80 },
  });
  const { socket } = await open(facade.url);
  const quiet = connect(facade.port, '127.0.0.1');
  await once(quiet, 'close'); // an idle connection is over by now
  socket.send('still there');
  expect(String((await once(socket, 'message'))[0])).toBe('still there');
  socket.terminate();
});

test('other protocols are not offered: the request is served as a plain one', async () => {
  await using legacy = await echo();
  await using facade = await startFacade({ legacy: legacy.url });
  const asked = request(facade.url, {
    headers: { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABk' },
  }).end();
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  let body = '';
  for await (const chunk of answer) body += chunk;
  expect([answer.statusCode, body]).toEqual([200, 'plain']);
});

test('one direction may end while the other goes on', async () => {
  await using legacy = await upstream(() => {});
  legacy.server.on('upgrade', (_request, socket: Socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    let heard = '';
    socket.on('data', (chunk) => {
      heard += chunk;
    });
    socket.on('end', () => socket.end(`heard ${heard}`));
  });
  await using facade = await startFacade({ legacy: legacy.url });
  const socket = connect({ port: facade.port, host: '127.0.0.1', allowHalfOpen: true });
  let heard = '';
  socket.on('data', (chunk) => {
    heard += chunk;
  });
  socket.write('GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  await until(() => heard.includes('101'), 'the acceptance');
  socket.end('all');
  await once(socket, 'end');
  expect(heard).toMatch(/heard all$/);
});

test('a stop ends tunnels after their grace', async () => {
  await using legacy = await echo();
  const facade = await startFacade({
    legacy: legacy.url,
    limits: { websocketGraceMsMax: 50, stopMsMax: 5_000 },
  });
  const { socket } = await open(facade.url);
  const closed = once(socket, 'close');
  const before = Date.now();
  await facade.facade.stop();
  await closed;
  expect(Date.now() - before).toBeLessThan(2_000);
});
