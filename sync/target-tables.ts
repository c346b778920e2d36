// What the server says of tables that the stream writes: keys, columns, what could make two rows one.
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { type IdentityDeclaration, identityTranslator, isIdentity } from '../acl/identity.ts';
import type { RowTranslator } from '../acl/translator.ts';
import { SyncError } from './errors.ts';

export type TableFacts = {
  readonly table: string;
  readonly primaryKey: readonly string[];
  /** In order; generated ones apart. */
  readonly columns: readonly string[];
  /** Each column's full type (`bigint(20) unsigned NO`), for comparison. */
  readonly types: ReadonlyMap<string, string>;
  /** Unique indexes besides the primary key: an upsert could hit another row through them. */
  readonly otherUniqueKeys: readonly string[];
  readonly hasForeignKey: boolean;
};

/** Types into which the bytes of a text go as those of a text: not those that take bytes for their own form. */
const plainType =
  /^(tinyint|smallint|mediumint|int|bigint|decimal|float|double|year|date|time|datetime|timestamp)\b|^(char|varchar|tinytext|text|mediumtext|longtext|enum|set)\b.* utf8mb4 \S+ (YES|NO)$/;

/** Whether lines in utf8mb4 need no conversion on their way into this table. */
export const isUtf8 = ({ types }: TableFacts): boolean =>
  [...types.values()].every((type) => plainType.test(type));

async function rows(sql: Connection, statement: string, values: unknown[]): Promise<RowDataPacket[]> {
  return (await sql.query<RowDataPacket[]>(statement, values))[0];
}

/** @throws SyncError when there is no such table, or it has no primary key */
export async function readTableFacts(sql: Connection, schema: string, table: string): Promise<TableFacts> {
  const columns = await rows(
    sql,
    `SELECT COLUMN_NAME AS name, EXTRA AS extra, CONCAT_WS(' ', COLUMN_TYPE, CHARACTER_SET_NAME, COLLATION_NAME, IS_NULLABLE) AS type
     FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION`,
    [schema, table],
  );
  if (columns.length === 0)
    throw new SyncError(
      'no-table',
      `there is no table ${schema}.${table}`,
      'start the application that owns it, so that it makes its schema',
    );
  const indexes = await rows(
    sql,
    `SELECT INDEX_NAME AS name, COLUMN_NAME AS col FROM information_schema.STATISTICS
     WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND NON_UNIQUE = 0 ORDER BY INDEX_NAME, SEQ_IN_INDEX`,
    [schema, table],
  );
  const primaryKey = indexes.filter(({ name }) => name === 'PRIMARY').map(({ col }) => String(col));
  if (primaryKey.length === 0)
    throw new SyncError(
      'no-primary-key',
      `${schema}.${table} has no primary key`,
      'give it one: rows without one cannot be told apart',
    );
  const foreign = await rows(
    sql,
    'SELECT 1 FROM information_schema.KEY_COLUMN_USAGE WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND REFERENCED_TABLE_NAME IS NOT NULL LIMIT 1',
    [schema, table],
  );
  const written = columns.filter(
    ({ extra }) => !/GENERATED/i.test(String(extra)) || /DEFAULT_GENERATED/i.test(String(extra)),
  );
  return {
    table,
    primaryKey,
    columns: written.map(({ name }) => String(name)),
    types: new Map(columns.map(({ name, type }) => [String(name), String(type)])),
    otherUniqueKeys: [
      ...new Set(indexes.map(({ name }) => String(name)).filter((name) => name !== 'PRIMARY')),
    ],
    hasForeignKey: foreign.length > 0,
  };
}

/**
 * The translators of a capability: those written, and those made from the schema.
 * @throws SyncError when the two sides of an identity table differ, naming the columns
 */
export async function resolveTranslators(
  capability: string,
  declared: readonly (RowTranslator | IdentityDeclaration)[],
  legacy: { sql: Connection; schema: string },
  service: { sql: Connection; schema: string },
): Promise<RowTranslator[]> {
  const resolved: RowTranslator[] = [];
  for (const each of declared) {
    if (!isIdentity(each)) {
      resolved.push(each);
      continue;
    }
    const one = await readTableFacts(legacy.sql, legacy.schema, each.identity);
    const other = await readTableFacts(service.sql, service.schema, each.identity);
    const names = new Set([...one.types.keys(), ...other.types.keys()]);
    const different = [...names].filter((name) => one.types.get(name) !== other.types.get(name));
    if (different.length > 0 || one.primaryKey.join() !== other.primaryKey.join())
      throw new SyncError(
        'identity-differs',
        `${each.identity} is not the same on both sides: ${different.map((name) => `${name} is ${one.types.get(name) ?? 'missing'} on legacy, ${other.types.get(name) ?? 'missing'} on the service`).join('; ') || 'the primary keys differ'}`,
        'make them alike, or write a translator',
      );
    resolved.push(identityTranslator(capability, each.identity, one.columns, one.primaryKey));
  }
  return resolved;
}
