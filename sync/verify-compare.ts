// Whether two values are the same value of a column, as the driver gives them; and how rows found by key are put
// beside the keys that were asked for.
import type { Connection } from 'mysql2/promise';
import type { Value } from '../acl/domain.ts';
import type { Row } from '../acl/translator.ts';
import { literal } from './literal.ts';
import { sameKeys } from './same-keys.ts';
import type { SourceColumn } from './source-columns.ts';

const timed = /^(datetime|timestamp|time)$/;
const bytes = /(binary|blob)$/;

/** One notation of what a column holds: a translator may say a DECIMAL without its zeros, or a time without them. */
function canonical({ type }: SourceColumn, value: Exclude<Value, null>): string {
  if (value instanceof Uint8Array) return literal(value);
  const text = Object.is(value, -0) ? '-0' : String(value);
  if (type === 'decimal') return decimal(text);
  if (timed.test(type)) return text.replace(/(\.\d*?)0*$/, '$1').replace(/\.$/, '');
  // The server takes spaces away from the end of a CHAR when it is read.
  if (type === 'char') return text.replace(/ +$/, '');
  return bytes.test(type) ? literal(Buffer.from(text)) : text;
}

function decimal(text: string): string {
  const [, sign = '', whole = '', places = ''] = /^(-?)0*(\d*)\.?(\d*?)0*$/.exec(text) ?? [];
  return whole === '' && places === '' ? (/\d/.test(text) ? '0' : text) : `${sign}${whole}.${places}`;
}

export const isSameValue = (column: SourceColumn, one: Value, other: Value): boolean =>
  Object.is(one, other) ||
  (one !== null && other !== null && canonical(column, one) === canonical(column, other));

/** The columns in which an actual row is not what is expected. */
export const differingColumns = (columns: readonly SourceColumn[], expected: Row, actual: Row): string[] =>
  columns
    .filter((column) => column.name in expected)
    .filter((column) => !isSameValue(column, expected[column.name] ?? null, actual[column.name] ?? null))
    .map(({ name }) => name);

/** A key as one text, in one notation. */
export const keyText = (columns: readonly SourceColumn[], row: Row): string =>
  JSON.stringify(columns.map((column) => canonical(column, row[column.name] ?? '')));

/**
 * The row of each key, by what the server calls equal: the same notation first, then the server is asked.
 * @returns in the order of the keys
 */
export async function rowsOfKeys(
  sql: Connection,
  columns: readonly SourceColumn[],
  keys: readonly Row[],
  rows: readonly Row[],
): Promise<(Row | undefined)[]> {
  const byText = new Map(rows.map((row) => [keyText(columns, row), row]));
  const found = keys.map((key) => byText.get(keyText(columns, key)));
  const taken = new Set(found);
  const left = keys.flatMap((_, index) => (found[index] ? [] : [index]));
  if (left.length === 0) return found;
  for (const row of rows) {
    if (taken.has(row)) continue;
    const without = left.map((index) => keys[index] ?? {});
    for (const at of await sameKeys(sql, columns, without, [row])) {
      const index = left[at];
      if (index !== undefined) found[index] = row;
    }
  }
  return found;
}
