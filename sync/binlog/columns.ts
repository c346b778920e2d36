// One reader per column, made once per table map from its type and metadata; what it returns is documented in
// docs/binlog.md ("Values").
import { type Decode, decoderOf } from './charset.ts';
import type { Cursor } from './cursor.ts';
import { decimalReader } from './decimal.ts';
import { BinlogError, corrupt } from './errors.ts';
import { printJson } from './json.ts';
import { compressedReader, inetReader, uuidReader } from './mariadb-types.ts';
import { oldTemporalReader, readDate, readYear, type TemporalKind, temporalReader } from './temporal.ts';

/** A column's value: see docs/binlog.md. */
export type Value = null | number | string | Buffer;
export type ReadValue = (cursor: Cursor) => Value;

/** MySQL's type codes, as table maps have them. */
export const columnType = {
  decimal: 0,
  tiny: 1,
  short: 2,
  long: 3,
  float: 4,
  double: 5,
  null: 6,
  timestamp: 7,
  longlong: 8,
  int24: 9,
  date: 10,
  time: 11,
  datetime: 12,
  year: 13,
  newDate: 14,
  varchar: 15,
  bit: 16,
  timestamp2: 17,
  datetime2: 18,
  time2: 19,
  typedArray: 20,
  blobCompressed: 140,
  varcharCompressed: 141,
  vector: 242,
  json: 245,
  newDecimal: 246,
  enum: 247,
  set: 248,
  tinyBlob: 249,
  mediumBlob: 250,
  longBlob: 251,
  blob: 252,
  varString: 253,
  string: 254,
  geometry: 255,
} as const;

/** What a table map says of one column; `charset` is undefined for bytes. */
export type ColumnFacts = {
  readonly where: string;
  /** The real type: ENUM and SET are not hidden in STRING here. */
  readonly type: number;
  /** Bytes of a length prefix or of a number; bits of a BIT. */
  readonly length: number;
  readonly precision: number;
  readonly scale: number;
  readonly unsigned: boolean;
  readonly charset: string | undefined;
  /** Members of an ENUM or SET. */
  readonly members: readonly string[];
  /** Of MariaDB, where the binlog alone does not tell: the type's name, and the digits of fraction. */
  readonly catalogType: string | undefined;
  readonly catalogFraction: number;
};

const two32 = 0x1_0000_0000;
const billion = 1_000_000_000;

/** Of a safe integer. In halves, because V8 prints what fits 31 bits twice as fast. */
export function integerText(value: number): string {
  if (value < billion && value > -billion) return String(value);
  const absolute = Math.abs(value);
  const high = Math.floor(absolute / billion);
  const text =
    (high < billion ? String(high) : integerText(high)) + String(absolute - high * billion).padStart(9, '0');
  return value < 0 ? `-${text}` : text;
}

function readBigint(cursor: Cursor): string {
  const from = cursor.take(8);
  const high = cursor.buffer.readInt32LE(from + 4);
  const low = cursor.buffer.readUInt32LE(from);
  if (high < 0x20_0000 && high >= -0x20_0000) return integerText(high * two32 + low);
  return String(BigInt(high) * 0x1_0000_0000n + BigInt(low));
}

function readUnsignedBigint(cursor: Cursor): string {
  const from = cursor.take(8);
  const high = cursor.buffer.readUInt32LE(from + 4);
  const low = cursor.buffer.readUInt32LE(from);
  if (high < 0x20_0000) return integerText(high * two32 + low);
  return String(BigInt(high) * 0x1_0000_0000n + BigInt(low));
}

function integer(bytes: number, unsigned: boolean): ReadValue {
  if (bytes === 1) return unsigned ? (cursor) => cursor.u8() : (cursor) => (cursor.u8() << 24) >> 24;
  if (bytes === 4)
    return unsigned ? (cursor) => cursor.u32() : (cursor) => cursor.buffer.readInt32LE(cursor.take(4));
  return unsigned
    ? (cursor) => cursor.buffer.readUIntLE(cursor.take(bytes), bytes)
    : (cursor) => cursor.buffer.readIntLE(cursor.take(bytes), bytes);
}

/** Text or a copy of the bytes: rows outlive the socket's chunk they came in. */
function sized(prefixBytes: number, decode: Decode | undefined): ReadValue {
  if (prefixBytes === 1)
    return decode
      ? (cursor) => {
          const length = cursor.u8();
          const from = cursor.take(length);
          return decode(cursor.buffer, from, from + length);
        }
      : (cursor) => Buffer.from(cursor.bytes(cursor.u8()));
  return decode
    ? (cursor) => {
        const length = cursor.uint(prefixBytes);
        const from = cursor.take(length);
        return decode(cursor.buffer, from, from + length);
      }
    : (cursor) => Buffer.from(cursor.bytes(cursor.uint(prefixBytes)));
}

/** BINARY is written without its trailing zeros. */
function fixedBytes(length: number): ReadValue {
  const prefixBytes = length > 255 ? 2 : 1;
  return (cursor) => {
    const stored = cursor.bytes(cursor.uint(prefixBytes));
    if (stored.length > length) throw corrupt(`${stored.length} bytes in a BINARY(${length})`);
    const whole = Buffer.alloc(length);
    stored.copy(whole);
    return whole;
  };
}

function enumReader(bytes: number, members: readonly string[]): ReadValue {
  return (cursor) => {
    const index = bytes === 1 ? cursor.u8() : cursor.u16();
    if (index === 0) return '';
    const member = members[index - 1];
    if (member === undefined) throw corrupt(`member ${index} of an ENUM of ${members.length}`);
    return member;
  };
}

function setReader(bytes: number, members: readonly string[]): ReadValue {
  return (cursor) => {
    const from = cursor.take(bytes);
    const chosen: string[] = [];
    for (let index = 0; index < bytes * 8; index++) {
      if ((((cursor.buffer[from + (index >> 3)] ?? 0) >> (index & 7)) & 1) === 0) continue;
      const member = members[index];
      if (member === undefined) throw corrupt(`member ${index + 1} of a SET of ${members.length}`);
      chosen.push(member);
    }
    return chosen.join(',');
  };
}

const temporalKinds: ReadonlyMap<number, TemporalKind> = new Map([
  [columnType.timestamp, 'timestamp'],
  [columnType.datetime, 'datetime'],
  [columnType.time, 'time'],
  [columnType.timestamp2, 'timestamp'],
  [columnType.datetime2, 'datetime'],
  [columnType.time2, 'time'],
]);

/**
 * @throws BinlogError event-unsupported for a type that no current server writes, charset-unsupported
 */
export function readerOf(column: ColumnFacts): ReadValue {
  const { type, length, unsigned } = column;
  const decode = column.charset === undefined ? undefined : decoderOf(column.charset, column.where);
  const temporal = temporalKinds.get(type);
  if (temporal)
    return type >= columnType.timestamp2
      ? temporalReader(temporal, column.scale)
      : oldTemporalReader(temporal, column.catalogFraction);
  switch (type) {
    case columnType.tiny:
      return integer(1, unsigned);
    case columnType.short:
      return integer(2, unsigned);
    case columnType.int24:
      return integer(3, unsigned);
    case columnType.long:
      return integer(4, unsigned);
    case columnType.longlong:
      return unsigned ? readUnsignedBigint : readBigint;
    case columnType.float:
      return (cursor) => cursor.buffer.readFloatLE(cursor.take(4));
    case columnType.double:
      return (cursor) => cursor.buffer.readDoubleLE(cursor.take(8));
    case columnType.newDecimal:
      return decimalReader(column.precision, column.scale);
    case columnType.year:
      return readYear;
    case columnType.date:
    case columnType.newDate:
      return readDate;
    case columnType.bit:
      return (cursor) => Buffer.from(cursor.bytes(length));
    case columnType.enum:
      return enumReader(length, column.members);
    case columnType.set:
      return setReader(length, column.members);
    case columnType.json: {
      const read = sized(length, undefined);
      return (cursor) => {
        const value = read(cursor);
        return Buffer.isBuffer(value) ? printJson(value) : value;
      };
    }
    case columnType.varchar:
    case columnType.varString:
      return sized(length > 255 ? 2 : 1, decode);
    case columnType.varcharCompressed:
      return compressedReader(length > 255 ? 2 : 1, decode);
    case columnType.string:
      if (column.catalogType === 'uuid') return uuidReader;
      if (column.catalogType === 'inet4' || column.catalogType === 'inet6') return inetReader(length);
      return decode ? sized(length > 255 ? 2 : 1, decode) : fixedBytes(length);
    case columnType.blob:
    case columnType.vector:
      return sized(length, decode);
    case columnType.blobCompressed:
      return compressedReader(length, decode);
    case columnType.geometry:
    case columnType.typedArray:
      return sized(length, undefined);
    default:
      throw new BinlogError(
        'event-unsupported',
        `${column.where} is of type ${type}, which is not decoded here`,
        'tables from before MySQL 5.0 are read after ALTER TABLE … FORCE; a newer type needs a newer decoder',
      );
  }
}
