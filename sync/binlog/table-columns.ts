// The fixed part of a table map: the columns' types, their metadata, which of them may be NULL.
import { columnType } from './columns.ts';
import { Cursor } from './cursor.ts';
import { corrupt } from './errors.ts';

export type RawColumn = { type: number; length: number; precision: number; scale: number; nullable: boolean };

/** The bytes of one column's metadata; for STRING they hide ENUM, SET and the bits of a length above 255. */
function readColumnMetadata(type: number, meta: Cursor): Omit<RawColumn, 'nullable'> {
  const column = { type, length: 0, precision: 0, scale: 0 };
  switch (type) {
    case columnType.float:
    case columnType.double:
    case columnType.blob:
    case columnType.tinyBlob:
    case columnType.mediumBlob:
    case columnType.longBlob:
    case columnType.blobCompressed:
    case columnType.json:
    case columnType.geometry:
    case columnType.vector:
      return { ...column, length: meta.u8() };
    case columnType.timestamp2:
    case columnType.datetime2:
    case columnType.time2:
      return { ...column, scale: meta.u8() };
    case columnType.varchar:
    case columnType.varString:
    case columnType.varcharCompressed:
      return { ...column, length: meta.u16() };
    case columnType.newDecimal:
      return { ...column, precision: meta.u8(), scale: meta.u8() };
    case columnType.bit: {
      const bits = meta.u8();
      return { ...column, length: meta.u8() + (bits > 0 ? 1 : 0) };
    }
    case columnType.enum:
    case columnType.set:
    case columnType.string: {
      const first = meta.u8();
      const second = meta.u8();
      if ((first & 0x30) !== 0x30)
        return { ...column, type: first | 0x30, length: second | (((first & 0x30) ^ 0x30) << 4) };
      return { ...column, type: first, length: second };
    }
    case columnType.typedArray: {
      const inner = meta.u8();
      // The element's own metadata, which is of no use: such columns are an index's, and hidden.
      if (inner === columnType.varchar || inner === columnType.varString) meta.take(3);
      else readColumnMetadata(inner, meta);
      return { ...column, length: 4 };
    }
    default:
      return column;
  }
}

export function readColumns(cursor: Cursor): RawColumn[] {
  const count = cursor.packed();
  const types = cursor.bytes(count);
  const meta = new Cursor(cursor.bytes(cursor.packed()));
  const columns = [...types].map((type) => ({ ...readColumnMetadata(type, meta), nullable: false }));
  if (meta.left > 0) throw corrupt(`${meta.left} bytes of column metadata too many`);
  const nullBits = cursor.bytes((count + 7) >> 3);
  for (const [index, column] of columns.entries())
    column.nullable = ((nullBits[index >> 3] ?? 0) & (1 << (index & 7))) !== 0;
  return columns;
}
