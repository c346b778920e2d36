// A short drill of the whole, and that a drill can fail: about 50 s and 30 s.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { suiteSeed } from '../sync/seed.ts';
import { played } from './played.ts';

const evidence = (seed: number) => join(import.meta.dirname, '..', '..', 'var', 'drill', String(seed));

test('there and back under faults: nothing is lost, doubled or stale, and every error has its fault', {
  timeout: 240_000,
}, async () => {
  const { seed } = suiteSeed('drill of the whole');
  const { code, said, rounds } = await played('drill/drill.ts', ['--rounds', '2', '--seed', String(seed)]);
  const zeros = { lost: 0, doubled: 0, differences: 0, clientErrors: 0, staleReads: 0 };
  expect(said).toMatchObject({ seed, rounds: 2, ...zeros, ok: true });
  expect(code).toBe(0);
  expect(said.acknowledged).toBeGreaterThan(20);
  expect(rounds).toHaveLength(2);
  expect(existsSync(evidence(seed))).toBe(false);
});

test('an acknowledged review that somebody takes from its owner ends it, and what led there is kept', {
  timeout: 180_000,
}, async () => {
  const seed = 32;
  const { code, said } = await played('test/drill/meddled-whole.ts', [
    '--rounds',
    '1',
    '--seed',
    String(seed),
  ]);
  expect(said).toMatchObject({ seed, rounds: 1, lost: 1, doubled: 0, ok: false });
  expect(code).toBe(1);
  expect(readdirSync(evidence(seed))).toEqual(
    expect.arrayContaining(['outcome.json', 'server-11', 'server-12', 'worker.log', 'facade.log']),
  );
  const outcome = readFileSync(join(evidence(seed), 'outcome.json'), 'utf8');
  expect(outcome).toMatch(/lost on service: shopper32_\d+-1: it is not there/);
  expect(outcome).not.toContain('finds nothing where SQL finds differences');
  rmSync(evidence(seed), { recursive: true, force: true });
});
