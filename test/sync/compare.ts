// Both sides of a table, row by row, by SQL of its own: no code of the stream takes part. Each value becomes a text
// that hides no difference: the bytes of texts, the numbers of ENUM and SET, all digits of a FLOAT.
import { createHash } from 'node:crypto';
import type { RowDataPacket } from 'mysql2/promise';
import type { SideServer } from './servers.ts';

const quote = (name: string) => `\`${name.replaceAll('`', '``')}\``;

/** How a column's value is said as a text. */
function said(column: string, type: string): string {
  const name = quote(column);
  if (/^(float|double|real)$/.test(type)) return `CAST(CAST(${name} AS DOUBLE) AS CHAR)`;
  if (/^(tiny|small|medium|big)?int$|^(decimal|year|date|time|datetime|timestamp)$/.test(type))
    return `CAST(${name} AS CHAR)`;
  if (/^(enum|set|bit)$/.test(type)) return `CONCAT(${name} + 0, ':', HEX(${name}))`;
  if (/^(inet4|inet6|uuid)$/.test(type)) return `CAST(${name} AS CHAR)`;
  return `HEX(${name})`;
}

type Table = { readonly md5: string; readonly rows: ReadonlyMap<string, string> };

async function readTable(server: SideServer, schema: string, table: string): Promise<Table> {
  const sql = await server.connect();
  try {
    const [columns] = await sql.query<RowDataPacket[]>(
      'SELECT COLUMN_NAME AS name, DATA_TYPE AS type, COLUMN_KEY AS k FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION',
      [schema, table],
    );
    const list = (which: RowDataPacket[]) =>
      which.map(({ name, type }) => `COALESCE(${said(name, type)}, 'NULL')`).join(", '|', ");
    const [rows] = await sql.query<RowDataPacket[]>(
      `SELECT CONVERT(CONCAT(${list(columns.filter(({ k }) => k === 'PRI'))}) USING utf8mb4) AS k, CONVERT(CONCAT(${list(columns)}) USING utf8mb4) AS v FROM ${quote(schema)}.${quote(table)}`,
    );
    const sorted = rows.map(({ k, v }): [string, string] => [k, v]).sort(([a], [b]) => (a < b ? -1 : 1));
    const hash = createHash('md5');
    for (const [, row] of sorted) hash.update(row).update('\n');
    return { md5: hash.digest('hex'), rows: new Map(sorted) };
  } finally {
    sql.destroy();
  }
}

const short = (text: string | undefined) => (text === undefined ? 'no such row' : text.slice(0, 600));

/** What differs, one line a table; empty when both sides are equal. */
export async function differences(
  legacy: { readonly server: SideServer; readonly schema: string },
  service: { readonly server: SideServer; readonly schema: string },
  tables: readonly string[],
): Promise<string[]> {
  const found: string[] = [];
  for (const table of tables) {
    const [one, other] = await Promise.all([
      readTable(legacy.server, legacy.schema, table),
      readTable(service.server, service.schema, table),
    ]);
    if (one.md5 === other.md5) continue;
    const keys = [...new Set([...one.rows.keys(), ...other.rows.keys()])].filter(
      (key) => one.rows.get(key) !== other.rows.get(key),
    );
    const [first = ''] = keys;
    found.push(
      `${table}: ${one.rows.size} rows on legacy, ${other.rows.size} on the service, ${keys.length} keys differ; the first is ${first}\n  legacy:  ${short(one.rows.get(first))}\n  service: ${short(other.rows.get(first))}`,
    );
  }
  return found;
}
