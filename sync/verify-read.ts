// Reading a table for comparison: ranges of keys in the server's own order, sums over a range, rows by their keys.
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { hashOfRows } from '../acl/sql-row.ts';
import type { Row } from '../acl/translator.ts';
import { literal, numberLiteral, quoteName } from './literal.ts';
import { afterKey, upToKey } from './same-keys.ts';
import { compared, type SourceColumn, selected } from './source-columns.ts';
import { rowsOfKeys } from './verify-compare.ts';
import type { SideTable } from './verify-plan.ts';

/** Keys after one, up to another; undefined: from the first, to the last. */
export type KeyRange = { readonly after: Row | undefined; readonly upTo: Row | undefined };

export type RangeSum = { readonly rows: number; readonly hash: bigint };

/** Keys looked up in one statement; of composite keys fewer, for a plan of many alternatives takes its time. */
const keysMax = 500;
const compositeKeysMax = 100;

export const hashName = 'banyan hash';

const inRange = ({ key, filter }: SideTable, { after, upTo }: KeyRange): string =>
  [filter, ...(after ? [afterKey(key, after)] : []), ...(upTo ? [upToKey(key, upTo)] : [])].join(' AND ');

const orderOf = ({ key }: SideTable) => key.map(({ name }) => quoteName(name)).join(', ');

export const keyOf = ({ key }: SideTable, row: Row): Row =>
  Object.fromEntries(key.map(({ name }) => [name, row[name] ?? null]));

async function select(sql: Connection, statement: string): Promise<Row[]> {
  const [rows] = await sql.query<(Row & RowDataPacket)[]>(statement);
  return rows;
}

/** The key so many rows further on, or undefined when there are fewer. */
export async function keyAhead(
  sql: Connection,
  table: SideTable,
  range: KeyRange,
  rows: number,
): Promise<Row | undefined> {
  const [row] = await select(
    sql,
    `SELECT ${table.key.map(selected).join(', ')} FROM ${table.from} WHERE ${inRange(table, range)} ORDER BY ${orderOf(table)} LIMIT 1 OFFSET ${rows - 1}`,
  );
  return row;
}

export async function sumOf(
  sql: Connection,
  table: SideTable,
  hash: string,
  range: KeyRange,
): Promise<RangeSum> {
  const [row] = await select(
    sql,
    `SELECT COUNT(*) AS n, ${hashOfRows(hash)} AS hash FROM ${table.from} WHERE ${inRange(table, range)}`,
  );
  return { rows: Number(row?.n), hash: BigInt(String(row?.hash)) };
}

/** Rows in key order. @param only a further condition */
export const rowsIn = (
  sql: Connection,
  table: SideTable,
  columns: readonly SourceColumn[],
  range: KeyRange,
  rowsMax: number,
  only?: string,
): Promise<Row[]> =>
  select(
    sql,
    `SELECT ${columns.map(selected).join(', ')} FROM ${table.from} WHERE ${inRange(table, range)}${only ? ` AND ${only}` : ''} ORDER BY ${orderOf(table)} LIMIT ${rowsMax}`,
  );

/** Types whose list of values the server looks up in the index one by one. */
const listable = /^(tinyint|smallint|mediumint|int|bigint|char|varchar)$/;

function areKeys({ key }: SideTable, rows: readonly Row[]): string {
  const [first, second] = key;
  if (first && !second && listable.test(first.type)) {
    const value = first.type === 'bigint' ? numberLiteral : literal;
    const values = rows.map((row) => value(row[first.name]));
    return `${quoteName(first.name)} IN (${values.join(',')})`;
  }
  return rows
    .map((row) => `(${key.map((column) => compared(column, '=', row[column.name])).join(' AND ')})`)
    .join(' OR ');
}

/**
 * The rows of these keys, in their order.
 * @param hash an expression that each row then has as well
 */
export async function rowsByKey(
  sql: Connection,
  table: SideTable,
  columns: readonly SourceColumn[],
  keys: readonly Row[],
  hash?: string,
): Promise<(Row | undefined)[]> {
  const what = [...columns.map(selected), ...(hash ? [`${hash} AS ${quoteName(hashName)}`] : [])];
  const atOnce = table.key.length > 1 ? compositeKeysMax : keysMax;
  const found: (Row | undefined)[] = [];
  for (let from = 0; from < keys.length; from += atOnce) {
    const some = keys.slice(from, from + atOnce);
    const rows = await select(
      sql,
      `SELECT ${what.join(', ')} FROM ${table.from} WHERE ${table.filter} AND (${areKeys(table, some)})`,
    );
    found.push(...(await rowsOfKeys(sql, table.key, some, rows)));
  }
  return found;
}
