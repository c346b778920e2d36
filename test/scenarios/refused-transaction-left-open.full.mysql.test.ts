// A session was refused on the side that is about to open, and stays in its transaction, which keeps the fence row there. Before the
// close that undoes the change, and says who; after it the worker ends the session and opens. At cutover and at rollback.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Side } from '../sync/pair.ts';
import { until } from '../sync/until.ts';
import { mutantEnv } from './mutant.ts';
import { type IsolationLevel, type Stage, startStage } from './stage.ts';

/** The worker looks after 0.3 s; without it the opening is tried for 5 s, and again. */
const openMsMax = 3_000;

let stage: Stage;
beforeAll(async () => {
  stage = await startStage();
}, 120_000);
afterAll(() => stage?.[Symbol.asyncDispose]());

async function refusedOn(side: Side, level: IsolationLevel) {
  const cron = await stage.as(side, 'cron', level);
  await cron.beginTransaction();
  await expect(cron.query("INSERT INTO item VALUES (?, 'refused')", [stage.nextId()])).rejects.toThrow(
    'banyan: refused',
  );
  return cron;
}

test.each([
  ['cutover', 'service', 'READ COMMITTED'],
  ['rollback', 'legacy', 'REPEATABLE READ'],
] as const)(
  '%s: on the %s, at %s',
  async (move, to, level) => {
    const early = await refusedOn(to, level);
    const { code, stdout } = await stage.attempt({ move });
    expect({ code, reason: JSON.parse(stdout).reason }).toEqual({
      code: 4,
      reason: expect.stringContaining(`locked by thread ${early.threadId}, cron@`),
    });
    expect(await stage.write()).toBe(200);
    await early.rollback();

    const command = await stage.stoppedAt('close', { move });
    const late = await refusedOn(to, level);
    const pending = stage.write();
    command.release();
    const startedAt = performance.now();
    command.go();
    await until('the opening', async () => (await stage.admitting()).includes(to));
    expect(performance.now() - startedAt).toBeLessThan(openMsMax);
    expect((await command.ended).code).toBe(0);
    expect(await pending).toBe(200);
    await expect(late.query('COMMIT')).rejects.toThrow();
    await stage.expectWhole();
  },
  120_000,
);

test('a worker that ends nobody leaves both sides closed for as long as the session likes', async () => {
  const env = mutantEnv({
    file: 'sync/clear-way.ts',
    replace: 'if (blockers.length > 0 &&',
    by: 'if (blockers.length > 1_000 &&',
  });
  await stage.worker.kill();
  await stage.pair.service.query('DELETE FROM banyan.banyan_worker');
  await stage.pair.startMutant(env);
  // Until it runs the streams a command drains in vain, or has no time left.
  expect(await stage.write()).toBe(200);
  await stage.pair.aligned('legacy');
  const command = await stage.stoppedAt('close');
  const cron = await refusedOn('service', 'READ COMMITTED');
  command.release();
  command.go();
  await until('the close', async () => (await stage.fences()).legacy.owner === 'service', {
    explain: async () => {
      const said = command.hasEnded() ? (await command.ended).stdout : 'the command has not ended';
      return `${said}\n${JSON.stringify(await stage.fences())}`;
    },
  });
  const closedAt = performance.now();
  while (performance.now() - closedAt < openMsMax + 2_000) expect(await stage.admitting()).toEqual([]);
  await cron.rollback();
  await until('the opening', async () => (await stage.admitting()).includes('service'));
}, 120_000);
