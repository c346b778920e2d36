// A worker is stopped before the first, the middle or the last statement of a transaction of the stream. Another goes on, opens the
// other side, a client writes there; then the first goes on with what it had in hand, and does no harm.
// Three guards stand behind each other: its session was ended, the position has moved on, the fence names another. About 40 s.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { atMost } from '../at-most.ts';
import { until } from '../sync/until.ts';
import type { WorkerProcess } from '../sync/worker-process.ts';
import { type Mutation, mutantEnv } from './mutant.ts';
import { type IsolationLevel, isolationLevels } from './stage.ts';
import {
  ownedBy,
  sessionsLiveOn,
  startWorkerStage,
  type WorkerStage,
  withoutCompareAndSet,
  withoutLease,
  withoutLook,
} from './worker-stage.ts';

let stage: WorkerStage;
beforeAll(async () => {
  stage = await startWorkerStage();
});
afterAll(() => stage?.[Symbol.asyncDispose]());

const places = ['first', 'middle', 'last'] as const;
type Place = (typeof places)[number];

/** Stops the worker when that statement of the transaction that writes `value` is on its way. @returns what lets it arrive */
async function stopAt(
  worker: WorkerProcess,
  place: Place,
  value: string,
): Promise<{ sprung: Promise<void>; release(): void }> {
  const { relay } = stage.pair.service;
  const stop = () => worker.signal('SIGSTOP');
  if (place === 'first') return relay.holdAtPart('LOCK IN SHARE MODE', stop);
  if (place === 'middle') return relay.holdAtPart(value, stop);
  const sprung = Promise.withResolvers<void>();
  let release = () => {};
  const rows = relay.holdAtPart(value, () => {
    const last = relay.holdAtPart('COMMIT', stop);
    release = last.release;
    last.sprung.then(sprung.resolve);
    rows.release();
  });
  return { sprung: sprung.promise, release: () => release() };
}

type Stopped = {
  readonly id: number;
  readonly first: WorkerProcess;
  readonly second: WorkerProcess;
  /** From the moment of the stop until its successor had applied the row. */
  readonly succeededMs: number;
  goOn(): void;
};

/** @param msMax for the successor, which waits for the lease when it is not ended */
async function stopAndSucceed(
  place: Place,
  mutations: readonly Mutation[],
  { lease, msMax = 20_000 }: { lease: 'ends' | 'is ended'; msMax?: number },
): Promise<Stopped> {
  await using started = new AsyncDisposableStack();
  const start = async () => {
    const env = mutations.length > 0 ? mutantEnv(...mutations) : {};
    const worker = await stage.pair.startMutant(env);
    started.defer(async () => {
      worker.signal('SIGCONT');
      await worker.kill();
    });
    return worker;
  };
  await stage.endLease();
  const first = await start();
  await ownedBy(stage.pair, 'legacy');
  const second = await start();
  await stage.quiet(first);
  const id = stage.nextId();
  const hold = await stopAt(first, place, `old ${id}`);
  await stage.write('legacy', `INSERT INTO thing VALUES (${id}, 'old ${id}')`);
  await hold.sprung;
  const stoppedAt = performance.now();
  if (lease === 'is ended') await stage.endLease();
  try {
    await stage.reads('service', id, `old ${id}`, msMax);
  } catch (error) {
    hold.release();
    throw error;
  }
  started.move();
  return {
    id,
    first,
    second,
    succeededMs: performance.now() - stoppedAt,
    goOn: () => {
      first.signal('SIGCONT');
      hold.release();
    },
  };
}

async function overwrite(id: number, level: IsolationLevel): Promise<void> {
  const client = await stage.pair.connect('service');
  await client.query(`SET SESSION TRANSACTION ISOLATION LEVEL ${level}`);
  await client.beginTransaction();
  await client.query('SELECT v FROM thing WHERE id = ?', [id]);
  await client.query('UPDATE thing SET v = ? WHERE id = ?', [`new ${id}`, id]);
  await client.commit();
  client.destroy();
}

const hasGivenUp = ({ log }: WorkerProcess) =>
  /the streams were interrupted|the target's fence names/.test(log());

const harmless = async (place: Place, level: IsolationLevel, mutations: readonly Mutation[] = []) => {
  const { id, first, second, goOn } = await stopAndSucceed(place, mutations, { lease: 'is ended' });
  await stage.pair.turn('service');
  await overwrite(id, level);
  goOn();
  await until('the first to give up', () => hasGivenUp(first), { explain: async () => first.log() });
  if (first.log().includes("the target's fence names"))
    await until('its stop', async () => (await stage.pair.faults()).length > 0);
  await first.kill();
  const faults = await stage.pair.faults();
  await stage.pair.service.query('DELETE FROM banyan.banyan_stop');
  await stage.pair.aligned();
  expect([await stage.value('service', id), await stage.value('legacy', id)]).toEqual([
    `new ${id}`,
    `new ${id}`,
  ]);
  await second.kill();
  return faults;
};

test.each(places.flatMap((place) => isolationLevels.map((level) => ({ place, level }))))(
  'stopped before its $place statement, and a client at $level overwrites the row',
  { timeout: 120_000 },
  async ({ place, level }) => {
    expect(await harmless(place, level)).toEqual([]);
  },
);

test.each(['middle', 'last'] as const)(
  'stopped before its %s statement it keeps its rows locked for less than 6 s',
  {
    timeout: 120_000,
  },
  (place) =>
    atMost(6_000, async () => {
      const { first, second, succeededMs, goOn } = await stopAndSucceed(place, [], { lease: 'ends' });
      console.log(`succeeded after ${Math.round(succeededMs)} ms`);
      goOn();
      await until('the first to give up', () => hasGivenUp(first));
      await first.kill();
      await second.kill();
      return succeededMs;
    }),
);

test('without an end of its session it keeps everybody waiting', { timeout: 120_000 }, async () => {
  await expect(stopAndSucceed('last', sessionsLiveOn, { lease: 'ends', msMax: 8_000 })).rejects.toThrow(
    'not within 8000 ms',
  );
});

test('its session could not be ended: the position has moved on', { timeout: 120_000 }, async () => {
  expect(await harmless('first', 'READ COMMITTED', sessionsLiveOn)).toEqual([]);
});

test('nor the position compared: the fence names another', { timeout: 120_000 }, async () => {
  const faults = await harmless('first', 'READ COMMITTED', [
    ...sessionsLiveOn,
    withoutCompareAndSet,
    // What says no shall be the fence, not the lease that it finds lost.
    withoutLease,
  ]);
  expect(faults).toEqual([expect.stringContaining('fence-disagrees')]);
});

test('without any of them: what the client wrote is overwritten by what was there before', {
  timeout: 120_000,
}, async () => {
  const { id, first, second, goOn } = await stopAndSucceed(
    'first',
    [...sessionsLiveOn, withoutLease, withoutCompareAndSet, withoutLook],
    { lease: 'is ended' },
  );
  await stage.pair.turn('service');
  await overwrite(id, 'READ COMMITTED');
  goOn();
  await stage.reads('service', id, `old ${id}`);
  await first.kill();
  await second.kill();
});
