// The owner changes hands: the stream opens the other side, and echoes are passed over.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadDdl, loadTables, startLoad } from './load.ts';
import { otherSide, type Pair, type Side, startPair } from './pair.ts';
import { suiteSeed } from './seed.ts';
import type { WorkerProcess } from './worker-process.ts';

const random = suiteSeed('turns');
let pair: Pair;
let worker: WorkerProcess;
beforeAll(async () => {
  pair = await startPair({
    tables: loadTables,
    ddl: loadDdl,
  });
  worker = await pair.startWorker();
});
afterAll(() => pair?.[Symbol.asyncDispose]());

const applied = async (source: Side) =>
  (await worker.status()).find((stream) => stream.source === source)?.rowsApplied ?? 0;

test('there and back five times under writers: both sides equal, no echo applied, no tripwire', {
  timeout: 120_000,
}, async () => {
  const load = startLoad(pair, random, 3);
  let owner: Side = 'legacy';
  for (let turn = 0; turn < 10; turn++) {
    await load.more(40);
    await load.pause();
    await pair.aligned(owner);
    const echoes = await applied(otherSide(owner));
    await pair.turn(otherSide(owner));
    await pair.aligned();
    // What the owner's stream has written on the other side went no further.
    expect(await applied(otherSide(owner))).toBe(echoes);
    owner = otherSide(owner);
    expect(await pair.owner('legacy')).toEqual({ owner, epoch: turn + 2 });
    expect(await pair.owner('service')).toEqual({ owner, epoch: turn + 2 });
    load.resume(owner);
  }
  await load.stop();
  await pair.aligned();
  expect(await pair.compare()).toEqual([]);
  expect(await pair.faults()).toEqual([]);
});
