// Row translators: one legacy row image becomes rows, or groups of columns of rows, of the service's schema,
// and each of those becomes its part of the legacy row again. Declared field by field; nothing here reads a
// database: a translation depends on the row image alone.
import { type Codec, CodecFault } from './codecs.ts';
import type { Value } from './domain.ts';
import { TranslationError } from './translation-error.ts';

export type Row = Readonly<Record<string, Value>>;

export type ColumnDeclaration = { readonly from: string; readonly codec: Codec };

export type TargetDeclaration = {
  readonly table: string;
  /** Its primary key, in order; each is one of `columns`. */
  readonly key: readonly string[];
  /** Whether the target row exists because of this source row; false: this source fills a group of its columns. */
  readonly root: boolean;
  /** Target column → source column and codec. A target column belongs to exactly one source table. */
  readonly columns: Readonly<Record<string, ColumnDeclaration>>;
  /** Target columns that always hold one value for rows from this source. */
  readonly constants?: Readonly<Record<string, Value>>;
};

export type TranslatorDeclaration = {
  readonly capability: string;
  readonly source: {
    readonly table: string;
    /** Its primary key, in order. */
    readonly key: readonly string[];
    /** Columns that only legacy has: never overwritten on the way back; on an insert the column's default holds. */
    readonly preserved: readonly string[];
  };
  readonly targets: readonly TargetDeclaration[];
};

/** A row, or a group of columns of one. `columns` has the key's columns too. */
export type TranslatedRow = {
  readonly table: string;
  readonly key: Row;
  readonly columns: Row;
  readonly root: boolean;
};

export type RowTranslator = TranslatorDeclaration & {
  /** The source columns that a translation needs, in the order of the declaration. */
  readonly sourceColumns: readonly string[];
  /**
   * A legacy row in the service's words, one for each target.
   * @throws TranslationError naming the field that no codec accepts
   */
  forward(row: Row): TranslatedRow[];
  /**
   * A target row in legacy's words: the source columns that come from that target, and no others.
   * @throws TranslationError
   */
  back(table: string, row: Row): TranslatedRow;
  /** The keys of the target rows that a source row has, from its key columns alone. @throws TranslationError */
  forwardKey(row: Row): TranslatedKey[];
  /** The key of the source row that a target row has. @throws TranslationError */
  backKey(table: string, row: Row): TranslatedKey;
};

export type TranslatedKey = Pick<TranslatedRow, 'table' | 'key' | 'root'>;

type Compiled = { readonly from: string; readonly to: string; readonly codec: Codec };

/** What is wrong with a declaration, every fault at once. */
export function translatorFaults({ source, targets }: TranslatorDeclaration): string[] {
  const faults: string[] = [];
  const say = (fault: string) => faults.push(`${source.table}: ${fault}`);
  if (source.key.length === 0) say('it has no key');
  if (targets.length === 0) say('it has no target');
  const mapped = new Map<string, string>();
  for (const target of targets) {
    const columns = Object.entries(target.columns);
    for (const key of target.key)
      if (!target.columns[key]) say(`key column ${target.table}.${key} is not among its columns`);
    for (const key of source.key)
      if (!columns.some(([name, { from }]) => from === key && target.key.includes(name)))
        say(`its key column ${key} is not in the key of ${target.table}`);
    for (const name of Object.keys(target.constants ?? {}))
      if (target.columns[name]) say(`${target.table}.${name} is a column and a constant`);
    for (const [, { from }] of columns) {
      if (source.preserved.includes(from)) say(`${from} is translated and preserved`);
      const other = mapped.get(from);
      if (other !== undefined && !source.key.includes(from))
        say(`${from} goes to ${other} and to ${target.table}: the way back would be two`);
      mapped.set(from, target.table);
    }
  }
  return faults;
}

/** @throws Error with every fault of the declaration */
export function rowTranslator(declaration: TranslatorDeclaration): RowTranslator {
  const faults = translatorFaults(declaration);
  if (faults.length > 0) throw new Error(faults.join('\n'));
  const { capability, source } = declaration;
  const targets = declaration.targets.map((target) => {
    const compiled = Object.entries(target.columns).map(
      ([to, { from, codec }]): Compiled => ({ from, to, codec }),
    );
    const compiledKey = compiled.filter(({ to }) => target.key.includes(to));
    return { ...target, constants: target.constants ?? {}, compiled, compiledKey };
  });
  const refuse = (
    table: string,
    keyNames: readonly string[],
    row: Row,
    field: string,
    reason: string,
  ): never => {
    const key = Object.fromEntries(keyNames.map((name) => [name, row[name]]));
    throw new TranslationError({ capability, table, key, field, value: row[field], reason });
  };
  const pick = (row: Row, names: readonly string[]): Row =>
    Object.fromEntries(names.map((name) => [name, row[name] ?? null]));
  const forwardColumns = (row: Row, columns: readonly Compiled[]): Record<string, Value> => {
    const translated: Record<string, Value> = {};
    for (const { from, to, codec } of columns) {
      try {
        translated[to] = codec.forward(row[from]);
      } catch (error) {
        if (!(error instanceof CodecFault)) throw error;
        refuse(source.table, source.key, row, from, error.message);
      }
    }
    return translated;
  };
  const backColumns = (
    row: Row,
    { table, key }: TargetDeclaration,
    columns: readonly Compiled[],
  ): Record<string, Value> => {
    const translated: Record<string, Value> = {};
    for (const { from, to, codec } of columns) {
      try {
        translated[from] = codec.back(row[to]);
      } catch (error) {
        if (!(error instanceof CodecFault)) throw error;
        refuse(table, key, row, to, error.message);
      }
    }
    return translated;
  };
  const targetOf = (table: string) => {
    const target = targets.find((each) => each.table === table);
    if (!target) throw new Error(`${source.table} has no target ${table}`);
    return target;
  };

  return {
    ...declaration,
    sourceColumns: [...new Set(targets.flatMap(({ compiled }) => compiled.map(({ from }) => from)))],
    forward: (row) =>
      targets.map(({ table, key, root, compiled, constants }) => {
        const columns = Object.assign(forwardColumns(row, compiled), constants);
        return { table, key: pick(columns, key), columns, root };
      }),
    back: (table, row) => {
      const target = targetOf(table);
      const columns = backColumns(row, target, target.compiled);
      for (const [name, value] of Object.entries(target.constants))
        if (row[name] !== value)
          refuse(table, target.key, row, name, 'is not the constant that legacy rows have');
      return { table: source.table, key: pick(columns, source.key), columns, root: target.root };
    },
    forwardKey: (row) =>
      targets.map(({ table, root, compiledKey }) => ({ table, root, key: forwardColumns(row, compiledKey) })),
    backKey: (table, row) => {
      const target = targetOf(table);
      const ofSource = target.compiledKey.filter(({ from }) => source.key.includes(from));
      const key = pick(backColumns(row, target, ofSource), source.key);
      return { table: source.table, root: target.root, key };
    },
  };
}
