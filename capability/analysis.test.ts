import { expect, test } from 'vitest';
import { type CheckName, judgeNow, judgeStep, type StepInput, usualAnalysis } from './analysis.ts';
import {
  addTallies,
  emptyTally,
  latencyBoundsMs,
  parseAnalysisReport,
  quantileMs,
  type SideTally,
  type Tally,
  tallySince,
} from './tally.ts';

/** `reads` of which `errors` failed, each taking so many milliseconds. */
function side(reads: number, errors: number, ...ms: readonly number[]): SideTally {
  const times: number[] = Array(latencyBoundsMs.length + 1).fill(0);
  for (let read = 0; read < reads; read++) {
    const took = ms[read % ms.length] ?? 3;
    const at = latencyBoundsMs.findIndex((bound) => took <= bound);
    const place = at === -1 ? latencyBoundsMs.length : at;
    times[place] = (times[place] ?? 0) + 1;
  }
  return { reads, errors, times };
}

const tally = (legacy: SideTally, service: SideTally, compared = 100, differing = 0): Tally => ({
  legacy,
  service,
  compared,
  differing,
});

const step = (given: Tally, more: Partial<StepInput> = {}) =>
  judgeStep({
    tally: given,
    limits: usualAnalysis,
    parityMin: 0.999,
    isMirrorable: true,
    isWhole: false,
    before: undefined,
    ...more,
  });

/** The checks that fail, those without data with a question mark. */
const failing = (given: Tally, more: Partial<StepInput> = {}) =>
  step(given, more)
    .filter(({ passes }) => !passes)
    .map(({ check, isWithoutData }) => `${check}${isWithoutData ? '?' : ''}`);

const well = side(200, 0, 3, 4, 5);

test.each<[string, Tally, Partial<StepInput>, string[]]>([
  ['both do well', tally(well, well), {}, []],
  ['nothing was asked', emptyTally, {}, ['samples?', 'errors?', 'latency?', 'parity?']],
  ['the service was asked too little', tally(well, side(29, 0, 3)), {}, ['samples?']],
  ['legacy was asked too little', tally(side(29, 0, 3), well), {}, ['samples?']],
  ['at 100 % nobody asks legacy', tally(side(0, 0), well), { isWhole: true }, []],
  ['at 100 % the service must be asked', tally(side(0, 0), side(3, 0, 3)), { isWhole: true }, ['samples?']],
  ['one error of a hundred is within the margin', tally(well, side(100, 1, 3)), {}, []],
  ['two are not', tally(well, side(100, 2, 3)), {}, ['errors']],
  ['legacy fails as often', tally(side(100, 10, 3), side(100, 11, 3)), {}, []],
  ['the service fails more often', tally(side(100, 10, 3), side(100, 12, 3)), {}, ['errors']],
  ['few reads, and all failed', tally(well, side(5, 5, 3)), {}, ['samples?', 'errors']],
  ['a little slower', tally(side(100, 0, 18), side(100, 0, 60)), {}, []],
  ['slower', tally(side(100, 0, 18), side(100, 0, 120)), {}, ['latency']],
  ['one in twenty-five is slow', tally(well, side(100, 0, ...Array(24).fill(3), 900)), {}, []],
  ['one in ten is slow', tally(well, side(100, 0, ...Array(9).fill(3), 900)), {}, ['latency']],
  ['both are slow', tally(side(100, 0, 900), side(100, 0, 950)), {}, []],
  ['alone, and fast enough', tally(side(0, 0), side(100, 0, 900)), { isWhole: true }, []],
  ['alone, and slow', tally(side(0, 0), side(100, 0, 1_900)), { isWhole: true }, ['latency']],
  [
    'compared with legacy of the step before',
    tally(side(0, 0), side(100, 0, 900)),
    { isWhole: true, before: well },
    ['latency'],
  ],
  ['errors, too', tally(side(2, 0), side(100, 5, 3)), { isWhole: true, before: side(100, 5, 3) }, []],
  ['nothing was mirrored', tally(well, well, 0), {}, ['parity?']],
  ['too few were compared', tally(well, well, 19), {}, ['parity?']],
  ['too few were compared, and one differs', tally(well, well, 19, 1), {}, ['parity']],
  ['one of a hundred differs', tally(well, well, 100, 1), {}, ['parity']],
  ['one of a thousand is as declared', tally(well, well, 1_000, 1), {}, []],
  ['less is declared', tally(well, well, 100, 1), { parityMin: 0.99 }, []],
  ['nothing can be mirrored', tally(well, well, 0), { isMirrorable: false }, []],
])('a step: %s', (_name, given, more, expected) => {
  expect(failing(given, more)).toEqual(expected);
});

test('what a check rests on is said in figures', () => {
  const evidence = Object.fromEntries(
    step(tally(side(100, 1, 3), side(50, 2, 40), 60, 1)).map(({ check, evidence: text }) => [check, text]),
  ) as Record<CheckName, string>;
  expect(evidence).toMatchObject({
    samples: 'the service was asked 50 times, legacy 100 times (at least 30 each)',
    errors: "4 % of the service's reads failed, 1 % of legacy's (at most 2 %)",
    parity: '1 of 60 mirrored reads were answered differently (at least 20 compared, 99.9 % alike)',
  });
  expect(evidence.latency).toMatch(/^95 % .* within 40 ms, of legacy's within 3 ms \(at most 56 ms\)$/);
});

const now = (recent: Tally, lately = recent, parityMin = 0.999) =>
  judgeNow({ recent, lately, limits: usualAnalysis, parityMin })?.check;

test.each<[string, Tally, Tally | undefined, string | undefined]>([
  ['nothing', emptyTally, undefined, undefined],
  ['all is well', tally(well, well), undefined, undefined],
  ['two errors are bad luck', tally(well, side(20, 2, 3)), undefined, undefined],
  ['three of twenty are not', tally(well, side(20, 3, 3)), undefined, 'errors'],
  ['three of three', tally(well, side(3, 3, 3)), undefined, 'errors'],
  ['three of a thousand', tally(well, side(1_000, 3, 3)), undefined, undefined],
  ['legacy fails, too', tally(side(20, 3, 3), side(20, 3, 3)), undefined, undefined],
  [
    'legacy failed a moment ago',
    tally(side(5, 0, 3), side(20, 3, 3)),
    tally(side(50, 10, 3), side(60, 3, 3)),
    undefined,
  ],
  ['all are slow', tally(well, side(20, 0, 900)), undefined, 'latency'],
  ['a pause for breath', tally(well, side(20, 0, ...Array(18).fill(3), 900)), undefined, undefined],
  ['slower, but not by much', tally(well, side(20, 0, 300)), undefined, undefined],
  ['everything is slow', tally(side(20, 0, 900), side(20, 0, 900)), undefined, undefined],
  ['slow, and legacy is not known', tally(side(0, 0), side(20, 0, 900)), undefined, undefined],
  ['very slow, and legacy is not known', tally(side(0, 0), side(20, 0, 1_900)), undefined, 'latency'],
  ['two differ', tally(well, well, 20, 2), undefined, undefined],
  ['three differ', tally(well, well, 20, 3), undefined, 'parity'],
  ['three of a hundred thousand differ', tally(well, well, 100_000, 3), undefined, undefined],
])('at this moment: %s', (_name, recent, lately, expected) => {
  expect(now(recent, lately)).toBe(expected);
});

test('windows are differences, and replicas are added up', () => {
  const earlier = tally(side(10, 1, 3), side(5, 0, 3), 4, 1);
  const later = tally(side(30, 2, 3), side(9, 3, 3), 10, 2);
  const window = tallySince(earlier, later);
  expect(window).toEqual(tally(side(20, 1, 3), side(4, 3, 3), 6, 1));
  expect(addTallies([window, earlier])).toEqual(later);
  expect(addTallies([])).toEqual(emptyTally);
});

test('a quantile lies between the bounds of its bucket', () => {
  expect(quantileMs(emptyTally.legacy.times, 0.95)).toBeUndefined();
  expect(quantileMs(side(100, 0, 250).times, 0.5)).toBe(250);
  expect(quantileMs(side(100, 0, 3).times, 1)).toBe(3);
  expect(quantileMs(side(10, 0, 60_000).times, 0.95)).toBe(10_000);
});

test('what is no report is none', () => {
  const report = { replica: 'one', capabilities: [{ capability: 'reviews', ...tally(well, well) }] };
  expect(parseAnalysisReport(JSON.parse(JSON.stringify(report)))).toEqual(report);
  const [capability] = report.capabilities;
  for (const body of [
    undefined,
    [],
    { capabilities: [] },
    { replica: 'one', capabilities: [{ ...capability, legacy: { reads: 1, errors: 0, times: [1] } }] },
    { replica: 'one', capabilities: [{ ...capability, compared: -1 }] },
  ])
    expect(parseAnalysisReport(body)).toBeUndefined();
});
