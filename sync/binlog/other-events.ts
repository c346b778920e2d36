// Events that say nothing of rows or transactions: passed over, or refused by name.
import { BinlogError } from './errors.ts';
import { type BinlogEvent, eventType, ignorableFlag, nameOfType } from './event.ts';

const ignored: ReadonlySet<number> = new Set([
  eventType.stop,
  eventType.intvar,
  eventType.rand,
  eventType.userVar,
  eventType.appendBlock,
  eventType.deleteFile,
  eventType.beginLoadQuery,
  eventType.ignorable,
  eventType.transactionContext,
  eventType.viewChange,
  eventType.binlogCheckpoint,
  eventType.mariadbGtidList,
]);

/**
 * @param isFile whether the bytes are a file's own, and not from a server, which gives its replicas decrypted events
 * @throws BinlogError for what may not be passed over
 */
export function passOver({ type, flags }: BinlogEvent, isFile: boolean): void {
  if (ignored.has(type)) return;
  if (type === eventType.incident)
    throw new BinlogError(
      'incident',
      'the source says that its binlog lacks changes here (an incident event)',
      'read the source’s error log; make a new copy of the tables',
    );
  if (type === eventType.startEncryption) {
    if (!isFile) return;
    throw new BinlogError('encrypted', 'the binlog file is encrypted', 'read it through its server');
  }
  if (type === eventType.partialUpdateRows)
    throw new BinlogError(
      'row-image-incomplete',
      'the source logs parts of JSON documents',
      "SET GLOBAL binlog_row_value_options = '' on the source, and let open sessions reconnect; rows logged before that have to be skipped by a new copy",
    );
  if (flags & ignorableFlag) return;
  throw new BinlogError(
    'event-unsupported',
    `an event of type ${nameOfType(type)}, which is not read here and not said to be ignorable`,
    'a newer server needs a newer decoder',
  );
}
