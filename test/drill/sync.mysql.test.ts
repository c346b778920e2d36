// A short sync drill, and that a drill can fail: about 40 s and 20 s.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { faultKinds } from '../../drill/faults.ts';
import { schedule } from '../../drill/schedule.ts';
import { chance, suiteSeed } from '../sync/seed.ts';
import { played } from './played.ts';

const evidence = (seed: number) => join(import.meta.dirname, '..', '..', 'var', 'drill', String(seed));

test('three rounds of faults: nothing is lost, doubled, different or seen to go back', {
  timeout: 180_000,
}, async () => {
  const { seed } = suiteSeed('sync drill');
  const { code, said, rounds } = await played('drill/drill.ts', [
    ...['--only', 'sync', '--rounds', '3'],
    ...['--seed', String(seed)],
  ]);
  const zeros = { lost: 0, doubled: 0, differences: 0, clientErrors: 0, staleReads: 0 };
  expect(said).toMatchObject({ seed, rounds: 3, ...zeros, ok: true });
  expect(code).toBe(0);
  expect(said.acknowledged).toBeGreaterThan(100);
  // What was played is what the seed says.
  const planned = schedule(chance(seed).fork('schedule'), faultKinds, 3).flatMap(({ steps }) => steps);
  const counted = planned.reduce<Record<string, number>>(
    (counts, { fault }) => Object.assign(counts, { [fault]: (counts[fault] ?? 0) + 1 }),
    {},
  );
  expect(said.faults).toEqual(counted);
  expect(rounds).toHaveLength(3);
  expect(existsSync(evidence(seed))).toBe(false);
});

test('a row of the target that somebody has changed past the binlog ends it, and what led there is kept', {
  timeout: 120_000,
}, async () => {
  const seed = 31;
  const { code, said } = await played('test/drill/meddled.ts', [
    ...['--only', 'sync', '--rounds', '4'],
    ...['--seed', String(seed)],
  ]);
  expect(said).toMatchObject({ seed, rounds: 2, lost: 0, doubled: 0, differences: 1, ok: false });
  expect(code).toBe(1);
  const kept = readdirSync(evidence(seed));
  expect(kept).toEqual(expect.arrayContaining(['outcome.json', 'server-11', 'server-12', 'worker-1.log']));
  for (const server of ['server-11', 'server-12'])
    expect(readdirSync(join(evidence(seed), server))).toEqual(
      expect.arrayContaining(['server.log', 'binlog.000001']),
    );
  const outcome = readFileSync(join(evidence(seed), 'outcome.json'), 'utf8');
  expect(outcome).toContain('review 10\\n');
  // Both ways of looking have found it.
  expect(outcome).toContain('banyan verify reviews ended with 1');
  expect(outcome).not.toContain('finds nothing where SQL finds differences');
  rmSync(evidence(seed), { recursive: true, force: true });
});
