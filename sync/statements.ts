// Changes of target rows as SQL: runs of the same kind on the same table become statements of many rows.
import type { Value } from '../acl/domain.ts';
import type { Row } from '../acl/translator.ts';
import { LoadLines, rowOfLine } from './load-rows.ts';
import type { TargetTable } from './mapping.ts';

export type RowChange =
  /** The row is, or becomes, this: inserted, or its columns of this direction overwritten. */
  | { readonly kind: 'put'; readonly target: TargetTable; readonly columns: Row }
  /** A new row, already as LOAD DATA reads it. */
  | { readonly kind: 'line'; readonly target: TargetTable; readonly line: string }
  | { readonly kind: 'remove'; readonly target: TargetTable; readonly key: Row }
  /** The same row under another key; columns that this direction does not write stay with it. */
  | { readonly kind: 'rekey'; readonly target: TargetTable; readonly was: Row; readonly columns: Row };

export type Statement = {
  readonly sql: string;
  /** What to do when it matches no row. */
  readonly otherwise?: string;
  /** Many new rows: the server is handed them as LOAD DATA, and as `sql` says where it does not take them so. */
  readonly load?: { readonly sql: string; readonly rows: number; bytes(): Buffer; release(): void };
  /** More of the same kind, after `sql`. */
  readonly more?: () => Iterable<string>;
  readonly table: string;
  /** It has a value that a strict session refuses, though the source has it: the ENUM value of index 0. */
  readonly isLenient?: boolean;
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
  /**
   * Whether a column's values are numbers, which in keys are written as such: a server compares lists of quoted ones
   * as floating point, and 9007199254740993 is then 9007199254740992.
   */
  readonly isNumber?: (table: string, column: string) => boolean;
  /** ENUM columns that may have the value of index 0, '', which is none of their members. */
  readonly zeroEnums?: (table: string) => readonly string[];
};

export const quoteName = (name: string) => `\`${name.replaceAll('`', '``')}\``;

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must be escaped
const unsafe = /[\0\x1a'\\]/;

/** A value as an SQL literal, for a session without NO_BACKSLASH_ESCAPES. */
export function literal(value: Value | Uint8Array | undefined): string {
  if (value === null || value === undefined) return 'NULL';
  if (typeof value === 'number') return Object.is(value, -0) ? '-0e0' : String(value);
  if (typeof value === 'string') return unsafe.test(value) ? escaped(value) : `'${value}'`;
  if (value instanceof Uint8Array)
    return value.length === 0
      ? "''"
      : // Not x'…', which is a text when it is compared with a BIT.
        `0x${Buffer.from(value.buffer, value.byteOffset, value.length).toString('hex')}`;
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
/** Alternatives of a WHERE: the time to make a plan of them grows faster than they do. */
const alternativesMax = 100;
/** Far below the least max_allowed_packet that anybody has. */
const statementCharsMax = 1_000_000;
/** From so many new rows on LOAD DATA is faster than INSERT. */
const loadRowsMin = 100;

/** About how much memory a row takes, in characters. */
function weigh(row: Row): number {
  let chars = 0;
  for (const name in row) {
    const value = row[name];
    chars +=
      typeof value === 'string' ? value.length + 4 : value instanceof Uint8Array ? 2 * value.length : 8;
  }
  return chars;
}

function tuple(row: Row, columns: readonly string[]): string {
  let text = '(';
  for (const [index, column] of columns.entries())
    text += index === 0 ? literal(row[column]) : `,${literal(row[column])}`;
  return `${text})`;
}
const assignments = (row: Row, columns: readonly string[]) =>
  columns.map((column) => `${quoteName(column)}=${literal(row[column])}`).join(',');

const numberPattern = /^-?\d+(\.\d+)?$/;

/** For comparison with a column that has numbers. */
export const numberLiteral = (value: Value | undefined): string =>
  typeof value === 'string' && numberPattern.test(value) ? value : literal(value);

type Run = {
  readonly kind: 'put' | 'remove';
  readonly target: TargetTable;
  readonly isLenient: boolean;
  readonly rows: Row[];
};

type LineRun = { readonly kind: 'line'; readonly target: TargetTable; readonly lines: LoadLines };

/** Collects changes in their order and writes them as few statements. */
export class StatementBuilder {
  readonly #rules: WriteRules;
  readonly #closed: Statement[] = [];
  /** One run of rows a table is open. */
  readonly #open = new Map<string, Run | LineRun>();
  #chars = 0;
  #rows = 0;

  constructor(rules: WriteRules) {
    this.#rules = rules;
  }

  /** About how many characters have been collected: what the batch costs in memory. */
  get chars(): number {
    return this.#chars;
  }

  /** How many there are that nothing can be added to. */
  get statements(): number {
    return this.#closed.length;
  }

  get rows(): number {
    return this.#rows;
  }

  add(change: RowChange): void {
    this.#rows++;
    const { target } = change;
    if (this.#rules.keepOrder)
      for (const table of this.#open.keys()) if (table !== target.table) this.#close(table);
    if (change.kind === 'line') this.#addLine(target, change.line);
    else if (change.kind === 'remove') this.#append('remove', target, change.key);
    else if (change.kind === 'put' && target.root && this.#rules.isPlain(target.table))
      this.#append('put', target, change.columns);
    else this.#single(change);
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

  /** One row, by its key: the same row under a new key, a group of columns, a table with other unique keys. */
  #single(change: Extract<RowChange, { kind: 'put' | 'rekey' }>): void {
    const { target, columns } = change;
    this.#close(target.table);
    const was = change.kind === 'rekey' ? change.was : columns;
    const name = this.#name(target.table);
    const sql = `UPDATE ${name} SET ${assignments(columns, target.columns)} WHERE ${this.#isRow(target, was)}`;
    const insert = `INSERT INTO ${name} (${target.columns.map(quoteName).join(',')}) VALUES ${tuple(columns, target.columns)}`;
    this.#chars += sql.length + insert.length;
    this.#closed.push({
      sql,
      table: target.table,
      ...(target.root ? { otherwise: insert } : {}),
      ...(this.#isLenient(target.table, columns) ? { isLenient: true } : {}),
    });
  }

  #isRow({ table, key }: TargetTable, row: Row): string {
    return key.map((column) => `${quoteName(column)}=${this.#keyLiteral(table, column, row)}`).join(' AND ');
  }

  #keyLiteral(table: string, column: string, row: Row): string {
    return this.#rules.isNumber?.(table, column) ? numberLiteral(row[column]) : literal(row[column]);
  }

  #isLenient(table: string, row: Row): boolean {
    return this.#rules.zeroEnums?.(table).some((column) => row[column] === '') ?? false;
  }

  #addLine(target: TargetTable, line: string): void {
    const isLenient = (this.#rules.zeroEnums?.(target.table).length ?? 0) > 0;
    if (isLenient || !this.#rules.isPlain(target.table)) {
      const columns = rowOfLine(line, target.columns);
      if (this.#rules.isPlain(target.table)) this.#append('put', target, columns);
      else this.#single({ kind: 'put', target, columns });
      return;
    }
    let run = this.#open.get(target.table);
    if (run && (run.kind !== 'line' || run.target !== target)) {
      this.#close(target.table);
      run = undefined;
    }
    if (run?.kind !== 'line') {
      run = { kind: 'line', target, lines: new LoadLines() };
      this.#open.set(target.table, run);
    }
    this.#chars += run.lines.add(line);
  }

  #append(kind: Run['kind'], target: TargetTable, row: Row): void {
    let run = this.#open.get(target.table);
    const isLenient = kind === 'put' && this.#isLenient(target.table, row);
    if (
      run &&
      (run.kind === 'line' || run.kind !== kind || run.target !== target || run.isLenient !== isLenient)
    ) {
      this.#close(target.table);
      run = undefined;
    }
    if (run) run.rows.push(row);
    else this.#open.set(target.table, { kind, target, isLenient, rows: [row] });
    this.#chars += weigh(row);
  }

  #close(table: string): void {
    const run = this.#open.get(table);
    if (!run) return;
    this.#open.delete(table);
    this.#closed.push(
      run.kind === 'line' ? this.#lines(run) : run.kind === 'remove' ? this.#removal(run) : this.#upsert(run),
    );
  }

  #removal({ target, rows }: Run): Statement {
    const name = this.#name(target.table);
    const [first = '', ...others] = target.key;
    const value = (row: Row, column: string) => this.#keyLiteral(target.table, column, row);
    const remove =
      others.length === 0
        ? (part: readonly Row[]) =>
            `${quoteName(first)} IN (${part.map((row) => value(row, first)).join(',')})`
        : // Not (a,b) IN ((…),(…)): with texts in another character set MariaDB then finds none of them.
          (part: readonly Row[]) => part.map((row) => `(${this.#isRow(target, row)})`).join(' OR ');
    return inParts(
      target.table,
      rows,
      (part) => `DELETE FROM ${name} WHERE ${remove(part)}`,
      others.length === 0 ? statementRowsMax : alternativesMax,
    );
  }

  #upsert({ target, rows, isLenient }: Run): Statement {
    const name = this.#name(target.table);
    const columns = target.columns.map(quoteName);
    const update = columns.map((column) => `${column}=VALUES(${column})`).join(',');
    const statement = inParts(
      target.table,
      rows,
      (part) =>
        `INSERT INTO ${name} (${columns.join(',')}) VALUES ${part.map((row) => tuple(row, target.columns)).join(',')} ON DUPLICATE KEY UPDATE ${update}`,
    );
    return isLenient ? Object.assign(statement, { isLenient }) : statement;
  }

  #lines({ target, lines }: LineRun): Statement {
    const { count } = lines;
    const upsert = (rows: Row[]) => this.#upsert({ kind: 'put', target, isLenient: false, rows });
    if (count < loadRowsMin) return upsert(lines.rows(target.columns));
    const columns = target.columns.map(quoteName).join(',');
    const sql = `LOAD DATA LOCAL INFILE 'rows' INTO TABLE ${this.#name(target.table)} CHARACTER SET utf8mb4 (${columns})`;
    let otherwise: Statement | undefined;
    const instead = () => {
      otherwise ??= upsert(lines.rows(target.columns));
      return otherwise;
    };
    return {
      table: target.table,
      load: { sql, rows: count, bytes: () => lines.bytes(), release: () => lines.release() },
      // Made only when the server does not take them as they are.
      get sql() {
        return instead().sql;
      },
      more: () => instead().more?.() ?? [],
    };
  }
}

function* partsOf(rows: readonly Row[], rowsMax: number): Generator<readonly Row[], undefined> {
  let from = 0;
  let chars = 0;
  for (const [index, row] of rows.entries()) {
    const more = weigh(row);
    if (index > from && (index - from >= rowsMax || chars + more > statementCharsMax)) {
      yield rows.slice(from, index);
      from = index;
      chars = 0;
    }
    chars += more;
  }
  yield rows.slice(from);
  return undefined;
}

/** A statement for each thousand rows; those after the first are written when they are needed. */
function inParts(
  table: string,
  rows: readonly Row[],
  write: (part: readonly Row[]) => string,
  rowsMax = statementRowsMax,
): Statement {
  const more = function* () {
    const parts = partsOf(rows, rowsMax);
    parts.next();
    for (const part of parts) yield write(part);
  };
  // The text is made when it is sent: until then the rows are the smaller form.
  return {
    table,
    get sql() {
      return write(partsOf(rows, rowsMax).next().value ?? []);
    },
    more,
  };
}
