// Changes of one kind on one table, one after the other: what becomes a statement of many rows.
import type { Row } from '../acl/translator.ts';
import type { LoadLines } from './load-rows.ts';
import type { TargetTable } from './mapping.ts';
import type { Statement } from './statements.ts';

/** How much of a run belongs to whole transactions. */
type Mark = { count: number; size: number };

export type RowRun = {
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

export type Run = RowRun | LineRun;

export const isRun = (part: Run | Statement): part is Run => 'kind' in part;
export const nothing = (): Mark => ({ count: 0, size: 0 });

/** What of a run came after its whole transactions, taken out of it. */
export function restOf(run: Run): Run | undefined {
  const { count, size } = run.whole;
  if (run.kind === 'line')
    return run.lines.count > count
      ? { ...run, lines: run.lines.splitAt(count, size), whole: nothing() }
      : undefined;
  return run.rows.length > count ? { ...run, rows: run.rows.splice(count), whole: nothing() } : undefined;
}
