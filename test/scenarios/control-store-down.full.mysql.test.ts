// The control store is gone from each step of a change on, for the command and for the facade; and the network between the command
// and the server that is being closed is cut when the close has been sent. Writes flow again within seconds, no client is refused, and
// what the command says is so; run again, it comes to its end. About 2 minutes.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asAccount } from '../as-account.ts';
import { steps } from '../story/owner-steps.ts';
import { type Mutation, mutantEnv } from './mutant.ts';
import { type Stage, startStage } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await startStage(0);
  const control = `mysql://127.0.0.1:${stage.control.port}/banyan`;
  await stage.startFacade({ BANYAN_CONTROL_URL: asAccount(stage.pair.folder, 'banyan_facade', control) });
}, 120_000);
afterAll(() => stage?.[Symbol.asyncDispose]());

/** A turn lasts 2 s at most, a hold 4; and the machine may be short of time. */
const flowingMsMax = 6_000;

async function flows(): Promise<void> {
  const from = performance.now();
  expect(await stage.write()).toBe(200);
  expect(performance.now() - from).toBeLessThan(flowingMsMax);
}

/** Of the side that is ahead: a close raises it. */
async function epoch(): Promise<number> {
  const { legacy, service } = await stage.fences();
  return Math.max(legacy.epoch, service.epoch);
}

type Move = 'cutover' | 'rollback';

/** There and back in turn. */
const nextMove = async (): Promise<Move> =>
  (await stage.fences()).legacy.owner === 'legacy' ? 'cutover' : 'rollback';

async function again(move: Move, before: number): Promise<void> {
  await stage.forgetClaim();
  await stage.done(move, ['--wait', '40']);
  expect(await epoch()).toBe(before + 1);
}

describe('control-store-down', () => {
  test.each(steps)('at $step', { timeout: 90_000 }, async ({ step }) => {
    const [before, move] = [await epoch(), await nextMove()];
    const command = await stage.stoppedAt(step, { move });
    stage.control.refuse();
    command.release();
    command.go();
    await flows();
    // What is closed it goes on with, as soon as it can; the last step alone ends it.
    const isFinishing = step === 'close' || step === 'release';
    if (isFinishing) stage.control.accept();
    const { code, stdout, stderr } = await command.ended;
    const isClosed = (await epoch()) > before;
    // Undone, unfinished; before it has begun anything, a plain failure.
    expect(isFinishing ? [0, 5] : isClosed ? [5] : [1, 4, 5], stdout + stderr).toContain(code);
    expect(isClosed).toBe(isFinishing || step === 'record');
    stage.control.accept();
    await again(move, before);
  });

  test('with replicas that cannot be asked taken for none, and a journal that is not missed, it closes', {
    timeout: 120_000,
  }, async () => {
    const [before, move] = [await epoch(), await nextMove()];
    const file = 'scripts/run-change.ts';
    const blind: Mutation[] = [
      {
        file,
        replace: 'await facades.look(capability, inFlightMsMax);',
        by: 'await facades.look(capability, inFlightMsMax).catch(() => []);',
      },
      {
        file,
        replace: 'isBeforeClose(state.at) ? journal.trouble',
        by: 'isBeforeClose(state.at) ? undefined',
      },
    ];
    const command = await stage.stoppedAt('hold', { move, env: mutantEnv(...blind) });
    stage.control.refuse();
    command.release();
    command.go();
    await command.ended;
    expect(await epoch()).toBe(before + 1);
    stage.control.accept();
    await again(move, before);
  });
});

describe('network-cut', () => {
  const cut = async (lose: 'request' | 'answer', words: string[], env: NodeJS.ProcessEnv = {}) => {
    const [before, move] = [await epoch(), await nextMove()];
    const relay = move === 'cutover' ? stage.legacy : stage.service;
    const sent = relay.loseAtPart('banyan_fence SET owner', lose, () => relay.refuse());
    const command = stage.change({ move, words, env });
    await sent;
    await flows();
    relay.accept();
    return { before, move, end: await command.ended };
  };

  test.each(['request', 'answer'] as const)(
    'the %s of the close is lost',
    { timeout: 90_000 },
    async (lose) => {
      const { before, end } = await cut(lose, ['--wait', '20']);
      // Undone, it is tried again.
      expect(end.code, end.stdout + end.stderr).toBe(0);
      expect(await epoch()).toBe(before + 1);
    },
  );

  test('with a guess in the place of both looks back the command says that nothing has happened', {
    timeout: 120_000,
  }, async () => {
    const file = 'capability/change-of-owner.ts';
    const { before, move, end } = await cut(
      'answer',
      [],
      mutantEnv(
        {
          file,
          replace: "if (event.is === 'lost') return enter({ ...under, at: 'read-close' });",
          by: "if (event.is === 'lost') return undo(state, 'no answer to the close');",
        },
        {
          file,
          replace: "return place === 'closed' || place === 'open' || place === 'superseded'",
          by: "return place === 'superseded'",
        },
      ),
    );
    expect(end.stdout + end.stderr).toMatch(/"outcome": ?"undone"/);
    await again(move, before);
  });
});

test('nobody has noticed', { timeout: 120_000 }, () => stage.expectWhole());
