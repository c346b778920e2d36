// The same, with more of everything at once: up to twenty minutes.
import { expect, test } from 'vitest';
import { longProofs } from './configurations.ts';
import { explore } from './explore.ts';

const statesMax = 2_500_000;

test.each(longProofs)('$name: nothing is lost, refused or left hanging', { timeout: 600_000 }, (config) => {
  const { fault, isComplete, states, steps } = explore(config, statesMax);
  console.log(`${config.name}: ${states} states, ${steps} steps${isComplete ? '' : ', as far as the bound'}`);
  expect(fault).toBeUndefined();
  expect(isComplete || states >= statesMax).toBe(true);
});
