// What goes through the facade unchanged, what does not, and what it costs.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { get, type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { rawUpstream, speak, startFacade, until, upstream } from './test-servers.ts';

const get200 = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

async function text(message: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of message) body += chunk;
  return body;
}

test('a request arrives as it was sent, and its answer comes back as it was given', async () => {
  await using legacy = await rawUpstream(
    'HTTP/1.1 302 Found\r\nLocation: http://shop.example/next\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\nX-Name: caf\xe9\r\nContent-Length: 4\r\n\r\n\xb0\xa1\xff\x00',
  );
  await using facade = await startFacade({ legacy: legacy.url });
  const heard = await speak(
    facade.port,
    'PROPFIND /a/%b0%a1/..x?q=%zz&k=%b0%A1| HTTP/1.1\r\nHost: shop.example\r\nX-Twice: 1\r\nX-Twice: 2\r\nContent-Type: not a type\r\nContent-Length: 3\r\nConnection: close\r\n\r\n\xff{x',
  );
  expect(heard).toContain('HTTP/1.1 302 Found\r\n');
  expect(heard).toContain(
    'Location: http://shop.example/next\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\nX-Name: caf\xe9\r\n',
  );
  expect(heard.endsWith('\r\n\r\n\xb0\xa1\xff\x00')).toBe(true);
  const sent = legacy.heard();
  expect(sent).toContain('PROPFIND /a/%B0%A1/..x?q=%zz&k=%b0%A1| HTTP/1.1\r\n');
  expect(sent).toContain('Host: shop.example\r\n');
  expect(sent).toContain('X-Twice: 1\r\nX-Twice: 2\r\n');
  expect(sent.endsWith('\r\n\r\n\xff{x')).toBe(true);
});

test('hop-by-hop headers, and those that Connection names, stay on their connection, both ways', async () => {
  await using legacy = await rawUpstream(
    'HTTP/1.1 200 OK\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\nKeep-Alive: timeout=7\r\nProxy-Authenticate: Basic\r\nTrailer: x\r\nX-End: 1\r\nContent-Length: 2\r\n\r\nok',
  );
  await using facade = await startFacade({ legacy: legacy.url });
  const heard = await speak(
    facade.port,
    'GET / HTTP/1.1\r\nHost: h\r\nConnection: close, X-Secret, Host\r\nX-Secret: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nProxy-Authorization: x\r\nUpgrade: h2c\r\nX-End: 1\r\n\r\n',
  );
  expect(heard).toContain('X-End: 1');
  expect(heard).not.toMatch(/x-hop|timeout=7|proxy-auth|trailer/i);
  expect(legacy.heard()).toMatch(/X-End: 1/);
  expect(legacy.heard()).toMatch(/host: h\r\n/i);
  expect(legacy.heard()).not.toMatch(/x-secret|keep-alive: 5|^te:|proxy-auth|upgrade/im);
});

test('addresses and internal headers are said by the facade, not by clients', async () => {
  await using legacy = await rawUpstream(get200);
  await using facade = await startFacade({ legacy: legacy.url });
  await speak(
    facade.port,
    'GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Banyan-Identity: admin\r\nX_Banyan_Identity: admin\r\nBanyan-Identity: a.b.c\r\nbanyan_identity: a.b.c\r\nX_Forwarded_For: 6.6.6.6\r\nCookie: sid=1;  banyan_id=abc; b="x y"; banyan_pin=2\r\n\r\n',
  );
  const sent = legacy.heard();
  expect(sent).not.toMatch(/6\.6\.6\.6|evil|banyan/i);
  expect(sent).toContain(
    'X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: shop\r\n',
  );
  expect(sent).toContain('Cookie: sid=1; b="x y"\r\n');
});

test('a trusted proxy is believed, and its list of addresses goes on', async () => {
  await using legacy = await rawUpstream(get200);
  await using facade = await startFacade({ legacy: legacy.url, trusted: ['127.0.0.1'] });
  await speak(
    facade.port,
    'GET / HTTP/1.1\r\nHost: inner\r\nConnection: close\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop\r\n\r\n',
  );
  expect(legacy.heard()).toContain(
    'X-Forwarded-For: 6.6.6.6, 127.0.0.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop\r\n',
  );
});

test.each([
  [
    'both lengths',
    'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['two lengths', 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd'],
  ['two equal lengths', 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc'],
  ['a list of lengths', 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3, 3\r\n\r\nabc'],
  ['a signed length', 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +3\r\n\r\nabc'],
  ['another encoding', 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n'],
  ['gzip before chunked', 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n'],
  [
    'chunked twice',
    'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['a space before the colon', 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n'],
  ['a folded header', 'GET / HTTP/1.1\r\nHost: h\r\nX: 1\r\n 2\r\n\r\n'],
  ['a bare line feed', 'GET / HTTP/1.1\nHost: h\n\n'],
  ['two hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'],
  ['no host', 'GET / HTTP/1.1\r\n\r\n'],
  ['another authority', 'GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n'],
  ['a GET with a body', 'GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx'],
  ['a chunk of no size', 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'],
  ['an encoded slash', 'GET /a%2fb HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['a malformed escape', 'GET /a%zz HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['a byte beyond ASCII', 'GET /\xb0 HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['another scheme', 'GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['no target', 'OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['nonsense', 'nonsense\r\n\r\n'],
])('refused with 400, and never forwarded whole: %s', async (_name, bytes) => {
  let ended = 0;
  await using legacy = await upstream((incoming, response) => {
    incoming.resume().once('end', () => {
      ended += 1;
    });
    response.end();
  });
  await using facade = await startFacade({ legacy: legacy.url });
  const socket = connect(facade.port, '127.0.0.1');
  let heard = '';
  socket.on('data', (chunk) => {
    heard += chunk.toString('latin1');
  });
  socket.on('error', () => {});
  socket.write(Buffer.from(bytes, 'latin1'));
  await until(() => heard.includes('\r\n\r\n') || socket.destroyed, 'an answer');
  socket.destroy();
  expect(heard).toMatch(/^HTTP\/1\.1 400 [\s\S]*"error":\{"code"/);
  expect(ended).toBe(0);
});

test('too much is refused: head, path, body by length, body by count', async () => {
  let bodies = 0;
  await using legacy = await upstream(async (incoming, response) => {
    try {
      for await (const _chunk of incoming);
      bodies += 1;
      response.end('ok');
    } catch {
      // the facade gave it up
    }
  });
  await using facade = await startFacade({
    legacy: legacy.url,
    limits: { bodyBytesMax: 10, pathBytesMax: 50 },
  });
  expect(await speak(facade.port, `GET / HTTP/1.1\r\nHost: h\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`)).toMatch(
    /^HTTP\/1\.1 431/,
  );
  expect((await fetch(`${facade.url}/${'x'.repeat(50)}`)).status).toBe(400);
  expect((await fetch(facade.url, { method: 'POST', body: 'x'.repeat(11) })).status).toBe(413);
  const chunked = await speak(
    facade.port,
    `POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n${'x'.repeat(11)}\r\n`,
  );
  expect(chunked).toMatch(/^HTTP\/1\.1 413 /);
  expect(chunked).toContain('{"error":{"code":"body_too_large"');
  expect(bodies).toBe(0);
  expect((await fetch(facade.url, { method: 'POST', body: 'x'.repeat(10) })).status).toBe(200);
});

test('event streams flow at once, their head first, and end upstream when the client leaves', async () => {
  let send: ((text: string) => void) | undefined;
  let left = false;
  await using legacy = await upstream((_incoming, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
    response.once('close', () => {
      left = true;
    });
    send = (event) => response.write(event);
  });
  await using facade = await startFacade({ legacy: legacy.url });
  const asked = get(facade.url);
  const [answer]: [IncomingMessage] = (await once(asked, 'response')) as [IncomingMessage];
  expect(answer.headers['content-type']).toBe('text/event-stream');
  for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
    send?.(event);
    const [chunk] = await once(answer, 'data');
    expect(String(chunk)).toBe(event);
  }
  asked.destroy();
  await until(() => left, 'the end at the upstream');
});

test('a client that leaves before the answer ends the request upstream', async () => {
  let arrived = false;
  let left = false;
  await using legacy = await upstream((incoming) => {
    arrived = true;
    incoming.socket.once('close', () => {
      left = true;
    });
  });
  await using facade = await startFacade({ legacy: legacy.url });
  const asked = get(facade.url);
  asked.on('error', () => {});
  await until(() => arrived, 'the request');
  asked.destroy();
  await until(() => left, 'the end at the upstream');
});

test('a client that leaves amid its upload ends it upstream', async () => {
  let arrived = false;
  let aborted = false;
  await using legacy = await upstream((incoming) => {
    incoming.on('data', () => {
      arrived = true;
    });
    incoming.on('error', () => {
      aborted = true;
    });
  });
  await using facade = await startFacade({ legacy: legacy.url });
  const asked = request(facade.url, { method: 'POST', headers: { 'content-length': 1_000 } });
  asked.on('error', () => {});
  asked.write('part');
  await until(() => arrived, 'the body');
  asked.destroy();
  await until(() => aborted, 'the end at the upstream');
});

test('an upstream that breaks off amid its answer breaks the client off too', async () => {
  await using legacy = await upstream((_incoming, response) => {
    response.writeHead(200, { 'content-length': 100 });
    response.write('part', () => response.destroy());
  });
  await using facade = await startFacade({ legacy: legacy.url });
  const answer = await fetch(facade.url);
  await expect(answer.text()).rejects.toThrow();
});

test('an answer before the end of the upload reaches the client', async () => {
  await using legacy = await upstream((_incoming, response) => {
    response.writeHead(403, { connection: 'close' }).end('no');
  });
  await using facade = await startFacade({ legacy: legacy.url });
  const asked = request(facade.url, { method: 'POST', headers: { 'content-length': 5_000_000 } });
  asked.on('error', () => {});
  asked.write(Buffer.alloc(100_000));
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  expect(answer.statusCode).toBe(403);
  expect(await text(answer)).toBe('no');
  asked.destroy();
});

test('100 MiB go through both ways, whole', async () => {
  const bytes = 100 * 1024 * 1024;
  const block = randomBytes(1024 * 1024);
  const expected = createHash('sha1');
  for (let i = 0; i < 100; i += 1) expected.update(block);
  const digest = expected.digest('hex');
  await using legacy = await upstream(async (incoming, response) => {
    const hash = createHash('sha1');
    for await (const chunk of incoming) hash.update(chunk);
    response.writeHead(200, { 'content-length': bytes, 'x-digest': hash.digest('hex') });
    Readable.from(Array.from({ length: 100 }, () => block)).pipe(response);
  });
  await using facade = await startFacade({ legacy: legacy.url });
  const asked = request(facade.url, { method: 'PUT', headers: { 'content-length': bytes } });
  Readable.from(Array.from({ length: 100 }, () => block)).pipe(asked);
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  const hash = createHash('sha1');
  for await (const chunk of answer) hash.update(chunk);
  expect(answer.headers['x-digest']).toBe(digest);
  expect(hash.digest('hex')).toBe(digest);
});

test('a client that does not read holds the upstream back', async () => {
  let written = 0;
  await using legacy = await upstream((_incoming, response) => {
    response.writeHead(200, { 'content-length': 200 * 1024 * 1024 });
    const block = Buffer.alloc(64 * 1024);
    const push = () => {
      while (written < 200 * 1024 * 1024) {
        written += block.length;
        if (!response.write(block)) return void response.once('drain', push);
      }
    };
    push();
  });
  await using facade = await startFacade({ legacy: legacy.url });
  const asked = get(facade.url);
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  answer.pause();
  let last = -1;
  await until(() => {
    const still = written === last;
    last = written;
    return still && written > 0;
  }, 'a standstill');
  expect(written).toBeLessThan(100 * 1024 * 1024);
  asked.destroy();
});

test('HEAD, 304, 206 and 204 keep their headers and have no more body than they should', async () => {
  const etag = '"e"';
  await using legacy = await upstream((incoming, response) => {
    if (incoming.url === '/204') response.writeHead(204, { 'x-a': '1' }).end();
    else if (incoming.headers['if-none-match'] === etag) response.writeHead(304, { etag }).end();
    else if (incoming.headers.range)
      response.writeHead(206, { 'content-range': 'bytes 1-2/4', 'content-length': 2 }).end('bc');
    else response.writeHead(200, { etag, 'content-length': 4, 'content-encoding': 'identity' }).end('abcd');
  });
  await using facade = await startFacade({ legacy: legacy.url });
  const head = await fetch(facade.url, { method: 'HEAD' });
  expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '4', '']);
  const same = await fetch(facade.url, { headers: { 'if-none-match': etag } });
  expect([same.status, same.headers.get('etag')]).toEqual([304, etag]);
  const part = await fetch(facade.url, { headers: { range: 'bytes=1-2' } });
  expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([
    206,
    'bytes 1-2/4',
    'bc',
  ]);
  const empty = await fetch(`${facade.url}/204`);
  expect([empty.status, empty.headers.get('x-a')]).toEqual([204, '1']);
});

test('compressed bodies stay as they are', async () => {
  await using legacy = await rawUpstream(
    'HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x00',
  );
  await using facade = await startFacade({ legacy: legacy.url });
  expect(
    await speak(
      facade.port,
      'GET / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n',
    ),
  ).toContain('\r\n\r\n\x1f\x8b\x00');
  expect(legacy.heard()).toContain('Accept-Encoding: gzip\r\n');
});

test('failures have their status, once each, without internals', async () => {
  let asked = 0;
  await using legacy = await upstream((incoming, response) => {
    asked += 1;
    if (incoming.url === '/503') response.writeHead(503, { 'retry-after': '1' }).end('busy');
    if (incoming.url === '/reset') incoming.socket.destroy();
  });
  await using facade = await startFacade({ legacy: legacy.url, limits: { upstreamMsMax: 100 } });
  const busy = await fetch(`${facade.url}/503`);
  expect([busy.status, await busy.text(), asked]).toEqual([503, 'busy', 1]);
  const reset = await fetch(`${facade.url}/reset`);
  expect([reset.status, await reset.json(), asked]).toEqual([
    502,
    { error: { code: 'upstream_failed', message: expect.any(String) } },
    2,
  ]);
  const slow = await fetch(`${facade.url}/slow`);
  expect([slow.status, ((await slow.json()) as { error: { code: string } }).error.code, asked]).toEqual([
    504,
    'upstream_timeout',
    3,
  ]);
  await using nowhere = await startFacade({ legacy: 'http://127.0.0.1:1' });
  const down = await fetch(nowhere.url, { method: 'POST', body: 'x' });
  expect(down.status).toBe(503);
  expect(await down.text()).not.toMatch(/127\.0\.0\.1|ECONN/);
});

test('a slow upload is not mistaken for a slow upstream', async () => {
  await using legacy = await upstream(async (incoming, response) => {
    response.end(await text(incoming));
  });
  await using facade = await startFacade({ legacy: legacy.url, limits: { upstreamMsMax: 150 } });
  const asked = request(facade.url, { method: 'POST', headers: { 'transfer-encoding': 'chunked' } });
  const timer = setInterval(() => asked.write('x'), 40);
  setTimeout(() => {
    clearInterval(timer);
    asked.end();
  }, 500);
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  expect(answer.statusCode).toBe(200);
  expect((await text(answer)).length).toBeGreaterThan(3);
});

test('the admin paths are nothing special here', async () => {
  await using legacy = await upstream((incoming, response) => response.end(`legacy ${incoming.url}`));
  await using facade = await startFacade({ legacy: legacy.url });
  for (const path of ['/metrics', '/healthz', '/api/status'])
    expect(await (await fetch(facade.url + path)).text()).toBe(`legacy ${path}`);
});

test('a stop lets a slow download finish, takes nothing new, and ends event streams', async () => {
  let finish: (() => void) | undefined;
  await using legacy = await upstream((incoming, response) => {
    if (incoming.url === '/events')
      return void response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
    response.writeHead(200, { 'content-length': 8 }).write('half');
    finish = () => response.end('half');
  });
  const facade = await startFacade({ legacy: legacy.url });
  const download = await fetch(facade.url);
  const events = await fetch(`${facade.url}/events`);
  const stopped = facade.facade.stop();
  expect(await events.text()).toBe('data: 1\n\n');
  await expect(fetch(facade.url)).rejects.toThrow();
  finish?.();
  expect(await download.text()).toBe('halfhalf');
  await stopped;
});

test('a stop does not wait for ever', async () => {
  await using legacy = await upstream(
    (_incoming, response) => void response.writeHead(200, { 'content-length': 8 }).write('half'),
  );
  const facade = await startFacade({ legacy: legacy.url, limits: { stopMsMax: 100 } });
  const download = await fetch(facade.url);
  await facade.facade.stop();
  await expect(download.text()).rejects.toThrow();
});

test.each([
  ['GET', 'Content-Length: 0\r\n', ''],
  ['POST', 'Content-Length: 0\r\n', ''],
  ['POST', '', ''],
  ['DELETE', 'Content-Length: 2\r\n', 'ab'],
  ['PATCH', 'Transfer-Encoding: chunked\r\n', '2\r\nab\r\n0\r\n\r\n'],
  ['QUERY', 'Content-Length: 2\r\n', 'ab'],
  ['M-SEARCH', 'Expect: 100-continue\r\nContent-Length: 2\r\n', 'ab'],
])('%s with "%s" goes through', async (method, headers, body) => {
  await using legacy = await upstream(async (incoming, response) =>
    response.end(`${incoming.method} ${await text(incoming)}`),
  );
  await using facade = await startFacade({ legacy: legacy.url });
  const heard = await speak(
    facade.port,
    `${method} / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n${headers}\r\n${body}`,
  );
  expect(heard).toContain(`${method} ${body === '' ? '' : 'ab'}`);
});

test('a head that dawdles is given up', async () => {
  await using facade = await startFacade({ legacy: 'http://127.0.0.1:1', limits: { headersMsMax: 100 } });
  expect(await speak(facade.port, 'GET / HTTP/1.1\r\nHost:')).toMatch(/^HTTP\/1\.1 408 /);
});

test('connections are kept: many requests go over one, and an event stream outlives the limit of idle ones', async () => {
  const sockets = new Set<unknown>();
  await using legacy = await upstream((incoming, response) => {
    sockets.add(incoming.socket);
    if (incoming.url !== '/events') return void response.end('x'.repeat(10));
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
    setTimeout(() => response.end('data: late\n\n'), 300);
  });
  await using facade = await startFacade({ legacy: legacy.url, limits: { idleMsMax: 100 } });
  for (let i = 0; i < 20; i += 1) expect(await (await fetch(facade.url)).text()).toBe('x'.repeat(10));
  expect(sockets.size).toBe(1);
  expect(await (await fetch(`${facade.url}/events`)).text()).toBe('data: late\n\n');
});

test('requests behind one another on a connection are answered in their order', async () => {
  await using legacy = await upstream((incoming, response) => {
    setTimeout(() => response.end(incoming.url), incoming.url === '/1' ? 50 : 0);
  });
  await using facade = await startFacade({ legacy: legacy.url });
  const heard = await speak(
    facade.port,
    'GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n',
  );
  expect(heard.indexOf('/1')).toBeGreaterThan(0);
  expect(heard.indexOf('/2')).toBeGreaterThan(heard.indexOf('/1'));
});
