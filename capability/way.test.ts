import { expect, test } from 'vitest';
import type { Facts } from './gate.ts';
import { sound } from './test-facts.ts';
import { wayOf } from './way.ts';

const states = (facts: Facts) => Object.fromEntries(wayOf(facts).map(({ step, state }) => [step, state]));
const fresh: Facts = {
  ...sound,
  phase: 'legacy',
  backfilledAgeMs: undefined,
  verifiedAgeMs: undefined,
  fenceModes: sound.fenceModes.map((each) => ({ ...each, mode: 'off' })),
  reads: { percent: 0, service: 0, legacy: 100 },
};

test('one step is next, in the order in which each rests on the one before', () => {
  expect(states(fresh)).toMatchObject({ backfill: 'next', verify: 'later', retire: 'later' });
  expect(states({ ...fresh, phase: 'synced', backfilledAgeMs: 1 })).toMatchObject({
    backfill: 'done',
    verify: 'next',
  });
  expect(states({ ...fresh, phase: 'synced', backfilledAgeMs: 1, verifiedAgeMs: 1 }).observe).toBe('next');
  expect(states({ ...sound, phase: 'synced' }).shift).toBe('next');
  expect(states({ ...sound, phase: 'canary' }).reads).toBe('next');
  const returned = { percent: 0, service: 0, legacy: 100 };
  expect(states({ ...sound, phase: 'canary', reads: returned }).shift).toBe('next');
  expect(states({ ...sound, reads: returned }).shift).toBe('next');
  expect(states({ ...sound, phase: 'canary', reads: null }).reads).toBe('next');
  expect(
    states({ ...sound, fenceModes: fresh.fenceModes.map((each) => ({ ...each, mode: 'observe' })) }).enforce,
  ).toBe('next');
  expect(states(sound).cutover).toBe('next');
});

test('what is behind an owner is not asked for again, and nothing is next at the end', () => {
  const owned: Facts = { ...fresh, phase: 'owned' };
  expect(states(owned)).toMatchObject({ backfill: 'done', cutover: 'done', retire: 'next' });
  expect(Object.values(states({ ...owned, phase: 'retired' }))).not.toContain('next');
});
