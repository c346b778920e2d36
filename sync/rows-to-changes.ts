// What a row event of a captured table means on the target: translated, or put into quarantine.
import { CodecFault } from '../acl/codecs.ts';
import type { Value } from '../acl/domain.ts';
import { TranslationError } from '../acl/translation-error.ts';
import type { Row, TranslatedKey } from '../acl/translator.ts';
import type { RowImage, RowChange as RowImages } from './binlog/rows.ts';
import type { TableShape } from './binlog/table-map.ts';
import { SyncError } from './errors.ts';
import { literal } from './literal.ts';
import type { Field, TableMapping, TargetTable } from './mapping.ts';
import { type Quarantine, rowKey } from './quarantine.ts';
import type { FieldAt, StatementBuilder } from './statement-builder.ts';

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

/** The short way of a new row to one target. */
type LineFields = { readonly target: TargetTable; readonly fields: readonly FieldAt[] };

const lineFields = new WeakMap<TableShape, Map<TableMapping, readonly LineFields[]>>();

function lineFieldsOf(shape: TableShape, mapping: TableMapping): readonly LineFields[] {
  let ofShape = lineFields.get(shape);
  if (!ofShape) {
    ofShape = new Map();
    lineFields.set(shape, ofShape);
  }
  let targets = ofShape.get(mapping);
  if (!targets) {
    readerOf(shape, mapping); // says what is missing
    targets = (mapping.fields ?? []).flatMap((fields, at) => {
      const target = mapping.targets[at];
      return target ? [{ target, fields: fields.map((field) => fieldAmong(shape.columns, field)) }] : [];
    });
    ofShape.set(mapping, targets);
  }
  return targets;
}

function fieldAmong(
  columns: readonly { readonly name: string; readonly type: string }[],
  { from, convert }: Field,
): FieldAt {
  const index = columns.findIndex(({ name }) => name === from);
  return { index, convert: columns[index]?.type === 'year' ? asYear(convert) : convert };
}

/** As text a year 0 is 2000, and 0000 is what it is. */
const asYear = (convert: Field['convert']) => (value: unknown) => {
  const year = convert(value);
  return typeof year === 'number' ? String(year).padStart(4, '0') : year;
};

/** @returns false when the row must go the long way: it has bytes, or no codec accepts it */
function addAccepted(
  builder: StatementBuilder,
  { target, fields }: LineFields,
  values: readonly Value[],
): boolean {
  try {
    return builder.addLine(target, fields, values);
  } catch (error) {
    if (error instanceof CodecFault) return false;
    throw error;
  }
}

/** Puts rows that were read, not streamed, and are hardly on the target yet. */
export class NewRows {
  readonly #mapping: TableMapping;
  readonly #columns: readonly string[];
  readonly #line: LineFields | undefined;

  /** @param columns what the rows' values are, in their order */
  constructor(mapping: TableMapping, columns: readonly { name: string; type: string }[]) {
    this.#mapping = mapping;
    this.#columns = columns.map(({ name }) => name);
    const [only, another] = mapping.fields ?? [];
    const [target] = mapping.targets;
    this.#line =
      only && !another && target
        ? { target, fields: only.map((field) => fieldAmong(columns, field)) }
        : undefined;
  }

  /** @returns whether a translator accepted it */
  put(values: readonly Value[], quarantine: Quarantine, builder: StatementBuilder): boolean {
    const line = this.#line;
    if (
      line &&
      quarantine.size === 0 &&
      builder.takesLines(line.target) &&
      addAccepted(builder, line, values)
    )
      return true;
    return putRow(this.#mapping, rowOf(this.#columns, values), quarantine, builder);
  }
}

export const rowOf = (columns: readonly string[], values: readonly Value[]): Row =>
  Object.fromEntries(columns.map((name, index) => [name, values[index] ?? null]));

const keyOf = ({ sourceKey }: TableMapping, row: Row) =>
  sourceKey.map((column) => literal(row[column])).join();

/** The rows of a row event, in one direction. */
export function applyRows(
  shape: TableShape,
  mapping: TableMapping,
  rows: readonly RowImages[],
  quarantine: Quarantine,
  builder: StatementBuilder,
): void {
  const [only, another] = lineFieldsOf(shape, mapping);
  const line = only && !another && builder.takesLines(only.target) ? only : undefined;
  for (const row of rows) {
    const isShort = line && !row.before && row.after && quarantine.size === 0;
    if (!isShort || !addAccepted(builder, line, row.after))
      applyRow(shape, mapping, row, quarantine, builder);
  }
}

function applyRow(
  shape: TableShape,
  mapping: TableMapping,
  { before, after }: RowImages,
  quarantine: Quarantine,
  builder: StatementBuilder,
): void {
  const read = readerOf(shape, mapping);
  const was = before && read(before);
  const is = after && read(after);
  const { sourceTable, sourceKey } = mapping;
  const isMoved = was !== null && is !== null && keyOf(mapping, was) !== keyOf(mapping, is);
  if (was && (!is || isMoved) && quarantine.size > 0) {
    const released = quarantine.release(sourceTable, rowKey(sourceKey, was));
    if (released) builder.addAside(released);
  }
  if (!is) {
    if (was) remove(mapping, was, builder);
    return;
  }
  const keysBefore = isMoved && was ? keysOf(mapping, was) : undefined;
  const isPut = putRow(mapping, is, quarantine, builder, keysBefore);
  // Under its old key the source has it no more.
  if (!isPut && isMoved && was) remove(mapping, was, builder);
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
  builder: StatementBuilder,
  keysBefore?: readonly TranslatedKey[],
): boolean {
  const { sourceTable, sourceKey, targets } = mapping;
  try {
    for (const [index, { columns }] of mapping.rows(row).entries()) {
      const target = targets[index];
      if (!target) continue;
      const oldKey = keysBefore?.[index]?.key;
      builder.add(
        oldKey ? { kind: 'rekey', target, was: oldKey, columns } : { kind: 'put', target, columns },
      );
    }
  } catch (error) {
    if (!(error instanceof TranslationError)) throw error;
    builder.addAside(quarantine.put(sourceTable, rowKey(sourceKey, row), row, error));
    return false;
  }
  const released = quarantine.size > 0 ? quarantine.release(sourceTable, rowKey(sourceKey, row)) : undefined;
  if (released) builder.addAside(released);
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

function remove(mapping: TableMapping, was: Row, builder: StatementBuilder): void {
  for (const [index, { key }] of (keysOf(mapping, was) ?? []).entries()) {
    const target = mapping.targets[index];
    // A group of columns stays with its row, which exists as long as its root does.
    if (target?.root) builder.add({ kind: 'remove', target, key });
  }
}
