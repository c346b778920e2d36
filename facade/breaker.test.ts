import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Breaker, type BreakerLimits, type BreakerState, type Verdict } from './breaker.ts';

const limits: BreakerLimits = {
  breakerFailuresMax: 3,
  breakerPercentMax: 50,
  breakerVolumeMin: 8,
  breakerWindowMs: 1_000,
  breakerOpenMs: 100,
  breakerOpenMsMax: 1_000,
  breakerProbes: 2,
};
const never = () => 0;

/** One exchange after the other, at one moment. */
function run(breaker: Breaker, verdicts: string, nowMs: number): void {
  for (const verdict of verdicts)
    breaker.ended(
      breaker.admit(nowMs),
      verdict === '+' ? 'good' : verdict === '-' ? 'bad' : 'unknown',
      nowMs,
    );
}

test.each([
  ['---', 'open'],
  ['--+--+--', 'open'], // 6 of 8
  ['--+--', 'closed'],
  ['-+-+-+-', 'closed'], // of seven no share is taken
  ['-+-+-+-+-', 'open'],
  ['--?-', 'open'], // what says nothing does not count as a success
  ['+++++++++++++++++++-+-', 'closed'],
])('after %s it is %s', (verdicts, state) => {
  const breaker = new Breaker(limits, never);
  run(breaker, verdicts, 5_000);
  expect(breaker.stateAt(5_000)).toBe(state);
});

test('what failed before the window does not count', () => {
  const breaker = new Breaker({ ...limits, breakerFailuresMax: 0 }, never);
  run(breaker, '-------', 0);
  run(breaker, '-', 1_000);
  expect(breaker.stateAt(1_000)).toBe('closed');
  run(breaker, '-------', 1_050);
  expect([breaker.stateAt(1_050), breaker.why]).toEqual(['open', '8 of 8 failed within 1000 ms']);
});

test('open it lets nothing through, then exactly its probes, and all must succeed', () => {
  const breaker = new Breaker(limits, never);
  run(breaker, '---', 0);
  expect([breaker.admit(0), breaker.admit(99), breaker.openMsLeft(40)]).toEqual([0, 0, 60]);
  const probes = [breaker.admit(100), breaker.admit(100), breaker.admit(100)];
  expect(probes.map((permit) => permit > 0)).toEqual([true, true, false]);
  expect(breaker.ended(probes[0] ?? 0, 'good', 110)).toBeUndefined();
  expect(breaker.admit(110)).toBe(0);
  expect(breaker.ended(probes[1] ?? 0, 'good', 120)).toBe('closed');
  expect(breaker.admit(120)).toBeGreaterThan(0);
});

test('a probe whose client left frees its place', () => {
  const breaker = new Breaker(limits, never);
  run(breaker, '---', 0);
  const probes = [breaker.admit(100), breaker.admit(100)];
  breaker.ended(probes[0] ?? 0, 'unknown', 110);
  expect([breaker.admit(110) > 0, breaker.admit(110)]).toEqual([true, 0]);
});

test('what was let in before says nothing of what is now', () => {
  const breaker = new Breaker(limits, never);
  const old = [1, 2, 3, 4, 5].map(() => breaker.admit(0));
  for (const permit of old.slice(0, 3)) breaker.ended(permit, 'bad', 10);
  expect(breaker.ended(old[3] ?? 0, 'good', 20)).toBeUndefined();
  run(breaker, '+', 110);
  expect(breaker.ended(old[4] ?? 0, 'bad', 120)).toBeUndefined();
  expect(breaker.stateAt(120)).toBe('half-open');
});

test('each time it opens again soon it is open for twice as long, up to a bound', () => {
  const breaker = new Breaker(limits, never);
  run(breaker, '---', 0);
  const took: number[] = [];
  let now = 0;
  for (let time = 0; time < 6; time++) {
    took.push(breaker.openMsLeft(now));
    now += breaker.openMsLeft(now);
    run(breaker, '-', now);
  }
  expect(took).toEqual([100, 200, 400, 800, 1_000, 1_000]);
  now += 1_000;
  run(breaker, '++', now);
  run(breaker, '---', now + 10);
  expect(breaker.openMsLeft(now + 10)).toBe(1_000); // soon
  run(breaker, '++', now + 1_010);
  run(breaker, '---', now + 2_010);
  expect(breaker.openMsLeft(now + 2_010)).toBe(100);
});

test('replicas do not probe together', () => {
  const lefts = [0, 0.25, 0.5, 0.999].map((chance) => {
    const breaker = new Breaker(limits, () => chance);
    run(breaker, '---', 0);
    return Math.round(breaker.openMsLeft(0));
  });
  expect(lefts).toEqual([100, 88, 75, 50]);
});

/** The same in a few words: every end is remembered, and everything is counted anew. */
class Model {
  state: BreakerState = 'closed';
  ends: { at: number; verdict: Verdict }[] = [];
  until = 0;
  repeats = 0;
  closedAt = Number.NEGATIVE_INFINITY;
  probes = { out: 0, good: 0 };

  admit(now: number): boolean {
    if (this.state === 'open' && now >= this.until) {
      this.state = 'half-open';
      this.probes = { out: 0, good: 0 };
    }
    if (this.state === 'closed') return true;
    if (this.state === 'open' || this.probes.out === limits.breakerProbes) return false;
    this.probes.out += 1;
    return true;
  }

  ended(verdict: Verdict, now: number): void {
    if (this.state === 'half-open') {
      if (verdict === 'bad') this.open(now, this.repeats + 1);
      if (verdict === 'unknown') this.probes.out -= 1;
      if (verdict === 'good') this.probes.good += 1;
      if (this.probes.good === limits.breakerProbes)
        Object.assign(this, { state: 'closed', ends: [], closedAt: now, probes: { out: 0, good: 0 } });
      return;
    }
    if (verdict === 'unknown') return;
    this.ends.push({ at: now, verdict });
    if (verdict === 'good') return;
    const slot = (at: number) => Math.floor(at / 100);
    const recent = this.ends.filter(({ at }) => slot(at) > slot(now) - 10);
    const bad = recent.filter((end) => end.verdict === 'bad').length;
    const inARow = this.ends.slice(-limits.breakerFailuresMax);
    const isTooMuch =
      (inARow.length === limits.breakerFailuresMax && inARow.every((end) => end.verdict === 'bad')) ||
      (recent.length >= limits.breakerVolumeMin && bad * 2 >= recent.length);
    if (isTooMuch) this.open(now, now - this.closedAt < limits.breakerWindowMs ? this.repeats + 1 : 0);
  }

  open(now: number, repeats: number): void {
    this.repeats = repeats;
    this.until = now + Math.min(limits.breakerOpenMs * 2 ** repeats, limits.breakerOpenMsMax);
    this.state = 'open';
  }
}

type Step = { readonly afterMs: number; readonly does: 'admit' | Verdict; readonly which: number };
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    afterMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 60 }), fc.integer({ min: 100, max: 1_500 })),
    does: fc.oneof(
      { weight: 4, arbitrary: fc.constant('admit' as const) },
      { weight: 4, arbitrary: fc.constantFrom<Verdict>('good', 'bad', 'bad', 'unknown') },
    ),
    which: fc.nat(20),
  }),
  { minLength: 60, maxLength: 200, size: 'max' },
);

test('it does what the model does, whatever overlaps', () => {
  let opened = 0;
  fc.assert(
    fc.property(steps, (sequence) => {
      const breaker = new Breaker(limits, never);
      const model = new Model();
      let now = 1_000;
      // Those that were let in before the state changed are not the model's business.
      let rounds = 0;
      let under: { permit: number; round: number }[] = [];
      for (const { afterMs, does, which } of sequence) {
        now += afterMs;
        const before = model.state;
        if (does === 'admit') {
          const permit = breaker.admit(now);
          expect(permit > 0).toBe(model.admit(now));
          if (model.state !== before) rounds += 1;
          if (permit > 0) under.push({ permit, round: rounds });
        } else if (under.length > 0) {
          const ending = under[which % under.length];
          if (!ending) continue;
          under = under.filter((each) => each !== ending);
          const turned = breaker.ended(ending.permit, does, now);
          if (ending.round === rounds) model.ended(does, now);
          expect(turned).toBe(model.state === before ? undefined : model.state);
          if (model.state !== before) rounds += 1;
          if (turned === 'open') opened += 1;
        }
        if (model.state !== 'open') expect(breaker.stateAt(now)).toBe(model.state);
        else expect(breaker.openMsLeft(now)).toBe(Math.max(model.until - now, 0));
      }
    }),
    { numRuns: 150 },
  );
  expect(opened).toBeGreaterThan(100);
});
