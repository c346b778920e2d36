// A long drill of the whole, and that the facades' hold is what keeps it quiet. 3 to 5 minutes; its limit is 12.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { mutantEnv } from '../scenarios/mutant.ts';
import { suiteSeed } from '../sync/seed.ts';
import { played } from './played.ts';

const rounds = 10;

test(`${rounds} changes of the owner under faults: nothing is lost, doubled or stale, and every error has its fault`, {
  timeout: 600_000,
}, async () => {
  const { seed } = suiteSeed('long drill of the whole');
  const { code, said } = await played('drill/drill.ts', [
    ...['--rounds', String(rounds)],
    ...['--seed', String(seed)],
  ]);
  const zeros = { lost: 0, doubled: 0, differences: 0, clientErrors: 0, staleReads: 0 };
  expect(said).toMatchObject({ seed, rounds, ...zeros, ok: true });
  expect(code).toBe(0);
});

test('facades that send what they should hold: their clients notice, and no fault explains it', {
  timeout: 400_000,
}, async () => {
  const seed = 33;
  const rounds = 16;
  // Of the faults those that explain no client's error; it ends with the first that is noticed.
  const faults = [
    'command killed',
    'command frozen',
    'command stalled',
    'worker killed',
    'worker frozen',
  ].join();
  const mutant = mutantEnv({
    file: 'capability/release.ts',
    replace: "  return { do: 'hold' };",
    by: "  return { do: 'send', to: 'legacy' };",
  });
  const words = ['--rounds', String(rounds), '--seed', String(seed), '--faults', faults];
  const { code, said } = await played('drill/drill.ts', words, mutant);
  expect(said).toMatchObject({ seed, ok: false });
  expect(Number(said.clientErrors)).toBeGreaterThan(0);
  expect(code).toBe(1);
  rmSync(join(import.meta.dirname, '..', '..', 'var', 'drill', String(seed)), { recursive: true });
});
