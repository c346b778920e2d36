// Every type, at its edges, both ways: what the owner has is what the other side has, byte for byte. The servers
// have time zones and modes of their own, as servers that have been around do.
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  bulkInserts,
  deletes,
  inserts,
  keyChanges,
  keyInserts,
  keyTables,
  typeTables,
  updates,
} from './every-type.ts';
import { type Pair, type Side, startPair } from './pair.ts';

const oddModes =
  "SET GLOBAL sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,PIPES_AS_CONCAT,IGNORE_SPACE'";
let pair: Pair;
beforeAll(async () => {
  pair = await startPair({
    tables: [...typeTables, ...keyTables].map(({ table }) => table),
    ddl: [...typeTables, ...keyTables].map(({ ddl }) => ddl).join('\n'),
    settings: {
      legacy: ["SET GLOBAL time_zone = '+09:00'", oddModes],
      service: ["SET GLOBAL time_zone = '-11:00'", oddModes],
    },
    workerWords: ['--chunk-rows', '2'],
  });
});
afterAll(() => pair?.[Symbol.asyncDispose]());

async function run(side: Side, statements: readonly string[], logged = true): Promise<void> {
  const sql = await pair.connect(side);
  try {
    if (!logged) await sql.query('SET sql_log_bin = 0');
    for (const statement of statements) await sql.query(statement);
  } finally {
    sql.destroy();
  }
}

test('each type at its edges, inserted, updated, deleted, as value and as key, in both directions', {
  timeout: 120_000,
}, async () => {
  await using stack = new AsyncDisposableStack();
  const worker = await pair.startWorker();
  stack.defer(() => worker.kill());
  for (const [side, idFrom] of [
    ['legacy', 0],
    ['service', 1_000],
  ] as const) {
    if (side === 'service') await pair.turn('service');
    for (const make of [inserts, updates, bulkInserts, deletes]) {
      for (const table of typeTables) await run(side, make(table, idFrom));
      await pair.aligned(side);
      expect(await pair.compare()).toEqual([]);
    }
    for (const make of [keyInserts, keyChanges]) {
      for (const table of keyTables)
        await run(side, [...(make === keyInserts ? [`DELETE FROM ${table.table}`] : []), ...make(table)]);
      await pair.aligned(side);
      expect(await pair.compare()).toEqual([]);
    }
  }
  expect(await pair.faults()).toEqual([]);
});

test('rows that were there before, read in the order of keys of every type, come out the same', {
  timeout: 120_000,
}, async () => {
  await using stack = new AsyncDisposableStack();
  const worker = await pair.startWorker();
  stack.defer(() => worker.kill());
  if ((await pair.owner('legacy')).owner !== 'legacy') await pair.turn('legacy');
  await pair.aligned();
  // The binlog never had them: they come by the backfill alone.
  const unlogged = (statements: readonly string[]) => run('legacy', statements, false);
  for (const table of typeTables)
    await unlogged([`DELETE FROM \`${table.table.replaceAll('`', '``')}\``, ...inserts(table, 0)]);
  for (const table of keyTables) await unlogged([`DELETE FROM ${table.table}`, ...keyInserts(table)]);
  await run(
    'service',
    [...typeTables, ...keyTables].map(({ table }) => `DELETE FROM \`${table.replaceAll('`', '``')}\``),
    false,
  );
  expect(await pair.compare()).not.toEqual([]);
  const backfill = await pair.banyan('backfill', 'things', '--json');
  expect(backfill.stderr + backfill.stdout, pair.logs()).toContain('"ok":true');
  expect(await pair.compare()).toEqual([]);
  expect(await pair.faults()).toEqual([]);
});
