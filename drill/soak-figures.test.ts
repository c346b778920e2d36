import { expect, test } from 'vitest';
import { bounds, judgeFlat, type Kind, median, table } from './soak-figures.ts';

const samples = 100;
/** One that begins low, as what has just been started does, and is at `before`, then at `after`. */
const series = (kind: Kind, before: number, after: number, length = samples) => ({
  process: 'worker',
  figure: 'a figure',
  kind,
  values: Array.from({ length }, (_, index) =>
    index < length * bounds.warmUpShare ? 1 : index < length * 0.65 ? before : after,
  ),
});
const isFlat = (kind: Kind, before: number, after: number) => judgeFlat(series(kind, before, after), 10).ok;

test('a median', () => {
  expect([median([3, 1, 2]), median([4, 1, 3, 2]), median([5])]).toEqual([2, 2.5, 5]);
});

test('what is warm is compared with the end, and of memory the most of each', () => {
  expect(judgeFlat(series('rssMiB', 100, 105), 10)).toMatchObject({ before: 100, after: 105, ok: true });
  const { values, ...rest } = series('connections', 100, 105);
  const shaken = values.map((value, index) => (index % 10 === 9 ? value * 5 : value));
  expect(judgeFlat({ ...rest, values: shaken }, 10)).toMatchObject({ before: 100, after: 105, ok: true });
  expect(judgeFlat({ ...rest, kind: 'rssMiB', values: shaken }, 10)).toMatchObject({
    before: 500,
    after: 525,
  });
});

test('what is kept may grow by 5 MiB, what V8 has taken by 64', () => {
  expect([isFlat('keptMiB', 60, 65), isFlat('keptMiB', 60, 66)]).toEqual([true, false]);
  expect([isFlat('rssMiB', 100, 164), isFlat('rssMiB', 100, 165)]).toEqual([true, false]);
});

test('memory of a database server may grow by 32 MiB, however little it has', () => {
  expect([isFlat('serverRssMiB', 100, 132), isFlat('serverRssMiB', 100, 133)]).toEqual([true, false]);
});

test('memory that a collector lets go now and then is flat, and not when it goes higher each time', () => {
  const saw = (growth: number) =>
    Array.from(
      { length: samples },
      (_, index) => (index % 18 < 6 ? 180 + (index % 18) * 20 : 310) + index * growth,
    );
  const ok = (values: number[]) =>
    judgeFlat({ process: 'facade', figure: 'RSS MiB', kind: 'rssMiB', values }, 10).ok;
  expect([ok(saw(0)), ok(saw(2))]).toEqual([true, false]);
});

test('what grows slowly all the time is not flat', () => {
  const values = Array.from({ length: samples }, (_, index) => 60 + index / 4);
  expect(judgeFlat({ process: 'facade', figure: 'kept', kind: 'keptMiB', values }, 10).ok).toBe(false);
});

test('descriptors, threads and connections may grow by five', () => {
  for (const kind of ['descriptors', 'threads', 'connections'] as const)
    expect([isFlat(kind, 60, 65), isFlat(kind, 60, 66)]).toEqual([true, false]);
});

test('pools of connections may grow by one for each client', () => {
  expect([isFlat('sockets', 60, 80), isFlat('sockets', 60, 81)]).toEqual([true, false]);
});

test('the lag is under a second at the end, whatever it was', () => {
  expect([isFlat('lagMs', 5_000, 999), isFlat('lagMs', 10, 1_001)]).toEqual([true, false]);
});

test('tables that are worked off do not grow; those that keep what has happened grow by so much a change', () => {
  expect([isFlat('rows', 50, 150), isFlat('rows', 50, 151)]).toEqual([true, false]);
  expect([isFlat('rowsGathered', 50, 1_050), isFlat('rowsGathered', 50, 1_051)]).toEqual([true, false]);
  const kept = (last: number) =>
    judgeFlat(
      { process: 'legacy database', figure: 'rows of audit', kind: 'rowsKept', values: [7, 9, last] },
      10,
    ).ok;
  const most = 7 + 10 * bounds.rowsKeptPerChangeMax;
  expect([kept(most), kept(most + 1)]).toEqual([true, false]);
});

test('nothing is unproven at the end, in however short a run', () => {
  const unproven = (...values: number[]) =>
    judgeFlat({ process: 'streams', figure: 'not proven', kind: 'unproven', values }, 10).ok;
  expect([unproven(12, 40, 0), unproven(0, 0, 1)]).toEqual([true, false]);
});

test('what has not lived for long is shown and not judged', () => {
  const short = judgeFlat(series('rssMiB', 100, 900, bounds.samplesMin - 1), 10);
  expect(short.ok).toBe(null);
  expect(judgeFlat(series('rssMiB', 100, 900, bounds.samplesMin), 10).ok).toBe(false);
  expect(table([short, { ...short, before: 0, after: 0 }]).at(-1)).toMatch(
    /^worker +a figure +1 +900 .*too short to judge$/,
  );
});
