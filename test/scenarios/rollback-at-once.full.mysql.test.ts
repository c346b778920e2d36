// A rollback that is begun before the cutover's opening, right after it, and while the forward reader still passes over echoes; and
// two of them at once. Clients write all the time. About 60 s.
import { afterEach, expect, test } from 'vitest';
import { until } from '../sync/until.ts';
import { mutantEnv } from './mutant.ts';
import { type Stage, startStage } from './stage.ts';

let stage: Stage | undefined;
afterEach(() => stage?.[Symbol.asyncDispose]());

const waiting = ['--wait', '30'];

/** The command has closed legacy and is gone; the opening is on its way, and takes some seconds. */
async function closedOnly(on: Stage): Promise<void> {
  const cutover = await on.stoppedAt('close');
  const opening = on.pair.service.relay.holdAtPart('banyan_fence SET owner');
  cutover.release();
  await opening.sprung;
  cutover.kill();
  await cutover.ended;
  await on.forgetClaim();
  expect(await on.admitting()).toEqual([]);
}

test('rollback-at-once: before the opening', { timeout: 90_000 }, async () => {
  stage = await startStage();
  const clients = stage.startClients(2);
  await clients.more(5);
  await closedOnly(stage);
  const rollback = stage.change({ move: 'rollback', words: waiting });
  expect(await stage.admitting()).toEqual([]);
  expect((await rollback.ended).code).toBe(0);
  await clients.more(5);
  await clients.stop();
  await stage.expectWhole();
  expect((await stage.fences()).legacy).toMatchObject({ owner: 'legacy', epoch: 3 });
});

test('rollback-at-once: right after it, with echoes still to be passed over', {
  timeout: 90_000,
}, async () => {
  stage = await startStage();
  const clients = stage.startClients(2);
  await stage.done('cutover');
  const app = await stage.as('service', 'app');
  for (let from = 100_000; from < 102_000; from += 100)
    await app.query(`INSERT INTO item SELECT seq, 'echo' FROM seq_${from}_to_${from + 99}`);
  await stage.done('rollback', waiting);
  await clients.more(5);
  await clients.stop();
  await stage.expectWhole();
});

test('double-rollback: one of them does it', { timeout: 90_000 }, async () => {
  stage = await startStage();
  const clients = stage.startClients(2);
  await stage.done('cutover');
  const both = [1, 2].map(() => stage?.change({ move: 'rollback', words: waiting }).ended);
  const ends = await Promise.all(both);
  expect(ends.map((end) => end?.code)).toEqual([0, 0]);
  await clients.more(5);
  await clients.stop();
  await stage.expectWhole();
  expect((await stage.fences()).legacy).toMatchObject({ owner: 'legacy', epoch: 3 });
});

test('without the marker what comes back is taken for a write of somebody else', {
  timeout: 90_000,
}, async () => {
  stage = await startStage();
  await stage.worker.kill();
  await stage.pair.service.query('DELETE FROM banyan.banyan_worker');
  await stage.pair.startMutant(
    mutantEnv({
      file: 'sync/mode.ts',
      replace: 'row.isFirst && row.source === other(source)',
      by: 'row.isFirst && source === other(source)',
    }),
  );
  await stage.done('cutover');
  expect(await stage.write()).toBe(200);
  const { pair } = stage;
  await until('a tripwire', async () => (await pair.faults()).some((fault) => fault.startsWith('tripwire')));
  // The gate is closed by it: there is no way back.
  expect((await stage.change({ move: 'rollback' }).ended).code).toBe(3);
});

test('without waiting for the opening a rollback is refused, or undone', { timeout: 90_000 }, async () => {
  stage = await startStage();
  await closedOnly(stage);
  // Twice: the command waits before it looks at the gates, and the machine before it begins.
  const env = mutantEnv(
    {
      file: 'capability/change-of-owner-place.ts',
      replace: "? 'before-owner' : 'disagree'",
      by: "? 'unchanged' : 'disagree'",
    },
    {
      file: 'scripts/change-command.ts',
      replace: 'if (fences.legacy.epoch === fences.service.epoch || performance',
      by: 'if (fences.legacy.epoch || performance',
    },
  );
  const { code } = await stage.change({ move: 'rollback', env }).ended;
  // The gates, or the turn that matches nothing.
  expect([3, 4]).toContain(code);
});
