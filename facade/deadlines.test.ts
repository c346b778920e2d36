import { expect, test } from 'vitest';
import { Deadlines } from './deadlines.ts';
import { until } from './test-servers.ts';

test('each is late after its own time, in the order in which they began, and not when it has ended', async () => {
  const msMax = 40;
  const deadlines = new Deadlines(msMax);
  const late: { name: string; afterMs: number }[] = [];
  const begin = (name: string) => {
    const since = performance.now();
    const waiter = { late: () => late.push({ name, afterMs: performance.now() - since }) };
    return deadlines.begin(waiter);
  };
  begin('first');
  const ended = begin('ended');
  const begun = performance.now();
  await until(() => performance.now() - begun > msMax / 2, 'half of the time');
  begin('second');
  ended.leave();
  await until(() => late.length === 2, 'both');
  begin('third, after a rest');
  await until(() => late.length === 3, 'the third');
  expect(late.map(({ name }) => name)).toEqual(['first', 'second', 'third, after a rest']);
  for (const { afterMs } of late) expect(afterMs).toBeGreaterThanOrEqual(msMax - 1);
});
