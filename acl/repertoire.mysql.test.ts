import { expect, test } from 'vitest';
import { testDatabase } from '../test/databases.ts';
import { euckr } from './repertoire.ts';

test('euckr holds exactly the characters that the server stores and gives back', async () => {
  await using database = await testDatabase('legacy');
  const { sql } = database;
  await sql.query('CREATE TABLE t (c INT PRIMARY KEY, e VARCHAR(4) CHARACTER SET euckr) CHARSET utf8mb4');
  await sql.query("SET sql_mode = ''");
  const points = Array.from({ length: 0xffff }, (_, index) => index + 1).filter(
    (point) => point < 0xd800 || point > 0xdfff,
  );
  for (let at = 0; at < points.length; at += 8_000)
    await sql.query('INSERT IGNORE INTO t VALUES ?', [
      points.slice(at, at + 8_000).map((point) => [point, String.fromCodePoint(point)]),
    ]);
  const [rows] = await sql.query('SELECT c, e FROM t ORDER BY c');
  const stored = (rows as { c: number; e: string }[])
    .filter(({ c, e }) => e === String.fromCodePoint(c))
    .map(({ c }) => c);
  expect(stored.length).toBeGreaterThan(17_000);
  expect(points.filter((point) => euckr.holds(point))).toEqual(stored);
  expect(euckr.holds(0x1f600)).toBe(false);
});
