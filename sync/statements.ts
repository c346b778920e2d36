// Rows as SQL: statements that write many rows of one table, one row, or hand many over as LOAD DATA.
import type { Row } from '../acl/translator.ts';
import { literal, numberLiteral, quoteName } from './literal.ts';
import type { LoadLines } from './load-rows.ts';
import type { TargetTable } from './mapping.ts';

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

const statementRowsMax = 1_000;
/** Alternatives of a WHERE: the time to make a plan of them grows faster than they do. */
const alternativesMax = 100;
/** Far below the least max_allowed_packet that anybody has. */
const statementCharsMax = 1_000_000;
/** From so many new rows on LOAD DATA is faster than INSERT. */
const loadRowsMin = 100;

/** About how much memory a row takes, in characters. */
export function weigh(row: Row): number {
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

/** Writes statements; which rows stand in one is the builder's affair. */
export class StatementWriter {
  readonly #rules: WriteRules;

  constructor(rules: WriteRules) {
    this.#rules = rules;
  }

  /** Whether the row has a value that only a lenient session takes. */
  isLenient(table: string, row: Row): boolean {
    return this.#rules.zeroEnums?.(table).some((column) => row[column] === '') ?? false;
  }

  /** One row, by its key: the same row under a new key, a group of columns, a table with other unique keys. */
  single(target: TargetTable, was: Row, columns: Row): Statement {
    const name = this.#name(target.table);
    const insert = `INSERT INTO ${name} (${target.columns.map(quoteName).join(',')}) VALUES ${tuple(columns, target.columns)}`;
    return {
      sql: `UPDATE ${name} SET ${assignments(columns, target.columns)} WHERE ${this.#isRow(target, was)}`,
      table: target.table,
      ...(target.root ? { otherwise: insert } : {}),
      ...(this.isLenient(target.table, columns) ? { isLenient: true } : {}),
    };
  }

  removal(target: TargetTable, rows: readonly Row[]): Statement {
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

  upsert(target: TargetTable, rows: readonly Row[], isLenient: boolean): Statement {
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

  lines(target: TargetTable, lines: LoadLines): Statement {
    const { count } = lines;
    const upsert = (rows: Row[]) => this.upsert(target, rows, false);
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

  #name(table: string): string {
    return `${quoteName(this.#rules.schema)}.${quoteName(table)}`;
  }

  #isRow({ table, key }: TargetTable, row: Row): string {
    return key.map((column) => `${quoteName(column)}=${this.#keyLiteral(table, column, row)}`).join(' AND ');
  }

  #keyLiteral(table: string, column: string, row: Row): string {
    return this.#rules.isNumber?.(table, column) ? numberLiteral(row[column]) : literal(row[column]);
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
