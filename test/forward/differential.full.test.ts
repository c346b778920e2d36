// As the short one, for some minutes; and each named difference is met, else its name says nothing.
import { expect, test } from 'vitest';
import { compareWays, differenceNames } from './compare.ts';

test('thousands of generated exchanges go as they did by undici, or better for a reason', async () => {
  const begin = Number(process.env.BANYAN_SEED ?? Date.now() % 1_000_000_000);
  const { wrong, met } = await compareWays(Array.from({ length: 8_000 }, (_, at) => begin + at));
  expect(wrong, `BANYAN_SEED=${begin}`).toEqual([]);
  expect(differenceNames.filter((name) => !met.has(name))).toEqual([]);
}, 900_000);
