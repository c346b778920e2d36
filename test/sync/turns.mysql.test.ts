// The owner changes hands: the stream opens the other side, echoes are passed over, and a write on the side that is
// not owner is reported, not applied.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadDdl, loadTables, startLoad } from './load.ts';
import { otherSide, type Pair, type Side, startPair, things } from './pair.ts';
import { suiteSeed } from './seed.ts';
import { until } from './until.ts';
import type { WorkerProcess } from './worker-process.ts';

const random = suiteSeed('turns');
let pair: Pair;
let worker: WorkerProcess;
beforeAll(async () => {
  pair = await startPair({
    tables: [...loadTables, 'plain'],
    ddl: `${loadDdl} CREATE TABLE plain (id INT PRIMARY KEY, v VARCHAR(20));`,
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

test('a write on the side that is not owner is a tripwire, and the stream goes on', {
  timeout: 60_000,
}, async () => {
  const { owner } = await pair.owner('legacy');
  const other = otherSide(owner);
  const write = (side: Side, sql: string) => pair.server(side).query(`USE ${pair.schema(side)}; ${sql}`);
  await write(other, "INSERT INTO plain VALUES (1, 'smuggled'), (2, 'smuggled')");
  await write(other, "UPDATE plain SET v = 'again' WHERE id = 1");
  await write(other, 'ALTER TABLE plain COMMENT = "changed"');
  await pair.aligned(other);
  await until('the tripwires', async () => (await pair.faults()).length === 2);
  expect((await pair.faults()).toSorted()).toEqual([
    `tripwire on ${owner}: {"capability":"${things}","what":"ddl of plain","seen":"1"}`,
    `tripwire on ${owner}: {"capability":"${things}","what":"rows of plain","seen":"3"}`,
  ]);
  expect(await pair.compare(['plain'])).not.toEqual([]);
  // Not applied: the owner has no such rows, and what it writes still arrives.
  await write(owner, "INSERT INTO plain VALUES (3, 'rightly')");
  await pair.aligned();
  const [row] = await pair.server(other).query(`SELECT v FROM ${pair.schema(other)}.plain WHERE id = 3`);
  expect(row?.v).toBe('rightly');
  const smuggled = await pair.server(owner).query(`SELECT id FROM ${pair.schema(owner)}.plain WHERE id < 3`);
  expect(smuggled).toEqual([]);
});
