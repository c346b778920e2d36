import { expect, test } from 'vitest';
import type { Facts } from './gate.ts';
import { usualLimits } from './gate.ts';
import { type Gated, gateNames, judgeGates } from './gates.ts';
import { sound } from './test-facts.ts';

const owned: Facts = {
  ...sound,
  phase: 'owned',
  fences: { legacy: { owner: 'service', epoch: 2n }, service: { owner: 'service', epoch: 2n } },
};
const failing = (move: Gated, facts: Facts, overridden: readonly string[] = []) =>
  judgeGates(move, 'reviews', facts, usualLimits, overridden)
    .filter(({ verdict }) => verdict === 'fail')
    .map(({ gate }) => gate);

test('sound facts pass every gate of every move', () => {
  expect(failing('cutover', sound)).toEqual([]);
  expect(failing('rollback', owned)).toEqual([]);
  expect(failing('retire', owned)).toEqual([]);
});

const day = 86_400_000;
/** What each gate of the cutover is there for: facts that it alone must not let pass. */
const faults: Readonly<Record<string, readonly Partial<Facts>[]>> = {
  phase: [{ phase: 'canary' }],
  fences: [{ fences: { ...sound.fences, service: { owner: 'legacy', epoch: 0n } } }],
  backfilled: [{ backfilledAgeMs: undefined }],
  verified: [{ verifiedAgeMs: undefined }, { verifiedAgeMs: day + 1 }],
  proven: [{ mismatched: 1 }, { unproven: 1_001 }, { skipped: 1 }],
  quarantine: [{ quarantined: 1 }],
  streams: [
    { isWorkerRunning: false },
    { streams: [] },
    { streams: [{ stream: 'reviews', source: 'legacy', lagMs: null, stop: null }] },
    { streams: [{ stream: 'reviews', source: 'legacy', lagMs: 3_001, stop: null }] },
    {
      streams: [
        { stream: 'reviews', source: 'legacy', lagMs: 1, stop: { why: 'DDL', goesOnBy: 'banyan worker' } },
      ],
    },
  ],
  reads: [
    { reads: null },
    { reads: { percent: 99, service: 100, legacy: 0 } },
    { reads: { percent: 100, service: 98, legacy: 2 } },
    { phaseAgeMs: 3_599_999 },
  ],
  parity: [
    { parity: null },
    { parity: { mirrored: 1, routes: [], ageMs: null } },
    { parity: { mirrored: 1, routes: [{ route: 'GET /list', compared: 999, different: 0 }], ageMs: 1 } },
    { parity: { mirrored: 1, routes: [{ route: 'GET /list', compared: 1_000, different: 2 }], ageMs: 1 } },
    // Not hidden behind a route that is asked more often.
    {
      parity: {
        mirrored: 2,
        routes: [
          { route: 'GET /list', compared: 100_000, different: 0 },
          { route: 'GET /summary', compared: 10, different: 1 },
        ],
        ageMs: 1,
      },
    },
  ],
  enforced: [{ fenceModes: [] }, { fenceModes: [{ side: 'service', table: 'review', mode: 'observe' }] }],
  writers: [
    { writers: [{ side: 'legacy', observedMs: 7 * day, undeclared: ['shop_batch@%'] }] },
    { writers: [{ side: 'legacy', observedMs: undefined, undeclared: [] }] },
    { writers: [{ side: 'legacy', observedMs: day - 1, undeclared: [] }] },
  ],
  tripwires: [{ tripwires: [{ source: 'service', what: 'rows of review', ageMs: 1 }] }],
  routes: [{ untranslated: ['POST /api/review/write.do'] }],
  'also-writes': [{ unremedied: ['POST /api/member/leave.do'] }],
  doctor: [{ refusals: [{ code: 'not-durable', object: 'sync_binlog', what: '' }] }],
  counters: [{ shortCounters: ['review.id'] }],
  facades: [{ replicas: [] }, { replicas: [{ name: 'f1', heartbeat: 'silent' }] }],
};

test('every gate of the cutover has its faults', () => {
  expect(Object.keys(faults).sort()).toEqual(gateNames('cutover').sort());
});

test.each(Object.entries(faults))('%s fails on its own fault, and on no other', (gate, some) => {
  for (const fault of some) expect(failing('cutover', { ...sound, ...fault })).toEqual([gate]);
});

test('where nothing can be mirrored parity asks for nothing; on the way back it asks for what was mirrored back', () => {
  const parity = { mirrored: 0, routes: [], ageMs: null };
  expect(failing('cutover', { ...sound, parity })).toEqual([]);
  expect(failing('rollback', { ...owned, parity: { ...parity, mirrored: 1 } })).toEqual(['parity']);
  expect(failing('rollback', { ...owned, parity: { ...parity, mirrored: 1 } }, ['parity'])).toEqual([]);
});

test('a facade that counts as stopped does not stand in the way', () => {
  const replicas = [...sound.replicas, { name: 'gone', heartbeat: 'over' as const }];
  expect(failing('cutover', { ...sound, replicas })).toEqual([]);
});

test('a tripwire from before the last clean verification has been settled by it', () => {
  const tripwires = [{ source: 'service' as const, what: 'rows of review', ageMs: 3_600_001 }];
  expect(failing('cutover', { ...sound, tripwires })).toEqual([]);
});

test('a gate is overridden by its name; what the protocol cannot do without is not', () => {
  const facts: Facts = { ...sound, quarantined: 1, replicas: [] };
  expect(failing('cutover', facts, ['quarantine', 'facades'])).toEqual(['facades']);
});

test('the way back does not wait for a verification, and the end does not come while legacy touches the tables', () => {
  expect(failing('rollback', { ...owned, verifiedAgeMs: undefined, backfilledAgeMs: undefined })).toEqual([]);
  expect(failing('retire', { ...owned, entangled: ['GET /products/:prdNo'] })).toEqual(['entangled']);
  expect(failing('retire', sound)).toEqual(['phase']);
  expect(failing('rollback', { ...owned, phase: 'retired' })).toEqual(['phase']);
});
