// The command that changes the owner is killed at each of its steps, before the statement has gone out and before its answer has
// come: writes flow again within seconds with nobody's help, no client notices, and the same command finishes or finds it undone.
import { afterAll, beforeAll, test } from 'vitest';
import { atMost } from '../at-most.ts';
import { suiteSeed } from '../sync/seed.ts';
import { type Move, type OwnerStack, startOwnerStack } from './owner-stack.ts';
import { steps } from './owner-steps.ts';

/** A turn lasts 2 s at most. */
const flowingMsMax = 4_000;

const seed = suiteSeed('owner-killed');
let owner: OwnerStack;
beforeAll(async () => {
  owner = await startOwnerStack(seed.below(1_000_000));
}, 120_000);
afterAll(() => owner?.[Symbol.asyncDispose]());

/** What is said to X on the way there is said to Y on the way back. */
const swapped = { legacy: 'services', services: 'legacy', control: 'control' } as const;

/** There and back in turn: each case begins where the one before it has ended. */
const cases = steps.flatMap(({ step, words, ...sides }) =>
  (['request', 'answer'] as const).flatMap((lose) =>
    (['cutover', 'rollback'] as const).map((move) => ({
      move,
      step,
      on: move === 'cutover' ? sides.on : 'back' in sides ? sides.back : swapped[sides.on],
      words,
      lose,
    })),
  ),
);

test.each(cases)('$move killed at $step, its $lose lost', { timeout: 180_000 }, async (given) => {
  const finish = (move: Move) => owner.run(move, 'reviews', '--execute', '--wait', '30');
  let isFinished = false;
  await atMost(flowingMsMax, async () => {
    if (isFinished) await finish(given.move === 'cutover' ? 'rollback' : 'cutover');
    await owner.killedAt(given);
    const flowingMs = await owner.writeOnce();
    await finish(given.move);
    isFinished = true;
    return flowingMs;
  });
});

test('nobody has noticed', { timeout: 120_000 }, () => owner.expectUnnoticed());
