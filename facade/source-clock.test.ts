import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SourceClock } from './source-clock.ts';

/** Microseconds of a server that is `aheadMs` ahead of the local clock. */
const serverAt = (localMs: number, aheadMs: number) => BigInt(Math.round((localMs + aheadMs) * 1_000));
const year = 1_790_000_000_000;

test('nothing is known before the first poll', () => {
  expect(new SourceClock().latest(5)).toBeUndefined();
});

test('is never early, and as tight as the best poll, while the clock is slewed', () => {
  const poll = fc.record({
    afterMs: fc.double({ min: 0, max: 2_000, noNaN: true }),
    toMs: fc.double({ min: 0, max: 300, noNaN: true }),
    backMs: fc.double({ min: 0, max: 300, noNaN: true }),
  });
  /** Two clocks at up to 500 ppm each. */
  const slew = fc.constantFrom(-990, -300, 0, 300, 990);
  fc.assert(
    fc.property(fc.array(poll, { minLength: 1, maxLength: 20 }), slew, (polls, slewPpm) => {
      const clock = new SourceClock();
      let localMs = 0;
      let serverMs = year;
      const pass = (ms: number) => {
        localMs += ms;
        serverMs += ms * (1 + slewPpm / 1_000_000);
        return BigInt(Math.floor(serverMs * 1_000));
      };
      for (const { afterMs, toMs, backMs } of polls) {
        pass(afterMs);
        const sentMs = localMs;
        const answered = pass(toMs);
        const shown = pass(backMs);
        clock.polled(sentMs, localMs, answered);
        const latest = clock.latest(localMs) ?? 0n;
        expect(latest).toBeGreaterThanOrEqual(shown);
        // Late by what the polls' travelling times allow, and a drift of 5 s at the most.
        expect(latest - shown).toBeLessThan(650_000n);
      }
    }),
  );
});

test('a tight poll is kept until one comes that is tighter, or it has aged', () => {
  const clock = new SourceClock();
  clock.polled(0, 1, serverAt(0.5, year));
  const lateMicros = (localMs: number) => Number((clock.latest(localMs) ?? 0n) - serverAt(localMs, year));
  for (let at = 250; at <= 4_500; at += 250) {
    clock.polled(at, at + 200, serverAt(at + 199, year)); // each says at most 199 ms too much
    expect(lateMicros(at + 200)).toBeLessThan(7_000);
  }
  clock.polled(6_000, 6_200, serverAt(6_199, year));
  expect(lateMicros(6_200)).toBeGreaterThan(190_000);
});

test('a clock that is set ahead is followed with the next poll', () => {
  const clock = new SourceClock();
  clock.polled(0, 1, serverAt(0.5, year));
  clock.polled(250, 252, serverAt(251, year + 5_000));
  expect(clock.latest(252)).toBeGreaterThanOrEqual(serverAt(252, year + 5_000));
});

test('a step ahead that hides in slow polls is followed when the old poll has aged', () => {
  const clock = new SourceClock();
  clock.polled(0, 1, serverAt(0.5, year));
  for (let at = 250; at <= 6_000; at += 250) clock.polled(at, at + 200, serverAt(at + 1, year + 100)); // 100 ms ahead, and 200 ms on the way
  expect(clock.latest(6_000)).toBeGreaterThanOrEqual(serverAt(6_000, year + 100));
});

test('what has been shown before a clock was set back stays the least, until the clock is there again', () => {
  const clock = new SourceClock();
  clock.polled(0, 1, serverAt(0.5, year));
  const shown = serverAt(249, year); // a heartbeat just before the step
  clock.polled(250, 252, serverAt(251, year - 5_000));
  expect(clock.latest(252)).toBeGreaterThanOrEqual(shown);
  expect(clock.latest(4_000)).toBeLessThan(serverAt(300, year));
  const again = serverAt(6_000, year - 5_000);
  expect((clock.latest(6_000) ?? 0n) - again).toBeLessThan(10_000n);
  expect(clock.latest(6_000)).toBeGreaterThanOrEqual(again);
});
