// Row events: a table's id, which columns the images have, then images without any frame of their own.

import type { RowsChange } from './change.ts';
import type { ReadValue, Value } from './columns.ts';
import { Cursor } from './cursor.ts';
import { asCorrupt, BinlogError, corrupt } from './errors.ts';
import { eventType, type Format } from './event.ts';
import type { TableReader, TableShape } from './table-map.ts';

/** One row's values, in column order. */
export type RowImage = readonly Value[];

export type RowChange = {
  /** Of update and delete. */
  readonly before: RowImage | null;
  /** Of insert and update. */
  readonly after: RowImage | null;
};

/** What rows were and are, one after another. */
export function* imagesOf(rows: readonly RowChange[]): Generator<RowImage, undefined> {
  for (const { before, after } of rows) {
    if (before) yield before;
    if (after) yield after;
  }
  return undefined;
}

export type ChangeKind = 'insert' | 'update' | 'delete';

export type RowsHead = {
  readonly kind: ChangeKind;
  readonly tableId: number;
  readonly flags: number;
  readonly cursor: Cursor;
};

/** Set on the last row event of a statement: the table ids before it are then over. */
export const statementEndFlag = 1;

const kinds = new Map<number, ChangeKind>([
  [eventType.writeRowsV1, 'insert'],
  [eventType.updateRowsV1, 'update'],
  [eventType.deleteRowsV1, 'delete'],
  [eventType.writeRows, 'insert'],
  [eventType.updateRows, 'update'],
  [eventType.deleteRows, 'delete'],
]);

export const isRowsEvent = (type: number) => kinds.has(type);

export function readRowsHead(type: number, body: Buffer, format: Format): RowsHead {
  const kind = kinds.get(type);
  if (!kind) throw corrupt(`event type ${type} has no rows`);
  const cursor = new Cursor(body);
  const postHeader = format.postHeader[type - 1];
  const tableId = postHeader === 6 ? cursor.u32() : cursor.u48();
  const flags = cursor.u16();
  // Version 2 has room for more, as NDB's and partitions' numbers, of no use here; the length counts itself.
  if (type >= eventType.writeRows) {
    const extra = cursor.u16();
    if (extra < 2) throw corrupt('extra row data of less than nothing');
    cursor.take(extra - 2);
  }
  return { kind, tableId, flags, cursor };
}

function hasEveryColumn(bitmap: Buffer, count: number): boolean {
  for (let index = 0; index < count; index++)
    if (((bitmap[index >> 3] ?? 0) & (1 << (index & 7))) === 0) return false;
  return true;
}

function readImage(cursor: Cursor, readers: readonly ReadValue[]): Value[] {
  const count = readers.length;
  const nullBits = cursor.take((count + 7) >> 3);
  const { buffer } = cursor;
  const image: Value[] = new Array(count);
  for (let index = 0; index < count; index++) {
    const isNull = ((buffer[nullBits + (index >> 3)] ?? 0) & (1 << (index & 7))) !== 0;
    const read = readers[index];
    image[index] = isNull || read === undefined ? null : read(cursor);
  }
  return image;
}

/** The rows of one row event, decoded when somebody asks for them: a stream that only watches passes most over. */
export class RowsEvent implements RowsChange {
  readonly kind = 'rows';
  readonly change: ChangeKind;
  readonly timestamp: number;
  readonly endsStatement: boolean;
  readonly #cursor: Cursor;
  readonly #table: TableReader;
  #rows: readonly RowChange[] | undefined;

  /** @throws BinlogError row-image-incomplete, corrupt-event */
  constructor({ kind, cursor, flags }: RowsHead, table: TableReader, timestamp: number) {
    const { readers, shape } = table;
    const count = readers.length;
    const written = cursor.packed();
    if (written !== count)
      throw corrupt(`rows of ${written} columns for ${shape.schema}.${shape.table}, which has ${count}`);
    const bitmaps = kind === 'update' ? 2 : 1;
    for (let i = 0; i < bitmaps; i++)
      if (!hasEveryColumn(cursor.bytes((count + 7) >> 3), count)) throw incompleteImage(table);
    this.change = kind;
    this.timestamp = timestamp;
    this.endsStatement = (flags & statementEndFlag) !== 0;
    this.#cursor = cursor;
    this.#table = table;
  }

  get table(): TableShape {
    return this.#table.shape;
  }

  /** @throws BinlogError corrupt-event */
  get rows(): readonly RowChange[] {
    if (!this.#rows)
      try {
        this.#rows = this.#read();
      } catch (error) {
        throw asCorrupt(error);
      }
    return this.#rows;
  }

  #read(): RowChange[] {
    const cursor = this.#cursor;
    const { readers } = this.#table;
    const rows: RowChange[] = [];
    while (cursor.at < cursor.end) {
      const from = cursor.at;
      if (this.change === 'insert') rows.push({ before: null, after: readImage(cursor, readers) });
      else {
        const before = readImage(cursor, readers);
        rows.push({ before, after: this.change === 'update' ? readImage(cursor, readers) : null });
      }
      if (cursor.at === from) throw corrupt('a row of no bytes');
    }
    return rows;
  }
}

function incompleteImage({ shape }: TableReader): BinlogError {
  return new BinlogError(
    'row-image-incomplete',
    `a row event of ${shape.schema}.${shape.table} leaves columns out`,
    'SET GLOBAL binlog_row_image = FULL on the source, and let sessions that are open reconnect; rows logged before that have to be skipped by a new copy',
  );
}
