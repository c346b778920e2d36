// The sum of a row sees every difference, of every type; and no two fields can run into each other.
import { expect, test } from 'vitest';
import { testDatabase } from '../test/databases.ts';
import { near } from '../test/verify/near.ts';
import type { SqlColumn } from './sql-form.ts';
import { modelField, rowHash, sameField } from './sql-row.ts';

async function columnsOf(sql: Awaited<ReturnType<typeof testDatabase>>['sql']): Promise<SqlColumn[]> {
  const [rows] = await sql.query(
    "SELECT CONCAT('`', COLUMN_NAME, '`') AS name, COLUMN_TYPE AS type, CHARACTER_SET_NAME AS charset FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND COLUMN_NAME <> 'id' ORDER BY ORDINAL_POSITION",
  );
  return rows as SqlColumn[];
}

test('values that are easily taken for each other have other sums', async () => {
  await using database = await testDatabase('legacy');
  const { sql } = database;
  await sql.query("SET NAMES utf8mb4; SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'");
  for (const [type, one, other] of near) {
    await sql.query(
      `CREATE OR REPLACE TABLE t (id INT PRIMARY KEY, c ${type}${/NULL/.test(type) ? '' : ' NULL'}) CHARACTER SET utf8mb4`,
    );
    await sql.query(`INSERT IGNORE INTO t VALUES (1, ${one}), (2, ${other}), (3, ${one})`);
    const [column] = await columnsOf(sql);
    if (!column) throw new Error('no column');
    for (const field of [sameField(column), modelField(column)]) {
      if (field === undefined) continue;
      const [rows] = await sql.query(`SELECT ${rowHash([field])} AS hash FROM t ORDER BY id`);
      const [first, second, third] = (rows as { hash: string | null }[]).map(({ hash }) => hash);
      expect([type, first, first !== second], field).toEqual([type, third, true]);
      expect(first).not.toBeNull();
    }
  }
});

test('what is at the end of one field is not at the beginning of the next', async () => {
  await using database = await testDatabase('legacy');
  const { sql } = database;
  await sql.query(
    'CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, a VARCHAR(20) NULL, b VARCHAR(20) NULL, n INT NULL) CHARACTER SET utf8mb4',
  );
  const values = ['', '|', '~', '1:', '|0:', '1:a|', 'a|1:a', null];
  for (const a of values)
    for (const b of values)
      for (const n of [1, 11, null]) await sql.query('INSERT INTO t (a, b, n) VALUES (?, ?, ?)', [a, b, n]);
  const columns = await columnsOf(sql);
  for (const fields of [columns.map(sameField), columns.map((column) => modelField(column) ?? '')]) {
    const [rows] = await sql.query(
      `SELECT COUNT(*) AS n, COUNT(DISTINCT ${rowHash(fields)}) AS hashes FROM t`,
    );
    const [counted] = rows as { n: string; hashes: string }[];
    expect(counted?.hashes).toBe(counted?.n);
  }
});
