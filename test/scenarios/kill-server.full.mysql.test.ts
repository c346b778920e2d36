// The server that was closed is killed before the other is open, there and back, with the worker alive, paused or killed meanwhile;
// and the other one is killed in the very transaction that opens it. Both come back: one owner, one epoch. That a close is
// on disk before it is answered is what X rests on: lost-tail takes it away. About 60 s.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { otherSide, type Side } from '../sync/pair.ts';
import { until } from '../sync/until.ts';
import { type Mutation, mutantEnv } from './mutant.ts';
import { type Stage, startStage } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await startStage(0);
}, 120_000);
afterAll(() => stage?.[Symbol.asyncDispose]());

/** The close, as the command does it; nobody waits for the opening. */
async function close(from: Side): Promise<number> {
  const { epoch } = await stage.pair.owner(from);
  await stage.pair.server(from).query(
    `UPDATE banyan.banyan_fence SET turn_id = 7, turn_deadline = UNIX_TIMESTAMP(SYSDATE(6)) + 5;
     UPDATE banyan.banyan_fence SET owner = '${otherSide(from)}', epoch = epoch + 1, turn_id = NULL, turn_deadline = NULL WHERE turn_id = 7`,
  );
  return epoch + 1;
}

async function oneOwner(owner: Side, epoch: number): Promise<void> {
  await until(`${owner} to own`, async () => {
    const { legacy, service } = await stage.fences();
    return [legacy, service].every((row) => row.owner === owner && row.epoch === epoch);
  });
  const id = stage.nextId();
  const [there, here] = [await stage.as(otherSide(owner), 'app'), await stage.as(owner, 'app')];
  await expect(there.query('INSERT INTO item VALUES (?, ?)', [id, 'refused'])).rejects.toThrow(
    'banyan: refused',
  );
  await here.query('INSERT INTO item VALUES (?, ?)', [id, 'taken']);
  await stage.pair.aligned();
  expect(await stage.pair.compare()).toEqual([]);
  expect(await stage.pair.faults()).toEqual([]);
}

describe('kill-server-X-after-close-before-open', () => {
  test.each([
    { from: 'legacy', worker: 'alive' },
    { from: 'service', worker: 'paused' },
    { from: 'legacy', worker: 'killed' },
    { from: 'service', worker: 'alive' },
  ] as const)('X is $from, the worker is $worker', { timeout: 90_000 }, async ({ from, worker }) => {
    const to = otherSide(from);
    const running = current();
    // The close row is not read before X is gone.
    if (worker === 'alive') stage.pair.server(from).relay.refuse();
    if (worker === 'paused') running.signal('SIGSTOP');
    if (worker === 'killed') await running.kill();
    const epoch = await close(from);
    await stage.pair.server(from).crash();
    if (worker === 'killed') await startWorker();
    expect(await stage.pair.owner(to)).toEqual({ owner: from, epoch: epoch - 1 });
    await stage.pair.server(from).start();
    if (worker === 'alive') stage.pair.server(from).relay.accept();
    if (worker === 'paused') running.signal('SIGCONT');
    await oneOwner(to, epoch);
  });
});

let started: Awaited<ReturnType<Stage['pair']['startWorker']>> | undefined;
const current = () => started ?? stage.worker;
async function startWorker(mutations: readonly Mutation[] = []): Promise<void> {
  await stage.pair.service.query('DELETE FROM banyan.banyan_worker');
  started = await stage.pair.startMutant(mutations.length > 0 ? mutantEnv(...mutations) : {});
}

describe('kill-server-Y-in-the-open-transaction', () => {
  const moments = ['before the opening', 'before its COMMIT', 'its COMMIT is not answered'] as const;
  /** @returns the epoch of the opening, with Y dead */
  async function killedAt(to: Side, moment: (typeof moments)[number]): Promise<number> {
    await stage.pair.aligned();
    const { relay, crash } = stage.pair.server(to);
    const dead = Promise.withResolvers<void>();
    const kill = () => void crash().then(dead.resolve, dead.reject);
    if (moment === 'before the opening') relay.loseAtPart('banyan_fence SET owner', 'request', kill);
    else {
      const opening = relay.holdAtPart('banyan_fence SET owner', () => {
        relay.loseAt('COMMIT', moment === 'before its COMMIT' ? 'request' : 'answer', kill);
        opening.release();
      });
    }
    const epoch = await close(otherSide(to));
    await dead.promise;
    return epoch;
  }

  test.each([
    { to: 'service', moment: 'before the opening' },
    { to: 'legacy', moment: 'before its COMMIT' },
    { to: 'service', moment: 'its COMMIT is not answered' },
    { to: 'legacy', moment: 'before the opening' },
    { to: 'service', moment: 'before its COMMIT' },
    { to: 'legacy', moment: 'its COMMIT is not answered' },
  ] as const)('Y is $to, $moment', { timeout: 90_000 }, async ({ to, moment }) => {
    const epoch = await killedAt(to, moment);
    await stage.pair.server(to).start();
    await oneOwner(to, epoch);
  });

  test('with an opening after the COMMIT of its position: nobody owns', { timeout: 90_000 }, async () => {
    await current().kill();
    await startWorker([
      {
        file: 'sync/target.ts',
        replace: 'if (open) await frame.open(open);\n        await frame.commit();',
        by: 'await frame.commit();\n        if (open) await frame.open(open);',
      },
    ]);
    const epoch = await killedAt('service', 'before the opening');
    await stage.pair.service.start();
    await stage.pair.aligned('legacy');
    expect(await stage.admitting()).toEqual([]);
    expect(await stage.pair.owner('service')).toEqual({ owner: 'legacy', epoch: epoch - 1 });
  });
});
