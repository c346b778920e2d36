// Many new rows as LOAD DATA reads them by default: tab-separated, a line each, backslash escapes, \N for NULL.
import type { Value } from '../acl/domain.ts';
import type { Row } from '../acl/translator.ts';

const unsafe = /[\t\n\\\0]/;
const escapes: Readonly<Record<string, string>> = { '\t': '\\t', '\n': '\\n', '\\': '\\\\', '\0': '\\0' };
const unescapes: Readonly<Record<string, string>> = { t: '\t', n: '\n', '\\': '\\', '0': '\0' };

/** One value; undefined for bytes, which LOAD DATA would read in a character set. */
export function loadField(value: Value | undefined): string | undefined {
  if (value === null || value === undefined) return '\\N';
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value);
  if (typeof value !== 'string') return undefined;
  return unsafe.test(value)
    ? value.replace(/[\t\n\\\0]/g, (character) => escapes[character] ?? character)
    : value;
}

/** A line's values again, all of them texts, which the server reads as what the columns are. */
export function rowOfLine(line: string, columns: readonly string[]): Row {
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

/** Lines as bytes, so that rows are garbage as soon as they are said. */
export class LoadLines {
  #bytes = spare.pop() ?? Buffer.allocUnsafe(bytesAtFirst);
  #length = 0;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** @returns how many bytes it took */
  add(line: string): number {
    // A UTF-16 unit is at most three bytes of UTF-8.
    const most = line.length * 3 + 1;
    if (this.#length + most > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + most));
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    const written = this.#bytes.write(line, this.#length);
    this.#bytes[this.#length + written] = 0x0a;
    this.#length += written + 1;
    this.#count++;
    return written + 1;
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
