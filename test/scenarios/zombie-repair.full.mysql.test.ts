// A repair has read a row from the owner, and writes it late: after a newer image of it has passed, or after the owner has changed
// and a client has overwritten it. Whichever of its marks is the late one. What it writes passes the same frame as a chunk of a
// backfill: zombie-backfill shows it for a worker that was stopped. About 40 s.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Cli } from '../story/stack.ts';
import type { WorkerProcess } from '../sync/worker-process.ts';
import { type Mutation, mutantEnv } from './mutant.ts';
import { holdMark, ownedBy, startWorkerStage, type WorkerStage, withoutMode } from './worker-stage.ts';

let stage: WorkerStage;
let worker: WorkerProcess;
beforeAll(async () => {
  stage = await startWorkerStage();
});
afterAll(() => stage?.[Symbol.asyncDispose]());

async function startWorker(mutations: readonly Mutation[]): Promise<void> {
  await stage.endLease();
  worker = await stage.pair.startMutant(mutations.length > 0 ? mutantEnv(...mutations) : {});
}

type Where = 'within one epoch' | 'across a change';

/** @param nth of the marks that the repair writes: the late one; with the second the row is mended */
async function late(where: Where, nth: number): Promise<{ value: string | undefined; newest: string }> {
  await ownedBy(stage.pair, 'legacy');
  const id = stage.nextId();
  await stage.write('legacy', `DELETE FROM thing; INSERT INTO thing VALUES (${id}, 'one')`);
  await stage.quiet(worker);
  await stage.write('service', `SET sql_log_bin = 0; UPDATE thing SET v = 'damaged'; SET sql_log_bin = 1`);
  const mark = holdMark(stage.pair.legacy.relay, nth);
  const repair: Promise<Cli> = stage.pair.banyan('verify', 'things', '--repair', '--execute', '--json');
  const isHeld = await Promise.race([mark.sprung.then(() => true), repair.then(() => false)]);
  if (!isHeld) throw new Error(`the repair wrote no ${nth} marks: ${(await repair).stderr}`);
  let newest = 'two';
  if (where === 'within one epoch')
    await stage.write('legacy', `UPDATE thing SET v = 'two' WHERE id = ${id}`);
  else {
    await stage.pair.turn('service');
    newest = 'three';
    await stage.write('service', `UPDATE thing SET v = 'three' WHERE id = ${id}`);
  }
  await stage.pair.aligned();
  mark.release();
  if (where === 'within one epoch') await repair;
  await stage.pair.aligned();
  const value = await stage.value('service', id);
  if (where === 'across a change') {
    await ownedBy(stage.pair, 'legacy');
    await repair;
  }
  return { value, newest };
}

const each = (['within one epoch', 'across a change'] as const).flatMap((where) =>
  [1, 2].map((nth) => ({ where, nth })),
);

test.each(each)('$where, mark $nth is late', { timeout: 120_000 }, async ({ where, nth }) => {
  if (!worker?.isAlive()) await startWorker([]);
  const { value, newest } = await late(where, nth);
  expect(value).toBe(newest);
  expect(await stage.pair.faults()).toEqual([]);
});

test.each([
  {
    where: 'within one epoch',
    mutations: [
      {
        file: 'sync/verify-repair.ts',
        replace: 'dropped.has(index) ? []',
        by: 'dropped.has(-1) ? []',
      },
    ],
  },
  {
    where: 'across a change',
    // Nobody gives a mark up, and one that comes late is met.
    mutations: [
      withoutMode,
      { file: 'sync/verify-marks.ts', replace: 'if (!this.#isApplying()) giveUp();', by: '' },
    ],
  },
] as const)(
  '$where, with the row as it was read: the newer one is overwritten',
  { timeout: 120_000 },
  async ({ where, mutations }) => {
    await worker.kill();
    await startWorker(mutations);
    const values: (string | undefined)[] = [];
    for (const nth of [1, 2]) values.push((await late(where, nth)).value);
    expect(values).toContain('one');
  },
);
