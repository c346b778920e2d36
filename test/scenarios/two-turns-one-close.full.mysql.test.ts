// The close of a command that stood still comes when its turn is long over, somebody else's is in force, and in between there were
// writes: it closes nothing. Takes about a minute.
import { afterEach, expect, test } from 'vitest';
import { until } from '../sync/until.ts';
import { type Mutation, mutantEnv } from './mutant.ts';
import { type IsolationLevel, type Stage, startStage } from './stage.ts';

let stage: Stage | undefined;
afterEach(() => stage?.[Symbol.asyncDispose]());

type Fate = 'goes on' | 'is killed';
type Written = 'a transaction' | 'XA';

/** @returns the id that cron has written between the two turns */
async function twoTurns(
  on: Stage,
  [level, fate, written]: readonly [IsolationLevel, Fate, Written],
  env: NodeJS.ProcessEnv = {},
) {
  const first = await on.stoppedAt('close', { env });
  const cron = await on.as('legacy', 'cron', level);
  await until('the end of the turn', async () => (await on.fences()).legacy.isOver);
  if (fate === 'is killed') first.kill();
  const id = on.nextId();
  await cron.query(written === 'XA' ? "XA START 'cron'" : 'START TRANSACTION');
  await cron.query("INSERT INTO item VALUES (?, 'between two turns')", [id]);
  if (written === 'XA') await cron.query("XA END 'cron'");
  await cron.query(written === 'XA' ? "XA PREPARE 'cron'" : 'COMMIT');
  await on.forgetClaim();
  const before = new Set(await sessions(on));
  const second = await on.stoppedAt('drain');
  const turn = (await on.fences()).legacy.turn;
  expect(turn).not.toBeNull();
  first.release();
  if (fate === 'goes on') first.go();
  const end = await first.ended;
  await until('the end of its close', async () => (await sessions(on)).every((each) => !before.has(each)));
  const { owner } = (await on.fences()).legacy;
  if (written === 'XA') await cron.query("XA COMMIT 'cron'");
  second.release();
  second.go();
  return { id, end, owner, second: await second.ended };
}

const sessions = async (on: Stage) =>
  (await on.pair.legacy.query("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'banyan_cli'")).map(
    ({ ID }) => Number(ID),
  );

test.each([
  ['READ COMMITTED', 'goes on', 'XA'],
  ['REPEATABLE READ', 'is killed', 'XA'],
  ['REPEATABLE READ', 'goes on', 'a transaction'],
  ['READ COMMITTED', 'is killed', 'a transaction'],
] as const)(
  'at %s: the first %s, cron writes by %s',
  async (...given) => {
    stage = await startStage();
    const clients = stage.startClients(2);
    const { id, end, owner, second } = await twoTurns(stage, given);
    expect(owner).toBe('legacy');
    expect(end.code).toBe(given[1] === 'goes on' ? 4 : -1);
    // It finds the write that is prepared and not decided, unless that was decided just before.
    expect([0, 4]).toContain(second.code);
    await stage.done('cutover');
    await clients.more(5);
    await clients.stop();
    stage.acknowledged.add(id);
    await stage.expectWhole();
  },
  120_000,
);

// Without XA what was written between the turns lies before the close row, and opening waits for that
// (secondLines, "turn id in close").
const anyTurn: Mutation = {
  file: 'capability/fence.ts',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is that file's text
  replace: 'AND turn_id = ? AND ${now} < turn_deadline',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: likewise
  by: 'AND (turn_id = ? OR TRUE) AND ${now} < turn_deadline',
};

test('a close that takes any turn for its own loses the write', async () => {
  stage = await startStage();
  const { id, owner } = await twoTurns(stage, ['READ COMMITTED', 'goes on', 'XA'], mutantEnv(anyTurn));
  expect(owner).toBe('service');
  const there = stage;
  await until('the opening', async () => (await there.admitting()).includes('service'));
  await stage.pair.aligned();
  expect(await stage.lost([id])).toEqual([id]);
}, 120_000);
