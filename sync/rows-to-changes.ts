// What a row event of a captured table means on the target: translated, or put into quarantine.
import { CodecFault } from '../acl/codecs.ts';
import type { Value } from '../acl/domain.ts';
import { TranslationError } from '../acl/translation-error.ts';
import type { Row, TranslatedKey } from '../acl/translator.ts';
import type { RowImage, RowChange as RowImages } from './binlog/rows.ts';
import type { TableShape } from './binlog/table-map.ts';
import { SyncError } from './errors.ts';
import { loadField } from './load-rows.ts';
import type { Field, TableMapping, TargetTable } from './mapping.ts';
import { type Quarantine, rowKey } from './quarantine.ts';
import { literal, type RowChange, type Statement } from './statements.ts';

/** Where a translation finds its columns in an image. */
type Reader = (image: RowImage) => Row;

const readers = new WeakMap<TableShape, Map<TableMapping, Reader>>();

function readerOf(shape: TableShape, mapping: TableMapping): Reader {
  let ofShape = readers.get(shape);
  if (!ofShape) {
    ofShape = new Map();
    readers.set(shape, ofShape);
  }
  const known = ofShape.get(mapping);
  if (known) return known;
  const places = mapping.needs.map(
    (name) => [name, shape.columns.findIndex((column) => column.name === name)] as const,
  );
  const missing = places.filter(([, index]) => index < 0).map(([name]) => name);
  if (missing.length > 0)
    throw new SyncError(
      'columns-missing',
      `${shape.schema}.${shape.table} no longer has ${missing.join(', ')}`,
      'give the table back what the translator needs, or change the translator',
    );
  const reader: Reader = (image) => {
    const row: Record<string, Row[string]> = {};
    for (const [name, index] of places) row[name] = image[index] ?? null;
    return row;
  };
  ofShape.set(mapping, reader);
  return reader;
}

/** Says a new row as a line for LOAD DATA; undefined when it has bytes. @throws CodecFault */
type LineWriter = { readonly target: TargetTable; write(image: RowImage): string | undefined };

const lineWriters = new WeakMap<TableShape, Map<TableMapping, readonly LineWriter[]>>();

function lineWritersOf(shape: TableShape, mapping: TableMapping): readonly LineWriter[] {
  let ofShape = lineWriters.get(shape);
  if (!ofShape) {
    ofShape = new Map();
    lineWriters.set(shape, ofShape);
  }
  let writers = ofShape.get(mapping);
  if (!writers) {
    readerOf(shape, mapping); // says what is missing
    writers = (mapping.fields ?? []).flatMap((fields, at) => {
      const target = mapping.targets[at];
      const places = fields.map(({ from, convert }) => {
        const index = from === undefined ? -1 : shape.columns.findIndex((column) => column.name === from);
        return { index, convert: shape.columns[index]?.type === 'year' ? asYear(convert) : convert };
      });
      return target ? [{ target, write: (image: RowImage) => lineOf(places, image) }] : [];
    });
    ofShape.set(mapping, writers);
  }
  return writers;
}

/** As text a year 0 is 2000, and 0000 is what it is. */
const asYear = (convert: Field['convert']) => (value: unknown) => {
  const year = convert(value);
  return typeof year === 'number' ? String(year).padStart(4, '0') : year;
};

function lineOf(
  places: readonly { index: number; convert: (value: unknown) => Value }[],
  image: RowImage,
): string | undefined {
  const fields: string[] = [];
  for (const { index, convert } of places) {
    const field = loadField(convert(image[index] ?? null));
    if (field === undefined) return undefined;
    fields.push(field);
  }
  // Joined at once: a text that is added to piece by piece is a tree of its pieces until somebody reads it.
  return fields.join('\t');
}

/** @returns false when the row must go the long way: it has bytes, or no codec accepts it */
function putLines(shape: TableShape, mapping: TableMapping, image: RowImage, sink: Sink): boolean {
  const writers = lineWritersOf(shape, mapping);
  if (writers.length === 0) return false;
  try {
    const [first, second] = writers;
    if (first && !second) {
      const line = first.write(image);
      if (line === undefined) return false;
      sink({ kind: 'line', target: first.target, line });
      return true;
    }
    const lines = writers.map(({ target, write }) => ({ target, line: write(image) }));
    if (lines.some(({ line }) => line === undefined)) return false;
    for (const { target, line } of lines) if (line !== undefined) sink({ kind: 'line', target, line });
    return true;
  } catch (error) {
    if (error instanceof CodecFault) return false;
    throw error;
  }
}

/** A row that was read, not streamed, and is hardly on the target yet. @returns whether a translator accepted it */
export function putNewRow(mapping: TableMapping, row: Row, quarantine: Quarantine, sink: Sink): boolean {
  const [fields, another] = mapping.fields ?? [];
  const [target] = mapping.targets;
  if (fields && !another && target && quarantine.size === 0)
    try {
      const line = fields.map(({ from, convert }) =>
        loadField(convert(from === undefined ? null : row[from])),
      );
      if (!line.includes(undefined)) {
        sink({ kind: 'line', target, line: line.join('\t') });
        return true;
      }
    } catch (error) {
      if (!(error instanceof CodecFault)) throw error;
    }
  return putRow(mapping, row, quarantine, sink);
}

const keyOf = ({ sourceKey }: TableMapping, row: Row) =>
  sourceKey.map((column) => literal(row[column])).join();

export type Sink = (change: RowChange | Statement) => void;

/** One row of a row event, in one direction. */
export function applyRow(
  shape: TableShape,
  mapping: TableMapping,
  { before, after }: RowImages,
  quarantine: Quarantine,
  sink: Sink,
): void {
  if (!before && after && quarantine.size === 0 && putLines(shape, mapping, after, sink)) return;
  const read = readerOf(shape, mapping);
  const was = before && read(before);
  const is = after && read(after);
  const { sourceTable, sourceKey } = mapping;
  const isMoved = was !== null && is !== null && keyOf(mapping, was) !== keyOf(mapping, is);
  if (was && (!is || isMoved) && quarantine.size > 0) {
    const released = quarantine.release(sourceTable, rowKey(sourceKey, was));
    if (released) sink(released);
  }
  if (!is) {
    if (was) remove(mapping, was, sink);
    return;
  }
  const keysBefore = isMoved && was ? keysOf(mapping, was) : undefined;
  const isPut = putRow(mapping, is, quarantine, sink, keysBefore);
  // Under its old key the source has it no more.
  if (!isPut && isMoved && was) remove(mapping, was, sink);
}

/**
 * Puts a source row on the target, or into quarantine; takes it out of there when it was in.
 * @param keysBefore its keys on the target, when they have changed
 * @returns whether a translator accepted it
 */
export function putRow(
  mapping: TableMapping,
  row: Row,
  quarantine: Quarantine,
  sink: Sink,
  keysBefore?: readonly TranslatedKey[],
): boolean {
  const { sourceTable, sourceKey, targets } = mapping;
  try {
    for (const [index, { columns }] of mapping.rows(row).entries()) {
      const target = targets[index];
      if (!target) continue;
      const oldKey = keysBefore?.[index]?.key;
      sink(oldKey ? { kind: 'rekey', target, was: oldKey, columns } : { kind: 'put', target, columns });
    }
  } catch (error) {
    if (!(error instanceof TranslationError)) throw error;
    sink(quarantine.put(sourceTable, rowKey(sourceKey, row), row, error));
    return false;
  }
  const released = quarantine.size > 0 ? quarantine.release(sourceTable, rowKey(sourceKey, row)) : undefined;
  if (released) sink(released);
  return true;
}

/** Keys on the target; undefined when the row cannot have been there. */
function keysOf(mapping: TableMapping, row: Row): readonly TranslatedKey[] | undefined {
  try {
    return mapping.keys(row);
  } catch (error) {
    if (!(error instanceof TranslationError)) throw error;
    return undefined;
  }
}

function remove(mapping: TableMapping, was: Row, sink: Sink): void {
  for (const [index, { key }] of (keysOf(mapping, was) ?? []).entries()) {
    const target = mapping.targets[index];
    // A group of columns stays with its row, which exists as long as its root does.
    if (target?.root) sink({ kind: 'remove', target, key });
  }
}
