// Which column of one side becomes which of the other: what counters, number types and unique keys are held against.
import type { Domain } from '../../acl/domain.ts';
import type { RowTranslator } from '../../acl/translator.ts';
import type { Side } from '../../capability/capability.ts';
import type { ColumnFacts, SchemaFacts, TableFacts } from './schema-facts.ts';

export type LinkedColumn = {
  /** What the translator accepts there. */
  readonly domain: Domain;
  readonly facts: ColumnFacts;
};

export type ColumnPair = Readonly<Record<Side, LinkedColumn>>;

/** A legacy table and one service table that its rows become. */
export type Link = {
  readonly capability: string;
  readonly isReference: boolean;
  readonly schemas: Readonly<Record<Side, string>>;
  readonly tables: Readonly<Record<Side, TableFacts>>;
  readonly keys: Readonly<Record<Side, readonly string[]>>;
  readonly pairs: readonly ColumnPair[];
};

/** Links between tables that are there; columns that are missing have a finding of their own. */
export function linksOf(
  translators: readonly RowTranslator[],
  isReference: boolean,
  schemas: Link['schemas'],
  facts: Readonly<Record<Side, SchemaFacts>>,
): Link[] {
  return translators.flatMap(({ capability, source, targets }) =>
    targets.flatMap((target): Link[] => {
      const legacy = facts.legacy.get(source.table);
      const service = facts.service.get(target.table);
      if (!legacy || !service) return [];
      const pairs = Object.entries(target.columns).flatMap(([to, { from, codec }]): ColumnPair[] => {
        const one = legacy.columns.find(({ name }) => name === from);
        const other = service.columns.find(({ name }) => name === to);
        return one && other
          ? [
              {
                legacy: { facts: one, domain: codec.legacy },
                service: { facts: other, domain: codec.model },
              },
            ]
          : [];
      });
      return [
        {
          capability,
          isReference,
          schemas,
          tables: { legacy, service },
          keys: { legacy: source.key, service: target.key },
          pairs,
        },
      ];
    }),
  );
}
