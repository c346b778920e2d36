import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  FlagFileError,
  parseFlagFile,
  readFlagFile,
  rolloutFlag,
  rolloutPercent,
  setReadPercent,
  writeFlagFile,
} from './flag-file.ts';

test('setting a percentage leaves other flags as they are, and no half-written file beside it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'flags-'));
  const path = join(folder, 'flags.json');
  const other = {
    name: 'other',
    enabled: true,
    strategies: [{ name: 'userWithId', parameters: { userIds: 'a' } }],
    variants: [],
  };
  writeFlagFile(path, { version: 2, features: [other] });
  setReadPercent(path, 'reviews', 25);
  setReadPercent(path, 'reviews', 50);
  const { features } = readFlagFile(path);
  expect(features[0]).toEqual(other);
  expect(features.slice(1)).toEqual([rolloutFlag('reviews.read', 50)]);
  expect(readdirSync(folder)).toEqual(['flags.json']);
  expect(readFileSync(path, 'utf8')).toMatch(/\n$/);
  rmSync(folder, { recursive: true });
});

test('the percentage of a plain rollout is known, that of anything else is not', () => {
  expect(rolloutPercent(undefined)).toBe(0);
  expect(rolloutPercent(rolloutFlag('x', 0))).toBe(0);
  expect(rolloutPercent(rolloutFlag('x', 33))).toBe(33);
  expect(rolloutPercent({ ...rolloutFlag('x', 33), enabled: false })).toBe(0);
  expect(rolloutPercent({ name: 'x', enabled: true, strategies: [] })).toBe(100);
  expect(
    rolloutPercent({
      name: 'x',
      enabled: true,
      strategies: [{ name: 'userWithId', parameters: { userIds: 'a' } }],
    }),
  ).toBeUndefined();
});

describe('a flag file that is not one says what is wrong', () => {
  test.each([
    ['{', /not JSON/],
    ['[]', /no "features" list/],
    ['{"features":[{}]}', /feature 1 has no name/],
    ['{"features":[{"name":"a","enabled":"yes","strategies":[]}]}', /"a": "enabled"/],
    ['{"features":[{"name":"a","enabled":true}]}', /no "strategies"/],
    [
      '{"features":[{"name":"a","enabled":true,"strategies":[{"name":"flexibleRollout","parameters":{"rollout":50}}]}]}',
      /not texts/,
    ],
    [
      '{"features":[{"name":"a","enabled":true,"strategies":[{"name":"flexibleRollout","parameters":{"rollout":"101"}}]}]}',
      /rollout/,
    ],
    [
      '{"features":[{"name":"a","enabled":true,"strategies":[]},{"name":"a","enabled":true,"strategies":[]}]}',
      /stands twice/,
    ],
  ])('%s', (text, reason) => {
    expect(() => parseFlagFile(text)).toThrow(FlagFileError);
    expect(() => parseFlagFile(text)).toThrow(reason);
  });
});
