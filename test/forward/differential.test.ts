// Thousands of exchanges, honest and not, cut anywhere, by our connections and by undici's: the same for the client and the upstream, or
// a difference that has a name. BANYAN_SEED repeats what a failure says.
import { expect, test } from 'vitest';
import { compareWays } from './compare.ts';

test('generated exchanges go as they did by undici, or better for a reason', async () => {
  const begin = Number(process.env.BANYAN_SEED ?? Date.now() % 1_000_000_000);
  const { wrong } = await compareWays(Array.from({ length: 250 }, (_, at) => begin + at));
  expect(wrong, `BANYAN_SEED=${begin}`).toEqual([]);
}, 120_000);
