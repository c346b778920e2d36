// The trigger reads the fence row under a shared lock: a turn waits for whoever has passed it and has not committed. At REPEATABLE
// READ MariaDB takes that lock for a plain SELECT in a trigger, too; so the mutant is shown at READ COMMITTED.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../sync/until.ts';
import { mutantEnv } from './mutant.ts';
import { type IsolationLevel, isolationLevels, type Stage, startStage } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await startStage();
}, 120_000);
afterAll(() => stage?.[Symbol.asyncDispose]());

async function uncommitted(level: IsolationLevel) {
  const cron = await stage.as('legacy', 'cron', level);
  const id = stage.nextId();
  await cron.beginTransaction();
  await cron.query("INSERT INTO item VALUES (?, 'by cron')", [id]);
  return { cron, id };
}

test.each(isolationLevels)(
  'at %s nothing is turned before the writer has committed',
  async (level) => {
    const { cron, id } = await uncommitted(level);
    const { code, stdout } = await stage.attempt();
    expect({ code, reason: JSON.parse(stdout).reason }).toEqual({
      code: 4,
      reason: expect.stringContaining(`locked by thread ${cron.threadId}, cron@`),
    });
    await cron.commit();
    stage.acknowledged.add(id);
    await stage.done('cutover');
    await stage.done('rollback');
    await stage.expectWhole();
  },
  120_000,
);

test('a trigger without it lets the owner change under an open transaction, whose write is lost', async () => {
  const env = mutantEnv({
    file: 'capability/fence-triggers.ts',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is that file's text
    replace: "WHERE capability = '${capability}' LOCK IN SHARE MODE;",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: likewise
    by: "WHERE capability = '${capability}';",
  });
  await stage.enforce(env);
  const { cron, id } = await uncommitted('READ COMMITTED');
  const { code, stderr } = await stage.attempt({ env, words: ['--wait', '20'] });
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  await cron.commit();
  await until('the tripwire', async () => (await stage.pair.faults()).some((each) => /tripwire/.test(each)));
  expect(await stage.lost([id])).toEqual([id]);
}, 120_000);
