import { expect, test } from 'vitest';
import { everyText, parseEvery, parseSteps, stepsLeft } from './ramp-plan.ts';

test('how long a step takes is a number with its unit', () => {
  expect(['1500ms', '60s', '5m', '1h'].map(parseEvery)).toEqual([1_500, 60_000, 300_000, 3_600_000]);
  expect([1_500, 90_000, 300_000].map(everyText)).toEqual(['1500 ms', '90 s', '5 min']);
  for (const text of ['60', 's', '0s', '999ms', '25h', '1.5m', '-1s', '1 s'])
    expect(() => parseEvery(text)).toThrow(/--every is ".*": say 30s/);
});

test('steps only ascend: nobody is moved back by a later one', () => {
  expect(parseSteps(['1', '5', '100'])).toEqual([1, 5, 100]);
  for (const list of [[], ['0', '5'], ['5', '5'], ['50', '25'], ['101'], ['x'], ['1.5']])
    expect(() => parseSteps(list)).toThrow(/each above the one before/);
});

test('a ramp that is run again goes on where the reads are, and judges that step again', () => {
  expect(stepsLeft([1, 5, 25], 0)).toEqual([1, 5, 25]);
  expect(stepsLeft([1, 5, 25], 5)).toEqual([5, 25]);
  expect(stepsLeft([1, 5, 25], 10)).toEqual([25]);
  expect(stepsLeft([1, 5, 25], 50)).toEqual([]);
  expect(stepsLeft([1, 5, 25], undefined)).toEqual([1, 5, 25]);
});
