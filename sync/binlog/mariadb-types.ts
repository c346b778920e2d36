// MariaDB's own columns: COMPRESSED ones, and UUID, INET4 and INET6 as SELECT prints them. In the binlog these are
// BINARY(16) and BINARY(4), so their names come from the server's catalog.
import { inflateRawSync, inflateSync } from 'node:zlib';
import type { Decode } from './charset.ts';
import type { Cursor } from './cursor.ts';
import { corrupt } from './errors.ts';

/** All of the bytes, those that were left off as trailing zeros too. */
function fixed(cursor: Cursor, length: number): Buffer {
  const stored = cursor.bytes(cursor.u8());
  if (stored.length > length) throw corrupt(`${stored.length} bytes where ${length} were declared`);
  const whole = Buffer.alloc(length);
  stored.copy(whole);
  return whole;
}

export function uuidReader(cursor: Cursor): string {
  const hex = fixed(cursor, 16).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

const dotted = (bytes: Buffer) => bytes.join('.');

/** The longest run of zero groups (the first of equals) is written `::`; one group alone too, as the server does. */
function colons(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2));
  let gapAt = -1;
  let gapLength = 0;
  for (let at = 0; at < 8; at++) {
    let end = at;
    while (end < 8 && groups[end] === 0) end++;
    if (end - at > gapLength) {
      gapAt = at;
      gapLength = end - at;
    }
    at = Math.max(at, end);
  }
  const isMapped = gapAt === 0 && (gapLength === 6 || (gapLength === 5 && groups[5] === 0xffff));
  const hex = groups.map((group) => group.toString(16));
  if (isMapped) hex.splice(6, 2, dotted(bytes.subarray(12)));
  if (gapAt < 0) return hex.join(':');
  return `${hex.slice(0, gapAt).join(':')}::${hex.slice(gapAt + gapLength).join(':')}`;
}

export function inetReader(length: number): (cursor: Cursor) => string {
  if (length === 4) return (cursor) => dotted(fixed(cursor, 4));
  return (cursor) => colons(fixed(cursor, 16));
}

/** MariaDB's COMPRESSED columns: a byte that says how, the length that comes out, zlib without its wrapping. */
export function compressedReader(
  prefixBytes: number,
  decode: Decode | undefined,
): (cursor: Cursor) => string | Buffer {
  const text =
    decode ?? ((buffer: Buffer, from: number, to: number) => Buffer.from(buffer.subarray(from, to)));
  return (cursor) => {
    const stored = cursor.bytes(cursor.uint(prefixBytes));
    const method = stored[0];
    if (method === undefined) return text(stored, 0, 0);
    if (method === 0) return text(stored, 1, stored.length);
    const lengthBytes = method & 7;
    if (method >> 4 !== 8 || lengthBytes === 0 || lengthBytes > 4)
      throw corrupt(`a compressed column of method 0x${method.toString(16)}`);
    const whole = inflated(stored, lengthBytes, (method & 8) === 0);
    return text(whole, 0, whole.length);
  };
}

function inflated(stored: Buffer, lengthBytes: number, wrapped: boolean): Buffer {
  const length = stored.readUIntBE(1, lengthBytes);
  const whole = inflate(stored.subarray(1 + lengthBytes), length, wrapped);
  if (whole.length !== length) throw corrupt('a compressed column of another length than it says');
  return whole;
}

function inflate(data: Buffer, length: number, wrapped: boolean): Buffer {
  try {
    return wrapped
      ? inflateSync(data, { maxOutputLength: length })
      : inflateRawSync(data, { maxOutputLength: length });
  } catch (cause) {
    throw corrupt('a compressed column that does not inflate', cause);
  }
}
