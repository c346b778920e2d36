// Collects changes of target rows: runs of the same kind on the same table become statements of many rows.
import type { Value } from '../acl/domain.ts';
import type { Row } from '../acl/translator.ts';
import { LoadLines } from './load-rows.ts';
import type { Field, TargetTable } from './mapping.ts';
import { isRun, nothing, type RowRun, type Run, restOf } from './row-runs.ts';
import { type Statement, StatementWriter, type WriteRules, weigh } from './statements.ts';

export type RowChange =
  /** The row is, or becomes, this: inserted, or its columns of this direction overwritten. */
  | { readonly kind: 'put'; readonly target: TargetTable; readonly columns: Row }
  | { readonly kind: 'remove'; readonly target: TargetTable; readonly key: Row }
  /** The same row under another key; columns that this direction does not write stay with it. */
  | { readonly kind: 'rekey'; readonly target: TargetTable; readonly was: Row; readonly columns: Row };

/** How one column comes of a source row's values: of the one at `index`, or of none. */
export type FieldAt = { readonly index: number; readonly convert: Field['convert'] };

/**
 * Collects changes in their order and writes them as few statements. Those of a transaction that has not ended can be
 * told from the whole ones before it.
 */
export class StatementBuilder {
  readonly #rules: WriteRules;
  readonly #writer: StatementWriter;
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
    this.#writer = new StatementWriter(rules);
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
          ? this.#writer.lines(part.target, part.lines)
          : part.kind === 'remove'
            ? this.#writer.removal(part.target, part.rows)
            : this.#writer.upsert(part.target, part.rows, part.isLenient),
    );
  }

  #newLines(): LoadLines {
    this.#nextLines ??= new LoadLines();
    return this.#nextLines;
  }

  #closeOthers({ table }: TargetTable): void {
    if (this.#rules.keepOrder) for (const open of this.#open.keys()) if (open !== table) this.#close(open);
  }

  /** By its key alone. */
  #single(change: Extract<RowChange, { kind: 'put' | 'rekey' }>): void {
    const { target, columns } = change;
    this.#close(target.table);
    const statement = this.#writer.single(target, change.kind === 'rekey' ? change.was : columns, columns);
    this.#chars += statement.sql.length + (statement.otherwise?.length ?? 0);
    this.#closed.push(statement);
  }

  #append(kind: RowRun['kind'], target: TargetTable, row: Row): void {
    const run = this.#open.get(target.table);
    const isLenient = kind === 'put' && this.#writer.isLenient(target.table, row);
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
}
