// Which rows of a chunk have a key that has passed in the stream meanwhile. Texts are compared by the server, in
// the column's own collation ('a' and 'A', trailing spaces); what has one notation only is compared as it is.
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { Row } from '../acl/translator.ts';
import { literal } from './literal.ts';
import { compared, type SourceColumn } from './source-columns.ts';

/** Keys that have passed, compared in one statement. */
const passedMax = 1_000;

/** The value in the column's own type, for comparison. */
const typed = ({ charset, collation }: SourceColumn, value: Row[string] | undefined) =>
  charset === undefined ? literal(value) : `CONVERT(${literal(value)} USING ${charset}) COLLATE ${collation}`;

/** @returns indexes into `keys` of those that equal one of `others` */
export async function sameKeys(
  sql: Connection,
  columns: readonly SourceColumn[],
  keys: readonly Row[],
  others: readonly Row[],
): Promise<ReadonlySet<number>> {
  if (keys.length === 0 || others.length === 0) return new Set();
  const exact = (row: Row) => columns.map(({ name }) => literal(row[name])).join();
  if (columns.every(({ charset }) => charset === undefined)) {
    const seen = new Set(others.map(exact));
    return new Set(keys.flatMap((key, index) => (seen.has(exact(key)) ? [index] : [])));
  }
  const select = (row: Row, index: number) =>
    `SELECT ${index} AS i, ${columns.map((column, at) => `${typed(column, row[column.name])} AS k${at}`).join(', ')}`;
  const distinct = [...new Map(others.map((row) => [exact(row), row])).values()];
  const same = new Set<number>();
  for (let from = 0; from < distinct.length; from += passedMax) {
    const passed = distinct.slice(from, from + passedMax);
    const [rows] = await sql.query<RowDataPacket[]>(
      `SELECT DISTINCT c.i FROM (${keys.map(select).join(' UNION ALL ')}) c JOIN (${passed.map(select).join(' UNION ALL ')}) s
       ON ${columns.map((_, at) => `c.k${at} = s.k${at}`).join(' AND ')}`,
    );
    for (const { i } of rows) same.add(Number(i));
  }
  return same;
}

/**
 * Rows after a key, in the server's own key order. `a > ? OR (a = ? AND b > ?)`, with `a >= ?` in front so that
 * the index range has a start.
 */
export function afterKey(columns: readonly SourceColumn[], last: Row): string {
  const [first] = columns;
  if (!first) throw new Error('a key has columns');
  const is = (column: SourceColumn, operator: '=' | '>' | '>=') =>
    compared(column, operator, last[column.name]);
  if (columns.length === 1) return is(first, '>');
  const alternatives = columns.map(
    (column, index) =>
      `(${[...columns.slice(0, index).map((before) => is(before, '=')), is(column, '>')].join(' AND ')})`,
  );
  return `${is(first, '>=')} AND (${alternatives.join(' OR ')})`;
}

/** Rows up to a key, it included. */
export function upToKey(columns: readonly SourceColumn[], last: Row): string {
  return `NOT (${afterKey(columns, last)})`;
}
