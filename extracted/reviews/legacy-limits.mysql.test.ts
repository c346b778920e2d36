import { expect, test } from 'vitest';
import { encodedLength, isEuckr } from './legacy-limits.ts';
import { testDatabase } from './test-database.ts';

test("the repertoire is MariaDB's own: what a euckr column gives back unchanged, for every BMP character", async () => {
  await using database = await testDatabase();
  const { sql, rows } = database;
  // Not strict: what cannot be held is to become a question mark, not an error.
  await sql.query(`SET SESSION sql_mode = '';
    CREATE TABLE text (code INT PRIMARY KEY, is_utf8 CHAR(3) CHARACTER SET utf8mb4, is_euckr CHAR(3) CHARACTER SET euckr)`);
  const codes = Array.from({ length: 0x10000 }, (_, code) => code).filter(
    (code) => code < 0xd800 || code > 0xdfff,
  );
  for (let from = 0; from < codes.length; from += 4096)
    await sql.query('INSERT INTO text (code, is_utf8) VALUES ?', [
      // Letters around it: a lone space would be lost as padding.
      codes.slice(from, from + 4096).map((code) => [code, `x${String.fromCodePoint(code)}y`]),
    ]);
  await sql.query('UPDATE text SET is_euckr = is_utf8');
  const held = await rows(
    'SELECT code FROM text WHERE CAST(CONVERT(is_euckr USING utf8mb4) AS BINARY) = CAST(is_utf8 AS BINARY)',
  );
  const mariadb = new Set(held.map((row) => Number(row.code)));
  expect(codes.filter((code) => isEuckr(code) !== mariadb.has(code))).toEqual([]);
  expect(mariadb.size).toBe(128 + 17_048);
});

test('a text of the greatest encoded length fits the column, and one more does not', async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sql.query(
    "SET SESSION sql_mode = 'STRICT_TRANS_TABLES'; CREATE TABLE text (body VARCHAR(2000) CHARACTER SET euckr)",
  );
  const encode = (text: string) =>
    [...text].map((one) => (isEuckr(one.codePointAt(0) ?? 0) ? one : `&#${one.codePointAt(0)};`)).join('');
  const body = `${'똠'.repeat(1982)}😀é가나다`;
  expect(encodedLength(body)).toBe(2000);
  await sql.query('INSERT INTO text VALUES (?)', [encode(body)]);
  await expect(sql.query('INSERT INTO text VALUES (?)', [encode(`${body}라`)])).rejects.toThrow(/too long/);
});
