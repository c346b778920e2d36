// The worker is killed before the rows of a transaction, before its COMMIT, and when the COMMIT's answer is on its way: the next one
// writes each row once.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { WorkerProcess } from '../sync/worker-process.ts';
import { type Mutation, mutantEnv } from './mutant.ts';
import { startWorkerStage, type WorkerStage } from './worker-stage.ts';

let stage: WorkerStage;
let worker: WorkerProcess;
beforeAll(async () => {
  stage = await startWorkerStage();
  worker = await stage.pair.startWorker();
});
afterAll(() => stage?.[Symbol.asyncDispose]());

const boundaries = ['before its rows', 'before its COMMIT', 'the answer to its COMMIT lost'] as const;

/** @returns when the worker is dead */
async function killAt(boundary: (typeof boundaries)[number], value: string): Promise<void> {
  const { relay } = stage.pair.service;
  const dead = Promise.withResolvers<void>();
  const kill = () => void worker.kill().then(dead.resolve);
  if (boundary === 'before its rows') await relay.loseAtPart(value, 'request', kill);
  else {
    const rows = relay.holdAtPart(value, () => {
      relay.loseAt('COMMIT', boundary === 'before its COMMIT' ? 'request' : 'answer', kill);
      rows.release();
    });
  }
  await dead.promise;
}

/** @returns the row */
async function killedAndSucceeded(
  boundary: (typeof boundaries)[number],
  mutations: readonly Mutation[] = [],
) {
  if (mutations.length > 0) {
    await worker.kill();
    await stage.endLease();
    worker = await stage.pair.startMutant(mutantEnv(...mutations));
  }
  await stage.pair.aligned();
  const id = stage.nextId();
  const killed = killAt(boundary, `value ${id}`);
  await stage.write('legacy', `INSERT INTO thing VALUES (${id}, 'value ${id}')`);
  await killed;
  await stage.endLease();
  worker = await stage.pair.startWorker();
  await stage.pair.aligned();
  return id;
}

const timesWritten = async (id: number) => {
  const [row] = await stage.pair.service.query('SELECT n FROM things.written WHERE id = ?', [id]);
  return row === undefined ? 0 : Number(row.n);
};

test.each(boundaries)('killed %s', { timeout: 120_000 }, async (boundary) => {
  const id = await killedAndSucceeded(boundary);
  expect(await timesWritten(id)).toBe(1);
  expect(await stage.pair.compare()).toEqual([]);
  expect(await stage.pair.faults()).toEqual([]);
});

test.each([
  // The position first, by itself: the row is lost.
  {
    boundary: 'before its rows',
    mutation: { file: 'sync/frame.ts', replace: 'START TRANSACTION; ', by: 'DO 0; ' },
    times: 0,
  },
  // The position last, by itself: the row is written again.
  {
    boundary: 'the answer to its COMMIT lost',
    mutation: {
      file: 'sync/frame.ts',
      replace: 'this.#stateValues(commit.state),',
      by: 'this.#stateValues({ ...before, seq: commit.state.seq }),',
    },
    times: 2,
  },
] as const)(
  'killed $boundary, with the position in another transaction: written $times times',
  {
    timeout: 120_000,
  },
  async ({ boundary, mutation, times }) => {
    const id = await killedAndSucceeded(boundary, [mutation]);
    expect(await timesWritten(id)).toBe(times);
  },
);
