// A chunk of a backfill was read, and is written late: after a newer image of its row has passed, or after the owner has changed and
// a client has overwritten the row. It is late because its watermark is, or because the whole worker was stopped and succeeded. About 60 s.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../sync/until.ts';
import type { WorkerProcess } from '../sync/worker-process.ts';
import { type Mutation, mutantEnv } from './mutant.ts';
import {
  holdMark,
  ownedBy,
  sessionsLiveOn,
  startWorkerStage,
  type WorkerStage,
  withoutCompareAndSet,
  withoutLease,
  withoutLook,
  withoutMode,
} from './worker-stage.ts';

let stage: WorkerStage;
let worker: WorkerProcess;
beforeAll(async () => {
  stage = await startWorkerStage();
});
afterAll(() => stage?.[Symbol.asyncDispose]());
// Also of a test that failed: the next one must not meet them.
const workers: WorkerProcess[] = [];
afterEach(async () => {
  for (const each of workers.splice(0)) await each.kill();
});

async function start(mutations: readonly Mutation[]): Promise<WorkerProcess> {
  const started = await (mutations.length > 0
    ? stage.pair.startMutant(mutantEnv(...mutations))
    : stage.pair.startWorker());
  workers.push(started);
  return started;
}

/** A new row that reads `one`, everywhere; and a worker that has nothing to do. */
async function begin(mutations: readonly Mutation[]): Promise<number> {
  await stage.endLease();
  await stage.pair.service.query('DELETE FROM banyan.banyan_backfill');
  worker = await start(mutations);
  await ownedBy(stage.pair, 'legacy');
  const id = stage.nextId();
  await stage.write('legacy', `DELETE FROM thing; INSERT INTO thing VALUES (${id}, 'one')`);
  await stage.quiet(worker);
  return id;
}

/** What `banyan backfill` does before it follows. */
const ask = () =>
  stage.pair.service.query(
    "INSERT INTO banyan.banyan_backfill (capability, table_name) VALUES ('things', 'thing')",
  );

/** After the chunk was read. @returns what the row must read from then on */
async function overwrite(id: number, where: 'within one epoch' | 'across a change'): Promise<string> {
  if (where === 'within one epoch') {
    await stage.write('legacy', `UPDATE thing SET v = 'two' WHERE id = ${id}`);
    await stage.reads('service', id, 'two');
    return 'two';
  }
  await stage.pair.turn('service');
  await stage.write('service', `UPDATE thing SET v = 'three' WHERE id = ${id}`);
  await stage.pair.aligned();
  return 'three';
}

const complete = () =>
  until('the backfill', async () => {
    const [row] = await stage.pair.service.query('SELECT state FROM banyan.banyan_backfill');
    return row?.state === 'complete';
  });

const places = ['within one epoch', 'across a change'] as const;

describe('its watermark is late', () => {
  async function late(where: (typeof places)[number], mutations: readonly Mutation[] = []) {
    const id = await begin(mutations);
    const high = holdMark(stage.pair.legacy.relay, 2);
    await ask();
    await high.sprung;
    const newest = await overwrite(id, where);
    const markOf = async () =>
      String((await stage.pair.legacy.query('SELECT mark FROM banyan.banyan_watermark'))[0]?.mark);
    const before = await markOf();
    high.release();
    await until('the watermark', async () => (await markOf()) !== before);
    await stage.pair.aligned();
    if (where === 'within one epoch') await complete();
    const value = await stage.value('service', id);
    if (mutations.length === 0) {
      // With its own owner back it goes on.
      await ownedBy(stage.pair, 'legacy');
      await complete();
    }
    return { value, newest };
  }

  test.each(places)('%s', { timeout: 120_000 }, async (where) => {
    const { value, newest } = await late(where);
    expect(value).toBe(newest);
    expect(await stage.pair.faults()).toEqual([]);
  });

  test.each([
    {
      where: 'within one epoch',
      mutation: { file: 'sync/backfill.ts', replace: 'if (!passed.has(index))', by: 'if (passed)' },
    },
    { where: 'across a change', mutation: withoutMode },
  ] as const)(
    '$where, with the chunk as it was read: newer rows are overwritten',
    { timeout: 120_000 },
    async ({ where, mutation }) => {
      expect((await late(where, [mutation])).value).toBe('one');
    },
  );
});

describe('the worker was stopped', () => {
  beforeEach(async () => {
    await stage.pair.service.query('DELETE FROM banyan.banyan_stop');
  });
  async function stopped(where: (typeof places)[number], mutations: readonly Mutation[] = []) {
    const id = await begin(mutations);
    const first = worker;
    await start(mutations);
    const hold = stage.pair.service.relay.holdAtPart('LOCK IN SHARE MODE', () => first.signal('SIGSTOP'));
    await ask();
    await hold.sprung;
    await stage.endLease();
    await complete();
    const newest = await overwrite(id, where);
    first.signal('SIGCONT');
    hold.release();
    return { id, newest, first };
  }

  test.each([
    { where: 'within one epoch', session: 'was ended', mutations: [] },
    { where: 'across a change', session: 'was ended', mutations: [] },
    { where: 'within one epoch', session: 'lives on', mutations: sessionsLiveOn },
    { where: 'across a change', session: 'lives on', mutations: sessionsLiveOn },
  ] as const)('$where, its session $session', { timeout: 120_000 }, async ({ where, mutations }) => {
    const { id, newest, first } = await stopped(where, mutations);
    await until('the first to give up', () => /the streams were interrupted/.test(first.log()));
    await stage.pair.aligned();
    expect(await stage.value('service', id)).toBe(newest);
    expect(await stage.pair.faults()).toEqual([]);
  });

  test.each([
    { where: 'within one epoch', mutations: [...sessionsLiveOn, withoutLease, withoutCompareAndSet] },
    {
      where: 'across a change',
      mutations: [...sessionsLiveOn, withoutLease, withoutCompareAndSet, withoutLook],
    },
  ] as const)(
    '$where, with no guard left: newer rows are overwritten',
    { timeout: 120_000 },
    async ({ where, mutations }) => {
      const { id, newest } = await stopped(where, mutations);
      // Within one epoch its own stream writes the newer image once more, a moment later.
      await until(`row ${id} to be overwritten`, async () => {
        const [found] = await stage.pair.service.query(
          `SELECT 1 FROM ${stage.pair.schema('service')}.wrote WHERE id = ? AND v = 'one' AND at >
             (SELECT MIN(at) FROM ${stage.pair.schema('service')}.wrote WHERE id = ? AND v = ?)`,
          [id, id, newest],
        );
        return found !== undefined;
      });
    },
  );
});
