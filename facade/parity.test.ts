// Parity: what is counted as different, what is only noise, how long anything is kept, and how replicas add up.
import { expect, test } from 'vitest';
import { addParity, parityShare, parseParityReport } from '../capability/parity.ts';
import { shareAtMost } from '../capability/share.ts';
import type { Difference } from './compare-json.ts';
import { createParity } from './parity.ts';

const at = (path: string, kind: Difference['kind'] = 'value'): Difference => ({
  path,
  kind,
  legacy: 'text of 3 (a)',
  service: 'text of 4 (a)',
});
const subject = { capability: 'reviews', route: 'GET /list', epoch: 1n };
const day = 86_400_000;

function world() {
  let nowMs = 1_000_000_000;
  const parity = createParity(day, () => nowMs);
  return {
    parity,
    wait: (ms: number) => {
      nowMs += ms;
    },
    report: (minutes = 60, epoch = 1n) => parity.report('reviews', epoch, minutes).routes,
    times: (count: number, differences: readonly Difference[]) => {
      for (let n = 0; n < count; n++) parity.compared(subject, differences, 'prdNo=<number of 1 digits>');
    },
    repeats: (count: number, differences: readonly Difference[]) => {
      for (let n = 0; n < count; n++) parity.repeated(subject, differences);
    },
  };
}

test('where legacy says twice the same, each difference counts, and comparisons that differ at two paths count once', () => {
  const { times, repeats, report } = world();
  times(990, []);
  times(6, [at('$.a'), at('$.b', 'missing')]);
  times(4, [at('$.b', 'missing')]);
  repeats(100, []);
  const [route] = report();
  expect(route).toMatchObject({ compared: 1_000, equal: 990, different: 10, repeated: 100, noisy: 0 });
  expect(route?.paths.map(({ path, kind, count, counted }) => [path, kind, count, counted])).toEqual([
    ['$.b', 'missing', 10, 10],
    ['$.a', 'value', 6, 6],
  ]);
  expect(route?.paths[0]?.example).toEqual({
    ageMs: 0,
    asked: 'prdNo=<number of 1 digits>',
    legacy: 'text of 3 (a)',
    service: 'text of 4 (a)',
  });
});

test('what legacy does not say twice the same is noise; a difference beside it, or above it, still counts', () => {
  const noisy = world();
  // A time of the answer: every answer differs, and every repeat.
  noisy.times(1_000, [at('$.now')]);
  noisy.repeats(100, [at('$.now')]);
  expect(noisy.report()).toMatchObject([
    { compared: 1_000, equal: 0, different: 0, repeated: 100, noisy: 100 },
  ]);
  noisy.times(5, [at('$.now'), at('$.name')]);
  expect(noisy.report()).toMatchObject([{ different: 5 }]);

  // Half of the answers differ, of the repeats a tenth: that is not noise alone.
  const above = world();
  above.times(500, []);
  above.times(500, [at('$.order')]);
  above.repeats(180, []);
  above.repeats(20, [at('$.order')]);
  const [route] = above.report();
  const bound = shareAtMost(20, 200);
  expect([bound > 0.1, bound < 0.16]).toEqual([true, true]);
  expect(route?.different).toBe(Math.ceil(500 - 1_000 * bound));
  expect(route?.paths).toMatchObject([{ path: '$.order', count: 500, noise: 20, counted: route?.different }]);
});

test('windows end by the minute, examples by their time, an epoch with the owner', () => {
  const { parity, times, report, wait } = world();
  times(1, [at('$.a')]);
  parity.notCompared(subject);
  wait(10 * 60_000);
  times(2, []);
  expect(report(5)).toMatchObject([{ compared: 2, different: 0, notCompared: 0, newestAgeMs: 0, paths: [] }]);
  expect(report(60)).toMatchObject([{ compared: 3, different: 1, notCompared: 1 }]);
  wait(23 * 3_600_000);
  expect(report(1_440)[0]?.paths[0]?.example).not.toBeNull();
  wait(45 * 60_000);
  times(1, []);
  expect(report(1_440)).toMatchObject([{ compared: 4, different: 1 }]);
  wait(10 * 60_000);
  expect(report(1_440)).toMatchObject([{ compared: 3, paths: [] }]);

  parity.compared({ ...subject, epoch: 2n }, [], '');
  times(5, [at('$.late')]);
  expect(report(60, 1n)).toEqual([]);
  expect(report(60, 2n)).toMatchObject([{ compared: 1, different: 0 }]);
});

test('memory is bounded: thousands of paths are a hundred, and the rest still counts', () => {
  const { parity, times, report } = world();
  for (let n = 0; n < 5_000; n++) times(1, [at(`$.k${n}`), at(`$.other${n}`)]);
  const [route] = report();
  expect(route).toMatchObject({ compared: 5_000, different: 5_000 });
  expect(route?.paths.length).toBe(20);
  expect(JSON.stringify(parity.report('reviews', 1n, 60)).length).toBeLessThan(10_000);
});

test('replicas add up, and a report of another shape is none', () => {
  const [one, other] = [world(), world()];
  one.times(99, []);
  one.times(1, [at('$.a')]);
  other.wait(1);
  other.times(97, []);
  other.times(3, [at('$.a')]);
  const reports = [one, other].map(({ parity }) => ({
    minutes: 60,
    capabilities: [parity.report('reviews', 1n, 60)],
  }));
  const parsed = reports.map((each) => parseParityReport(JSON.parse(JSON.stringify(each))));
  expect(parsed).toEqual(reports);
  const [route] = addParity(reports.flatMap(({ capabilities }) => capabilities));
  expect(route).toMatchObject({
    compared: 200,
    equal: 196,
    different: 4,
    paths: [{ path: '$.a', count: 4, counted: 4 }],
  });
  expect(parityShare(route ?? { compared: 0, different: 0 })).toBe(0.98);
  expect(parseParityReport({ minutes: 60, capabilities: [{ capability: 'reviews' }] })).toBeUndefined();
});
