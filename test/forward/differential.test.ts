import { expect, test } from 'vitest';
import { compareWays } from './compare.ts';

test('generated exchanges go as they did by undici', async () => {
  const begin = Number(process.env.BANYAN_SEED ?? Date.now() % 1_000_000);
  const { wrong } = await compareWays(Array.from({ length: 400 }, (_, at) => begin + at));
  expect(wrong).toEqual([]);
});
