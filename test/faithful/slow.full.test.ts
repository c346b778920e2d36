// Clients and upstreams that take their time, and those that do not take what they are given: each within a limit of time and memory.
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { host } from './framing-cases.ts';
import { bytesOf } from './judge.ts';
import { type ProxyStage, startFacade } from './proxies.ts';
import { connectRaw, type RawClient } from './raw-client.ts';

const limitMs = { head: 1_000, request: 4_500, idle: 2_000 };
const mib = 1024 * 1024;
/** A process that has just begun grows by 70 for its first thousand requests, whatever they are. */
const boundedMib = 90;

let facade: ProxyStage;
beforeAll(async () => {
  facade = await startFacade([
    ...['--headers-ms-max', String(limitMs.head)],
    ...['--request-ms-max', String(limitMs.request)],
    ...['--idle-ms-max', String(limitMs.idle)],
    ...['--keep-alive-ms-max', String(limitMs.idle)],
  ]);
});
afterAll(() => facade[Symbol.asyncDispose]());
beforeEach(() => {
  facade.upstream.dropAll();
  facade.upstream.script = undefined;
  facade.upstream.isReading = true;
});

const residentMib = () =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${facade.pid}/status`, 'utf8'))?.[1]) / 1024;

/** Says a byte now and then, until the other side has enough. @returns milliseconds until then */
async function drip(client: RawClient, bytes: string, everyMs: number, msMax: number): Promise<number> {
  const begun = performance.now();
  for (let at = 0; !client.isClosed() && performance.now() - begun < msMax; at += 1) {
    client.say(bytes[at % bytes.length] ?? '');
    await pause(everyMs);
  }
  return performance.now() - begun;
}

const statuses = (client: RawClient) => client.answers().answers.map(({ status }) => status);
/** A look at the clock every so often decides when a limit has passed. Less than from one limit to the next: each is seen to be its own. */
const slackMs = 2_500;

test.each([
  ['a head, byte by byte', '', `GET /t HTTP/1.1\r\n${host}X-A: ${'a'.repeat(1_000)}`, limitMs.head],
  ['headers without end', `GET /t HTTP/1.1\r\n${host}`, 'X-A: b\r\n', limitMs.head],
  ['empty lines without end', '', '\r\n', limitMs.head],
  ['a body, byte by byte', `POST /t HTTP/1.1\r\n${host}Content-Length: 100000\r\n\r\n`, 'a', limitMs.request],
  [
    'a chunk, byte by byte',
    `POST /t HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\nfffff\r\n`,
    'a',
    limitMs.request,
  ],
  [
    'a chunk extension without end',
    `POST /t HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n5;`,
    'a',
    limitMs.request,
  ],
  [
    'trailers without end',
    `POST /t HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\n`,
    'X-A: b\r\n',
    limitMs.request,
  ],
])('%s: the connection ends within its limit', async (_name, first, rest, limit) => {
  const client = await connectRaw(facade.port);
  if (first !== '') client.say(first);
  expect(await drip(client, rest, 40, 10_000)).toBeLessThan(limit + slackMs);
  expect([[408], [400], [431], []]).toContainEqual(statuses(client));
});

test('a connection that says nothing ends within its limit', async () => {
  const client = await connectRaw(facade.port);
  const begun = performance.now();
  await client.until(() => client.isClosed(), 10_000);
  expect(performance.now() - begun).toBeLessThan(limitMs.idle + slackMs);
});

test('five hundred slow heads do not keep another client waiting', async () => {
  const slow = await Promise.all(Array.from({ length: 500 }, () => connectRaw(facade.port)));
  for (const client of slow) client.say('GET /t HTTP/1.1\r\nX-A: ');
  const client = await connectRaw(facade.port);
  const begun = performance.now();
  client.say(`GET /t HTTP/1.1\r\n${host}\r\n`);
  await client.until(() => statuses(client).length > 0, 5_000);
  expect([statuses(client), performance.now() - begun < 1_000]).toEqual([[200], true]);
  for (const each of [...slow, client]) each.close();
});

/** Watches the memory for as long as something is refused. @returns the most that was added, in MiB */
async function growth(work: () => Promise<void>): Promise<number> {
  const before = residentMib();
  let most = 0;
  const timer = setInterval(() => {
    most = Math.max(most, residentMib() - before);
  }, 20);
  await work();
  clearInterval(timer);
  return most;
}

test.each([
  ['a length', `HTTP/1.1 200 OK\r\nContent-Length: ${100 * mib}\r\n\r\n${'a'.repeat(100 * mib)}`],
  [
    'one chunk',
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${(100 * mib).toString(16)}\r\n${'a'.repeat(100 * mib)}`,
  ],
  ['the end of the connection', `HTTP/1.1 200 OK\r\n\r\n${'a'.repeat(100 * mib)}`],
])(
  'an answer of 100 MiB by %s, to a client that does not read, is not kept in memory',
  async (_name, say) => {
    facade.upstream.script = { say, ending: 'keep' };
    const client = await connectRaw(facade.port);
    client.socket.pause();
    const added = await growth(async () => {
      client.say(`GET /said HTTP/1.1\r\n${host}\r\n`);
      await pause(1_500);
    });
    client.close();
    expect(added).toBeLessThan(boundedMib);
  },
);

test('an upload of 100 MiB to an upstream that does not read is not kept in memory', async () => {
  facade.upstream.isReading = false;
  const client = await connectRaw(facade.port);
  const added = await growth(async () => {
    client.say(`POST /t HTTP/1.1\r\n${host}Content-Length: ${100 * mib}\r\n\r\n`);
    client.say('a'.repeat(100 * mib));
    await pause(1_500);
  });
  client.close();
  expect(added).toBeLessThan(boundedMib);
});

test('requests behind one another without end, by a client that does not read, are not kept in memory', async () => {
  const client = await connectRaw(facade.port);
  client.socket.pause();
  const one = `POST /t HTTP/1.1\r\n${host}Content-Length: 10000\r\n\r\n${'a'.repeat(10_000)}`;
  const added = await growth(async () => {
    client.say(one.repeat(20_000));
    await pause(2_000);
  });
  client.close();
  expect(added).toBeLessThan(boundedMib);
});

test('requests without end behind one that has no answer are not kept in memory', async () => {
  const client = await connectRaw(facade.port);
  const added = await growth(async () => {
    client.say(`GET /hang HTTP/1.1\r\n${host}\r\n`);
    client.say('GET /t HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(1_000_000));
    await pause(2_000);
  });
  expect(bytesOf(facade.upstream.since(new Map()))).toMatch(/^GET \/hang (?!.*GET)/s);
  client.close();
  expect(added).toBeLessThan(boundedMib);
});

test.each([
  ['103 without end', 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(500_000)],
  ['headers without end', `HTTP/1.1 200 OK\r\n${'X-A: b\r\n'.repeat(4_000_000)}`],
  ['a header without end', `HTTP/1.1 200 OK\r\nX-A: ${'b'.repeat(30 * mib)}`],
  ['a reason without end', `HTTP/1.1 200 ${'b'.repeat(30 * mib)}`],
  [
    'an extension of a chunk without end',
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;${'b'.repeat(30 * mib)}`,
  ],
  [
    'trailers without end',
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${'X-A: b\r\n'.repeat(4_000_000)}`,
  ],
])('an upstream that says %s is not kept in memory', async (_name, say) => {
  facade.upstream.script = { say, ending: 'keep' };
  const client = await connectRaw(facade.port);
  const added = await growth(async () => {
    client.say(`GET /said HTTP/1.1\r\n${host}\r\n`);
    await pause(1_500);
  });
  client.close();
  expect(added).toBeLessThan(boundedMib);
});
