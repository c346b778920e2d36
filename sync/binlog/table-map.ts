// A table map event: which table the rows that follow are of, and how to read them. The names, signs, character
// sets and members are in its optional part, which the server writes whole only with binlog_row_metadata=FULL.
import { decodeLoosely } from './charset.ts';
import { type ColumnFacts, columnType, type ReadValue, readerOf } from './columns.ts';
import { Cursor } from './cursor.ts';
import { BinlogError, corrupt } from './errors.ts';
import type { Format } from './event.ts';
import { eventType } from './event.ts';
import { type RawColumn, readColumns } from './table-columns.ts';
import { type Metadata, readMetadata } from './table-metadata.ts';

export type ColumnShape = {
  readonly name: string;
  /** As in CREATE TABLE, without lengths: `int unsigned`, `varchar`, `varbinary`, `decimal`, `uuid`, … */
  readonly type: string;
  readonly nullable: boolean;
  /** MySQL's name of it; undefined for bytes and numbers. */
  readonly charset: string | undefined;
  /** Of ENUM and SET. */
  readonly members: readonly string[];
  /** False for MySQL's INVISIBLE columns; MariaDB does not say. */
  readonly visible: boolean;
  /** Set for DECIMAL. */
  readonly precision: number;
  /** Digits after the point: of DECIMAL, or of a time's fraction. */
  readonly scale: number;
};

export type TableShape = {
  readonly schema: string;
  readonly table: string;
  readonly columns: readonly ColumnShape[];
  /** Indexes of the primary key's columns, in its order; empty when there is none. */
  readonly primaryKey: readonly number[];
};

export type TableReader = {
  readonly shape: TableShape;
  readonly readers: readonly ReadValue[];
};

/** The part of a table map that names the table. */
export type TableHead = {
  readonly id: number;
  readonly schema: string;
  readonly table: string;
  readonly cursor: Cursor;
};

/** What the server's catalog knows of a column, by name. */
export type CatalogColumn = { readonly type: string; readonly fraction: number };
export type CatalogColumns = ReadonlyMap<string, CatalogColumn>;

/** Charset names by collation id. */
export type Collations = ReadonlyMap<number, string>;

export function readTableHead(body: Buffer, format: Format): TableHead {
  const cursor = new Cursor(body);
  const isShort = format.postHeader[eventType.tableMap - 1] === 6;
  const id = isShort ? cursor.u32() : cursor.u48();
  cursor.take(2);
  const schema = cursor.utf8(cursor.packed());
  cursor.take(1);
  const table = cursor.utf8(cursor.packed());
  cursor.take(1);
  return { id, schema, table, cursor };
}

const characterTypes: ReadonlySet<number> = new Set([
  columnType.varchar,
  columnType.varString,
  columnType.string,
  columnType.blob,
  columnType.tinyBlob,
  columnType.mediumBlob,
  columnType.longBlob,
  columnType.blobCompressed,
  columnType.varcharCompressed,
]);
const isMemberType = (type: number) => type === columnType.enum || type === columnType.set;

function numericTypes(isMariadb: boolean): ReadonlySet<number> {
  const { tiny, short, int24, long, longlong, newDecimal, float, double, year } = columnType;
  const both: number[] = [tiny, short, int24, long, longlong, newDecimal, float, double];
  return new Set(isMariadb ? [...both, year] : both);
}
const numericInMariadb = numericTypes(true);
const numericInMysql = numericTypes(false);

/** Collation ids of the character columns, or of the ENUM and SET ones; `undefined` elsewhere. */
function collationsOf(
  columns: readonly RawColumn[],
  isOfKind: (type: number) => boolean,
  metadata: Metadata['charsets'],
): (number | undefined)[] {
  let index = 0;
  return columns.map(({ type }) => (isOfKind(type) ? metadata?.(index++) : undefined));
}

const binaryCharset = 'binary';

const plainNames = new Map<number, string>([
  [columnType.tiny, 'tinyint'],
  [columnType.short, 'smallint'],
  [columnType.int24, 'mediumint'],
  [columnType.long, 'int'],
  [columnType.longlong, 'bigint'],
  [columnType.float, 'float'],
  [columnType.double, 'double'],
  [columnType.newDecimal, 'decimal'],
  [columnType.year, 'year'],
  [columnType.date, 'date'],
  [columnType.newDate, 'date'],
  [columnType.time, 'time'],
  [columnType.time2, 'time'],
  [columnType.datetime, 'datetime'],
  [columnType.datetime2, 'datetime'],
  [columnType.timestamp, 'timestamp'],
  [columnType.timestamp2, 'timestamp'],
  [columnType.bit, 'bit'],
  [columnType.enum, 'enum'],
  [columnType.set, 'set'],
  [columnType.json, 'json'],
  [columnType.geometry, 'geometry'],
  [columnType.vector, 'vector'],
  [columnType.typedArray, 'array'],
]);

function typeName(facts: ColumnFacts): string {
  const { type, charset } = facts;
  const plain = plainNames.get(type);
  if (plain !== undefined) return facts.unsigned && type !== columnType.year ? `${plain} unsigned` : plain;
  if (type === columnType.string) {
    if (facts.catalogType !== undefined && facts.catalogType !== 'binary') return facts.catalogType;
    return charset === undefined ? 'binary' : 'char';
  }
  if (type === columnType.blob || type === columnType.blobCompressed)
    return charset === undefined ? 'blob' : 'text';
  return charset === undefined ? 'varbinary' : 'varchar';
}

export type TableMapContext = {
  readonly format: Format;
  readonly collations: Collations;
  /** Undefined when nobody was asked. */
  readonly catalog: CatalogColumns | undefined;
};

/**
 * True when a column's type cannot be told from the table map: MariaDB writes UUID and INET6 as BINARY(16),
 * INET4 as BINARY(4), and its own old temporal types without their digits of fraction.
 */
export function needsCatalog(
  columns: readonly Pick<RawColumn, 'type' | 'length'>[],
  format: Format,
): boolean {
  return (
    format.isMariadb &&
    columns.some(
      ({ type, length }) =>
        isOldTemporal(type) || (type === columnType.string && (length === 16 || length === 4)),
    )
  );
}

const isOldTemporal = (type: number) =>
  type === columnType.time || type === columnType.datetime || type === columnType.timestamp;

export type TableColumns = { readonly columns: readonly RawColumn[]; readonly metadata: Metadata };

export function readTableColumns(head: TableHead): TableColumns {
  const columns = readColumns(head.cursor);
  return { columns, metadata: readMetadata(head.cursor, columns.length) };
}

function incomplete(where: string): BinlogError {
  return new BinlogError(
    'metadata-incomplete',
    `the table map of ${where} has no column names`,
    'SET GLOBAL binlog_row_metadata = FULL on the source (MySQL 8.0.1, MariaDB 10.5 or later); the rows logged before that have to be skipped by a new copy',
  );
}

/** @throws BinlogError metadata-incomplete, charset-unsupported, table-unknown, event-unsupported */
export function compileTable(
  head: TableHead,
  { columns, metadata }: TableColumns,
  context: TableMapContext,
): TableReader {
  const { format, collations, catalog } = context;
  const { schema, table } = head;
  const where = `${schema}.${table}`;
  if (metadata.names === undefined) throw incomplete(where);
  const numeric = format.isMariadb ? numericInMariadb : numericInMysql;
  const hasCharset = (type: number) =>
    characterTypes.has(type) || (format.isMariadb && type === columnType.geometry);
  const textCollations = collationsOf(columns, hasCharset, metadata.charsets);
  const memberCollations = collationsOf(columns, isMemberType, metadata.memberCharsets);
  const charsetName = (id: number | undefined, column: string) => {
    if (id === undefined) return undefined;
    const name = collations.get(id);
    if (name === undefined) throw incomplete(`${where} (collation ${id} of column ${column})`);
    return name;
  };
  let numericIndex = 0;
  let enumIndex = 0;
  let setIndex = 0;
  const facts: ColumnFacts[] = [];
  const shapes: ColumnShape[] = [];
  for (const [index, raw] of columns.entries()) {
    const name = metadata.names[index];
    if (name === undefined) throw corrupt(`no name for column ${index + 1} of ${where}`);
    const { type } = raw;
    const rawMembers =
      type === columnType.enum
        ? metadata.enums[enumIndex++]
        : type === columnType.set
          ? metadata.sets[setIndex++]
          : [];
    if (rawMembers === undefined) throw incomplete(`${where} (members of column ${name})`);
    const textCharset = charsetName(textCollations[index], name);
    const memberCharset = charsetName(memberCollations[index], name);
    if (characterTypes.has(type) && textCharset === undefined) throw incomplete(where);
    const known = catalog?.get(name);
    if (isOldTemporal(type) && known === undefined && format.isMariadb) throw unknownTable(where, name);
    const fact: ColumnFacts = {
      where: `${where}.${name}`,
      type,
      length: raw.length,
      precision: raw.precision,
      scale: raw.scale,
      unsigned: numeric.has(type) && (metadata.isUnsigned?.(numericIndex++) ?? false),
      charset: textCharset === binaryCharset ? undefined : textCharset,
      members: rawMembers.map((member) => decodeLoosely(memberCharset, member)),
      catalogType: known?.type,
      catalogFraction: known?.fraction ?? 0,
    };
    facts.push(fact);
    shapes.push({
      name,
      type: typeName(fact),
      nullable: raw.nullable,
      charset: fact.charset ?? (isMemberType(type) ? memberCharset : undefined),
      members: fact.members,
      visible: metadata.isVisible?.(index) ?? true,
      precision: raw.precision,
      scale: isOldTemporal(type) ? fact.catalogFraction : raw.scale,
    });
  }
  return {
    shape: { schema, table, columns: shapes, primaryKey: metadata.primaryKey },
    readers: facts.map(readerOf),
  };
}

function unknownTable(where: string, column: string): BinlogError {
  return new BinlogError(
    'table-unknown',
    `${where}.${column} is of a temporal type from before MySQL 5.6, whose fraction the binlog does not tell, and the server's catalog has no such column any more`,
    'ALTER TABLE … FORCE with mysql56_temporal_format=ON rewrites such columns; rows logged before that have to be skipped by a new copy',
  );
}
