// A command stands still with its close on the way; the new owner is opened, and a rollback takes the writes back. When it goes on,
// it opens nothing. Takes about 30 s.
import { afterEach, expect, test } from 'vitest';
import { until } from '../sync/until.ts';
import { mutantEnv, opensItself, patient } from './mutant.ts';
import { type Stage, startStage } from './stage.ts';

let stage: Stage | undefined;
afterEach(() => stage?.[Symbol.asyncDispose]());

async function staleOpen(on: Stage, env: NodeJS.ProcessEnv = {}) {
  const first = await on.stoppedAt('close', { env });
  first.release();
  await until('the opening', async () => (await on.admitting()).includes('service'));
  await on.forgetClaim();
  await on.done('rollback');
  // Nobody was left to release it.
  await until('the end of the hold', async () => (await on.fences()).legacy.hold === null);
  const before = await on.fences();
  first.go();
  return { before, end: await first.ended };
}

test('nothing is opened', async () => {
  stage = await startStage();
  const clients = stage.startClients(2);
  const { before, end } = await staleOpen(stage);
  expect(end.code).toBe(6);
  expect(await stage.admitting()).toEqual(['legacy']);
  const after = await stage.fences();
  expect(after).toEqual(before);
  expect(after.legacy.epoch).toBe(3);
  await clients.more(5);
  await clients.stop();
  await stage.expectWhole();
}, 120_000);

test('a command that opens by itself, whatever the epoch, makes two owners', async () => {
  stage = await startStage();
  await staleOpen(stage, mutantEnv(opensItself, patient));
  expect(await stage.admitting()).toEqual(['legacy', 'service']);
}, 120_000);
