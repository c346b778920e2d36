import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { readInterlock, type Standing } from '../capability/phase.ts';
import { createGuard, type Guard, type GuardDeps } from './guard.ts';
import { lookEveryMs } from './recent.ts';
import { Tallies } from './tallies.ts';

type Written = Parameters<GuardDeps['write']>[0];

let guard: Guard;
let said: Standing;
let tallies: Tallies;
let written: Written[];
let isStoreAway: boolean;

const canary = (round: bigint): Standing => ({
  phase: 'canary',
  ready: true,
  reads: { round, isGuarded: false, returned: null },
});

beforeEach(() => {
  vi.useFakeTimers();
  said = canary(1n);
  tallies = new Tallies([{ name: 'reviews' }]);
  written = [];
  isStoreAway = false;
  guard = createGuard({
    capabilities: [{ name: 'reviews' }],
    control: { standing: () => said },
    tallies,
    async write(of) {
      if (isStoreAway) throw new Error('the store is away');
      written.push(of);
    },
    metrics: { returned: () => {} },
    log: pino({ level: 'silent' }),
  });
});

afterEach(async () => {
  vi.useRealTimers();
  await guard.stop();
});

/** So many reads of each side in each of so many looks. */
async function reads(looks: number, each: number, isFailing: boolean, ms = 3): Promise<void> {
  for (let look = 0; look < looks; look++) {
    for (let read = 0; read < each; read++) {
      tallies.of('reviews')?.saw('legacy', 3, false);
      tallies.of('reviews')?.saw('service', ms, isFailing);
    }
    await vi.advanceTimersByTimeAsync(lookEveryMs);
  }
}

const why = () => {
  const interlock = readInterlock(guard.standing('reviews'));
  return interlock.open ? 'open' : interlock.why;
};

test('a service that fails has its reads back on legacy within two looks, here and by a word for all', async () => {
  await reads(10, 10, false);
  expect(why()).toBe('open');
  await reads(2, 10, true);
  expect(why()).toMatch(
    /gone back to legacy by themselves at 20.*Z: \d+ of the service's last \d+ reads failed.*banyan ramp/,
  );
  expect(written).toMatchObject([
    {
      capability: 'reviews',
      round: 1n,
      figures: { check: 'errors', service: { errors: expect.any(Number) } },
    },
  ]);
  // It holds, whatever comes; until somebody moves the reads again.
  await reads(20, 10, false);
  expect(why()).toMatch(/back to legacy/);
  said = canary(2n);
  expect(why()).toBe('open');
  await reads(20, 10, false);
  expect(why()).toBe('open');
});

test('what failed before a shift says nothing of the service after it', async () => {
  await reads(1, 10, true);
  said = canary(2n);
  await reads(10, 10, false);
  expect(why()).toBe('open');
});

test('one bad look is bad luck', async () => {
  await reads(5, 40, false);
  for (let read = 0; read < 3; read++) tallies.of('reviews')?.saw('service', 3, true);
  await vi.advanceTimersByTimeAsync(lookEveryMs);
  await reads(5, 40, false);
  expect(why()).toBe('open');
});

test('slow reads, and mirrored ones that differ', async () => {
  await reads(4, 10, false);
  await reads(2, 10, false, 1_200);
  expect(why()).toMatch(/took longer than/);
  said = canary(2n);
  for (let look = 0; look < 2; look++) {
    await reads(1, 10, false);
    for (let read = 0; read < 5; read++) {
      tallies.compared('reviews');
      tallies.differed('reviews');
    }
  }
  await reads(2, 10, false);
  expect(why()).toMatch(/answered differently/);
});

test('a store that is away does not keep this replica from it, and is told when it is back', async () => {
  isStoreAway = true;
  await reads(3, 10, true);
  expect(why()).toMatch(/back to legacy/);
  expect(written).toEqual([]);
  isStoreAway = false;
  await reads(1, 0, false);
  expect(written).toHaveLength(1);
  said = {
    ...canary(1n),
    reads: { round: 1n, isGuarded: false, returned: { at: '2026-01-01T00:00:00Z', why: 'the store’s word' } },
  };
  await reads(4, 10, true);
  expect(written).toHaveLength(1);
  expect(why()).toMatch(/the store’s word/);
});

test('at 100 % only under a ramp; without a shift never', async () => {
  said = { ...canary(1n), phase: 'reads' };
  await reads(10, 10, true);
  expect(why()).toBe('open');
  said = { phase: 'reads', ready: true, reads: { round: 2n, isGuarded: true, returned: null } };
  await reads(3, 10, true);
  expect(why()).toMatch(/back to legacy/);
  said = { phase: 'canary', ready: true };
  await reads(10, 10, true);
  expect(why()).toBe('open');
});
