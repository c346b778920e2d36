// A place in bytes. Every read past the end throws, so that cut events cannot be read as whole ones.
import { corrupt } from './errors.ts';

const two32 = 0x1_0000_0000;

export class Cursor {
  buffer: Buffer;
  at: number;
  end: number;

  constructor(buffer: Buffer, at = 0, end = buffer.length) {
    this.buffer = buffer;
    this.at = at;
    this.end = end;
  }

  get left(): number {
    return this.end - this.at;
  }

  /** Moves past `length` bytes, and says where they began. */
  take(length: number): number {
    const from = this.at;
    const to = from + length;
    if (to > this.end) throw corrupt(`${length} bytes wanted, ${this.end - from} left`);
    this.at = to;
    return from;
  }

  u8(): number {
    return this.buffer[this.take(1)] ?? 0;
  }

  u16(): number {
    return this.buffer.readUInt16LE(this.take(2));
  }

  u24(): number {
    return this.buffer.readUIntLE(this.take(3), 3);
  }

  u32(): number {
    return this.buffer.readUInt32LE(this.take(4));
  }

  u48(): number {
    return this.buffer.readUIntLE(this.take(6), 6);
  }

  /** @throws BinlogError for a number above 2^53, which no count, length or sequence here may have */
  u64(): number {
    const from = this.take(8);
    const value = this.buffer.readUInt32LE(from + 4) * two32 + this.buffer.readUInt32LE(from);
    if (!Number.isSafeInteger(value)) throw corrupt(`a number above 2^53 where a count was expected`);
    return value;
  }

  /** Little-endian, of 1 to 4 bytes. */
  uint(bytes: number): number {
    return this.buffer.readUIntLE(this.take(bytes), bytes);
  }

  /** The protocol's length-encoded integer. */
  packed(): number {
    const first = this.u8();
    if (first < 251) return first;
    if (first === 252) return this.u16();
    if (first === 253) return this.u24();
    if (first === 254) return this.u64();
    throw corrupt(`0x${first.toString(16)} begins no length`);
  }

  /** A view of the bytes, not a copy. */
  bytes(length: number): Buffer {
    const from = this.take(length);
    return this.buffer.subarray(from, from + length);
  }

  utf8(length: number): string {
    const from = this.take(length);
    return this.buffer.toString('utf8', from, from + length);
  }

  rest(): Buffer {
    return this.bytes(this.left);
  }
}
