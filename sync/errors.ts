// What can go wrong between a source and a target, as data: a code to act on, a sentence, and what to do.

export type SyncErrorCode =
  /** Another worker has moved the stream: this one must not go on. */
  | 'superseded'
  /** A row event of a captured table without all of its columns. */
  | 'incomplete-image'
  /** The target's fence does not name the source as owner at the epoch that the stream has read. */
  | 'fence-disagrees'
  | 'not-installed'
  | 'no-table'
  | 'no-primary-key'
  | 'identity-differs'
  /** DDL or TRUNCATE of a captured table. */
  | 'ddl'
  /** A change of a captured table that was logged as a statement. */
  | 'statement-dml'
  /** The table on the source no longer has what a translator needs. */
  | 'columns-missing'
  /** A row would collide with another on a unique key that is not the primary one. */
  | 'duplicate-key'
  /** The target refuses a row: a constraint, a type. */
  | 'target-refuses'
  /** Deadlocks and lock time-outs beyond all patience. */
  | 'target-busy'
  /** The source is another server than the one that the stream has read: a fail-over. */
  | 'source-changed'
  /** The source's binlog cannot be read on from here. */
  | 'source';

export class SyncError extends Error {
  override name = 'SyncError';
  readonly code: SyncErrorCode;
  /** What a person can do about it. */
  readonly hint: string;
  constructor(code: SyncErrorCode, message: string, hint: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.hint = hint;
  }
}
