import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { Line, type Place } from './line.ts';

test('those who wait are found in their order, and who leaves is not among them, whoever has left before', () => {
  const line = new Line<string>();
  const places = ['first', 'second', 'third', 'fourth'].map((name) => line.join(name));
  const left = (index: number) => places[index]?.leave();
  expect(line.first?.of).toBe('first');
  expect([left(1), left(1), left(0), left(3)]).toEqual([true, false, true, true]);
  expect([line.first?.of, line.size]).toEqual(['third', 1]);
  line.join('fifth');
  left(2);
  expect([line.first?.of, line.size]).toEqual(['fifth', 1]);
  line.first?.leave();
  expect([line.first, line.size]).toEqual([undefined, 0]);
});

test('what has passed through is collected with the young, however old the line is', () => {
  setFlagsFromString('--expose-gc');
  const collect: (how: { type: 'minor' | 'major' }) => void = runInNewContext('gc');
  const line = new Line<number[]>();
  const inside: Place<number[]>[] = [];
  // Each is in there for a while, and fifty at any time.
  const pass = (many: number) => {
    for (let i = 0; i < many; i++) {
      inside.push(line.join(new Array<number>(200).fill(i)));
      if (inside.length > 50) inside.shift()?.leave();
    }
  };
  // What has survived two collections of the young is old.
  for (let i = 0; i < 5; i++) {
    pass(20);
    collect({ type: 'minor' });
  }
  collect({ type: 'major' });
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < 20; i++) {
    pass(1_000);
    collect({ type: 'minor' });
  }
  const grownMib = (process.memoryUsage().heapUsed - before) / 2 ** 20;
  // 20,000 of 1.6 KB have passed through: 31 MiB.
  expect(grownMib).toBeLessThan(5);
});
