// What a session makes of its own time, by its time zone or by SET timestamp, opens no fence. Clocks that are set back are in
// time-zone-and-set-timestamp.full.mysql.test.ts.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mutantEnv } from './mutant.ts';
import { type IsolationLevel, isolationLevels, type Stage, startStage } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await startStage(0);
}, 120_000);
afterAll(() => stage?.[Symbol.asyncDispose]());

const ownTimes = [
  "SET time_zone = '+09:00'",
  "SET time_zone = '-11:00'",
  'SET timestamp = UNIX_TIMESTAMP() + 3600',
  'SET timestamp = UNIX_TIMESTAMP() - 3600',
] as const;

/** A turn that outlasts the test, unless it is ended. */
const turned = (on: Stage) =>
  on.pair.legacy.query(
    'UPDATE banyan.banyan_fence SET turn_id = 1000, turn_deadline = UNIX_TIMESTAMP(SYSDATE(6)) + 1000',
  );

const deadlinePassed = (on: Stage) =>
  on.pair.legacy.query('UPDATE banyan.banyan_fence SET turn_deadline = UNIX_TIMESTAMP(SYSDATE(6)) - 0.001');

async function passes(on: Stage, ownTime: string, level: IsolationLevel): Promise<boolean> {
  const cron = await on.as('legacy', 'cron', level);
  await cron.query(ownTime);
  return cron.query("INSERT INTO item VALUES (?, 'in its own time')", [on.nextId()]).then(
    () => true,
    (error: Error) => {
      if (!error.message.startsWith('banyan: refused')) throw error;
      return false;
    },
  );
}

/** Whether each writes during a turn. */
const all = (on: Stage) =>
  Promise.all(isolationLevels.flatMap((level) => ownTimes.map((each) => passes(on, each, level))));

test('a turn is over for everybody at once', async () => {
  await turned(stage);
  expect(new Set(await all(stage))).toEqual(new Set([false]));
  await deadlinePassed(stage);
  expect(new Set(await all(stage))).toEqual(new Set([true]));
}, 120_000);

test.each([
  ['NOW()', 'UNIX_TIMESTAMP(NOW(6)) <= deadline', 'SET timestamp = UNIX_TIMESTAMP() + 3600'],
  [
    'a deadline as DATETIME',
    "SYSDATE(6) <= '1970-01-01' + INTERVAL deadline SECOND",
    "SET time_zone = '+09:00'",
  ],
] as const)(
  'a trigger that goes by %s lets some pass',
  async (_what, by, ownTime) => {
    await stage.pair.legacy.query("SET GLOBAL time_zone = '+00:00'");
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is that file's text
    const replace = '${now} <= deadline';
    await stage.enforce(mutantEnv({ file: 'capability/fence-triggers.ts', replace, by }));
    await turned(stage);
    expect(await passes(stage, ownTime, 'READ COMMITTED')).toBe(true);
  },
  120_000,
);
