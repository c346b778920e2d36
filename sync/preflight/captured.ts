// What the configuration asks of each server's tables: which are read, which are written, by which key.
import { isIdentity } from '../../acl/identity.ts';
import type { RowTranslator } from '../../acl/translator.ts';
import type { BanyanConfig, Capability, Side } from '../../capability/capability.ts';

export type TableUse = {
  readonly capability: string;
  readonly side: Side;
  readonly schema: string;
  readonly table: string;
  /** Its changes are read: columns, or `all`. */
  readonly reads: readonly string[] | 'all';
  /** Rows are written there: columns, or `all`; empty for what is only read. */
  readonly writes: readonly string[] | 'all';
  /** What each kind of new row comes with; other columns of it come later, or stay what the server makes them. */
  readonly inserts: readonly (readonly string[] | 'all')[];
  /** What each translator takes for its key; none where the schema itself is asked. */
  readonly keys: readonly (readonly string[])[];
};

const union = (one: TableUse['reads'], other: TableUse['reads']): TableUse['reads'] =>
  one === 'all' || other === 'all' ? 'all' : [...new Set([...one, ...other])];

/** A service table may be filled from several legacy tables. */
function merged(uses: readonly TableUse[]): TableUse[] {
  const byPlace = new Map<string, TableUse>();
  for (const use of uses) {
    const place = [use.side, use.schema, use.table].join('\0');
    const known = byPlace.get(place);
    byPlace.set(
      place,
      known
        ? {
            ...known,
            reads: union(known.reads, use.reads),
            writes: union(known.writes, use.writes),
            inserts: [...known.inserts, ...use.inserts],
            keys: [...known.keys, ...use.keys],
          }
        : use,
    );
  }
  return [...byPlace.values()];
}

function usesOf(config: BanyanConfig, capability: Capability): TableUse[] {
  const { name, service, tables, references } = capability;
  const legacy = { capability: name, side: 'legacy', schema: config.legacy.database } as const;
  const target = { capability: name, side: 'service', schema: service.database } as const;
  const translated = (
    { source, sourceColumns, targets }: RowTranslator,
    isReference: boolean,
  ): TableUse[] => [
    {
      ...legacy,
      table: source.table,
      keys: [source.key],
      reads: [...new Set([...source.key, ...sourceColumns])],
      writes: isReference ? [] : sourceColumns,
      inserts: isReference
        ? []
        : targets
            .filter(({ root }) => root)
            .map(({ columns }) => [...new Set(Object.values(columns).map(({ from }) => from))]),
    },
    ...targets.map(({ table, key, root, columns, constants }) => {
      const names = [...Object.keys(columns), ...Object.keys(constants ?? {})];
      return {
        ...target,
        table,
        keys: [key],
        reads: isReference ? [] : names,
        writes: names,
        inserts: root ? [names] : [],
      };
    }),
  ];
  const same = (table: string): TableUse[] =>
    [legacy, target].map((place) => ({
      ...place,
      table,
      keys: [],
      reads: 'all',
      writes: 'all',
      inserts: ['all'],
    }));
  return merged([
    ...tables.flatMap((each) => (isIdentity(each) ? same(each.identity) : translated(each, false))),
    ...references.flatMap((each) => translated(each, true)),
  ]);
}

/** Every table of every capability, on both sides. */
export const tableUses = (config: BanyanConfig): TableUse[] =>
  config.capabilities.flatMap((capability) => usesOf(config, capability));

export const isRead = ({ reads }: TableUse) => reads === 'all' || reads.length > 0;
export const isWritten = ({ writes }: TableUse) => writes === 'all' || writes.length > 0;
