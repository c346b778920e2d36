import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import nock from 'nock';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { rolloutFlag, setReadPercent } from '../capability/flag-file.ts';
import { fileFlags, unleashFlags } from './flags.ts';
import { mintId } from './identity.ts';
import { until } from './test-servers.ts';

const log = pino({ level: 'silent' });
const folders: string[] = [];
const flagsOf = (percent: number) =>
  JSON.stringify({ version: 2, features: [rolloutFlag('reviews.read', percent)] });

function flagFile(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'banyan-flags-'));
  folders.push(folder);
  const path = join(folder, 'flags.json');
  writeFileSync(path, text);
  return path;
}

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  nock.cleanAll();
  nock.enableNetConnect();
});

test('clients move only forward as the percentage grows, in its proportion', async () => {
  const path = flagFile(flagsOf(0));
  const flags = await fileFlags(path, log);
  const ids = Array.from({ length: 10_000 }, mintId);
  let before = new Set<string>();
  for (const percent of [0, 1, 10, 25, 50, 99, 100]) {
    setReadPercent(path, 'reviews', percent);
    await until(() => flags.proposedPercent('reviews.read') === percent, `${percent} %`);
    const on = new Set(ids.filter((id) => flags.isOn('reviews.read', id)));
    for (const id of before) expect(on.has(id)).toBe(true);
    expect(Math.abs(on.size / ids.length - percent / 100)).toBeLessThan(0.02);
    before = on;
  }
  expect(flags.isOn('orders.read', 'x')).toBe(false);
  await flags.stop();
});

test('a changed file counts within a second, written in place or replaced', async () => {
  const path = flagFile(flagsOf(0));
  const flags = await fileFlags(path, log);
  writeFileSync(path, flagsOf(100));
  await until(() => flags.isOn('reviews.read', 'x'), 'the change in place', 1_000);
  writeFileSync(`${path}.new`, flagsOf(0));
  renameSync(`${path}.new`, path);
  await until(() => !flags.isOn('reviews.read', 'x'), 'the replaced file', 1_000);
  await flags.stop();
});

const percentAsText = (text: string) => flagsOf(50).replace('"50"', text);
test.each([
  ['', /not JSON/],
  ['{"version":2,', /not JSON/],
  ['[]', /features/],
  ['{"version":2,"features":{}}', /features/],
  [flagsOf(50).replace('"reviews.read"', '""'), /no name/],
  [flagsOf(50).replace('true', '"yes"'), /enabled/],
  [percentAsText('"101"'), /rollout/],
  [percentAsText('"-1"'), /rollout/],
  [percentAsText('"many"'), /rollout/],
  [flagsOf(50).replace('"userId"', '"random"'), /stickiness "random"/],
  [flagsOf(50).replace('flexibleRollout', 'gradualRollout'), /gradualRollout/],
])('a broken file changes nothing, is said, and is mended: %s', async (text, fault) => {
  const path = flagFile(flagsOf(100));
  const flags = await fileFlags(path, log);
  const { loadedAt } = flags.status();
  writeFileSync(path, text);
  await until(() => flags.status().fault !== null, 'the fault');
  expect(flags.status()).toEqual({
    source: 'file',
    place: path,
    loadedAt,
    fault: expect.stringMatching(fault),
  });
  expect(flags.isOn('reviews.read', 'x')).toBe(true);
  writeFileSync(path, flagsOf(0));
  await until(() => flags.status().fault === null, 'the end of the fault');
  expect(flags.isOn('reviews.read', 'x')).toBe(false);
  await flags.stop();
});

test('a file that goes away leaves its flags in force; one that is not there at first is an error', async () => {
  const path = flagFile(flagsOf(100));
  const flags = await fileFlags(path, log);
  rmSync(path);
  await until(() => flags.status().fault !== null, 'the fault');
  expect(flags.isOn('reviews.read', 'x')).toBe(true);
  await flags.stop();
  await expect(fileFlags(path, log)).rejects.toThrow(/cannot be read/);
});

const server = 'http://unleash.test';
const options = { url: `${server}/api/`, token: 'default:dev.secret', pollMs: 30, refusedRetryMs: 50 };
const features = (status: number, percent = 100) =>
  nock(server, { reqheaders: { authorization: options.token } })
    .get('/api/client/features')
    .reply(status, status === 200 ? flagsOf(percent) : 'no');

test('an Unleash server is asked with its token, and followed', async () => {
  nock.disableNetConnect();
  features(200, 0);
  const flags = await unleashFlags(options, log);
  expect(flags.isOn('reviews.read', 'x')).toBe(false);
  features(200, 100).persist();
  await until(() => flags.isOn('reviews.read', 'x'), 'the change');
  expect(flags.proposedPercent('reviews.read')).toBe(100);
  expect(flags.status()).toMatchObject({ source: 'unleash', fault: null });
  await flags.stop();
});

test('errors of the server keep the last flags, and are said', async () => {
  nock.disableNetConnect();
  features(200);
  const flags = await unleashFlags(options, log);
  features(500).persist();
  await until(() => flags.status().fault !== null, 'the fault');
  expect(flags.isOn('reviews.read', 'x')).toBe(true);
  nock.cleanAll();
  features(200, 0).persist();
  await until(() => flags.status().fault === null, 'the end of the fault');
  expect(flags.isOn('reviews.read', 'x')).toBe(false);
  await flags.stop();
});

test('a refused token is no end: the client comes back when it is accepted again', async () => {
  nock.disableNetConnect();
  features(200);
  const flags = await unleashFlags(options, log);
  features(401);
  await until(() => flags.status().fault?.includes('401') === true, 'the refusal');
  expect(flags.isOn('reviews.read', 'x')).toBe(true);
  features(401);
  features(500);
  features(200, 0).persist();
  await until(() => !flags.isOn('reviews.read', 'x'), 'the return');
  await flags.stop();
});

test('an unreachable server at the start means no flag, and no crash at the stop amid a failing poll', async () => {
  nock.disableNetConnect();
  nock(server).get('/api/client/features').delay(50).replyWithError('gone').persist();
  const flags = await unleashFlags(options, log);
  expect(flags.isOn('reviews.read', 'x')).toBe(false);
  expect(flags.status()).toMatchObject({ loadedAt: null, fault: expect.any(String) });
  const crashes: unknown[] = [];
  process.on('unhandledRejection', (error) => crashes.push(error));
  await flags.stop();
  await new Promise((resolve) => setImmediate(resolve));
  expect(crashes).toEqual([]);
});
