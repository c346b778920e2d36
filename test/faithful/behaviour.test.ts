// What takes more than one exchange to see: websockets, clients that leave, clients that wait to be told to go on.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { host, smuggled } from './framing-cases.ts';
import { bytesOf } from './judge.ts';
import { type ProxyStage, startFacade } from './proxies.ts';
import { connectRaw } from './raw-client.ts';
import type { Script } from './recording-upstream.ts';

let facade: ProxyStage;
beforeAll(async () => {
  facade = await startFacade();
});
afterAll(() => facade[Symbol.asyncDispose]());
beforeEach(() => {
  facade.upstream.dropAll();
  facade.upstream.script = undefined;
  facade.upstream.flavour = 'strict';
});

const key = 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
const handshake = (path: string, more = '') =>
  `GET ${path} HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\n${key}${more}\r\n`;
const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';

async function until(condition: () => boolean, what: string, msMax = 3_000): Promise<void> {
  for (const end = Date.now() + msMax; !condition(); ) {
    if (Date.now() > end) throw new Error(`this never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

const post = (lines: string) => `POST /hang HTTP/1.1\r\n${host}${lines}\r\n`;
test.each([
  ['before its answer', `GET /hang HTTP/1.1\r\n${host}\r\n`],
  ['before its answer, HTTP/1.0', `GET /hang HTTP/1.0\r\n${host}\r\n`],
  ['after its body', `${post('Content-Length: 5\r\n')}hello`],
  ['amid its body', `${post('Content-Length: 9\r\n')}hello`],
  ['amid a chunk', `${post('Transfer-Encoding: chunked\r\n')}9\r\nhello`],
  ['between chunks', `${post('Transfer-Encoding: chunked\r\n')}5\r\nhello\r\n`],
  ['with another request behind it', `GET /hang HTTP/1.1\r\n${host}\r\nGET /hang HTTP/1.1\r\n${host}\r\n`],
  ['amid the handshake of a websocket', handshake('/hang')],
])('a client leaves %s: the upstream learns of it within a second', async (_name, bytes) => {
  const client = await connectRaw(facade.port);
  client.say(bytes);
  await until(() => /\r\n\r\n/.test(bytesOf(facade.upstream.since(new Map()))), 'the request');
  const begun = performance.now();
  client.close();
  await until(() => facade.upstream.open() === 0, 'the end of its connections', 1_000);
  expect(performance.now() - begun).toBeLessThan(1_000);
});

test('a client breaks its request: the upstream learns of it within a second', async () => {
  const client = await connectRaw(facade.port);
  client.say(`${post('Transfer-Encoding: chunked\r\n')}5\r\nhello\r\n`);
  await until(() => /hello/.test(bytesOf(facade.upstream.since(new Map()))), 'the body');
  client.say('nonsense\r\n');
  await until(() => facade.upstream.open() === 0, 'the end of its connection', 1_000);
  expect(client.answers().answers.map(({ status }) => status)).toEqual([400]);
});

test('what a websocket client says too early waits for the answer, and then goes on as it is', async () => {
  const said: Script = { say: `${switching}\x81\x02hi`, ending: 'keep' };
  facade.upstream.script = said;
  const client = await connectRaw(facade.port);
  client.say(`${handshake('/said')}\x81\x85\0\0\0\0hello`);
  await until(() => client.heard().endsWith('\x81\x02hi'), 'the first frame');
  await until(
    () => bytesOf(facade.upstream.since(new Map())).endsWith('\x81\x85\0\0\0\0hello'),
    'the early frame',
  );
  expect(client.heard()).toMatch(/^HTTP\/1\.1 101 /);
  const frames = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code))
    .join('')
    .repeat(500);
  client.say(frames);
  await until(() => bytesOf(facade.upstream.since(new Map())).endsWith(frames), 'every byte');
  client.close();
  await until(() => facade.upstream.open() === 0, 'the end of the tunnel', 1_000);
});

test.each([
  ['refused', 'HTTP/1.1 403 Forbidden\r\nX-Why: no\r\nContent-Length: 2\r\n\r\nno', 403],
  [
    'asked for another version',
    'HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n',
    426,
  ],
  ['answered plainly', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', 200],
  ['answered by chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n', 200],
  [
    'switched to something else',
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n',
    502,
  ],
  ['switched without a word to what', 'HTTP/1.1 101 Switching Protocols\r\n\r\n', 502],
  [
    'answered with two headers in one',
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-A: a\nX-Injected: b\r\n\r\n',
    502,
  ],
  ['answered with two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok', 502],
])(
  'a websocket that is %s is none: what was behind the handshake goes nowhere',
  async (_name, say, status) => {
    facade.upstream.script = { say, ending: 'keep' };
    const client = await connectRaw(facade.port);
    client.say(handshake('/said') + smuggled);
    await client.until(() => client.isClosed(), 3_000);
    const { answers, fault } = client.answers();
    expect([fault, answers.map((answer) => answer.status)]).toEqual([undefined, [status]]);
    expect(client.isClosed()).toBe(true);
    expect(bytesOf(facade.upstream.since(new Map()))).not.toContain('smuggled');
  },
);

test('a websocket handshake behind another request does not go before its answer', async () => {
  const client = await connectRaw(facade.port);
  client.say(`GET /1 HTTP/1.1\r\n${host}\r\n${handshake('/2')}`);
  await client.until(() => client.answers().answers.length === 2, 3_000);
  expect(
    client
      .answers()
      .answers.map(({ status, headers }) => [
        status,
        headers.find(({ name }) => name === 'X-Echo')?.value.split(' ')[2],
      ]),
  ).toEqual([
    [200, '/1'],
    [200, '/2'],
  ]);
  client.close();
});

test('who waits to be told to go on is told, once, and never for a request that is refused', async () => {
  const client = await connectRaw(facade.port);
  const head = `POST /t HTTP/1.1\r\n${host}Expect: 100-continue\r\nContent-Length: `;
  client.say(`${head}5\r\n\r\n`);
  await client.until(() => client.answers().answers.length > 0, 3_000);
  expect(client.answers().answers.map(({ status }) => status)).toEqual([100]);
  client.say('hello');
  await client.until(() => client.answers().answers.length > 1, 3_000);
  expect(client.answers().answers.map(({ status }) => status)).toEqual([100, 200]);
  client.close();
});

test('a thousand requests behind one another, some with bodies, have their answers in order', async () => {
  const client = await connectRaw(facade.port);
  const targets = Array.from({ length: 1_000 }, (_, index) => `/${index}`);
  for (const [index, target] of targets.entries())
    client.say(
      index % 7 === 0
        ? `POST ${target} HTTP/1.1\r\n${host}Content-Length: 5\r\n\r\nhello`
        : `GET ${target} HTTP/1.1\r\n${host}\r\n`,
    );
  const echoes = () => [...client.heard().matchAll(/X-Echo: \d+ \S+ (\S+)/g)].map(([, target]) => target);
  await until(() => client.heard().endsWith('\r\n\r\n') && echoes().length === targets.length, 'all', 15_000);
  expect(echoes()).toEqual(targets);
  client.close();
});
