// The first, offline copy: one consistent snapshot of the capability's legacy tables, in chunks, through the
// translators, into the service's schema. What legacy writes after the snapshot is not in it.
import type { Connection, ResultSetHeader, RowDataPacket } from 'mysql2/promise';
import { TranslationError } from '../acl/translation-error.ts';
import type { Row, RowTranslator, TargetDeclaration, TranslatedRow } from '../acl/translator.ts';
import type { Capability } from '../capability/capability.ts';

export class CopyError extends Error {
  override name = 'CopyError';
}

export type Refusal = {
  readonly table: string;
  readonly key: Row;
  readonly field: string;
  readonly reason: string;
};

/** What one legacy table's copy came to. */
export type TableCopy = {
  readonly table: string;
  readonly rows: number;
  readonly copied: number;
  readonly refused: number;
};

export type CopyFacts = {
  /** The snapshot's moment, by the legacy server's clock, in UTC. */
  readonly copiedAt: string;
  /** The binlog position of the snapshot, as the server reports it. */
  readonly position: Readonly<Record<string, string>>;
  readonly tables: readonly TableCopy[];
  readonly rows: number;
  readonly refused: number;
  /** The first refusals, without the values. */
  readonly refusals: readonly Refusal[];
};

export type CopyProgress = { readonly table: string; readonly rowsDone: number; readonly rowsTotal: number };

export type CopyOptions = {
  readonly capability: Capability;
  /** To the legacy server; used by nobody else meanwhile. */
  readonly legacy: Connection;
  readonly legacyDatabase: string;
  /** To the services' server. */
  readonly service: Connection;
  readonly chunkRows?: number;
  readonly onProgress?: (progress: CopyProgress) => void;
};

const refusalsKept = 20;
const deleteRows = 10_000;

const quote = (name: string) => `\`${name.replaceAll('`', '``')}\``;
const list = (names: readonly string[]) => names.map(quote).join(', ');

async function select(sql: Connection, statement: string, values: unknown[] = []): Promise<RowDataPacket[]> {
  const [rows] = await sql.query<RowDataPacket[]>(statement, values);
  return rows;
}

/**
 * Rows after a key, in the server's own key order: keys are compared by the server and nowhere else.
 * `a > ? OR (a = ? AND b > ?)`, with `a >= ?` in front so that the index range has a start.
 */
function afterKey(key: readonly string[], last: readonly unknown[]): { where: string; values: unknown[] } {
  const [first = ''] = key;
  if (key.length === 1) return { where: `${quote(first)} > ?`, values: [last[0]] };
  const values: unknown[] = [last[0]];
  const alternatives = key.map((column, index) => {
    values.push(...last.slice(0, index + 1));
    return `(${[...key.slice(0, index).map((before) => `${quote(before)} = ?`), `${quote(column)} > ?`].join(' AND ')})`;
  });
  return { where: `${quote(first)} >= ? AND (${alternatives.join(' OR ')})`, values };
}

type Copying = {
  readonly options: CopyOptions;
  readonly refusals: Refusal[];
  readonly chunkRows: number;
  rowsDone: number;
  readonly rowsTotal: number;
};

async function emptyTarget(service: Connection, database: string, target: TargetDeclaration): Promise<void> {
  for (;;) {
    const [{ affectedRows }] = await service.query<ResultSetHeader>(
      `DELETE FROM ${quote(database)}.${quote(target.table)} LIMIT ${deleteRows}`,
    );
    if (affectedRows < deleteRows) return;
  }
}

/** The rows of a chunk that every codec accepts; the others are counted, and the first of them remembered. */
function translate(
  translator: RowTranslator,
  rows: readonly Row[],
  refusals: Refusal[],
): { translated: TranslatedRow[][]; refused: number } {
  const translated: TranslatedRow[][] = [];
  for (const row of rows)
    try {
      translated.push(translator.forward(row));
    } catch (error) {
      if (!(error instanceof TranslationError)) throw error;
      const { table, key, field, reason } = error.fault;
      if (refusals.length < refusalsKept) refusals.push({ table, key: key as Row, field, reason });
    }
  return { translated, refused: rows.length - translated.length };
}

async function insertChunk(
  service: Connection,
  database: string,
  translator: RowTranslator,
  translated: readonly TranslatedRow[][],
): Promise<void> {
  if (translated.length === 0) return;
  await service.beginTransaction();
  for (const [index, target] of translator.targets.entries()) {
    const columns = [...Object.keys(target.columns), ...Object.keys(target.constants ?? {})];
    const values = translated.map((rows) => columns.map((column) => rows[index]?.columns[column] ?? null));
    await service.query(`INSERT INTO ${quote(database)}.${quote(target.table)} (${list(columns)}) VALUES ?`, [
      values,
    ]);
  }
  await service.commit();
}

async function copyTable(copying: Copying, translator: RowTranslator): Promise<TableCopy> {
  const { options, chunkRows } = copying;
  const { table, key } = translator.source;
  const database = options.capability.service.database;
  for (const target of translator.targets) await emptyTarget(options.service, database, target);
  const columns = list([...new Set([...key, ...translator.sourceColumns])]);
  const from = `FROM ${quote(options.legacyDatabase)}.${quote(table)}`;
  const read = (last: readonly unknown[] | undefined) => {
    const { where, values } = last ? afterKey(key, last) : { where: 'TRUE', values: [] };
    return select(
      options.legacy,
      `SELECT ${columns} ${from} WHERE ${where} ORDER BY ${list(key)} LIMIT ${chunkRows}`,
      values,
    );
  };
  let rows = 0;
  let refused = 0;
  let chunk = await read(undefined);
  while (chunk.length > 0) {
    const last = chunk.at(-1);
    // The next chunk is read while this one is translated and written.
    const next = chunk.length < chunkRows ? Promise.resolve([]) : read(key.map((column) => last?.[column]));
    const result = translate(translator, chunk as Row[], copying.refusals);
    const written = insertChunk(options.service, database, translator, result.translated);
    const [following] = await Promise.all([next, written]);
    rows += chunk.length;
    refused += result.refused;
    copying.rowsDone += chunk.length;
    options.onProgress?.({ table, rowsDone: copying.rowsDone, rowsTotal: copying.rowsTotal });
    chunk = following;
  }
  for (const target of translator.targets) {
    const [count] = await select(
      options.service,
      `SELECT COUNT(*) AS n FROM ${quote(database)}.${quote(target.table)}`,
    );
    if (Number(count?.n) !== rows - refused)
      throw new CopyError(
        `${target.table} has ${String(count?.n)} rows after ${rows - refused} were copied from ${table}: something else writes to it; stop that, then copy again`,
      );
  }
  return { table, rows, copied: rows - refused, refused };
}

/** Sessions that give values as they are: zero dates allowed, no conversion but the character set's. */
async function prepareSession(sql: Connection): Promise<void> {
  await sql.query("SET SESSION sql_mode = 'STRICT_ALL_TABLES', SESSION time_zone = '+00:00'");
}

async function snapshot(legacy: Connection): Promise<Pick<CopyFacts, 'copiedAt' | 'position'>> {
  await legacy.query('SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ');
  await legacy.query('START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY');
  const [clock] = await select(legacy, "SELECT DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%T.%fZ') AS now");
  // MariaDB tells the binlog position that belongs to this very snapshot; MySQL has no such words.
  const status = await select(legacy, "SHOW STATUS LIKE 'binlog_snapshot_%'");
  const position = Object.fromEntries(
    status.map(({ Variable_name, Value }) => [String(Variable_name).toLowerCase(), String(Value)]),
  );
  return { copiedAt: String(clock?.now), position };
}

/**
 * Copies every row of the capability's tables and reference tables as they are at one moment. The target
 * tables are emptied first, so it can be run again.
 * @throws CopyError when the target does not end up with exactly the rows copied
 */
export async function copyCapability(options: CopyOptions): Promise<CopyFacts> {
  const { capability, legacy, service, legacyDatabase } = options;
  const translators = [...capability.references, ...capability.tables];
  for (const { source, targets } of translators)
    if (targets.some(({ root }) => !root))
      throw new CopyError(
        `${source.table} fills columns of rows that another table creates: the offline copy cannot do that`,
      );
  await prepareSession(legacy);
  await prepareSession(service);
  const moment = await snapshot(legacy);
  try {
    let rowsTotal = 0;
    for (const { source } of translators) {
      const [count] = await select(
        legacy,
        `SELECT COUNT(*) AS n FROM ${quote(legacyDatabase)}.${quote(source.table)}`,
      );
      rowsTotal += Number(count?.n);
    }
    const copying: Copying = {
      options,
      refusals: [],
      chunkRows: options.chunkRows ?? 2_000,
      rowsDone: 0,
      rowsTotal,
    };
    const tables: TableCopy[] = [];
    for (const translator of translators) tables.push(await copyTable(copying, translator));
    const sum = (of: (table: TableCopy) => number) => tables.reduce((total, table) => total + of(table), 0);
    return {
      ...moment,
      tables,
      rows: sum(({ copied }) => copied),
      refused: sum(({ refused }) => refused),
      refusals: copying.refusals,
    };
  } finally {
    await legacy.rollback();
  }
}
