// Faults put into the target by hand, past the stream: one value of each type, values that are nearly the same, rows
// that are gone or too much, under keys of every kind. Each is found, named and mended; with the owner on either side.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inserts, keyInserts, keyTables, typeTables } from '../sync/every-type.ts';
import { otherSide, type Pair, type Side, startPair, things } from '../sync/pair.ts';
import type { WorkerProcess } from '../sync/worker-process.ts';
import { near } from './near.ts';
import { verified } from './verified.ts';

const name = (text: string) => `\`${text.replaceAll('`', '``')}\``;

/** One column of each, and as many rows. */
const nearDdl = `CREATE TABLE near (id INT PRIMARY KEY, ${near.map(([type], index) => `c${index} ${type}${/NULL/.test(type) ? '' : ' NULL'}`).join(', ')}) CHARACTER SET utf8mb4;`;

let pair: Pair;
let worker: WorkerProcess;
beforeAll(async () => {
  pair = await startPair({
    tables: ['near', ...[...typeTables, ...keyTables].map(({ table }) => table)],
    ddl: [nearDdl, ...[...typeTables, ...keyTables].map(({ ddl }) => ddl)].join('\n'),
    workerWords: ['--chunk-rows', '3'],
  });
  worker = await pair.startWorker();
});
afterAll(() => pair?.[Symbol.asyncDispose]());

/** @param logged false: what the stream never sees */
async function run(side: Side, statements: readonly string[], logged = true): Promise<void> {
  const sql = await pair.connect(side);
  try {
    if (!logged) await sql.query('SET sql_log_bin = 0');
    for (const statement of statements) await sql.query(statement);
  } finally {
    sql.destroy();
  }
}

const everything = () => [
  ...typeTables.flatMap((table) => [`DELETE FROM ${name(table.table)}`, ...inserts(table, 0)]),
  ...keyTables.flatMap((table) => [`DELETE FROM ${table.table}`, ...keyInserts(table)]),
  'DELETE FROM near',
  ...near.map((_, row) => `INSERT INTO near VALUES (${row}, ${near.map(([, one]) => one).join(', ')})`),
];

describe.each(['legacy', 'service'] as const)('while %s owns', (owner) => {
  const target = otherSide(owner);
  const verify = (...words: string[]) => verified(pair, things, ...words);

  beforeAll(async () => {
    if ((await pair.owner(owner)).owner !== owner) await pair.turn(owner);
    await run(owner, everything());
    await pair.aligned();
  }, 120_000);

  test('both sides are the same: nothing is found', async () => {
    const result = await verify();
    expect(result, pair.logs()).toMatchObject({ ok: true, missing: 0, extra: 0, different: 0, unproven: 0 });
    for (const table of result.tables)
      expect(table).toMatchObject({ owner, method: 'checksum', readRows: 0 });
    expect(result.rows).toBeGreaterThan(200);
  });

  test('one value of each type, and each nearly the same value, is found, named and mended', async () => {
    const faults = typeTables.map(({ table, columns }) => {
      const set = columns.map(({ values }, index) => `c${index} = ${values[1] ?? 'NULL'}`);
      return `UPDATE IGNORE ${name(table)} SET ${set.join(', ')} WHERE id = 0`;
    });
    const faulty = typeTables.length + near.length;
    await run(target, faults, false);
    // One column a row.
    await run(
      target,
      near.map(([, , other], index) => `UPDATE near SET c${index} = ${other} WHERE id = ${index}`),
      false,
    );
    const found = await verify();
    expect(found).toMatchObject({ ok: false, missing: 0, extra: 0, different: faulty });
    const columnsOf = (table: string) =>
      found.tables.find((each) => each.table === table)?.examples.flatMap(({ columns }) => columns);
    expect(found.tables.find(({ table }) => table === 'near')?.examples).toEqual(
      near
        .map((_, id) => ({ class: 'different', table: 'near', key: { id }, columns: [`c${id}`] }))
        .slice(0, 20),
    );
    for (const { table, columns } of typeTables)
      expect(columnsOf(table)).toEqual(columns.map((_, index) => `c${index}`));
    // A dry run changes nothing.
    const dry = await verify('--repair');
    expect(dry).toMatchObject({ ok: false, different: faulty, repaired: 0 });
    expect(await pair.compare()).not.toEqual([]);
    const mended = await verify('--repair', '--execute');
    expect(mended, pair.logs()).toMatchObject({ ok: true, repaired: faulty, different: 0 });
    expect(await pair.compare()).toEqual([]);
  }, 120_000);

  test('a row that is gone, and one too much, under keys of every kind', async () => {
    for (const { table } of keyTables) {
      const order = table.startsWith('keys') ? ['a', 'k', 'b'] : ['k'];
      await run(target, [`DELETE FROM ${table} ORDER BY ${order.join(', ')} LIMIT 1`], false);
      await run(
        owner,
        [`DELETE FROM ${table} ORDER BY ${order.map((column) => `${column} DESC`).join(', ')} LIMIT 1`],
        false,
      );
    }
    const found = await verify();
    const each = keyTables.length;
    expect(found, JSON.stringify(found.tables)).toMatchObject({
      ok: false,
      missing: each,
      extra: each,
      different: 0,
    });
    for (const { table } of keyTables)
      expect(found.tables.find((one) => one.table === table)).toMatchObject({ missing: 1, extra: 1 });
    const mended = await verify('--repair', '--execute');
    expect(mended, pair.logs()).toMatchObject({ ok: true, repaired: 2 * each });
    expect(await pair.compare()).toEqual([]);
  }, 120_000);

  test('nothing of it was a fault of the stream', async () => {
    await pair.aligned();
    expect(await pair.faults()).toEqual([]);
    expect(worker.isAlive()).toBe(true);
  });
});
