// The old owner is closed, and the worker stands still before it has opened the new one: no write reaches either side before that, not
// through a facade that knew the old owner, nor through one that starts now. Takes
// about 30 s.
import { afterEach, expect, test } from 'vitest';
import { until } from '../sync/until.ts';
import { type Mutation, mutantEnv } from './mutant.ts';
import { type Stage, startStage } from './stage.ts';

let stage: Stage | undefined;
afterEach(() => stage?.[Symbol.asyncDispose]());

/** How long the worker's start takes on a machine that has much to do is nothing that is shown here. */
const patient = ['--hold-ms-max', '60000'];

const noEnv: Readonly<Record<string, string>> = {};

/** @returns with nobody's row naming its own side, a facade that knows the change, and one that has just started */
async function closed(envs = { known: noEnv, started: noEnv }) {
  const on = await startStage(0);
  stage = on;
  const known = await on.startFacade(envs.known, patient);
  expect(await on.write()).toBe(200);
  const command = await on.stoppedAt('close');
  await on.worker.kill();
  command.release();
  command.go();
  await until('the close', async () => (await on.fences()).legacy.owner === 'service');
  return { on, command, known, started: await on.startFacade(envs.started, patient) };
}

test('writes are held until it is open', async () => {
  const { on, command, known, started } = await closed();
  const writes = [known, started].flatMap((facade) => [
    on.write(on.nextId(), facade),
    on.write(on.nextId(), facade),
  ]);
  await until('held writes at both', async () => {
    const held = await Promise.all([known, started].map((facade) => on.heldAt(facade)));
    return held.every((count) => count >= 2);
  });
  expect(await on.admitting()).toEqual([]);
  await on.pair.startWorker();
  expect(await Promise.all(writes)).toEqual([200, 200, 200, 200]);
  expect((await command.ended).code).toBe(0);
  await on.expectWhole();
}, 120_000);

const highestEpoch: Mutation = {
  file: 'capability/release.ts',
  replace: 'return fence.owner === side && fence.epoch === epoch && !isHeld && !isTurned;',
  by: `const rows = sides.flatMap((each) => (readings[each].is === 'read' ? [readings[each].fence] : []));
    return rows.some((row) => row.owner === side && row.epoch === epoch) && !isHeld && !isTurned;`,
};

const knowsAtBoot: Mutation = {
  file: 'capability/release.ts',
  replace: "export const booted: Writes = { is: 'asking', epoch: 0n };",
  by: "export const booted: Writes = { is: 'sending', epoch: 0n, to: 'legacy' };",
};

/** What it sees later, by the way, would have it hold as well. */
const seesNothing: Mutation = {
  file: 'capability/release.ts',
  replace: "const stays = reading.is === 'unreachable' ||",
  by: 'const stays = true ||',
};

test.each([
  ['a facade that goes by the highest epoch of either side', [highestEpoch], 'known', 'service'],
  ['a facade that does not look when it starts', [knowsAtBoot, seesNothing], 'started', 'legacy'],
] as const)(
  '%s sends a write that is refused',
  async (_what, mutations, which, side) => {
    const { on, ...facades } = await closed({
      ...{ known: noEnv, started: noEnv },
      [which]: mutantEnv(...mutations),
    });
    const writing = on.write(on.nextId(), facades[which]);
    await until('a refusal', () => on.refused.some((each) => each.side === side));
    await on.pair.startWorker();
    await writing;
  },
  120_000,
);
