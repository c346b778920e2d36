// The events that name a transaction, in both dialects, and MySQL's encoding of a set of them.

import { Cursor } from './cursor.ts';
import { BinlogError, corrupt } from './errors.ts';
import { type MariadbGtid, type MysqlGtid, MysqlGtidSet } from './gtid-sets.ts';

export type MariadbGtidEvent = {
  readonly gtid: Omit<MariadbGtid, 'server'>;
  /** One statement without a COMMIT after it. */
  readonly isStandalone: boolean;
  /** Set when the transaction ends by XA PREPARE; in the words of XA COMMIT. */
  readonly preparedXid: string | undefined;
  /** Of an ALTER TABLE in two phases (binlog_alter_two_phase). */
  readonly alter: 'start' | 'commit' | 'rollback' | undefined;
};

const standaloneFlag = 1;
const groupCommitFlag = 2;
const preparedXaFlag = 64;
const completedXaFlag = 128;

const extraMultiEngine = 1;
const extraStartAlter = 2;
const extraCommitAlter = 4;
const extraRollbackAlter = 8;

/** As the server writes it in its own XA statements, in lower case: `x'6162',x'',1`. */
function readXid(cursor: Cursor): string {
  const format = cursor.u32();
  const [globalBytes, branchBytes] = [cursor.u8(), cursor.u8()];
  const hex = (bytes: number) => `x'${cursor.bytes(bytes).toString('hex')}'`;
  return `${hex(globalBytes)},${hex(branchBytes)},${format}`;
}

export function readMariadbGtid(body: Buffer): MariadbGtidEvent {
  const cursor = new Cursor(body);
  const from = cursor.take(8);
  const sequence = cursor.buffer.readBigUInt64LE(from);
  const domain = cursor.u32();
  const flags = cursor.u8();
  if (flags & groupCommitFlag) cursor.take(8);
  const xid = flags & (preparedXaFlag | completedXaFlag) ? readXid(cursor) : undefined;
  // What is short is padded with zeros to 19 bytes, so there may be flags that say nothing.
  const extra = cursor.left > 0 ? cursor.u8() : 0;
  if (extra & extraMultiEngine) cursor.take(1);
  return {
    gtid: { domain, sequence },
    isStandalone: (flags & standaloneFlag) !== 0,
    preparedXid: flags & preparedXaFlag ? xid : undefined,
    alter:
      extra & extraStartAlter
        ? 'start'
        : extra & extraCommitAlter
          ? 'commit'
          : extra & extraRollbackAlter
            ? 'rollback'
            : undefined,
  };
}

function uuidText(bytes: Buffer): string {
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

export function readMysqlGtid(body: Buffer): MysqlGtid {
  const cursor = new Cursor(body);
  cursor.take(1);
  const uuid = uuidText(cursor.bytes(16));
  return { uuid, tag: '', sequence: cursor.buffer.readBigInt64LE(cursor.take(8)) };
}

/** mysql::serialization's integer: the low one-bits of the first byte count the bytes after it. */
function varint(cursor: Cursor): bigint {
  const first = cursor.u8();
  let more = 0;
  while (more < 8 && first & (1 << more)) more++;
  const from = cursor.take(more);
  let value = 0n;
  for (let i = more - 1; i >= 0; i--) value = (value << 8n) | BigInt(cursor.buffer[from + i] ?? 0);
  if (more === 8) return value;
  return ((value << 8n) | BigInt(first)) >> BigInt(more + 1);
}

const zigzag = (value: bigint) => ((value & 1n) === 1n ? -((value + 1n) >> 1n) : value >> 1n);

/** Fields with ids, in their order: 0 flags, 1 uuid, 2 sequence, 3 tag; the rest is times and sizes. */
export function readTaggedGtid(body: Buffer): MysqlGtid {
  const cursor = new Cursor(body);
  const version = varint(cursor);
  if (version !== 1n)
    throw new BinlogError(
      'event-unsupported',
      `a tagged GTID in serialization version ${version}`,
      'a newer server needs a newer decoder',
    );
  const size = Number(varint(cursor));
  if (size > body.length) throw corrupt('a tagged GTID larger than its event');
  cursor.end = size;
  varint(cursor);
  let field = varint(cursor);
  if (field === 0n) {
    varint(cursor);
    field = varint(cursor);
  }
  if (field !== 1n) throw corrupt('a tagged GTID without its server UUID');
  const uuid = uuidText(Buffer.from(Array.from({ length: 16 }, () => Number(varint(cursor) & 0xffn))));
  if (varint(cursor) !== 2n) throw corrupt('a tagged GTID without its sequence');
  const sequence = zigzag(varint(cursor));
  const hasTag = cursor.left > 0 && varint(cursor) === 3n;
  const tag = hasTag ? cursor.utf8(Number(varint(cursor))) : '';
  return { uuid, tag, sequence };
}

const taggedFormat = 1n;

/** The body of a previous-GTIDs event. */
export function readGtidSet(body: Buffer): MysqlGtidSet {
  const cursor = new Cursor(body);
  const header = cursor.buffer.readBigUInt64LE(cursor.take(8));
  const isTagged = header >> 56n === taggedFormat;
  const sources = isTagged ? (header >> 8n) & 0xffff_ffff_ffffn : header;
  if (sources > BigInt(cursor.left)) throw corrupt(`${sources} sources of GTIDs`);
  const set = new MysqlGtidSet();
  for (let i = 0n; i < sources; i++) {
    const uuid = uuidText(cursor.bytes(16));
    const tag = isTagged ? cursor.utf8(Number(varint(cursor))) : '';
    const count = cursor.u64();
    if (count * 16 > cursor.left) throw corrupt(`${count} intervals of GTIDs`);
    for (let j = 0; j < count; j++) {
      const from = cursor.take(16);
      const first = cursor.buffer.readBigUInt64LE(from);
      set.addInterval(uuid, tag, [first, cursor.buffer.readBigUInt64LE(from + 8) - 1n]);
    }
  }
  return set;
}

/** For the dump command. Sets without tags are written as every server since 5.6 reads them. */
export function writeGtidSet(set: MysqlGtidSet): Buffer {
  const entries = set.entries();
  const isTagged = entries.some(([, tag]) => tag !== '');
  const number = (value: bigint) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(value);
    return bytes;
  };
  const count = BigInt(entries.length);
  const parts = [number(isTagged ? (taggedFormat << 56n) | (count << 8n) | taggedFormat : count)];
  for (const [uuid, tag, intervals] of entries) {
    parts.push(Buffer.from(uuid.replaceAll('-', ''), 'hex'));
    if (isTagged) parts.push(Buffer.from([tag.length << 1]), Buffer.from(tag));
    parts.push(number(BigInt(intervals.length)));
    for (const [first, last] of intervals) parts.push(number(first), number(last + 1n));
  }
  return Buffer.concat(parts);
}
