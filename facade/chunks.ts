// The chunked transfer coding (RFC 9112, 7.1), taken off as it comes, cut anywhere. Pure.
import { isTokenByte, isValueByte, notHttp } from './answer-head.ts';

const [lf, cr, semicolon, colon] = [10, 13, 59, 58];
/** 2^52 bytes; leading zeros count. */
const sizeDigitsMax = 13;
/** Of extensions and trailers of one body: neither is passed on. */
const asideBytesMax = 16 * 1024;

/** What is expected next. */
const [size, extension, sizeEnd, data, dataCr, dataLf, line, name, value, lineEnd, end, over] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
];

function hex(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

function need(isRight: boolean, next: number): number {
  if (!isRight) throw notHttp('a chunk is malformed');
  return next;
}

export class Chunks {
  #next = size;
  /** Of the chunk: what its size is, or what is left of it. */
  #left = 0;
  #digits = 0;
  #asideBytes = 0;
  /** After `read`: where the data ends that begins at `from`. */
  dataEnd = 0;
  /** After `read`: how far it has come; less than `to` only when the body is over. */
  at = 0;

  get isOver(): boolean {
    return this.#next === over;
  }

  /**
   * Moves the data of all chunks together, in place, to where they begin.
   * @throws UpstreamError
   */
  read(bytes: Uint8Array, from: number, to: number): void {
    this.at = from;
    this.dataEnd = from;
    while (this.at < to && this.#next !== over) {
      if (this.#next === data) this.#take(bytes, to);
      else {
        this.#next = this.#step(bytes[this.at] ?? 0);
        this.at += 1;
      }
    }
  }

  #take(bytes: Uint8Array, to: number): void {
    const length = Math.min(this.#left, to - this.at);
    if (this.dataEnd !== this.at) bytes.copyWithin(this.dataEnd, this.at, this.at + length);
    this.dataEnd += length;
    this.at += length;
    this.#left -= length;
    if (this.#left === 0) this.#next = dataCr;
  }

  /** @returns what is expected next */
  #step(byte: number): number {
    switch (this.#next) {
      case size:
        return this.#size(byte);
      case extension:
        return byte === cr ? sizeEnd : this.#aside(isValueByte(byte), extension);
      case sizeEnd:
        return need(byte === lf, this.#left === 0 ? line : data);
      case dataCr:
        return need(byte === cr, dataLf);
      case dataLf:
        this.#digits = 0;
        return need(byte === lf, size);
      case line:
        return byte === cr ? end : this.#aside(isTokenByte(byte), name);
      case name:
        return byte === colon ? value : this.#aside(isTokenByte(byte), name);
      case value:
        return byte === cr ? lineEnd : this.#aside(isValueByte(byte), value);
      case lineEnd:
        return need(byte === lf, line);
      default:
        return need(byte === lf, over);
    }
  }

  #size(byte: number): number {
    const digit = hex(byte);
    if (digit < 0)
      return need(this.#digits > 0 && (byte === cr || byte === semicolon), byte === cr ? sizeEnd : extension);
    this.#left = this.#digits === 0 ? digit : this.#left * 16 + digit;
    this.#digits += 1;
    return need(this.#digits <= sizeDigitsMax, size);
  }

  /** Something that goes nowhere. */
  #aside(isRight: boolean, next: number): number {
    this.#asideBytes += 1;
    return need(isRight && this.#asideBytes <= asideBytesMax, next);
  }
}
