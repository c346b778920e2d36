// A command stands still between the hold and the turn until the hold is over and the facades have let go: its turn, when it
// comes, turns nothing, and no client is refused. Takes about 30 s.
import { afterEach, expect, test } from 'vitest';
import { until } from '../sync/until.ts';
import { mutantEnv } from './mutant.ts';
import { type Stage, startStage } from './stage.ts';

let stage: Stage | undefined;
afterEach(() => stage?.[Symbol.asyncDispose]());

async function lateTurn(on: Stage, env: NodeJS.ProcessEnv = {}) {
  const clients = on.startClients(4);
  await clients.more(4);
  const command = await on.stoppedAt('turn', { env });
  expect((await on.fences()).legacy.hold).not.toBeNull();
  await until('the end of the hold', async () => (await on.fences()).legacy.hold === null);
  await clients.more(10);
  return { clients, command };
}

test.each(['goes on', 'is killed'] as const)(
  'the command %s',
  async (fate) => {
    stage = await startStage(2);
    const { clients, command } = await lateTurn(stage);
    if (fate === 'is killed') command.kill();
    command.release();
    if (fate === 'goes on') command.go();
    expect((await command.ended).code).toBe(fate === 'goes on' ? 4 : -1);
    await stage.sessionsEnded('legacy');
    expect((await stage.fences()).legacy).toMatchObject({ owner: 'legacy', epoch: 1, turn: null });
    await clients.more(10);
    await clients.stop();
    await stage.expectWhole();
  },
  120_000,
);

test('a turn that does not look at the hold has clients refused', async () => {
  stage = await startStage(2);
  const env = mutantEnv({
    file: 'capability/fence.ts',
    replace:
      '(SELECT h.hold_until FROM banyan.banyan_hold h WHERE h.capability = f.capability AND h.hold_id = ?)',
    by: '(SELECT h.hold_until + 60 FROM banyan.banyan_hold h WHERE h.capability = f.capability AND h.hold_id = ?)',
  });
  const { clients, command } = await lateTurn(stage, env);
  // The command stands still and tries once: nobody is to be in its way.
  await clients.stop();
  command.release();
  const on = stage;
  await until('the turn', async () => !(await on.fences()).legacy.isOver);
  expect(await on.write()).toBe(500);
  expect(on.refused).toHaveLength(1);
}, 120_000);
