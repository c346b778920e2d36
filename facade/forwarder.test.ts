// Exchanges that go wrong, or on for long: each side learns what became of the other, and nothing piles up in between.
import { once } from 'node:events';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { rawUpstream, speak, startFacade, until, upstream } from './test-servers.ts';

const ask = 'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n';
const mib = 1024 * 1024;

/** Of bytes that went out, once no more do. */
async function standstill(bytes: () => number): Promise<number> {
  for (let last = -1; ; last = bytes()) {
    if (bytes() === last && last > 0) return last;
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
}

test.each([
  ['by length', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart'],
  ['in chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n'],
  ['amid a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\npart'],
])('part of an answer never looks like a whole one: %s', async (_name, answer) => {
  await using legacy = await rawUpstream(answer);
  await using facade = await startFacade({ legacy: legacy.url });
  const heard = await speak(facade.port, ask);
  expect(heard).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  expect(heard).not.toContain('\r\n0\r\n');
  await expect(fetch(facade.url).then((whole) => whole.text())).rejects.toThrow();
});

test('an answer that ends with its connection is whole, for old clients, too', async () => {
  await using legacy = await rawUpstream('HTTP/1.0 200 OK\r\nX-A: 1\r\n\r\nall of it');
  await using facade = await startFacade({ legacy: legacy.url });
  expect(await (await fetch(facade.url)).text()).toBe('all of it');
  const old = await speak(facade.port, 'GET / HTTP/1.0\r\n\r\n');
  expect(old).toMatch(/\r\n\r\nall of it$/);
  expect(old).not.toMatch(/transfer-encoding/i);
});

test('what comes before the answer is passed on, but not to clients that cannot know it', async () => {
  await using legacy = await rawUpstream(
    'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nLink: </b.css>; rel=preload\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
  );
  await using facade = await startFacade({ legacy: legacy.url });
  expect(await speak(facade.port, ask)).toMatch(
    /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a.css>; rel=preload\r\nLink: <\/b.css>; rel=preload\r\n\r\nHTTP\/1\.1 102 Processing\r\n\r\nHTTP\/1\.1 200 OK\r\n/,
  );
  expect(await speak(facade.port, 'GET / HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
});

test('an upstream with no end of what comes before the answer is not kept for a client that does not read', async () => {
  let sent = 0;
  let upstreamSocket: Socket | undefined;
  await using legacy = await rawUpstream('');
  legacy.server.removeAllListeners('connection');
  legacy.server.on('connection', (socket: Socket) => {
    upstreamSocket = socket;
    socket.on('error', () => {});
    const hints = Buffer.from(`HTTP/1.1 103 Early Hints\r\nLink: <${'x'.repeat(8_000)}>\r\n\r\n`.repeat(100));
    const push = () => {
      while (sent < 64 * mib) {
        sent += hints.length;
        if (!socket.write(hints)) return void socket.once('drain', push);
      }
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    };
    socket.once('data', push);
  });
  await using facade = await startFacade({ legacy: legacy.url });
  const before = process.memoryUsage().rss;
  const client = connect(facade.port, '127.0.0.1').pause();
  client.on('error', () => {}).write(ask);
  await until(() => sent >= 64 * mib && upstreamSocket?.writableLength === 0, 'all that upstream has to say');
  expect(process.memoryUsage().rss - before).toBeLessThan(48 * mib);
  client.destroy();
});

test('trailers stay on their connection, both ways', async () => {
  await using legacy = await rawUpstream(
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n',
  );
  await using facade = await startFacade({ legacy: legacy.url });
  const heard = await speak(
    facade.port,
    'POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\n',
  );
  expect(heard).toMatch(/\r\n2\r\nok\r\n0\r\n\r\n$/);
  expect(heard).not.toMatch(/x-sum/i);
  expect(legacy.heard()).toMatch(/\r\n\r\nab$/);
  expect(legacy.heard()).not.toMatch(/x-sum/i);
});

test('the bytes of header values arrive as they are', async () => {
  await using legacy = await rawUpstream('HTTP/1.1 200 OK\r\nX-A: \xb0\xa1\xff\r\nContent-Length: 0\r\n\r\n');
  await using facade = await startFacade({ legacy: legacy.url });
  expect(
    await speak(facade.port, 'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-B: \xc0\xfe\r\n\r\n'),
  ).toContain('X-A: \xb0\xa1\xff\r\n');
  expect(legacy.heard()).toContain('X-B: \xc0\xfe\r\n');
});

test('a 204 promises no body', async () => {
  await using legacy = await rawUpstream('HTTP/1.1 204 No Content\r\nContent-Length: 4\r\nX-A: 1\r\n\r\n');
  await using facade = await startFacade({ legacy: legacy.url });
  const heard = await speak(facade.port, ask);
  expect(heard).toMatch(/^HTTP\/1\.1 204 No Content\r\nX-A: 1\r\n/);
  expect(heard).not.toMatch(/content-length|transfer-encoding/i);
});

test.each([
  [
    'a switch of protocols that nobody asked for',
    'HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
  ],
  ['a status that is none', 'HTTP/1.1 099 X\r\nContent-Length: 2\r\n\r\nok'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok'],
  ['a header name with a space', 'HTTP/1.1 200 OK\r\nX A: 2\r\nContent-Length: 2\r\n\r\nok'],
  ['a control character', 'HTTP/1.1 200 OK\r\nX-A: \x01\r\nContent-Length: 2\r\n\r\nok'],
  ['nonsense', 'nonsense\r\n\r\n'],
  ['nothing', ''],
])('an answer that cannot be passed on is a 502: %s', async (_name, answer) => {
  await using legacy = await rawUpstream(answer);
  await using facade = await startFacade({ legacy: legacy.url });
  expect(await speak(facade.port, ask)).toMatch(
    /^HTTP\/1\.1 502 Bad Gateway\r\n[\s\S]*"error":\{"code":"upstream_failed"/,
  );
});

test('a request on a kept connection that breaks is not sent again', async () => {
  let asked = 0;
  await using legacy = await upstream((incoming, response) => {
    asked += 1;
    if (asked === 1) response.end('first');
    else incoming.socket.destroy();
  });
  await using facade = await startFacade({ legacy: legacy.url });
  expect(await (await fetch(facade.url)).text()).toBe('first');
  expect((await fetch(facade.url)).status).toBe(502);
  expect(asked).toBe(2);
});

test('a client that leaves amid its answer ends it upstream', async () => {
  let ended = false;
  await using legacy = await upstream((_incoming, response) => {
    response.writeHead(200, { 'content-length': 100 }).write('part');
    response.once('close', () => {
      ended = true;
    });
  });
  await using facade = await startFacade({ legacy: legacy.url });
  const client = connect(facade.port, '127.0.0.1');
  client.write(ask);
  await once(client, 'data');
  client.destroy();
  await until(() => ended, 'the end at the upstream');
});

test('a request behind another one is sent when that has its answer, and ends when the client leaves', async () => {
  const asked: string[] = [];
  let answer: (() => void) | undefined;
  let open = 0;
  await using legacy = await upstream((incoming, response) => {
    asked.push(incoming.url ?? '');
    open += 1;
    response.once('close', () => {
      open -= 1;
    });
    if (incoming.url === '/2') response.writeHead(200).write('part');
    else answer = () => response.end();
  });
  await using facade = await startFacade({ legacy: legacy.url });
  const client = connect(facade.port, '127.0.0.1');
  client.write('GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n');
  await until(() => answer !== undefined, 'the first');
  expect(await (await fetch(`${facade.url}/2`)).body?.cancel()).toBeUndefined();
  expect(asked).toEqual(['/1', '/2']); // that of the other client
  answer?.();
  await until(() => asked.length === 3, 'the second');
  client.destroy();
  await until(() => open === 0, 'the end of both at the upstream');
});

test('an upstream that does not read holds the client back', async () => {
  let written = 0;
  await using legacy = await upstream((incoming) => void incoming.once('data', () => incoming.pause()));
  await using facade = await startFacade({ legacy: legacy.url });
  const asked = request(facade.url, { method: 'POST', headers: { 'content-length': 200 * mib } });
  asked.on('error', () => {});
  const block = Buffer.alloc(64 * 1024);
  const push = () => {
    while (written < 200 * mib) {
      written += block.length;
      if (!asked.write(block)) return void asked.once('drain', push);
    }
  };
  push();
  expect(await standstill(() => written)).toBeLessThan(40 * mib);
  asked.destroy();
});

test('a small body goes on in one piece with its length, however it came', async () => {
  await using legacy = await rawUpstream('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
  await using facade = await startFacade({ legacy: legacy.url });
  await speak(
    facade.port,
    'POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n',
  );
  expect(legacy.heard()).toMatch(/content-length: 2\r\n\r\nab$/);
  expect(legacy.heard()).not.toMatch(/transfer-encoding/i);
});

test('large answers do not mix, though what they are read into is used again: whoever reads slowly, or leaves', async () => {
  // More than the system keeps of an answer on its way: 16 MiB each.
  const numbers = Uint32Array.from({ length: 4 * mib }, (_, number) => number);
  // No two places of any two of them are the same.
  const bodyOf = (mark: number) => Buffer.from(numbers.map((number) => number + mark * 4 * mib).buffer);
  await using legacy = await upstream((asked, response) => {
    const body = bodyOf(Number(asked.url?.slice(1)));
    response.writeHead(200, { 'Content-Length': body.length }).end(body);
  });
  await using facade = await startFacade({ legacy: legacy.url });
  const get = async (mark: number) => {
    const asked = request(`${facade.url}/${mark}`, { agent: false }).end();
    const [answer] = await once(asked, 'response');
    return { mark, asked, answer: answer.pause() };
  };
  for (let round = 0; round < 2; round++) {
    // All of them stand still at first.
    const open = await Promise.all(Array.from({ length: 8 }, (_, number) => get(round * 8 + number)));
    const read = open.map(async ({ mark, asked, answer }, number) => {
      if (number % 3 === 0) return void asked.destroy();
      const body = bodyOf(mark);
      let at = 0;
      for await (const part of answer) {
        expect(body.subarray(at, at + part.length).equals(part), `byte ${at} of ${mark}`).toBe(true);
        at += part.length;
      }
      expect(at).toBe(body.length);
    });
    await Promise.all(read);
  }
});
