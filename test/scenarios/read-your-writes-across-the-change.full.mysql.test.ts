// A client with its cookies reads what it has written, at whichever of two replicas, while the owner changes there and back; one
// replica stands still meanwhile and knows less than the client. The servers' clocks are 5 s apart, and the stream stands still where
// that is when a read would come too early. About 60 s.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { asAccount } from '../as-account.ts';
import { until } from '../sync/until.ts';
import type { Facade } from './clients.ts';
import { clockIn, hasClocks } from './clock.ts';
import { mutantEnv } from './mutant.ts';
import { type Stage, startStage } from './stage.ts';

let stage: Stage;
afterEach(() => stage?.[Symbol.asyncDispose]());

if (!hasClocks && process.env.CI) throw new Error('libfaketime is missing: scripts/setup.mjs installs it');

type Client = {
  write(facade: Facade): Promise<number>;
  /** @returns which side has answered, and whether the row was there */
  read(facade: Facade, id: number): Promise<{ by: unknown; isThere: unknown }>;
};

function newClient(): Client {
  const cookies = new Map<string, string>();
  const ask = async ({ url }: Facade, init: RequestInit, query = '') => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await fetch(`${url}/things${query}`, {
      ...init,
      headers: { ...(cookie !== '' && { cookie }) },
    });
    expect(answer.status).toBe(200);
    for (const set of answer.headers.getSetCookie()) {
      const [name = '', value = ''] = (set.split(';', 1)[0] ?? '').split('=', 2);
      cookies.set(name, value);
    }
    const body: unknown = await answer.json();
    return {
      by: typeof body === 'object' && body !== null && 'by' in body ? body.by : undefined,
      isThere: typeof body === 'object' && body !== null && 'isThere' in body ? body.isThere : undefined,
    };
  };
  return {
    async write(facade) {
      const id = stage.nextId();
      await ask(facade, { method: 'POST', body: new URLSearchParams({ id: String(id) }) });
      stage.acknowledged.add(id);
      return id;
    },
    read: (facade, id) => ask(facade, {}, `?id=${id}`),
  };
}

/** The service's clock shows so much more, or less, than legacy's. */
async function startApart(
  seconds: number,
  env: Readonly<Record<string, string>> = {},
): Promise<[Facade, Facade]> {
  stage = await startStage(0);
  const folder = join(stage.pair.folder, 'clock');
  mkdirSync(folder);
  const clock = clockIn(folder);
  clock.set(seconds);
  await stage.pair.service.crash();
  await stage.pair.service.start(clock.env);
  const one = await stage.startFacade(env);
  // Where the second looks at the fences is in our hands.
  const relayed = (port: number) =>
    asAccount(stage.pair.folder, 'banyan_facade', `mysql://127.0.0.1:${port}/`);
  const two = await stage.startFacade({
    BANYAN_LEGACY_URL: relayed(stage.legacy.port),
    BANYAN_SERVICES_URL: relayed(stage.service.port),
    ...env,
  });
  await stage.readFromService();
  return [one, two];
}

/** While it is settled who owns, reads of what has arrived go to the service. */
const settled = (facade: Facade) =>
  until('reads by the service', async () => {
    const client = newClient();
    const id = await client.write(facade);
    await stage.pair.aligned();
    return (await client.read(facade, id)).by === 'service';
  });

test.runIf(hasClocks).each([5, -5])(
  'read-your-writes-across-the-change: clocks %i s apart',
  { timeout: 120_000 },
  async (apart) => {
    const [one, two] = await startApart(apart);
    await settled(one);
    let isStopped = false;
    const reads = { seen: 0 };
    const work = [one, two].map(async (first, index) => {
      const second = index === 0 ? two : one;
      const client = newClient();
      while (!isStopped) {
        const id = await client.write(first);
        for (const facade of [second, first]) {
          expect(await client.read(facade, id)).toMatchObject({ isThere: true });
          reads.seen++;
        }
      }
    });
    const moves = (async () => {
      for (const move of ['cutover', 'rollback', 'cutover', 'rollback'] as const)
        await stage.done(move, ['--wait', '40']);
      isStopped = true;
    })();
    await Promise.all([...work, moves]);
    expect(reads.seen).toBeGreaterThan(20);
    await stage.expectWhole();
  },
);

/** One replica stands still while legacy becomes the owner again. @returns a client that has written there, and the row */
async function knowsLess(env: Readonly<Record<string, string>> = {}) {
  const [one, two] = await startApart(5, env);
  await stage.done('cutover', ['--wait', '40']);
  process.kill(two.pid, 'SIGSTOP');
  // It counts as stopped when it has not been heard of for 10 s.
  await stage.done('rollback', ['--wait', '40']);
  stage.worker.signal('SIGSTOP');
  const client = newClient();
  const id = await client.write(one);
  // It is asked before it has looked by itself.
  for (const relay of [stage.legacy, stage.service]) relay.stall();
  process.kill(two.pid, 'SIGCONT');
  const read = await client.read(two, id);
  for (const relay of [stage.legacy, stage.service]) relay.resume();
  stage.worker.signal('SIGCONT');
  return read;
}

test.runIf(hasClocks)(
  'a replica that was stopped looks before it answers',
  { timeout: 120_000 },
  async () => {
    expect(await knowsLess()).toEqual({ by: 'legacy', isThere: true });
    await stage.expectWhole();
  },
);

test.runIf(hasClocks)(
  'a replica that does not look has not heard of the write',
  { timeout: 120_000 },
  async () => {
    const env = mutantEnv({
      file: 'facade/own-writes.ts',
      replace: "if (epoch < pin.epoch) return 'refresh-first';",
      by: "if (epoch < pin.epoch) return 'fresh';",
    });
    expect(await knowsLess(env)).toEqual({ by: 'service', isThere: false });
  },
);

/** The stream stands still from before the write. */
async function tooEarly(env: Readonly<Record<string, string>> = {}) {
  const [one, two] = await startApart(-5, env);
  await settled(two);
  stage.worker.signal('SIGSTOP');
  const client = newClient();
  const id = await client.write(one);
  const read = await client.read(two, id);
  stage.worker.signal('SIGCONT');
  return read;
}

test.runIf(hasClocks)(
  'a write that has not arrived is read where it was written',
  { timeout: 120_000 },
  async () => {
    expect(await tooEarly()).toEqual({ by: 'legacy', isThere: true });
  },
);

test.runIf(hasClocks)(
  'with the times of two servers compared it is read too early',
  { timeout: 120_000 },
  async () => {
    const env = mutantEnv({
      file: 'facade/pins.ts',
      replace: 'const at = view.latest(side);',
      by: "const at = view.latest(side === 'legacy' ? 'service' : 'legacy');",
    });
    expect(await tooEarly(env)).toEqual({ by: 'service', isThere: false });
  },
);
