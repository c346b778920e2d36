// The command that changes the owner is killed at each of its steps, before the statement has gone out and before its answer has
// come: writes flow again within seconds with nobody's help, no client notices, and the same command finishes or finds it undone.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { suiteSeed } from '../sync/seed.ts';
import { type OwnerStack, startOwnerStack } from './owner-stack.ts';
import { steps } from './owner-steps.ts';

/** A turn lasts 2 s at most. */
const flowingMsMax = 4_000;

const seed = suiteSeed('owner-killed');
let owner: OwnerStack;
beforeAll(async () => {
  owner = await startOwnerStack(seed.below(1_000_000));
}, 120_000);
afterAll(() => owner?.[Symbol.asyncDispose]());

const cases = steps.flatMap(({ step, on, words }) =>
  (['request', 'answer'] as const).map((lose) => ({ step, on, words, lose })),
);

describe.each(['cutover', 'rollback'] as const)('%s', (move) => {
  const back = move === 'cutover' ? 'rollback' : 'cutover';
  beforeAll(async () => {
    if (move === 'rollback') await owner.run('cutover', 'reviews', '--execute', '--wait', '20');
  }, 60_000);

  test.each(cases)(
    'killed at $step, its $lose lost',
    async ({ on, words, lose }) => {
      // What is said to X on the way there is said to Y on the way back; the control store is on the legacy server.
      const swapped = { legacy: 'services', services: 'legacy', control: 'control' } as const;
      const side = move === 'cutover' ? on : swapped[on];
      const relay = side === 'control' ? owner.control : owner[side];
      let killed: ReturnType<OwnerStack['start']> | undefined;
      const sprung = relay.loseAtPart(words, lose, () => killed?.kill('SIGKILL'));
      killed = owner.start(move, 'reviews', '--execute', '--wait', '20');
      await sprung;
      expect((await killed.ended).code).toBe(-1);
      expect(await owner.writeOnce()).toBeLessThan(flowingMsMax);
      await owner.run(move, 'reviews', '--execute', '--wait', '30');
      await owner.run(back, 'reviews', '--execute', '--wait', '30');
    },
    60_000,
  );
});

test('nobody has noticed', () => owner.expectUnnoticed(), 60_000);
