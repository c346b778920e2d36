// Which rows of a chunk have a key that has passed in the stream meanwhile. Texts are compared by the server, in
// the column's own collation ('a' and 'A', trailing spaces); what has one notation only is compared as it is.
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { Row } from '../acl/translator.ts';
import { literal, quoteName } from './statements.ts';

export type KeyColumn = {
  readonly name: string;
  /** Set for texts. */
  readonly charset: string | undefined;
  readonly collation: string | undefined;
};

export async function readKeyColumns(
  sql: Connection,
  schema: string,
  table: string,
  key: readonly string[],
): Promise<KeyColumn[]> {
  const [rows] = await sql.query<RowDataPacket[]>(
    'SELECT COLUMN_NAME AS name, DATA_TYPE AS type, CHARACTER_SET_NAME AS charset, COLLATION_NAME AS collation FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?',
    [schema, table],
  );
  return key.map((name) => {
    const row = rows.find((each) => each.name === name);
    const isText =
      row !== undefined &&
      /char|text/i.test(String(row.type)) &&
      row.charset !== null &&
      row.charset !== 'binary';
    return {
      name,
      charset: isText ? String(row.charset) : undefined,
      collation: isText ? String(row.collation) : undefined,
    };
  });
}

/** The value in the column's own type, for comparison. */
const typed = ({ charset, collation }: KeyColumn, value: Row[string] | undefined) =>
  charset === undefined ? literal(value) : `CONVERT(${literal(value)} USING ${charset}) COLLATE ${collation}`;

/** @returns indexes into `keys` of those that equal one of `others` */
export async function sameKeys(
  sql: Connection,
  columns: readonly KeyColumn[],
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
  const [rows] = await sql.query<RowDataPacket[]>(
    `SELECT DISTINCT c.i FROM (${keys.map(select).join(' UNION ALL ')}) c JOIN (${distinct.map(select).join(' UNION ALL ')}) s
     ON ${columns.map((_, at) => `c.k${at} = s.k${at}`).join(' AND ')}`,
  );
  return new Set(rows.map(({ i }) => Number(i)));
}

/**
 * Rows after a key, in the server's own key order. `a > ? OR (a = ? AND b > ?)`, with `a >= ?` in front so that
 * the index range has a start.
 */
export function afterKey(key: readonly string[], last: Row): string {
  const [first = ''] = key;
  const at = (column: string) => literal(last[column]);
  if (key.length === 1) return `${quoteName(first)} > ${at(first)}`;
  const alternatives = key.map(
    (column, index) =>
      `(${[...key.slice(0, index).map((before) => `${quoteName(before)} = ${at(before)}`), `${quoteName(column)} > ${at(column)}`].join(' AND ')})`,
  );
  return `${quoteName(first)} >= ${at(first)} AND (${alternatives.join(' OR ')})`;
}

/** Rows up to a key, it included. */
export function upToKey(key: readonly string[], last: Row): string {
  return `NOT (${afterKey(key, last)})`;
}
