// A mixed live load while everything is killed, stopped and cut that can be: afterwards both sides are equal, without
// anybody having edited state.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadDdl, loadTables, startLoad } from './load.ts';
import { otherSide, type Pair, type Side, startPair } from './pair.ts';
import { type Chance, suiteSeed } from './seed.ts';
import { until } from './until.ts';
import type { WorkerProcess } from './worker-process.ts';

const random = suiteSeed('live load');
const rounds = Number(process.env.BANYAN_TEST_ROUNDS ?? 18);
/** The writers go on while the stream catches up: on a slow machine that takes its time. */
const alignedMsMax = 180_000;

let pair: Pair;
beforeAll(async () => {
  pair = await startPair({ tables: loadTables, ddl: loadDdl });
});
afterAll(() => pair?.[Symbol.asyncDispose]());

/** Workers come and go; at least one is meant to run. */
class Workers {
  readonly #running: WorkerProcess[] = [];

  get first(): WorkerProcess {
    const [first] = this.#running;
    if (!first) throw new Error('no worker runs');
    return first;
  }

  async start(): Promise<void> {
    this.#running.push(await pair.startWorker());
  }

  async killFirst(): Promise<void> {
    const first = this.first;
    this.#running.shift();
    await first.kill();
  }
}

const holder = async () => {
  const [row] = await pair.service.query('SELECT holder FROM banyan.banyan_worker');
  return row?.holder;
};

type Fault = (
  workers: Workers,
  more: (transactions: number) => Promise<void>,
  chance: Chance,
) => Promise<void>;

const faults: Readonly<Record<string, Fault>> = {
  'kill -9 of the worker': async (workers) => {
    await workers.killFirst();
    await workers.start();
  },
  'the worker is stopped, a second one takes over, the first comes back': async (workers, more) => {
    await workers.start();
    const was = await holder();
    workers.first.signal('SIGSTOP');
    await until('a successor', async () => (await holder()) !== was && (await holder()) !== undefined);
    await more(20);
    workers.first.signal('SIGCONT');
    await more(20);
    await workers.killFirst();
  },
  'the worker is stopped for a moment': async (workers, more) => {
    workers.first.signal('SIGSTOP');
    await more(30);
    workers.first.signal('SIGCONT');
  },
  'kill -9 of the legacy server': async () => {
    await pair.legacy.crash();
    await pair.legacy.start();
  },
  "kill -9 of the services' server": async () => {
    await pair.service.crash();
    await pair.service.start();
  },
  'connections are cut': async (_workers, more, { pick }) => {
    const sides = pick<Side[]>([['legacy'], ['service'], ['legacy', 'service']]);
    for (const side of sides) pair.server(side).relay.cut();
    await more(5);
    for (const side of sides) pair.server(side).relay.cut();
  },
  'connections stall, and go on': async (_workers, more, { pick }) => {
    const { relay } = pair.server(pick<Side>(['legacy', 'service']));
    relay.stall();
    await more(30);
    relay.resume();
  },
  'connections stall, and are cut': async (_workers, more, { pick }) => {
    const { relay } = pair.server(pick<Side>(['legacy', 'service']));
    relay.stall();
    await more(30);
    relay.cut();
    relay.resume();
  },
  'connections are half closed': async (_workers, more, { pick }) => {
    pair.server(pick<Side>(['legacy', 'service'])).relay.halfClose();
    await more(10);
  },
};

test(`both sides are equal after ${rounds} rounds of faults`, {
  timeout: 120_000 + rounds * 30_000,
}, async () => {
  const workers = new Workers();
  await workers.start();
  const load = startLoad(pair, random, 3);
  const schedule = random.fork('faults');
  const names = Object.keys(faults);
  const start = schedule.below(names.length);
  const took: string[] = [];
  try {
    let owner: Side = 'legacy';
    for (let round = 0; round < rounds; round++) {
      // Each kind in its turn, from anywhere, so that a short run has most of them.
      const name = names[(start + round) % names.length] ?? '';
      const startedAt = performance.now();
      await load.more(10 + schedule.below(60));
      await faults[name]?.(workers, load.more, schedule);
      // Sometimes the next fault comes before this one is over.
      if (schedule.below(2) === 0) await pair.aligned(owner, alignedMsMax);
      if (round % 4 === 3) {
        await load.pause();
        await pair.turn(otherSide(owner), alignedMsMax);
        owner = otherSide(owner);
        load.resume(owner);
      }
      took.push(`${name}: ${Math.round(performance.now() - startedAt)} ms`);
    }
    await load.more(20);
    await load.stop();
    await pair.aligned(undefined, alignedMsMax);
  } catch (error) {
    throw new Error(`seed ${random.seed}, after ${took.join('; ')}: ${String(error)}`, { cause: error });
  }
  console.log(`live load: ${load.done()} transactions; ${took.join('; ')}`);
  expect(await pair.compare()).toEqual([]);
  expect(await pair.faults()).toEqual([]);
});
