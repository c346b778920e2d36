// What is compared when a table is verified: its rows on the owner's side and what they should be on the other, one
// target table at a time, and how the two can be set beside each other.

import type { Connection } from 'mysql2/promise';
import { CodecFault } from '../acl/codecs.ts';
import type { Value } from '../acl/domain.ts';
import type { SqlColumn } from '../acl/sql-form.ts';
import { legacyField, modelField, rowHash, sameField } from '../acl/sql-row.ts';
import type { ColumnDeclaration, Row, RowTranslator, TargetDeclaration } from '../acl/translator.ts';
import type { Side } from '../capability/capability.ts';
import { literal, quoteName } from './literal.ts';
import { mappingsFrom, type TableMapping, type TargetTable } from './mapping.ts';
import { readSourceColumns, type SourceColumn } from './source-columns.ts';

/** A table as one reads it. */
export type SideTable = {
  /** Quoted, with its schema. */
  readonly from: string;
  readonly table: string;
  readonly key: readonly SourceColumn[];
  readonly columns: readonly SourceColumn[];
  /** Which rows are this translator's: those with its constants. */
  readonly filter: string;
};

/** 60 bits of a row, as SQL on each side. */
export type PartHash = {
  readonly source: string;
  readonly target: string;
  /** Where legacy is, if it may be NULL: for a row that the code must look at. */
  readonly unsaid: 'source' | 'target' | undefined;
};

/** One source table and one of the tables that it goes to. */
export type Part = {
  readonly source: SideTable;
  readonly target: SideTable;
  readonly writes: TargetTable;
  /** A target row exists because of its source row: without one it is too much. */
  readonly root: boolean;
  /** Key order is the same on both sides, key by key. */
  readonly isAligned: boolean;
  readonly hash: PartHash | undefined;
  /** Target column → the source column that it comes of. */
  readonly origin: ReadonlyMap<string, string>;
  /** @throws TranslationError */
  expected(row: Row): Row;
  /** Of a row of the source, from its key columns. @throws TranslationError */
  targetKey(row: Row): Row;
  /** Of a row of the target. @throws TranslationError */
  sourceKey(row: Row): Row;
  /** Columns of a source row that are not what they were after there and back. */
  changedByRoundTrip(row: Row): string[];
};

export type SideSchema = { readonly sql: Connection; readonly schema: string };

const orderedNumbers = /^(tiny|small|medium|big)?int\b/;

/** Whether two columns hold the same values in the same order, and make the same values equal. */
function isSameOrder(one: SourceColumn, other: SourceColumn, isIdentity: boolean): boolean {
  if (isIdentity) return true;
  if (orderedNumbers.test(one.full) && orderedNumbers.test(other.full)) return true;
  return one.collation !== undefined && one.collation === other.collation;
}

const named = (columns: readonly SourceColumn[], names: readonly string[]) =>
  names.flatMap((name) => columns.filter((column) => column.name === name));

const asSql = ({ name, full, charset }: SourceColumn): SqlColumn => ({
  name: quoteName(name),
  type: full,
  charset,
});

/** How each side says its rows of one target as SQL; undefined when a column has no form. */
function fieldsOf(
  { columns }: TargetDeclaration,
  legacy: readonly SourceColumn[],
  service: readonly SourceColumn[],
  isIdentity: boolean,
): { legacy: string[]; service: string[] } | undefined {
  const fields = { legacy: [] as string[], service: [] as string[] };
  const add = (of: string | undefined, model: string | undefined) => {
    if (of === undefined || model === undefined) return false;
    fields.legacy.push(of);
    fields.service.push(model);
    return true;
  };
  for (const [name, { from, codec }] of Object.entries(columns)) {
    const [was] = named(legacy, [from]);
    const [is] = named(service, [name]);
    if (!was || !is) return undefined;
    if (isIdentity) {
      add(sameField(asSql(was)), sameField(asSql(is)));
      continue;
    }
    const form = codec.sql?.(asSql(was));
    if (!form || !add(legacyField(form, asSql(is)), modelField(asSql(is)))) return undefined;
  }
  return fields;
}

const constantsAre = (constants: Readonly<Record<string, Value>> = {}): string =>
  Object.entries(constants)
    .map(([name, value]) => `${quoteName(name)} <=> ${literal(value)}`)
    .join(' AND ') || 'TRUE';

const same = (one: Value, other: Value) => literal(one) === literal(other);

function changed(row: Row, pairs: readonly (readonly [string, ColumnDeclaration])[], source: Side): string[] {
  return pairs.flatMap(([name, { from, codec }]) => {
    const column = source === 'legacy' ? from : name;
    const value = row[column] ?? null;
    try {
      const returned =
        source === 'legacy' ? codec.back(codec.forward(value)) : codec.forward(codec.back(value));
      return same(returned, value) ? [] : [column];
    } catch (error) {
      if (!(error instanceof CodecFault)) throw error;
      return [column];
    }
  });
}

const only = (mappings: ReadonlyMap<string, readonly TableMapping[]>, table: string): TableMapping => {
  const [mapping] = mappings.get(table) ?? [];
  if (!mapping) throw new Error(`no mapping of ${table}`);
  return mapping;
};

/** The parts of a translator, in the direction from the owner. */
export async function planParts(
  translator: RowTranslator,
  isIdentity: boolean,
  owner: Side,
  sides: Readonly<Record<Side, SideSchema>>,
): Promise<Part[]> {
  const { source: declared, sourceColumns, targets } = translator;
  const { legacy, service } = sides;
  const needs = [...new Set([...declared.key, ...sourceColumns])];
  const legacyColumns = await readSourceColumns(legacy.sql, legacy.schema, declared.table, needs);
  const parts: Part[] = [];
  for (const [index, target] of targets.entries()) {
    const mapped = Object.entries(target.columns);
    const names = [...Object.keys(target.columns), ...Object.keys(target.constants ?? {})];
    const serviceColumns = await readSourceColumns(service.sql, service.schema, target.table, names);
    const identities = new Set(isIdentity ? [declared.table] : []);
    const alone: RowTranslator = { ...translator, targets: [target] };
    const there = only(mappingsFrom('legacy', [translator], identities), declared.table);
    const back = only(mappingsFrom('service', [alone], identities), target.table);
    const constants = constantsAre(target.constants);
    const tables: Record<Side, SideTable> = {
      legacy: {
        from: `${quoteName(legacy.schema)}.${quoteName(declared.table)}`,
        table: declared.table,
        key: named(legacyColumns, declared.key),
        // Of the whole row where it is translated, of this target's columns where it is what came of it.
        columns:
          owner === 'legacy'
            ? legacyColumns
            : named(legacyColumns, [...new Set(mapped.map(([, { from }]) => from))]),
        filter: 'TRUE',
      },
      service: {
        from: `${quoteName(service.schema)}.${quoteName(target.table)}`,
        table: target.table,
        key: named(serviceColumns, target.key),
        columns: serviceColumns,
        filter: owner === 'legacy' ? constants : 'TRUE',
      },
    };
    const fields = fieldsOf(target, legacyColumns, serviceColumns, isIdentity);
    const isAligned =
      declared.key.length === target.key.length &&
      target.key.every((name, at) => {
        const column = target.columns[name];
        const [one, other] = [tables.legacy.key[at], tables.service.key[at]];
        return (
          column?.from === declared.key[at] &&
          column?.codec.name === 'renamed' &&
          one !== undefined &&
          other !== undefined &&
          isSameOrder(one, other, isIdentity)
        );
      });
    const writes = owner === 'legacy' ? there.targets[index] : back.targets[0];
    if (!writes) throw new Error(`${declared.table} has no target ${target.table}`);
    // A service's row with another constant is not legacy's, and no sum says so.
    const isHashed = isAligned && target.root && (owner === 'legacy' || constants === 'TRUE');
    const unsaid = owner === 'legacy' ? 'source' : 'target';
    parts.push({
      source: tables[owner],
      target: tables[owner === 'legacy' ? 'service' : 'legacy'],
      writes,
      root: target.root,
      isAligned,
      hash:
        fields && isHashed
          ? {
              source: rowHash(fields[owner]),
              target: rowHash(fields[owner === 'legacy' ? 'service' : 'legacy']),
              unsaid: isIdentity ? undefined : unsaid,
            }
          : undefined,
      origin: new Map(mapped.map(([name, { from }]) => (owner === 'legacy' ? [name, from] : [from, name]))),
      expected: (row) => (owner === 'legacy' ? there.rows(row)[index] : back.rows(row)[0])?.columns ?? {},
      targetKey: (row) => (owner === 'legacy' ? there.keys(row)[index] : back.keys(row)[0])?.key ?? {},
      sourceKey: (row) => (owner === 'legacy' ? back.keys(row)[0] : there.keys(row)[index])?.key ?? {},
      changedByRoundTrip: (row) => changed(row, mapped, owner),
    });
  }
  return parts;
}
