// Changes of target rows as SQL: runs of the same kind on the same table become statements of many rows.
import type { Value } from '../acl/domain.ts';
import type { Row } from '../acl/translator.ts';
import type { TargetTable } from './mapping.ts';

export type RowChange =
  /** The row is, or becomes, this: inserted, or its columns of this direction overwritten. */
  | { readonly kind: 'put'; readonly target: TargetTable; readonly columns: Row }
  | { readonly kind: 'remove'; readonly target: TargetTable; readonly key: Row }
  /** The same row under another key; columns that this direction does not write stay with it. */
  | { readonly kind: 'rekey'; readonly target: TargetTable; readonly was: Row; readonly columns: Row };

export type Statement = {
  readonly sql: string;
  /** What to do when it matches no row. */
  readonly otherwise?: string;
  readonly table: string;
  /** Called once its transaction has committed. */
  readonly landed?: () => void;
};

/** Of the table on the target server, what decides how rows may be written. */
export type WriteRules = {
  readonly schema: string;
  /** With other unique keys an upsert could change another row: then each row is written by its key alone. */
  readonly isPlain: (table: string) => boolean;
  /** Whether runs of different tables may change places. */
  readonly keepOrder: boolean;
};

export const quoteName = (name: string) => `\`${name.replaceAll('`', '``')}\``;

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must be escaped
const unsafe = /[\0\n\r\x1a'"\\]/;

/** A value as an SQL literal, for a session without NO_BACKSLASH_ESCAPES. */
export function literal(value: Value | Uint8Array | undefined): string {
  if (value === null || value === undefined) return 'NULL';
  if (typeof value === 'number') return Object.is(value, -0) ? '-0e0' : String(value);
  if (typeof value === 'string') return unsafe.test(value) ? escaped(value) : `'${value}'`;
  if (value instanceof Uint8Array)
    return value.length === 0
      ? "''"
      : `x'${Buffer.from(value.buffer, value.byteOffset, value.length).toString('hex')}'`;
  throw new TypeError('a list is no column value');
}

const escapes: Readonly<Record<string, string>> = {
  '\0': '\\0',
  '\n': '\\n',
  '\r': '\\r',
  '\x1a': '\\Z',
  "'": "''",
  '"': '"',
  '\\': '\\\\',
};
const escaped = (text: string) =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must be escaped
  `'${text.replace(/[\0\n\r\x1a'"\\]/g, (character) => escapes[character] ?? character)}'`;

const statementRowsMax = 1_000;
const statementCharsMax = 1_000_000;

const tuple = (row: Row, columns: readonly string[]) =>
  `(${columns.map((column) => literal(row[column])).join(',')})`;
const equals = (row: Row, columns: readonly string[], separator: string) =>
  columns.map((column) => `${quoteName(column)}=${literal(row[column])}`).join(separator);

/** Collects changes in their order and writes them as few statements. */
export class StatementBuilder {
  readonly #rules: WriteRules;
  readonly #closed: Statement[] = [];
  readonly #open = new Map<
    string,
    { kind: 'put' | 'remove'; target: TargetTable; tuples: string[]; chars: number }
  >();
  #chars = 0;
  #rows = 0;

  constructor(rules: WriteRules) {
    this.#rules = rules;
  }

  /** Characters of SQL so far: what the batch costs in memory. */
  get chars(): number {
    return this.#chars;
  }

  get rows(): number {
    return this.#rows;
  }

  add(change: RowChange): void {
    this.#rows++;
    const { target } = change;
    if (this.#rules.keepOrder)
      for (const table of this.#open.keys()) if (table !== target.table) this.#close(table);
    if (change.kind === 'remove') {
      this.#append('remove', target, tuple(change.key, target.key));
      return;
    }
    if (change.kind === 'put' && target.root && this.#rules.isPlain(target.table)) {
      this.#append('put', target, tuple(change.columns, target.columns));
      return;
    }
    // One row, by its key: the same row under a new key, a group of columns, a table with other unique keys.
    this.#close(target.table);
    const was = change.kind === 'rekey' ? change.was : change.columns;
    const name = this.#name(target.table);
    const sql = `UPDATE ${name} SET ${equals(change.columns, target.columns, ',')} WHERE ${equals(was, target.key, ' AND ')}`;
    const insert = `INSERT INTO ${name} (${target.columns.map(quoteName).join(',')}) VALUES ${tuple(change.columns, target.columns)}`;
    this.#chars += sql.length + insert.length;
    this.#closed.push({ sql, table: target.table, ...(target.root ? { otherwise: insert } : {}) });
  }

  /** All of it, in order; the builder is empty afterwards. */
  take(): Statement[] {
    for (const table of [...this.#open.keys()]) this.#close(table);
    this.#chars = 0;
    this.#rows = 0;
    return this.#closed.splice(0);
  }

  #name(table: string): string {
    return `${quoteName(this.#rules.schema)}.${quoteName(table)}`;
  }

  #append(kind: 'put' | 'remove', target: TargetTable, text: string): void {
    let run = this.#open.get(target.table);
    if (
      run &&
      (run.kind !== kind ||
        run.target !== target ||
        run.tuples.length >= statementRowsMax ||
        run.chars > statementCharsMax)
    ) {
      this.#close(target.table);
      run = undefined;
    }
    if (!run) {
      run = { kind, target, tuples: [], chars: 0 };
      this.#open.set(target.table, run);
    }
    run.tuples.push(text);
    run.chars += text.length;
    this.#chars += text.length;
  }

  #close(table: string): void {
    const run = this.#open.get(table);
    if (!run) return;
    this.#open.delete(table);
    const { target, tuples } = run;
    const name = this.#name(table);
    const columns = target.columns.map(quoteName);
    const sql =
      run.kind === 'remove'
        ? `DELETE FROM ${name} WHERE (${target.key.map(quoteName).join(',')}) IN (${tuples.join(',')})`
        : `INSERT INTO ${name} (${columns.join(',')}) VALUES ${tuples.join(',')} ON DUPLICATE KEY UPDATE ${columns.map((column) => `${column}=VALUES(${column})`).join(',')}`;
    this.#closed.push({ sql, table });
  }
}
