import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { rolloutFlag, setReadPercent } from '../capability/flag-file.ts';
import { fileFlags } from './flags.ts';
import { mintId } from './identity.ts';
import { until } from './test-servers.ts';

const log = pino({ level: 'silent' });
const asked = ['reviews.read', 'reviews.shadow'].map((name) => ({ name, properties: [] }));
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
});

test('clients move only forward as the percentage grows, in its proportion', async () => {
  const path = flagFile(flagsOf(0));
  const flags = await fileFlags(path, asked, log);
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

test('a changed file counts at once, written in place or replaced', async () => {
  const path = flagFile(flagsOf(0));
  const flags = await fileFlags(path, asked, log);
  writeFileSync(path, flagsOf(100));
  await until(() => flags.isOn('reviews.read', 'x'), 'the change in place');
  writeFileSync(`${path}.new`, flagsOf(0));
  renameSync(`${path}.new`, path);
  await until(() => !flags.isOn('reviews.read', 'x'), 'the replaced file');
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
  [flagsOf(50).replace('"constraints":[]', '"constraints":[{"operator":"IN"}]'), /contextName/],
  [
    flagsOf(50).replace(
      '"constraints":[]',
      '"constraints":[{"operator":"IN","contextName":"userId","values":"x"}]',
    ),
    /list of texts/,
  ],
  [flagsOf(50).replace('"constraints":[]', '"segments":[7]'), /segments/],
])('a broken file changes nothing, is said, and is mended: %s', async (text, fault) => {
  const path = flagFile(flagsOf(100));
  const flags = await fileFlags(path, asked, log);
  const { loadedAt } = flags.status();
  writeFileSync(path, text);
  await until(() => flags.status().fault !== null, 'the fault');
  expect(flags.status()).toEqual({
    source: 'file',
    place: path,
    loadedAt,
    fault: expect.stringMatching(fault),
    isBackup: false,
    pollMs: null,
    warnings: [],
  });
  expect(flags.isOn('reviews.read', 'x')).toBe(true);
  writeFileSync(path, flagsOf(0));
  await until(() => flags.status().fault === null, 'the end of the fault');
  expect(flags.isOn('reviews.read', 'x')).toBe(false);
  await flags.stop();
});

test('a file that goes away leaves its flags in force; one that is not there at first is an error', async () => {
  const path = flagFile(flagsOf(100));
  const flags = await fileFlags(path, asked, log);
  rmSync(path);
  await until(() => flags.status().fault !== null, 'the fault');
  expect(flags.isOn('reviews.read', 'x')).toBe(true);
  await flags.stop();
  await expect(fileFlags(path, asked, log)).rejects.toThrow(/cannot be read/);
});
