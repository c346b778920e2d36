// A long sync drill: every kind of fault. 3 to 4 minutes; its limit is 10.
import { expect, test } from 'vitest';
import { suiteSeed } from '../sync/seed.ts';
import { played } from './played.ts';

const rounds = 15;

test(`${rounds} rounds of faults: nothing is lost, doubled, different or seen to go back`, {
  timeout: 600_000,
}, async () => {
  const { seed } = suiteSeed('long sync drill');
  const { code, said } = await played('drill/drill.ts', [
    ...['--only', 'sync', '--rounds', String(rounds)],
    ...['--seed', String(seed)],
  ]);
  const zeros = { lost: 0, doubled: 0, differences: 0, clientErrors: 0, staleReads: 0 };
  expect(said).toMatchObject({ seed, rounds, ...zeros, ok: true });
  expect(code).toBe(0);
});
