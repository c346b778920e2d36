// A clock that is set back between the end of a turn and the close lets the close through, after somebody has written: nothing is
// lost, since opening waits for what lies before the close row. Takes about 30 s.
import { afterEach, expect, test } from 'vitest';
import { until } from '../sync/until.ts';
import { clockIn, hasClocks } from './clock.ts';
import { mutantEnv, opensItself, patient } from './mutant.ts';
import { type IsolationLevel, isolationLevels, type Stage, startStage } from './stage.ts';

let stage: Stage | undefined;
afterEach(() => stage?.[Symbol.asyncDispose]());

/** Between the deadline and the close somebody writes, and then the clock is set back before the deadline. */
async function setBack(on: Stage, level: IsolationLevel, env: NodeJS.ProcessEnv = {}) {
  const clock = clockIn(on.pair.folder);
  await on.pair.legacy.crash();
  await on.pair.legacy.start(clock.env);
  const command = await on.stoppedAt('close', { env });
  await until('the end of the turn', async () => (await on.fences()).legacy.isOver);
  const cron = await on.as('legacy', 'cron', level);
  const id = on.nextId();
  on.worker.signal('SIGSTOP');
  await cron.query("INSERT INTO item VALUES (?, 'after the deadline')", [id]);
  clock.set(-5);
  expect((await on.fences()).legacy.isOver).toBe(false);
  command.release();
  command.go();
  await until('the close', async () => (await on.fences()).legacy.owner === 'service');
  return { id, command };
}

test.skipIf(!hasClocks).each(isolationLevels)(
  'at %s a clock that is set back by 5 s lets the close through, and nothing is lost',
  async (level) => {
    stage = await startStage();
    const { id, command } = await setBack(stage, level);
    expect(await stage.admitting()).toEqual([]);
    stage.worker.signal('SIGCONT');
    expect((await command.ended).code).toBe(0);
    stage.acknowledged.add(id);
    await stage.expectWhole();
  },
  120_000,
);

test.skipIf(!hasClocks)(
  'with a command that opens by itself the write is lost',
  async () => {
    stage = await startStage();
    const { id, command } = await setBack(stage, 'READ COMMITTED', mutantEnv(opensItself, patient));
    const on = stage;
    await until('the opening', async () => (await on.admitting()).includes('service'));
    on.worker.signal('SIGCONT');
    await until('the stream to stop', async () => (await on.pair.faults()).some((each) => /stop/.test(each)));
    expect(await on.lost([id])).toEqual([id]);
    await command.ended;
  },
  120_000,
);
