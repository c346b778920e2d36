// Columns of a source table, for reading its rows outside of the stream: selected so that each value comes out as
// the stream has it, and compared in the server's own order.
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { Value } from '../acl/domain.ts';
import { literal, numberLiteral, quoteName } from './literal.ts';

export type SourceColumn = {
  readonly name: string;
  /** As in information_schema: `varchar`, `enum`, `bigint`, … */
  readonly type: string;
  /** As in COLUMN_TYPE: `varchar(20)`, `bigint(20) unsigned`. */
  readonly full: string;
  /** Of texts, apart from ENUM and SET. */
  readonly charset: string | undefined;
  readonly collation: string | undefined;
  /** Of ENUM and SET. */
  readonly members: readonly string[];
};

/** The members in `enum('a','it''s')`. */
export const membersIn = (columnType: string): string[] =>
  /^(enum|set)\(/i.test(columnType)
    ? [...columnType.matchAll(/'((?:[^']|'')*)'/g)].map(([, member = '']) => member.replaceAll("''", "'"))
    : [];

/** A session that gives values as they are, whatever the server's own settings. */
export const readSession = "SET SESSION time_zone = '+00:00', sql_mode = 'ALLOW_INVALID_DATES'";

export async function readSourceColumns(
  sql: Connection,
  schema: string,
  table: string,
  names: readonly string[],
): Promise<SourceColumn[]> {
  const [rows] = await sql.query<RowDataPacket[]>(
    'SELECT COLUMN_NAME AS name, DATA_TYPE AS type, COLUMN_TYPE AS full, CHARACTER_SET_NAME AS charset, COLLATION_NAME AS collation FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?',
    [schema, table],
  );
  return names.map((name) => {
    const row = rows.find((each) => each.name === name);
    const type = String(row?.type).toLowerCase();
    const isText = /char|text/.test(type) && row?.charset !== null && row?.charset !== 'binary';
    return {
      name,
      type,
      full: String(row?.full),
      charset: isText ? String(row?.charset) : undefined,
      collation: isText ? String(row?.collation) : undefined,
      members: membersIn(String(row?.full)),
    };
  });
}

const geometry =
  /^(geometry|point|linestring|polygon|multipoint|multilinestring|multipolygon|geometrycollection|geomcollection)$/;

/** An expression of a SELECT list. The server prints six digits of a FLOAT, and the driver makes objects of geometries. */
export function selected({ name, type }: SourceColumn): string {
  const quoted = quoteName(name);
  if (type === 'float') return `CAST(${quoted} AS DOUBLE) AS ${quoted}`;
  if (geometry.test(type)) return `UNHEX(HEX(${quoted})) AS ${quoted}`;
  return quoted;
}

/** ENUM and SET are ordered by their numbers, and compared with texts by their texts. */
const numberOfSet = (members: readonly string[], value: Value | undefined): bigint =>
  String(value ?? '')
    .split(',')
    .reduce((bits, member) => {
      const index = members.indexOf(member);
      return index < 0 ? bits : bits | (1n << BigInt(index));
    }, 0n);

const isIn = (name: string, members: readonly string[]) =>
  members.length === 0 ? 'FALSE' : `${name} IN (${members.map(literal).join(',')})`;

/** `column = value`, `column > value` or `column >= value`, in the order in which ORDER BY has them. */
export function compared(column: SourceColumn, operator: '=' | '>' | '>=', value: Value | undefined): string {
  const name = quoteName(column.name);
  if (column.type === 'set') return `${name} + 0 ${operator} ${numberOfSet(column.members, value)}`;
  if (column.type === 'enum' && operator !== '=') {
    const index = column.members.indexOf(String(value));
    if (operator === '>') return isIn(name, column.members.slice(index + 1));
    return index < 0 ? 'TRUE' : isIn(name, column.members.slice(index));
  }
  const isNumber = column.type === 'bigint' || column.type === 'decimal';
  return `${name} ${operator} ${isNumber ? numberLiteral(value) : literal(value)}`;
}
