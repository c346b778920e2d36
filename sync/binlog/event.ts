// The frame of every event: 19 bytes of header, a body, and 4 bytes of CRC32 when the file says so.
import { crc32 } from 'node:zlib';
import { BinlogError, corrupt } from './errors.ts';

export const eventType = {
  query: 2,
  stop: 3,
  rotate: 4,
  intvar: 5,
  appendBlock: 9,
  deleteFile: 11,
  rand: 13,
  userVar: 14,
  formatDescription: 15,
  xid: 16,
  beginLoadQuery: 17,
  executeLoadQuery: 18,
  tableMap: 19,
  writeRowsV1: 23,
  updateRowsV1: 24,
  deleteRowsV1: 25,
  incident: 26,
  heartbeat: 27,
  ignorable: 28,
  rowsQuery: 29,
  writeRows: 30,
  updateRows: 31,
  deleteRows: 32,
  gtid: 33,
  anonymousGtid: 34,
  previousGtids: 35,
  transactionContext: 36,
  viewChange: 37,
  xaPrepare: 38,
  partialUpdateRows: 39,
  transactionPayload: 40,
  heartbeatV2: 41,
  gtidTagged: 42,
  annotateRows: 160,
  binlogCheckpoint: 161,
  mariadbGtid: 162,
  mariadbGtidList: 163,
  startEncryption: 164,
  queryCompressed: 165,
  writeRowsCompressedV1: 166,
  updateRowsCompressedV1: 167,
  deleteRowsCompressedV1: 168,
  writeRowsCompressed: 169,
  updateRowsCompressed: 170,
  deleteRowsCompressed: 171,
  partialRowData: 172,
} as const;

const names = new Map<number, string>(Object.entries(eventType).map(([name, type]) => [type, name]));

/** For messages: `writeRowsV1 (23)`. */
export const nameOfType = (type: number) => `${names.get(type) ?? 'unknown'} (${type})`;

export const headerBytes = 19;
export const artificialFlag = 0x20;
export const ignorableFlag = 0x80;
const inUseFlag = 0x01;

export type BinlogEvent = {
  type: number;
  /** Seconds since 1970, by the source's clock, of the statement's start. */
  timestamp: number;
  serverId: number;
  /** Of the whole event in the file. */
  size: number;
  /** The low 32 bits of the offset after it; 0 for events that are in no file. */
  endOffset: number;
  flags: number;
  /** Without header and checksum; a view of the bytes that were given. */
  body: Buffer;
};

/** Reads the frame; the body still has its checksum, if any. */
export function readFrame(raw: Buffer): BinlogEvent {
  if (raw.length < headerBytes) throw corrupt(`an event of ${raw.length} bytes`);
  const size = raw.readUInt32LE(9);
  if (size !== raw.length) throw corrupt(`an event that says ${size} bytes and has ${raw.length}`);
  return {
    timestamp: raw.readUInt32LE(0),
    type: raw[4] ?? 0,
    serverId: raw.readUInt32LE(5),
    size,
    endOffset: raw.readUInt32LE(13),
    flags: raw.readUInt16LE(17),
    body: raw.subarray(headerBytes),
  };
}

const checksumBytes = 4;

function checksumFits(raw: Buffer): boolean {
  const end = raw.length - checksumBytes;
  return end >= headerBytes && crc32(raw.subarray(0, end)) === raw.readUInt32LE(end);
}

export type Format = {
  readonly checksum: boolean;
  readonly serverVersion: string;
  readonly isMariadb: boolean;
  /** Bytes of each event type's post-header, by type - 1. */
  readonly postHeader: Buffer;
};

function formatOf(event: BinlogEvent): Format {
  const { body } = event;
  const fixedBytes = 2 + 50 + 4 + 1;
  if (body.length < fixedBytes + 1 + checksumBytes) throw corrupt('a cut format description');
  const version = body.readUInt16LE(0);
  if (version !== 4)
    throw new BinlogError(
      'event-unsupported',
      `binlog version ${version}`,
      'only version 4 (MySQL 5.0 and later, every MariaDB) is read',
    );
  if (body[fixedBytes - 1] !== headerBytes) throw corrupt(`event headers of ${body[fixedBytes - 1]} bytes`);
  const serverVersion = body.toString('latin1', 2, 52).replace(/\0.*$/s, '');
  const algorithm = body[body.length - checksumBytes - 1];
  if (algorithm !== 0 && algorithm !== 1)
    throw new BinlogError(
      'event-unsupported',
      `${serverVersion} writes checksums by algorithm ${algorithm}, or is too old to have any`,
      'set binlog_checksum to CRC32 (MySQL 5.6, MariaDB 5.3 or later)',
    );
  return {
    checksum: algorithm === 1,
    serverVersion,
    isMariadb: /mariadb/i.test(serverVersion),
    postHeader: Buffer.from(body.subarray(fixedBytes, body.length - checksumBytes - 1)),
  };
}

/**
 * Checks and strips checksums. The algorithm is that of the last format description seen, so a server whose
 * binlog_checksum is changed while the stream runs is followed event by event.
 */
export class Unframer {
  format: Format | undefined;
  /** The format description says that there are no checksums, and has a wrong one itself. */
  #isDoubtful = false;

  /** @throws BinlogError when the checksum is wrong, or the bytes are no event */
  unframe(raw: Buffer): BinlogEvent {
    const event = readFrame(raw);
    if (event.type === eventType.formatDescription) {
      this.format = formatOf(event);
      this.#checkFormat(raw, event, this.format);
      return event;
    }
    if (this.#isDoubtful) {
      if (checksumFits(raw)) throw mismatch(event);
      this.#isDoubtful = false;
    }
    // A rotate that the server makes up for the connection is not from the file that the last format
    // description is of: it has a checksum or none by what the session asked for.
    const isMadeUp = event.type === eventType.rotate && (event.timestamp === 0 || !this.format);
    const hasChecksum = isMadeUp ? checksumFits(raw) : (this.format?.checksum ?? checksumFits(raw));
    if (!hasChecksum) return event;
    if (!isMadeUp && !checksumFits(raw)) throw mismatch(event);
    event.body = event.body.subarray(0, event.body.length - checksumBytes);
    return event;
  }

  /**
   * Format descriptions are summed always, except one that a server without checksums changed for a start in
   * mid-file (its end offset is then 0). Whether that is what it is shows in the event after it: the flag "in
   * use", which is set while a file is open, is not in the sum.
   */
  #checkFormat(raw: Buffer, event: BinlogEvent, format: Format): void {
    const copy = Buffer.from(raw);
    copy.writeUInt16LE(event.flags & ~inUseFlag, 17);
    if (checksumFits(raw) || checksumFits(copy)) return;
    if (format.checksum || event.endOffset !== 0) throw mismatch(event);
    this.#isDoubtful = true;
  }
}

function mismatch(event: BinlogEvent): BinlogError {
  return new BinlogError(
    'checksum-mismatch',
    `the checksum of a ${nameOfType(event.type)} event that ends at ${event.endOffset} is wrong`,
    'the event was damaged on the disk or on the way: run `mariadb-binlog --verify-binlog-checksum` on the file; a damaged file has to be skipped by a new copy',
  );
}
