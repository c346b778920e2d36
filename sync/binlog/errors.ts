// What can end a change stream, as data: a code to act on, a sentence, and what to do about it.

export type BinlogErrorCode =
  /** Bytes that are no event, or an event that contradicts itself. */
  | 'corrupt-event'
  /** The CRC32 of an event is not the one of its bytes. */
  | 'checksum-mismatch'
  /** An event, or a form of one, that is refused by name. */
  | 'event-unsupported'
  /** A text in a character set that is not decoded here. */
  | 'charset-unsupported'
  /** The server logs less metadata than the rows need. */
  | 'metadata-incomplete'
  /** A row event without some of its table's columns. */
  | 'row-image-incomplete'
  /** The columns of a table cannot be told from the binlog alone, and the server does not know them any more. */
  | 'table-unknown'
  /** The server wrote that something is missing from its binlog. */
  | 'incident'
  | 'encrypted'
  /** The server has no binlog, or not one that a replica may read. */
  | 'not-logged'
  /** The server no longer has the events after this position. */
  | 'position-lost'
  /** The connection leads to another server than the one that was read so far. */
  | 'source-changed'
  /** The position is after the end of the server's binlog: it is another server, or it lost its tail. */
  | 'position-ahead'
  | 'position-invalid'
  | 'duplicate-server-id'
  /** An XA COMMIT of a transaction whose XA PREPARE was before the stream's start. */
  | 'xa-unknown'
  | 'access-denied'
  /** The server refused to go on, in its own words. */
  | 'server-error'
  /** No connection within the time allowed. */
  | 'unreachable';

export class BinlogError extends Error {
  override name = 'BinlogError';
  readonly code: BinlogErrorCode;
  /** What a person can do about it. */
  readonly hint: string;
  constructor(code: BinlogErrorCode, message: string, hint: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.hint = hint;
  }
}

/** The bytes are wrong: nothing that follows them can be trusted. */
export function corrupt(what: string, cause?: unknown): BinlogError {
  return new BinlogError(
    'corrupt-event',
    `the binlog has bytes that are no event: ${what}`,
    'compare the file with `mariadb-binlog --verify-binlog-checksum`; if it is whole, this is a fault of the decoder',
    cause,
  );
}

/** Reading past a buffer's end is what damaged bytes do; a fault of the stream, not of the program. */
export function asCorrupt(cause: unknown): unknown {
  if (cause instanceof BinlogError) return cause;
  return cause instanceof RangeError || cause instanceof TypeError
    ? corrupt('it does not add up', cause)
    : cause;
}
