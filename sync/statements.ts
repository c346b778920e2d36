// Changes of target rows as SQL: runs of the same kind on the same table become statements of many rows.
import type { Value } from '../acl/domain.ts';
import type { Row } from '../acl/translator.ts';
import { LoadLines } from './load-rows.ts';
import type { Field, TargetTable } from './mapping.ts';

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
  /** Whether all texts of a table are utf8mb4, as ours are: then there is nothing for the server to convert. */
  readonly isUtf8: (table: string) => boolean;
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

/** How much of a run belongs to whole transactions. */
type Mark = { count: number; size: number };

type RowRun = {
  readonly kind: 'put' | 'remove';
  readonly target: TargetTable;
  readonly isLenient: boolean;
  readonly rows: Row[];
  readonly whole: Mark;
};

type LineRun = {
  readonly kind: 'line';
  readonly target: TargetTable;
  readonly lines: LoadLines;
  readonly whole: Mark;
};

type Run = RowRun | LineRun;

const isRun = (part: Run | Statement): part is Run => 'kind' in part;
const nothing = (): Mark => ({ count: 0, size: 0 });

/** How one column comes of a source row's values: of the one at `index`, or of none. */
export type FieldAt = { readonly index: number; readonly convert: Field['convert'] };

/**
 * Collects changes in their order and writes them as few statements. Those of a transaction that has not ended can be
 * told from the whole ones before it.
 */
export class StatementBuilder {
  readonly #rules: WriteRules;
  #closed: (Run | Statement)[] = [];
  /** One run of rows a table is open. */
  readonly #open = new Map<string, Run>();
  /** What order does not matter for. */
  #aside: Statement[] = [];
  readonly #takesLines = new Map<string, boolean>();
  /** For the line that opens a run. */
  #nextLines: LoadLines | undefined;
  #chars = 0;
  #added = 0;
  /** As it was when the transaction under way began. */
  #whole = { closed: 0, aside: 0, chars: 0 };

  constructor(rules: WriteRules) {
    this.#rules = rules;
  }

  /** About how many characters have been collected: what the batch costs in memory. */
  get chars(): number {
    return this.#chars;
  }

  /** Of these, the characters of the transaction under way. */
  get charsUnderWay(): number {
    return this.#chars - this.#whole.chars;
  }

  /** How many there are that nothing can be added to. */
  get statements(): number {
    return this.#closed.length;
  }

  /** Grows with everything that is added. */
  get added(): number {
    return this.#added;
  }

  /** What is added from here on is of a transaction that has not ended. */
  begin(): void {
    this.#whole = { closed: this.#closed.length, aside: this.#aside.length, chars: this.#chars };
    for (const run of this.#open.values()) {
      run.whole.count = run.kind === 'line' ? run.lines.count : run.rows.length;
      run.whole.size = run.kind === 'line' ? run.lines.size : 0;
    }
  }

  add(change: RowChange): void {
    this.#added++;
    const { target } = change;
    this.#closeOthers(target);
    if (change.kind === 'remove') this.#append('remove', target, change.key);
    else if (change.kind === 'put' && target.root && this.#rules.isPlain(target.table))
      this.#append('put', target, change.columns);
    else this.#single(change);
  }

  /** Whether new rows of a table may be handed over as lines. */
  takesLines({ table }: TargetTable): boolean {
    let takes = this.#takesLines.get(table);
    if (takes === undefined) {
      takes = this.#rules.isPlain(table) && (this.#rules.zeroEnums?.(table).length ?? 0) === 0;
      this.#takesLines.set(table, takes);
    }
    return takes;
  }

  /**
   * A new row, straight as LOAD DATA reads it.
   * @returns false, and nothing is added, when a value is bytes
   * @throws CodecFault, and nothing is added
   */
  addLine(target: TargetTable, fields: readonly FieldAt[], values: readonly Value[]): boolean {
    const run = this.#open.get(target.table);
    const isOpen = run?.kind === 'line' && run.target === target;
    // Nothing is closed for a row that may go another way.
    const lines = isOpen ? run.lines : this.#newLines();
    const before = lines.size;
    try {
      for (const { index, convert } of fields)
        if (!lines.field(convert(values[index] ?? null))) {
          lines.undo();
          return false;
        }
    } catch (error) {
      lines.undo();
      throw error;
    }
    lines.endLine();
    this.#closeOthers(target);
    if (!isOpen) {
      this.#close(target.table);
      this.#open.set(target.table, { kind: 'line', target, lines, whole: nothing() });
      this.#nextLines = undefined;
    }
    this.#chars += lines.size - before;
    this.#added++;
    return true;
  }

  /** A statement that keeps its place. */
  addStatement(statement: Statement): void {
    this.#added++;
    for (const table of [...this.#open.keys()]) this.#close(table);
    this.#closed.push(statement);
  }

  /** A statement that order does not matter for. */
  addAside(statement: Statement): void {
    this.#added++;
    this.#aside.push(statement);
  }

  /** All of it, in order; the builder is empty afterwards. */
  take(): Statement[] {
    const parts = [...this.#closed, ...this.#open.values()];
    const aside = this.#aside;
    this.#open.clear();
    this.#closed = [];
    this.#aside = [];
    this.#chars = 0;
    this.#whole = { closed: 0, aside: 0, chars: 0 };
    return [...this.#statementsOf(parts), ...aside];
  }

  /** What is of whole transactions; the one that is under way stays. */
  takeWhole(): Statement[] {
    const { whole, later, aside, laterAside, chars } = this.#split();
    this.#closed = later;
    this.#aside = laterAside;
    this.#chars = chars;
    this.#whole = { closed: 0, aside: 0, chars: 0 };
    return [...this.#statementsOf(whole), ...aside];
  }

  /** Forgets the transaction that is under way. */
  forget(): void {
    const { whole, later, aside, chars } = this.#split();
    for (const part of later) if (isRun(part) && part.kind === 'line') part.lines.release();
    this.#closed = whole;
    this.#aside = aside;
    this.#chars -= chars;
    this.begin();
  }

  #split() {
    const whole: (Run | Statement)[] = [];
    const later: (Run | Statement)[] = [];
    for (const [index, part] of [...this.#closed, ...this.#open.values()].entries())
      if (index < this.#whole.closed) whole.push(part);
      else if (isRun(part) && part.whole.count > 0) {
        const rest = restOf(part);
        whole.push(part);
        if (rest) later.push(rest);
      } else later.push(part);
    this.#open.clear();
    return {
      whole,
      later,
      aside: this.#aside.slice(0, this.#whole.aside),
      laterAside: this.#aside.slice(this.#whole.aside),
      chars: this.charsUnderWay,
    };
  }

  #statementsOf(parts: readonly (Run | Statement)[]): Statement[] {
    return parts.map((part) =>
      !isRun(part)
        ? part
        : part.kind === 'line'
          ? this.#lines(part)
          : part.kind === 'remove'
            ? this.#removal(part)
            : this.#upsert(part),
    );
  }

  #newLines(): LoadLines {
    this.#nextLines ??= new LoadLines();
    return this.#nextLines;
  }

  #closeOthers({ table }: TargetTable): void {
    if (this.#rules.keepOrder) for (const open of this.#open.keys()) if (open !== table) this.#close(open);
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

  #append(kind: RowRun['kind'], target: TargetTable, row: Row): void {
    const run = this.#open.get(target.table);
    const isLenient = kind === 'put' && this.#isLenient(target.table, row);
    this.#chars += weigh(row);
    if (
      run &&
      run.kind !== 'line' &&
      run.kind === kind &&
      run.target === target &&
      run.isLenient === isLenient
    )
      run.rows.push(row);
    else {
      this.#close(target.table);
      this.#open.set(target.table, { kind, target, isLenient, rows: [row], whole: nothing() });
    }
  }

  #close(table: string): void {
    const run = this.#open.get(table);
    if (!run) return;
    this.#open.delete(table);
    this.#closed.push(run);
  }

  #removal({ target, rows }: RowRun): Statement {
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

  #upsert({ target, rows, isLenient }: Omit<RowRun, 'kind' | 'whole'>): Statement {
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
    const upsert = (rows: Row[]) => this.#upsert({ target, isLenient: false, rows });
    if (count < loadRowsMin) return upsert(lines.rows(target.columns));
    const columns = target.columns.map(quoteName).join(',');
    const sql = `LOAD DATA LOCAL INFILE 'rows' INTO TABLE ${this.#name(target.table)} CHARACTER SET ${this.#rules.isUtf8(target.table) ? 'binary' : 'utf8mb4'} (${columns})`;
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

/** What of a run came after its whole transactions, taken out of it. */
function restOf(run: Run): Run | undefined {
  const { count, size } = run.whole;
  if (run.kind === 'line')
    return run.lines.count > count
      ? { ...run, lines: run.lines.splitAt(count, size), whole: nothing() }
      : undefined;
  return run.rows.length > count ? { ...run, rows: run.rows.splice(count), whole: nothing() } : undefined;
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
