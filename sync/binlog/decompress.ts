// Events that carry others in a packed form, unpacked: MariaDB's compressed statements and rows (zlib, event by
// event), and MySQL's transaction payload (zstd, a whole transaction).
import { createZstdDecompress, inflateSync } from 'node:zlib';
import { Cursor } from './cursor.ts';
import { BinlogError, corrupt } from './errors.ts';
import { type BinlogEvent, eventType, type Format, headerBytes, readFrame } from './event.ts';

const plainTypes = new Map<number, number>([
  [eventType.queryCompressed, eventType.query],
  [eventType.writeRowsCompressedV1, eventType.writeRowsV1],
  [eventType.updateRowsCompressedV1, eventType.updateRowsV1],
  [eventType.deleteRowsCompressedV1, eventType.deleteRowsV1],
  [eventType.writeRowsCompressed, eventType.writeRows],
  [eventType.updateRowsCompressed, eventType.updateRows],
  [eventType.deleteRowsCompressed, eventType.deleteRows],
]);

/** Where the packed part begins: after the schema's name, or after the bitmaps of columns. */
function packedAt(event: BinlogEvent, type: number, format: Format): number {
  const cursor = new Cursor(event.body);
  if (type === eventType.query) {
    cursor.take(8);
    const schemaBytes = cursor.u8();
    cursor.take(2);
    cursor.take(cursor.u16() + schemaBytes + 1);
    return cursor.at;
  }
  cursor.take(format.postHeader[type - 1] === 6 ? 4 : 6);
  cursor.take(2);
  if (type >= eventType.writeRows) cursor.take(cursor.u16() - 2);
  const bitmapBytes = (cursor.packed() + 7) >> 3;
  const isUpdate = type === eventType.updateRows || type === eventType.updateRowsV1;
  cursor.take(isUpdate ? bitmapBytes * 2 : bitmapBytes);
  return cursor.at;
}

/** One byte says how (zlib is the only way there is) and how many bytes of length follow. */
function inflate(packed: Buffer): Buffer {
  const head = packed[0] ?? 0;
  const lengthBytes = head & 7;
  if ((head & 0xf0) !== 0x80 || lengthBytes === 0 || lengthBytes > 4 || packed.length < 1 + lengthBytes)
    throw corrupt(`packing 0x${head.toString(16)}`);
  const length = packed.readUIntBE(1, lengthBytes);
  let whole: Buffer;
  try {
    whole = inflateSync(packed.subarray(1 + lengthBytes), { maxOutputLength: Math.max(1, length) });
  } catch (cause) {
    throw corrupt('a compressed event that does not inflate', cause);
  }
  if (whole.length !== length) throw corrupt(`${whole.length} bytes out of a compressed event of ${length}`);
  return whole;
}

/** The same event without MariaDB's compression; other events as they are. */
export function unpackMariadb(event: BinlogEvent, format: Format): BinlogEvent {
  const type = plainTypes.get(event.type);
  if (type === undefined) return event;
  const at = packedAt(event, type, format);
  return {
    ...event,
    type,
    body: Buffer.concat([event.body.subarray(0, at), inflate(event.body.subarray(at))]),
  };
}

const payloadField = { end: 0, size: 1, compression: 2, uncompressedSize: 3 } as const;
const zstd = 0;
const none = 255;

function readPayload(body: Buffer): { data: Buffer; compression: number } {
  const cursor = new Cursor(body);
  let compression: number = none;
  let size = -1;
  for (;;) {
    const type = cursor.packed();
    if (type === payloadField.end) break;
    const value = new Cursor(cursor.bytes(cursor.packed()));
    if (type === payloadField.size) size = value.packed();
    else if (type === payloadField.compression) compression = value.packed();
  }
  if (size !== cursor.left) throw corrupt(`a payload that says ${size} bytes and has ${cursor.left}`);
  return { data: cursor.rest(), compression };
}

/** Cuts bytes into events, without a look at checksums; what is held is one event and one chunk. */
export async function* cutEvents(chunks: AsyncIterable<Buffer>): AsyncGenerator<BinlogEvent> {
  let held: Buffer[] = [];
  let heldBytes = 0;
  let wanted = headerBytes;
  for await (const chunk of chunks) {
    held.push(chunk);
    heldBytes += chunk.length;
    if (heldBytes < wanted) continue;
    let bytes = held.length === 1 ? chunk : Buffer.concat(held);
    for (;;) {
      wanted = headerBytes;
      if (bytes.length < wanted) break;
      wanted = bytes.readUInt32LE(9);
      if (wanted < headerBytes) throw corrupt(`an event of ${wanted} bytes in a payload`);
      if (bytes.length < wanted) break;
      yield readFrame(bytes.subarray(0, wanted));
      bytes = bytes.subarray(wanted);
    }
    held = [bytes];
    heldBytes = bytes.length;
  }
  if (heldBytes > 0) throw corrupt(`${heldBytes} bytes too many in a payload`);
}

async function* decompressed(data: Buffer): AsyncGenerator<Buffer> {
  const stream = createZstdDecompress();
  stream.end(data);
  try {
    for await (const chunk of stream) yield chunk;
  } catch (cause) {
    throw corrupt('a transaction payload that does not decompress', cause);
  } finally {
    stream.destroy();
  }
}

/** The events of a MySQL transaction payload; they have no checksums of their own. */
export function unpackPayload(event: BinlogEvent): AsyncGenerator<BinlogEvent> {
  const { data, compression } = readPayload(event.body);
  if (compression === zstd) return cutEvents(decompressed(data));
  if (compression === none)
    return cutEvents(
      (async function* () {
        yield data;
      })(),
    );
  throw new BinlogError(
    'event-unsupported',
    `a transaction payload of compression ${compression}`,
    'SET GLOBAL binlog_transaction_compression = OFF on the source',
  );
}
