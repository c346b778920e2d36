// Tables that move unchanged: the translator is made from the schema itself, when the worker has seen it.
import { type Codec, renamed } from './codecs.ts';
import { type RowTranslator, rowTranslator } from './translator.ts';

/** In a capability's tables: this legacy table has the same name, columns and key in the service's schema. */
export type IdentityDeclaration = { readonly identity: string };

export const identity = (table: string): IdentityDeclaration => ({ identity: table });

export const isIdentity = (declared: RowTranslator | IdentityDeclaration): declared is IdentityDeclaration =>
  'identity' in declared;

const unchanged: Codec = renamed({ kind: 'any' });

/**
 * @param columns those that can be written: generated ones follow by themselves
 * @throws Error when there is no key
 */
export const identityTranslator = (
  capability: string,
  table: string,
  columns: readonly string[],
  key: readonly string[],
): RowTranslator =>
  rowTranslator({
    capability,
    source: { table, key, preserved: [] },
    targets: [
      {
        table,
        key,
        root: true,
        columns: Object.fromEntries(columns.map((name) => [name, { from: name, codec: unchanged }])),
      },
    ],
  });
