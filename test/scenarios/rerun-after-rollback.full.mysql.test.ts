// A cutover stands still at one of its steps while others cut over and roll back. When it goes on, or what it had sent arrives
// after its death, nothing changes. Takes about two minutes.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { steps } from '../story/owner-steps.ts';
import { until } from '../sync/until.ts';
import { mutantEnv, patient } from './mutant.ts';
import { type Stage, startStage } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await startStage();
}, 120_000);
afterAll(() => stage?.[Symbol.asyncDispose]());

const phase = async () =>
  (await stage.pair.legacy.query("SELECT phase FROM banyan.capability WHERE name = 'things'"))[0]?.phase;

test.each([
  ...steps.map(({ step }) => [step, 'goes on'] as const),
  ...(['hold', 'turn', 'close', 'record'] as const).map((step) => [step, 'is killed'] as const),
])(
  'at %s: it %s',
  async (step, fate) => {
    const clients = stage.startClients(2);
    try {
      const first = await stage.stoppedAt(step);
      await stage.forgetClaim();
      await stage.done('cutover', ['--wait', '30']);
      await stage.done('rollback', ['--wait', '30']);
      const { legacy: before } = await stage.fences();
      if (fate === 'is killed') first.kill();
      first.release();
      if (fate === 'goes on') first.go();
      const { code, stdout } = await first.ended;
      // After the close it is superseded, and records no phase. 1: it stood still while it looked at the gates. 5: for so long that it could not see how the fences stand.
      const isLate = step === 'release' || step === 'record';
      expect(fate === 'is killed' ? [-1] : isLate ? [6] : [1, 4, 5, 6], stdout).toContain(code);
      await stage.sessionsEnded('legacy');
      await until('nothing of it is in force', async () => {
        const { hold, isOver } = (await stage.fences()).legacy;
        return hold === null && isOver;
      });
      const { legacy, service } = await stage.fences();
      expect({ owner: legacy.owner, epoch: legacy.epoch }).toEqual({ owner: 'legacy', epoch: before.epoch });
      expect({ owner: service.owner, epoch: service.epoch }).toEqual({
        owner: 'legacy',
        epoch: before.epoch,
      });
      expect(await phase()).toBe('reads');
      await clients.more(5);
    } finally {
      await clients.stop();
    }
    await stage.expectWhole();
  },
  120_000,
);

test('a command that goes by any epoch, not by the one it has pinned, undoes the rollback', async () => {
  const file = 'capability/fence.ts';
  const env = mutantEnv(
    // biome-ignore-start lint/suspicious/noTemplateCurlyInString: it is that file's text
    { file, replace: 'f.epoch = ? AND ${now} <', by: 'f.epoch >= ? AND ${now} <' },
    { file, replace: 'AND epoch = ? FOR UPDATE', by: 'AND epoch >= ? FOR UPDATE' },
    {
      file,
      replace: 'AND epoch = ? AND turn_id = ? AND ${now} < turn_deadline',
      by: 'AND epoch >= ? AND turn_id = ? AND ${now} < turn_deadline',
    },
    // biome-ignore-end lint/suspicious/noTemplateCurlyInString: it is that file's text
    patient,
  );
  const first = await stage.stoppedAt('hold', { env });
  await stage.forgetClaim();
  await stage.done('cutover', ['--wait', '30']);
  await stage.done('rollback', ['--wait', '30']);
  const { epoch } = (await stage.fences()).legacy;
  first.release();
  first.go();
  await until('a close', async () => (await stage.fences()).legacy.owner === 'service');
  // The worker does not open what was closed at an epoch of the past: nobody may write.
  expect((await stage.fences()).legacy.epoch).toBeLessThan(epoch);
  expect(await stage.admitting()).toEqual([]);
}, 120_000);
