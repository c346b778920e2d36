// Many new rows as LOAD DATA reads them by default: tab-separated, a line each, backslash escapes, \N for NULL.
import type { Value } from '../acl/domain.ts';
import type { Row } from '../acl/translator.ts';

const special = /[\t\n\\\0]/g;
const escapes: Readonly<Record<string, string>> = { '\t': '\\t', '\n': '\\n', '\\': '\\\\', '\0': '\\0' };
const unescapes: Readonly<Record<string, string>> = { t: '\t', n: '\n', '\\': '\\', '0': '\0' };
const tab = 9;
const newline = 10;
const backslash = 92;

/** A line's values again, all of them texts, which the server reads as what the columns are. */
function rowOfLine(line: string, columns: readonly string[]): Row {
  const fields = line.split('\t');
  return Object.fromEntries(
    columns.map((column, index) => {
      const field = fields[index] ?? '\\N';
      return [
        column,
        field === '\\N' ? null : field.replace(/\\(.)/g, (_, character) => unescapes[character] ?? character),
      ];
    }),
  );
}

const bytesAtFirst = 256 * 1024;
/** Buffers that were sent, for the next lines: garbage of this size is collected late. */
const spare: Buffer[] = [];
const spareMax = 4;
const spareBytesMax = 4 * 1024 * 1024;

/** Texts up to this are copied here character by character, as long as they are ASCII: a call costs more. */
const shortMax = 40;

/** Of a whole number above zero. */
function digitsOf(value: number): number {
  let digits = 1;
  for (let power = 10; power <= value; power *= 10) digits++;
  return digits;
}

/** Lines as bytes, so that rows are garbage as soon as they are said. */
export class LoadLines {
  #bytes = spare.pop() ?? Buffer.allocUnsafe(bytesAtFirst);
  #length = 0;
  #count = 0;
  #lineFrom = 0;

  /** Whole lines. */
  get count(): number {
    return this.#count;
  }

  /** Bytes of them. */
  get size(): number {
    return this.#length;
  }

  /**
   * The next value of a line that has begun with the first.
   * @returns false for bytes, which LOAD DATA would read in a character set: the line must then be undone
   */
  field(value: Value | undefined): boolean {
    if (typeof value === 'string') this.#text(value);
    else if (typeof value === 'number') this.#number(value);
    else if (value === null || value === undefined) this.#ascii('\\N');
    else return false;
    return true;
  }

  endLine(): void {
    this.#bytes[this.#length - 1] = newline;
    this.#lineFrom = this.#length;
    this.#count++;
  }

  /** Forgets the values since the last line's end. */
  undo(): void {
    this.#length = this.#lineFrom;
  }

  #number(value: number): void {
    // Most numbers are small and whole: their digits from the last to the first.
    if (value > 0 && value <= 0x7fff_ffff && (value | 0) === value) {
      this.#reserve(11);
      let end = this.#length + digitsOf(value);
      this.#length = end + 1;
      const bytes = this.#bytes;
      bytes[end] = tab;
      for (let rest = value; rest > 0; ) {
        const less = (rest / 10) | 0;
        bytes[--end] = 48 + rest - less * 10;
        rest = less;
      }
    } else this.#ascii(Object.is(value, -0) ? '-0' : String(value));
  }

  #ascii(text: string): void {
    this.#reserve(text.length + 1);
    for (let i = 0; i < text.length; i++) this.#bytes[this.#length++] = text.charCodeAt(i);
    this.#bytes[this.#length++] = tab;
  }

  #text(text: string): void {
    if (!this.#shortText(text)) this.#longText(text);
  }

  /** @returns false, and nothing is written, for what is long or must be escaped or encoded */
  #shortText(text: string): boolean {
    const { length } = text;
    if (length > shortMax) return false;
    this.#reserve(length + 1);
    const bytes = this.#bytes;
    let at = this.#length;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code >= 0x80 || code === backslash || code === tab || code === newline || code === 0) return false;
      bytes[at++] = code;
    }
    bytes[at++] = tab;
    this.#length = at;
    return true;
  }

  #longText(text: string): void {
    const escaped = text.replace(special, (character) => escapes[character] ?? character);
    // A UTF-16 unit is at most three bytes of UTF-8.
    this.#reserve(escaped.length * 3 + 1);
    this.#length += this.#bytes.write(escaped, this.#length);
    this.#bytes[this.#length++] = tab;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + more));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }

  /** What came after a count and size that it once had, as lines of their own; here it is gone. */
  splitAt(count: number, size: number): LoadLines {
    const later = new LoadLines();
    later.#reserve(this.#length - size);
    this.#bytes.copy(later.#bytes, 0, size, this.#length);
    later.#count = this.#count - count;
    later.#length = this.#length - size;
    later.#lineFrom = later.#length;
    this.#count = count;
    this.#length = size;
    this.#lineFrom = size;
    return later;
  }

  /** They are on the target: what they took is free for others. */
  release(): void {
    if (spare.length < spareMax && this.#bytes.length <= spareBytesMax) spare.push(this.#bytes);
    this.#bytes = Buffer.alloc(0);
    this.#length = 0;
  }

  bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  rows(columns: readonly string[]): Row[] {
    const lines = this.bytes().toString().split('\n');
    lines.pop();
    return lines.map((line) => rowOfLine(line, columns));
  }
}
