// One direction of a capability's translators: what a change of a source row means for target rows.

import type { Row, RowTranslator, TranslatedKey, TranslatedRow } from '../acl/translator.ts';
import type { Side } from '../capability/capability.ts';

export type TargetTable = {
  readonly table: string;
  readonly key: readonly string[];
  /** All columns that this direction writes, the key's among them. */
  readonly columns: readonly string[];
  readonly root: boolean;
};

export type TableMapping = {
  readonly sourceTable: string;
  readonly sourceKey: readonly string[];
  /** The source columns that a translation needs. */
  readonly needs: readonly string[];
  readonly targets: readonly TargetTable[];
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
    rows: translator.forward,
    keys: translator.forwardKey,
  };
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
    rows: (row) => [translator.back(table, row)],
    keys: (row) => [translator.backKey(table, row)],
  }));
}

/** The mappings of a direction by source table; a service table may feed several legacy tables. */
export function mappingsFrom(
  source: Side,
  translators: readonly RowTranslator[],
): ReadonlyMap<string, readonly TableMapping[]> {
  const all = source === 'legacy' ? translators.map(forward) : translators.flatMap(backward);
  return Map.groupBy(all, ({ sourceTable }) => sourceTable);
}
