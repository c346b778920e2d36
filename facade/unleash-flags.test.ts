// Flags of an Unleash server, by a stand-in that a test holds in its hand: what the real one does is in test/unleash.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { rolloutFlag } from '../capability/flag-file.ts';
import { unleashFlags } from './flags.ts';
import { type TestServer, until, upstream } from './test-servers.ts';

const log = pino({ level: 'silent' });
const asked = ['reviews.read', 'reviews.shadow'].map((name) => ({ name, properties: [] }));
const token = 'default:development.secret';
const flagsOf = (percent: number) =>
  JSON.stringify({ version: 2, features: [rolloutFlag('reviews.read', percent)] });

const folder = mkdtempSync(join(tmpdir(), 'banyan-unleash-'));
const backup = join(folder, 'flags.json');
afterEach(() => {
  for (const name of readdirSync(folder)) rmSync(join(folder, name));
});

type StandIn = TestServer & {
  /** How many times it was asked. */
  asked: IncomingMessage[];
  answer: (response: ServerResponse, request: IncomingMessage) => void;
};

const says =
  (percent: number): StandIn['answer'] =>
  (response) =>
    void response.setHeader('content-type', 'application/json').end(flagsOf(percent));
const saysStatus =
  (status: number, headers: Readonly<Record<string, string>> = {}): StandIn['answer'] =>
  (response) =>
    void response.writeHead(status, headers).end('{}');

async function startStandIn(answer: StandIn['answer']): Promise<StandIn> {
  const server = await upstream((request, response) => {
    standIn.asked.push(request);
    standIn.answer(response, request);
  });
  const standIn: StandIn = { ...server, asked: [], answer };
  return standIn;
}

async function follow(server: Pick<StandIn, 'url'>, more: { pollMs?: number; backup?: string } = {}) {
  const flags = await unleashFlags(
    { url: `${server.url}/api`, token, pollMs: 30, refusedRetryMs: 50, backup: undefined, ...more },
    asked,
    log,
  );
  return { ...flags, [Symbol.asyncDispose]: flags.stop };
}

test('it is asked with the token, as a client of Unleash asks, and followed', async () => {
  await using server = await startStandIn(says(0));
  await using flags = await follow(server);
  expect(flags.isOn('reviews.read', 'x')).toBe(false);
  server.answer = says(100);
  await until(() => flags.isOn('reviews.read', 'x'), 'the change');
  expect(flags.proposedPercent('reviews.read')).toBe(100);
  expect(flags.status()).toMatchObject({ source: 'unleash', fault: null, isBackup: false, warnings: [] });
  expect(server.asked[0]).toMatchObject({ url: '/api/client/features' });
  expect(server.asked[0]?.headers).toMatchObject({
    authorization: token,
    'unleash-appname': 'banyan-facade',
    'unleash-client-spec': expect.any(String),
  });
});

test('what has not changed is not sent again, and counts as confirmed', async () => {
  let sent = 0;
  await using server = await startStandIn((response, { headers }) => {
    if (headers['if-none-match'] === '"1"') return void response.writeHead(304).end();
    sent++;
    response.setHeader('etag', '"1"').end(flagsOf(100));
  });
  await using flags = await follow(server);
  const { loadedAt } = flags.status();
  await until(() => flags.status().loadedAt !== loadedAt, 'another answer');
  expect([sent, flags.isOn('reviews.read', 'x'), flags.status().fault]).toEqual([1, true, null]);
});

test.each([
  ['500', saysStatus(500), /answered 500/],
  ['404', saysStatus(404), /should end in \/api/],
  ['a redirection', saysStatus(302, { location: 'http://elsewhere/' }), /leads to http:\/\/elsewhere/],
  ['a page', (response: ServerResponse) => void response.end('<html>'), /not JSON/],
  ['no list', (response: ServerResponse) => void response.end('{"features":{}}'), /no "features" list/],
  [
    'a strategy without a name',
    (response: ServerResponse) => void response.end(flagsOf(9).replace('flexibleRollout', '')),
    null,
  ],
  ['a broken connection', (response: ServerResponse) => void response.destroy(), /cannot be reached/],
] as const)(
  '%s keeps the last flags, is said, and is over when it answers again',
  async (_what, answer, fault) => {
    await using server = await startStandIn(says(100));
    await using flags = await follow(server);
    server.answer = answer;
    if (fault === null) {
      // An unknown name is no fault of the answer: that flag moves nobody, and status says so.
      await until(() => flags.status().warnings.length > 0, 'the warning');
      expect(flags.status().warnings).toEqual([
        'reviews.read: strategy "" is not known here: it moves nobody',
      ]);
      expect(flags.isOn('reviews.read', 'x')).toBe(false);
      return;
    }
    await until(() => flags.status().fault !== null, 'the fault');
    expect(flags.status().fault).toMatch(fault);
    expect(flags.isOn('reviews.read', 'x')).toBe(true);
    server.answer = says(0);
    await until(() => flags.status().fault === null, 'the end of the fault');
    expect(flags.isOn('reviews.read', 'x')).toBe(false);
  },
);

test('a refused token is no end: it is asked again, and followed when it is accepted', async () => {
  await using server = await startStandIn(says(100));
  await using flags = await follow(server);
  server.answer = saysStatus(401);
  await until(() => flags.status().fault !== null, 'the refusal');
  expect(flags.status().fault).toMatch(/401: UNLEASH_TOKEN is no client .* token of it; it is asked again/);
  expect(flags.isOn('reviews.read', 'x')).toBe(true);
  server.answer = saysStatus(403);
  await until(() => flags.status().fault?.includes('403') === true, 'the next refusal');
  server.answer = says(0);
  await until(() => !flags.isOn('reviews.read', 'x'), 'the return');
});

test('an answer that nothing has changed is no answer about flags that could not be read', async () => {
  await using server = await startStandIn((response, { headers }) => {
    if (headers['if-none-match'] !== undefined) return void response.writeHead(304).end();
    response.setHeader('etag', '"broken"').end('{"features":[{}]}');
  });
  await using flags = await follow(server);
  expect(flags.status().fault).toMatch(/feature 1 has no name/);
  await until(() => server.asked.length > 2, 'two more questions');
  expect(flags.status().fault).toMatch(/feature 1 has no name/);
});

test('a server that is not there, or keeps one waiting, is waited for a moment; the stop waits for nothing', async () => {
  await using silent = await startStandIn(() => {});
  const begun = performance.now();
  const flags = await follow(silent);
  expect(performance.now() - begun).toBeLessThan(10_000);
  expect(flags.status().fault).toMatch(/not answered within/);
  expect(flags.isOn('reviews.read', 'x')).toBe(false);
  await until(() => silent.asked.length > 1, 'the next question');
  const crashes: unknown[] = [];
  const note = (error: unknown) => void crashes.push(error);
  process.on('unhandledRejection', note).on('uncaughtException', note);
  const stopping = performance.now();
  await flags.stop();
  expect(performance.now() - stopping).toBeLessThan(2_000);
  silent.server.closeAllConnections();
  await new Promise((resolve) => setImmediate(resolve));
  expect(crashes).toEqual([]);
  process.off('unhandledRejection', note).off('uncaughtException', note);
});

test('a backup bridges a start without the server, and only what the server has said is kept in it', async () => {
  await using server = await startStandIn(says(100));
  const first = await follow(server, { backup });
  await first.stop();
  const kept = readFileSync(backup, 'utf8');
  server.answer = saysStatus(503);
  await using flags = await follow(server, { backup });
  expect(flags.isOn('reviews.read', 'x')).toBe(true);
  expect(flags.status()).toMatchObject({
    isBackup: true,
    loadedAt: JSON.parse(kept).confirmedAt,
    fault: expect.stringMatching(/503/),
  });
  await until(() => server.asked.length > 4, 'more questions');
  expect(readFileSync(backup, 'utf8')).toBe(kept);
  server.answer = says(0);
  await until(() => !flags.isOn('reviews.read', 'x'), 'the server’s word');
  expect(flags.status()).toMatchObject({ isBackup: false, fault: null });
  expect(readFileSync(backup, 'utf8')).not.toBe(kept);
});

test.each([
  ['of another server', { place: 'http://another/api/client/features' }],
  ['that is broken', { body: { features: 7 } }],
  ['without a time', { confirmedAt: 'yesterday' }],
])('a backup %s is not used', async (_what, change) => {
  await using server = await startStandIn(saysStatus(503));
  const good = {
    place: `${server.url}/api/client/features`,
    confirmedAt: new Date().toISOString(),
    body: JSON.parse(flagsOf(100)),
  };
  writeFileSync(backup, JSON.stringify({ ...good, ...change }));
  await using flags = await follow(server, { backup });
  expect(flags.isOn('reviews.read', 'x')).toBe(false);
  expect(flags.status()).toMatchObject({ isBackup: false, loadedAt: null });
  writeFileSync(backup, JSON.stringify(good));
  await using others = await follow(server, { backup });
  expect(others.isOn('reviews.read', 'x')).toBe(true);
});

test('without a backup nothing is on until the server answers', async () => {
  await using server = await startStandIn(saysStatus(503));
  await using flags = await follow(server);
  expect(flags.isOn('reviews.read', 'x')).toBe(false);
  expect(flags.status()).toMatchObject({ loadedAt: null, isBackup: false, warnings: [] });
  server.answer = says(100);
  await until(() => flags.isOn('reviews.read', 'x'), 'the server’s word');
});

test('flags of which the token sees none are said to be another project’s or environment’s', async () => {
  await using server = await startStandIn((response) => void response.end('{"version":2,"features":[]}'));
  await using flags = await follow(server);
  expect(flags.status().warnings).toEqual([
    'none of reviews.read, reviews.shadow is among the 0 flags that this token sees: is it of the right project and environment?',
  ]);
});
