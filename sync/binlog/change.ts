// What the reader gives: transactions as a flat sequence of changes, `begin` … `commit`.
import type { Traceparent } from '../../capability/trace-context.ts';
import type { Position } from '../position.ts';
import type { StatementClass } from './query.ts';
import type { ChangeKind, RowChange } from './rows.ts';
import type { TableShape } from './table-map.ts';

export type BeginChange = {
  readonly kind: 'begin';
  /** Of this transaction, in its server's notation; undefined for one without. */
  readonly gtid: string | undefined;
  /** A reader that starts here gets this transaction first. */
  readonly position: Position;
  /** Seconds since 1970, by the source's clock. */
  readonly timestamp: number;
  readonly serverId: number;
};

/** All rows of one row event, in their order. */
export type RowsChange = {
  readonly kind: 'rows';
  /** The same object as long as the table's definition is the same. */
  readonly table: TableShape;
  readonly change: ChangeKind;
  /** Decoded when asked for. @throws BinlogError corrupt-event */
  readonly rows: readonly RowChange[];
  /** Seconds since 1970, by the source's clock, of the statement. */
  readonly timestamp: number;
  /** The last rows of their statement. */
  readonly endsStatement: boolean;
};

export type StatementChange = {
  readonly kind: 'statement';
  readonly class: StatementClass;
  readonly sql: string;
  /** The session's default database; empty for none. */
  readonly schema: string;
  readonly timestamp: number;
  /** The error that the statement ended with on the source; 0 for none. */
  readonly errorCode: number;
};

export type CommitChange = {
  readonly kind: 'commit';
  /** A reader that starts here gets what comes after this transaction. */
  readonly position: Position;
  /** That the application has said it belongs to; only where traces are asked for. */
  readonly trace?: Traceparent;
};

/** The source itself took the transaction back, whole: what was given since `begin` is void. */
export type RollbackChange = { readonly kind: 'rollback'; readonly position: Position };

/** The connection broke inside a transaction: what was given since `begin` is void, and will come again. */
export type AbandonChange = { readonly kind: 'abandon' };

/** Nothing was written for the heartbeat's period: all there is has been given. */
export type HeartbeatChange = { readonly kind: 'heartbeat'; readonly position: Position };

export type RotateChange = { readonly kind: 'rotate'; readonly file: string };

export type Change =
  | BeginChange
  | RowsChange
  | StatementChange
  | CommitChange
  | RollbackChange
  | AbandonChange
  | HeartbeatChange
  | RotateChange;
