// A facade starts while a change of owner is at one of its steps, and is written through at once: nobody is refused. Takes about a
// minute; what a facade that does not look does is in release-before-open, where nothing depends on time.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { steps } from '../story/owner-steps.ts';
import { until } from '../sync/until.ts';
import { type Stage, startStage } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await startStage();
}, 120_000);
afterAll(() => stage?.[Symbol.asyncDispose]());

test.each(steps.map(({ step }) => step))(
  'at %s',
  async (step) => {
    const clients = stage.startClients(2);
    const command = await stage.stoppedAt(step);
    const facade = await stage.startFacade();
    const writes = Array.from({ length: 4 }, () => stage.write(stage.nextId(), facade));
    command.release();
    command.go();
    expect(await Promise.all(writes)).toEqual([200, 200, 200, 200]);
    expect([0, 4]).toContain((await command.ended).code);
    if ((await stage.fences()).legacy.owner === 'legacy') await stage.done('cutover');
    await stage.done('rollback');
    await clients.more(5);
    await clients.stop();
    await stage.expectWhole();
    stage.facades.splice(stage.facades.indexOf(facade), 1);
    await facade.stop();
    await until('the facade to be forgotten', async () => {
      const rows = await stage.pair.legacy.query('SELECT name FROM banyan.replica');
      return rows.length === stage.facades.length;
    });
  },
  120_000,
);
