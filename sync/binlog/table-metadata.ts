// The optional metadata of a table map: a list of (type, length, value).
import { Cursor } from './cursor.ts';
import { corrupt } from './errors.ts';

export type Metadata = {
  /** Undefined when the server does not write them. */
  readonly names: readonly string[] | undefined;
  /** By index among the numeric columns. */
  readonly isUnsigned: ((index: number) => boolean) | undefined;
  /** Collation ids, by index among the character columns. */
  readonly charsets: ((index: number) => number) | undefined;
  /** Collation ids, by index among the ENUM and SET columns. */
  readonly memberCharsets: ((index: number) => number) | undefined;
  /** Members, by index among the ENUM columns; in the column's own character set. */
  readonly enums: readonly (readonly Buffer[])[];
  readonly sets: readonly (readonly Buffer[])[];
  readonly primaryKey: readonly number[];
  readonly isVisible: ((index: number) => boolean) | undefined;
};

const field = {
  signedness: 1,
  defaultCharset: 2,
  columnCharset: 3,
  columnName: 4,
  setMembers: 5,
  enumMembers: 6,
  geometryType: 7,
  simplePrimaryKey: 8,
  primaryKeyWithPrefix: 9,
  memberDefaultCharset: 10,
  memberColumnCharset: 11,
  visibility: 12,
} as const;

/** Bits are counted from the highest of each byte. */
function bitReader(bits: Buffer): (index: number) => boolean {
  return (index) => ((bits[index >> 3] ?? 0) & (0x80 >> (index & 7))) !== 0;
}

/** One collation, and those columns that have another. */
function defaultAndOthers(cursor: Cursor): (index: number) => number {
  const common = cursor.packed();
  const others = new Map<number, number>();
  while (cursor.left > 0) {
    const index = cursor.packed();
    others.set(index, cursor.packed());
  }
  return (index) => others.get(index) ?? common;
}

function each(cursor: Cursor): (index: number) => number {
  const ids: number[] = [];
  while (cursor.left > 0) ids.push(cursor.packed());
  return (index) => {
    const id = ids[index];
    if (id === undefined) throw corrupt('a column without a character set');
    return id;
  };
}

function memberLists(cursor: Cursor): Buffer[][] {
  const lists: Buffer[][] = [];
  while (cursor.left > 0) {
    const count = cursor.packed();
    if (count > cursor.left) throw corrupt(`${count} members in ${cursor.left} bytes`);
    lists.push(Array.from({ length: count }, () => Buffer.from(cursor.bytes(cursor.packed()))));
  }
  return lists;
}

function nameList(cursor: Cursor): string[] {
  const names: string[] = [];
  while (cursor.left > 0) names.push(cursor.utf8(cursor.packed()));
  return names;
}

function keyColumns(cursor: Cursor, withPrefix: boolean, columnCount: number): number[] {
  const key: number[] = [];
  while (cursor.left > 0) {
    const index = cursor.packed();
    if (index >= columnCount) throw corrupt(`key column ${index} of ${columnCount}`);
    key.push(index);
    if (withPrefix) cursor.packed();
  }
  return key;
}

export function readMetadata(cursor: Cursor, columnCount: number): Metadata {
  const metadata: { -readonly [K in keyof Metadata]: Metadata[K] } = {
    names: undefined,
    isUnsigned: undefined,
    charsets: undefined,
    memberCharsets: undefined,
    enums: [],
    sets: [],
    primaryKey: [],
    isVisible: undefined,
  };
  while (cursor.left > 0) {
    const type = cursor.u8();
    const value = new Cursor(cursor.bytes(cursor.packed()));
    if (type === field.signedness) metadata.isUnsigned = bitReader(Buffer.from(value.rest()));
    else if (type === field.defaultCharset) metadata.charsets = defaultAndOthers(value);
    else if (type === field.columnCharset) metadata.charsets = each(value);
    else if (type === field.columnName) metadata.names = nameList(value);
    else if (type === field.setMembers) metadata.sets = memberLists(value);
    else if (type === field.enumMembers) metadata.enums = memberLists(value);
    else if (type === field.simplePrimaryKey) metadata.primaryKey = keyColumns(value, false, columnCount);
    else if (type === field.primaryKeyWithPrefix) metadata.primaryKey = keyColumns(value, true, columnCount);
    else if (type === field.memberDefaultCharset) metadata.memberCharsets = defaultAndOthers(value);
    else if (type === field.memberColumnCharset) metadata.memberCharsets = each(value);
    else if (type === field.visibility) metadata.isVisible = bitReader(Buffer.from(value.rest()));
    // Others (a geometry's kind, a vector's dimensions) do not change how a value is read.
  }
  return metadata;
}
