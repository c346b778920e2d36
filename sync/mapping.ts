// One direction of a capability's translators: what a change of a source row means for target rows.

import type { Value } from '../acl/domain.ts';
import type {
  Row,
  RowTranslator,
  TargetDeclaration,
  TranslatedKey,
  TranslatedRow,
} from '../acl/translator.ts';
import type { Side } from '../capability/capability.ts';

export type TargetTable = {
  readonly table: string;
  readonly key: readonly string[];
  /** All columns that this direction writes, the key's among them. */
  readonly columns: readonly string[];
  readonly root: boolean;
};

/** @throws CodecFault */
export type Field = { readonly from: string | undefined; readonly convert: (value: unknown) => Value };

export type TableMapping = {
  readonly sourceTable: string;
  readonly sourceKey: readonly string[];
  /** The source columns that a translation needs. */
  readonly needs: readonly string[];
  readonly targets: readonly TargetTable[];
  /**
   * For each target how each of its columns comes of a source column, without a look at the others: the short way
   * for new rows. Undefined where a translation is more than that.
   */
  readonly fields: readonly (readonly Field[])[] | undefined;
  /** Made from the schema: both sides have the same columns. */
  readonly isIdentity?: boolean;
  /** @throws TranslationError */
  rows(row: Row): readonly TranslatedRow[];
  /** @throws TranslationError */
  keys(row: Row): readonly TranslatedKey[];
};

const unique = (names: readonly string[]) => [...new Set(names)];

function forward(translator: RowTranslator): TableMapping {
  const { source, sourceColumns, targets } = translator;
  return {
    sourceTable: source.table,
    sourceKey: source.key,
    needs: unique([...source.key, ...sourceColumns]),
    targets: targets.map(({ table, key, columns, constants, root }) => ({
      table,
      key,
      root,
      columns: [...Object.keys(columns), ...Object.keys(constants ?? {})],
    })),
    fields: targets.every(({ root }) => root)
      ? targets.map(({ columns, constants }) => [
          ...Object.values(columns).map(({ from, codec }): Field => ({ from, convert: codec.forward })),
          ...Object.values(constants ?? {}).map(
            (constant): Field => ({ from: undefined, convert: () => constant }),
          ),
        ])
      : undefined,
    rows: translator.forward,
    keys: translator.forwardKey,
  };
}

/** In the order of the source columns that they come to. */
function backFields(columns: TargetDeclaration['columns']): Field[] {
  const byColumn = new Map(
    Object.entries(columns).map(([name, { from, codec }]) => [from, { from: name, convert: codec.back }]),
  );
  return unique(Object.values(columns).map(({ from }) => from)).flatMap((name) => byColumn.get(name) ?? []);
}

function backward(translator: RowTranslator): TableMapping[] {
  const { source, targets } = translator;
  return targets.map(({ table, key, columns, constants, root }) => ({
    sourceTable: table,
    sourceKey: key,
    needs: unique([...key, ...Object.keys(columns), ...Object.keys(constants ?? {})]),
    targets: [
      {
        table: source.table,
        key: source.key,
        root,
        columns: unique(Object.values(columns).map(({ from }) => from)),
      },
    ],
    // Constants are looked at on the way back.
    fields: root && !constants ? [backFields(columns)] : undefined,
    rows: (row) => [translator.back(table, row)],
    keys: (row) => [translator.backKey(table, row)],
  }));
}

/**
 * A mapping for rows that were logged before a column was added on both sides: they have it by its default.
 * @param has whether the logged rows have a column
 */
export function withoutAdded(mapping: TableMapping, has: (column: string) => boolean): TableMapping {
  const { isIdentity, needs, sourceKey, targets, fields } = mapping;
  if (!isIdentity || needs.every(has) || !sourceKey.every(has)) return mapping;
  return {
    ...mapping,
    needs: needs.filter(has),
    targets: targets.map((target) => ({ ...target, columns: target.columns.filter(has) })),
    fields: fields?.map((each) => each.filter(({ from }) => from === undefined || has(from))),
  };
}

/** The mappings of a direction by source table; a service table may feed several legacy tables. */
export function mappingsFrom(
  source: Side,
  translators: readonly RowTranslator[],
  identities: ReadonlySet<string>,
): ReadonlyMap<string, readonly TableMapping[]> {
  const all = source === 'legacy' ? translators.map(forward) : translators.flatMap(backward);
  return Map.groupBy(
    all.map((mapping) => ({ ...mapping, isIdentity: identities.has(mapping.sourceTable) })),
    ({ sourceTable }) => sourceTable,
  );
}
