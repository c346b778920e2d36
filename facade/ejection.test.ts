import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Ejection, mayEject } from './ejection.ts';

const limits = { ejectFailuresMax: 3, ejectMs: 100, ejectMsMax: 1_000, ejectPercentMax: 50 };

test('it is left out after so many failures in a row, and what comes later of before counts no more', () => {
  const ejection = new Ejection(limits);
  expect([ejection.failed(0), ejection.failed(0)]).toEqual([false, false]);
  ejection.succeeded();
  expect([ejection.failed(0), ejection.failed(0), ejection.failed(0)]).toEqual([false, false, true]);
  ejection.eject(0);
  expect([ejection.isOut(99), ejection.failed(50), ejection.isOut(100)]).toEqual([true, false, false]);
});

test('back again its first answer decides, and the time grows up to a bound', () => {
  const ejection = new Ejection(limits);
  const took: number[] = [];
  let now = 0;
  for (let time = 0; time < 6; time++) {
    while (!ejection.failed(now)) expect(time).toBe(0);
    ejection.eject(now);
    took.push(ejection.msLeft(now));
    now += ejection.msLeft(now);
  }
  expect(took).toEqual([100, 200, 400, 800, 1_000, 1_000]);
  ejection.succeeded();
  expect(ejection.failed(now)).toBe(false);
  // Well for as long as the bound, it begins anew.
  ejection.succeeded();
  now += 1_000;
  while (!ejection.failed(now)) expect(ejection.isOut(now)).toBe(false);
  ejection.eject(now);
  expect(ejection.msLeft(now)).toBe(100);
});

test('never more than the share is left out, and never all', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 0, max: 100 }), (instances, percent) => {
      let out = 0;
      while (mayEject(instances, out, percent)) out += 1;
      expect(out).toBeLessThan(instances);
      expect(out * 100).toBeLessThanOrEqual(instances * percent);
      if (percent === 100) expect(out).toBe(instances - 1);
    }),
  );
  expect([mayEject(1, 0, 100), mayEject(2, 0, 50), mayEject(3, 1, 50)]).toEqual([false, true, false]);
});

test('with a limit of 0 nothing is left out', () => {
  const ejection = new Ejection({ ...limits, ejectFailuresMax: 0 });
  for (let time = 0; time < 10; time++) expect(ejection.failed(time)).toBe(false);
});
