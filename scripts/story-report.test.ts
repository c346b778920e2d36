import { expect, test } from 'vitest';
import { addLedgers, type Chapter, clock, type Story, storyFaults, storyReport } from './story-report.ts';

const ledger = { requests: 100, failures: 0, missing: 0, slowestMs: 80 };
const chapter: Chapter = {
  title: 'the service takes the writes',
  command: 'banyan cutover reviews --execute',
  atMs: 61_500,
  tookMs: 4_200,
  isAsExpected: true,
  end: 'service owns at epoch 2',
  gates: [{ gate: 'verified', verdict: 'pass', evidence: 'every row | was the same' }],
  ledger,
};
const story: Story = { chapters: [chapter], healedMs: 1_234.5, total: ledger };

test('a story that went well has no faults, and its page shows every gate', () => {
  expect(storyFaults(story)).toEqual([]);
  const report = storyReport(story);
  expect(report).toContain('All went well.');
  expect(report).toContain('back on legacy after 1235 ms');
  expect(report).toContain(
    '| 1:01 | 4.2 s | the service takes the writes | `banyan cutover reviews --execute` | service owns at epoch 2 |',
  );
  expect(report).toContain('| the service takes the writes | verified | pass | every row \\| was the same |');
  expect([0, 59_999, 600_000].map(clock)).toEqual(['0:00', '0:59', '10:00']);
});

test.each<[string, Partial<Story>, RegExp]>([
  ['a command', { chapters: [{ ...chapter, isAsExpected: false }] }, /cutover.*ended otherwise/],
  ['nothing healed', { healedMs: undefined }, /not back on legacy/],
  ['it took too long', { healedMs: 5_001 }, /not back on legacy/],
  ['a client', { total: { ...ledger, failures: 2 } }, /clients saw 2 failures/],
  ['a lost write', { total: { ...ledger, missing: 1 } }, /1 writes were not found/],
])('what went wrong is said: %s', (_name, more, expected) => {
  const told = { ...story, ...more };
  expect(storyFaults(told).join()).toMatch(expected);
  expect(storyReport(told)).toMatch(/It did not go well/);
});

test('ledgers are added up', () => {
  const sum = addLedgers([ledger, { requests: 1, failures: 2, missing: 3, slowestMs: 90 }]);
  expect(sum).toEqual({ requests: 101, failures: 2, missing: 3, slowestMs: 90 });
  expect(addLedgers([])).toEqual({ requests: 0, failures: 0, missing: 0, slowestMs: 0 });
});
