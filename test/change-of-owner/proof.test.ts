// The change of owner, proven: the product's own decisions are taken through every state that can be reached, with
// every order of steps, and everything may die, pause, lose an answer or run late at any moment (DESIGN §7, invariants
// 1, 2, 3 and 5; docs/change-of-owner.md says what is left out).
import { describe, expect, test } from 'vitest';
import { needed, proofs, secondLines } from './configurations.ts';
import { explore } from './explore.ts';

const statesMax = 400_000;

const run = ({ without, ...config }: (typeof needed)[number]) =>
  explore({ ...config, name: '', without: new Set(without) }, statesMax);

test.each(proofs)('$name: nothing is lost, refused or left hanging', { timeout: 120_000 }, (config) => {
  const { fault, isComplete, outcomes, states, steps } = explore(config, statesMax);
  console.log(`${config.name}: ${states} states, ${steps} steps; ends: ${[...outcomes].join(', ')}`);
  for (const outcome of ['done', 'undone']) expect(outcomes).toContain(outcome);
  expect(fault).toBeUndefined();
  expect(isComplete).toBe(true);
});

describe('every guard is needed', () => {
  test.each(needed)('$without', { timeout: 120_000 }, (mutant) => {
    const { fault } = run(mutant);
    expect(fault?.trace.length).toBeGreaterThan(0);
    console.log(
      `without ${mutant.without}: ${fault?.what} in ${fault?.trace.length} steps\n  ${fault?.trace.join('; ')}`,
    );
  });
});

describe('or is a second line', () => {
  test.each(secondLines)('$alone.without', { timeout: 120_000 }, ({ alone, why, with: both }) => {
    const { fault, isComplete, states } = run(alone);
    expect(fault).toBeUndefined();
    expect(isComplete).toBe(true);
    console.log(`without ${alone.without}: nothing in ${states} states: ${why}`);
    if (!both) return;
    const broken = run(both).fault;
    expect(broken?.trace.length).toBeGreaterThan(0);
    console.log(
      `without ${both.without.join(' and ')}: ${broken?.what} in ${broken?.trace.length} steps\n  ${broken?.trace.join('; ')}`,
    );
  });
});
