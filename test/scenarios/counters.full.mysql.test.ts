// A number that was given once is never given again, by whichever side: after a cutover and a rollback, with the newest rows deleted,
// and with a restart of the server that was raised, before it has given a number itself. The streams do not stop at the raise. About 40 s.
import type { Connection, ResultSetHeader } from 'mysql2/promise';
import { afterEach, expect, test } from 'vitest';
import { otherSide, type Side } from '../sync/pair.ts';
import { mutantEnv } from './mutant.ts';
import { type Stage, startStage } from './stage.ts';

let stage: Stage;
afterEach(() => stage?.[Symbol.asyncDispose]());

async function startCounting(): Promise<void> {
  stage = await startStage();
  for (const side of ['legacy', 'service'] as const)
    await stage.pair
      .server(side)
      .query(
        `SET sql_log_bin = 0; ALTER TABLE ${stage.pair.schema(side)}.item MODIFY id INT NOT NULL AUTO_INCREMENT; SET sql_log_bin = 1`,
      );
}

const insert = async (sql: Connection): Promise<number> =>
  (await sql.query<ResultSetHeader>("INSERT INTO item (v) VALUES ('numbered')"))[0].insertId;

/** Two rows that stay, one that is deleted again, and one that is taken back, which no stream ever sees. @returns the numbers */
async function give(side: Side): Promise<number[]> {
  const sql = await stage.as(side, 'app');
  const given = [await insert(sql), await insert(sql), await insert(sql)];
  for (const id of given.slice(0, 2)) stage.acknowledged.add(id);
  await stage.pair.aligned();
  await sql.query('DELETE FROM item WHERE id = ?', [given[2]]);
  await sql.beginTransaction();
  const unseen = await insert(sql);
  await sql.rollback();
  sql.destroy();
  await stage.pair.aligned();
  return [...given, unseen];
}

const repeated = (numbers: readonly number[]) => numbers.filter((id, at) => numbers.indexOf(id) < at);

test('counters', { timeout: 120_000 }, async () => {
  await startCounting();
  const numbers = await give('legacy');
  for (const move of ['cutover', 'rollback', 'cutover'] as const) {
    await stage.done(move, ['--wait', '40']);
    const { owner } = (await stage.fences()).legacy;
    const server = stage.pair.server(owner);
    await server.crash();
    await server.start();
    const given = await give(owner);
    expect(Math.min(...given)).toBeGreaterThan(Math.max(...numbers));
    numbers.push(...given);
    expect((await stage.pair.owner(otherSide(owner))).owner).toBe(owner);
  }
  expect(repeated(numbers)).toEqual([]);
  await stage.expectWhole();
});

test('without the raise, and without a look whether it was done, numbers are given again', {
  timeout: 120_000,
}, async () => {
  await startCounting();
  const numbers = await give('legacy');
  const file = 'scripts/change-checks.ts';
  const env = mutantEnv(
    {
      file,
      replace: 'await raiseCounters(counterEnds(input, from, { ...on, [to]: applier }));',
      by: 'on ? [] : [];',
    },
    { file, replace: '.filter(({ source, target }) => target < source)', by: '.filter(() => false)' },
  );
  const { code, stderr } = await stage.change({ env, words: ['--wait', '40'] }).ended;
  expect(code, stderr).toBe(0);
  numbers.push(...(await give('service')));
  expect(repeated(numbers)).not.toEqual([]);
});
