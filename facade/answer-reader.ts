// Reads answers off one connection, one after the other, and tells of each as it comes. Head and body are read where they lie; only
// what must outlive the read is copied.
import { type AnswerHead, HeadEnd, notHttp, readHead } from './answer-head.ts';
import type { Call } from './call.ts';
import { Chunks } from './chunks.ts';
import { giveBack, takeBuffer } from './read-buffers.ts';

const readBytes = 64 * 1024;
/**
 * What is read on a plain socket is looked at before anything else is read on any other, and so one buffer does for all. TLS may
 * read on one socket while another is written to.
 */
const shared = Buffer.allocUnsafeSlow(readBytes);
/** From here on a body is read into large buffers, which are handed on. */
const largeBytesMin = readBytes / 2;

export class AnswerReader {
  readonly #usual: Buffer;
  /** Where the next read goes; undefined: into a new one. */
  #next: Buffer | undefined;
  readonly #headEnd = new HeadEnd();
  /** What has come of a head that is not whole. */
  #part: Buffer | undefined;
  #partBytes = 0;
  /** Of the answer under way, 1xx aside. */
  #head: AnswerHead | undefined;
  #hasBody = false;
  /** Of the body; below 0: it has no length. */
  #left = 0;
  #chunks: Chunks | undefined;
  /** After the end of an answer: nothing has come after it. */
  #isClean = false;
  #mayLie = false;

  constructor(isTls: boolean) {
    this.#usual = isTls ? Buffer.allocUnsafeSlow(readBytes / 4) : shared;
    this.#next = this.#usual;
  }

  /** Where the next read goes. */
  get next(): Buffer {
    this.#next ??= takeBuffer();
    return this.#next;
  }

  /** Without a length, and without chunks, a body ends with its connection (RFC 9112, 6.3). */
  get isEndedByConnection(): boolean {
    return this.#head !== undefined && this.#hasBody && this.#left < 0 && !this.#chunks;
  }

  /**
   * To be called when an answer is over: the next one may begin.
   * @returns for how long its connection may be used again, by the upstream's word; -1: it does not say; undefined: not at all
   */
  end(): number | undefined {
    const head = this.#head;
    this.#head = undefined;
    this.#chunks = undefined;
    // A connection that waits has none of the large ones, though its next answer may be as large: others have no more to read into.
    if (this.#next && this.#next !== this.#usual) giveBack(this.#next);
    this.#next = this.#usual;
    return head?.isKept && this.#isClean && !this.#mayLie ? head.keptMs : undefined;
  }

  /**
   * @param bytes what `next` was
   * @returns whether the answer is over
   * @throws UpstreamError, or what the call's handler throws
   */
  read(call: Call, bytes: Buffer, length: number): boolean {
    if (this.#head) return this.#readBody(call, bytes, 0, length);
    const part = this.#part;
    if (!part) return this.#readHeads(call, bytes, 0, length);
    // A head that comes in parts is put together in a buffer that grows as it does.
    const all = this.#partBytes + length;
    let whole = part;
    if (part.length < all) {
      whole = Buffer.allocUnsafeSlow(Math.max(all, 2 * part.length));
      part.copy(whole, 0, 0, this.#partBytes);
      this.#part = whole;
    }
    bytes.copy(whole, this.#partBytes, 0, length);
    this.#partBytes = all;
    return this.#readHeads(call, whole, 0, all);
  }

  #readHeads(call: Call, bytes: Buffer, begin: number, to: number): boolean {
    let from = begin;
    while (from < to && !call.isOver) {
      const end = this.#headEnd.find(bytes, from, to);
      if (end < 0) {
        this.#keepPart(bytes, from, to);
        return false;
      }
      const head = readHead(bytes, from, end);
      from = end;
      call.rawHeaders = head.headers;
      if (head.status >= 200) {
        this.#part = undefined;
        this.#begin(call, head);
        call.handler.onResponseStart(call, head.status);
        return this.#readBody(call, bytes, from, to);
      }
      if (head.status === 101) throw notHttp('a switch of protocols that nobody asked for');
      // Nobody waits for a 100: `Expect` has been answered here.
      if (head.status !== 100) call.handler.onResponseStart(call, head.status);
    }
    this.#part = undefined;
    return false;
  }

  #keepPart(bytes: Buffer, from: number, to: number): void {
    if (bytes === this.#part && from === 0) return;
    const part = Buffer.allocUnsafeSlow(Math.max(2 * (to - from), 1024));
    bytes.copy(part, 0, from, to);
    this.#part = part;
    this.#partBytes = to - from;
  }

  #begin({ method }: Call, head: AnswerHead): void {
    const { status, length, isChunked } = head;
    this.#head = head;
    this.#hasBody = method !== 'HEAD' && status !== 204 && status !== 304 && length !== 0;
    this.#left = length;
    this.#chunks = isChunked && this.#hasBody ? new Chunks() : undefined;
    // A body that there must not be, of a HEAD or a 304, may still be on its way, and would be the next client's answer.
    this.#mayLie = !this.#hasBody && (method === 'HEAD' || length > 0 || isChunked);
  }

  #readBody(call: Call, bytes: Buffer, from: number, to: number): boolean {
    if (call.isOver) return false;
    const chunks = this.#chunks;
    let dataEnd = to;
    let rest = to;
    let isOver = false;
    if (!this.#hasBody) {
      rest = from;
      dataEnd = from;
      isOver = true;
    } else if (chunks) {
      chunks.read(bytes, from, to);
      rest = chunks.at;
      dataEnd = chunks.dataEnd;
      isOver = chunks.isOver;
    } else if (this.#left >= 0) {
      rest = Math.min(to, from + this.#left);
      dataEnd = rest;
      this.#left -= rest - from;
      isOver = this.#left === 0;
    }
    this.#isClean = rest === to;
    if (dataEnd > from) call.handler.onResponseData(call, this.#own(bytes, from, dataEnd));
    return isOver && !call.isOver;
  }

  /** Data to keep: what will be read into again is copied. */
  #own(bytes: Buffer, from: number, to: number): Buffer {
    const size = to - from;
    const isUsual = bytes === this.#usual;
    // Of a head that came in parts.
    if (!isUsual && bytes !== this.#next) return bytes.subarray(from, to);
    if (size >= largeBytesMin) {
      this.#next = undefined;
      if (!isUsual) return bytes.subarray(from, to);
    }
    const data = this.#next ? Buffer.allocUnsafe(size) : takeBuffer().subarray(0, size);
    bytes.copy(data, 0, from, to);
    return data;
  }
}
