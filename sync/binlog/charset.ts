// Text as the server converts it to utf8mb4. Each decoder here is compared with a real server's CONVERT, byte
// pair by byte pair, in charset.mysql.test.ts.
import { BinlogError } from './errors.ts';
import { euckrUnits } from './euckr.ts';

/** The text of bytes `from` to `to`. */
export type Decode = (buffer: Buffer, from: number, to: number) => string;

const decodeUtf8: Decode = (buffer, from, to) =>
  to - from <= 2 && endOfAscii(buffer, from, to) === to
    ? asciiText(buffer, from, to)
    : buffer.toString('utf8', from, to);

/** What the server shows for bytes that stand for no character. */
const unknownUnit = 0x3f;

/** MySQL's latin1 is windows-1252, with the five holes of that table as C1 controls. */
const latin1Units = Uint16Array.from({ length: 256 }, (_, byte) =>
  new TextDecoder('windows-1252').decode(Uint8Array.of(byte)).charCodeAt(0),
);

const asciiUnits = Uint16Array.from({ length: 256 }, (_, byte) => (byte < 0x80 ? byte : unknownUnit));

let scratch = new Uint16Array(4_096);
let scratchBytes = Buffer.from(scratch.buffer);

/** Room for `units` UTF-16 units; it is shared, and what is in it is valid until the next call. */
function room(units: number): Uint16Array {
  if (scratch.length < units) {
    scratch = new Uint16Array(units * 2);
    scratchBytes = Buffer.from(scratch.buffer);
  }
  return scratch;
}

/** The first `units` of the room. */
const textOfRoom = (units: number) => scratchBytes.toString('utf16le', 0, units * 2);

/** The index of the first byte above 0x7f, or `to`. */
function endOfAscii(buffer: Buffer, from: number, to: number): number {
  let at = from;
  while (at < to && (buffer[at] ?? 0) < 0x80) at++;
  return at;
}

/** Texts of two characters and fewer: flags and codes, which tables are full of. */
const shortTexts: string[] = [];

/** Bytes below 0x80. */
function asciiText(buffer: Buffer, from: number, to: number): string {
  const length = to - from;
  if (length > 2) return buffer.toString('latin1', from, to);
  if (length === 0) return '';
  const index =
    length === 1 ? (buffer[from] ?? 0) : 0x80 + (((buffer[from] ?? 0) << 7) | (buffer[from + 1] ?? 0));
  let text = shortTexts[index];
  if (text === undefined) {
    text = buffer.toString('latin1', from, to);
    shortTexts[index] = text;
  }
  return text;
}

function singleByte(table: Uint16Array): Decode {
  return (buffer, from, to) => {
    if (endOfAscii(buffer, from, to) === to) return asciiText(buffer, from, to);
    const out = room(to - from);
    for (let at = from; at < to; at++) out[at - from] = table[buffer[at] ?? 0] ?? 0;
    return textOfRoom(to - from);
  };
}

const isEuckrTrail = (byte: number) =>
  (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x81 && byte <= 0xfe);

const decodeEuckr: Decode = (buffer, from, to) => {
  if (endOfAscii(buffer, from, to) === to) return asciiText(buffer, from, to);
  const units = euckrUnits();
  const out = room(to - from);
  let put = 0;
  for (let at = from; at < to; ) {
    const lead = buffer[at++] ?? 0;
    const trail = at < to ? (buffer[at] ?? 0) : 0;
    let unit = lead;
    if (lead >= 0x80) {
      unit = units[((lead & 0x7f) << 8) | trail] || unknownUnit;
      if (unit !== unknownUnit || (lead !== 0x80 && lead !== 0xff && isEuckrTrail(trail))) at++;
    }
    out[put++] = unit;
  }
  return textOfRoom(put);
};

const decodeUtf16: Decode = (buffer, from, to) => {
  const copy = Buffer.from(buffer.subarray(from, from + ((to - from) & ~1)));
  return copy.swap16().toString('utf16le', 0, copy.length);
};

const decodeUtf16le: Decode = (buffer, from, to) => buffer.toString('utf16le', from, to);

const decodeUtf32: Decode = (buffer, from, to) => {
  const points: string[] = [];
  for (let at = from; at + 4 <= to; at += 4) {
    const point = buffer.readUInt32BE(at);
    points.push(point <= 0x10ffff ? String.fromCodePoint(point) : '?');
  }
  return points.join('');
};

const decoders = new Map<string, Decode>([
  ['utf8mb4', decodeUtf8],
  ['utf8mb3', decodeUtf8],
  ['utf8', decodeUtf8],
  ['ascii', singleByte(asciiUnits)],
  ['latin1', singleByte(latin1Units)],
  ['euckr', decodeEuckr],
  ['ucs2', decodeUtf16],
  ['utf16', decodeUtf16],
  ['utf16le', decodeUtf16le],
  ['utf32', decodeUtf32],
]);

/**
 * @param where whose text it is, for the message
 * @throws BinlogError charset-unsupported for any other name
 */
export function decoderOf(charset: string, where: string): Decode {
  const decoder = decoders.get(charset);
  if (decoder) return decoder;
  throw new BinlogError(
    'charset-unsupported',
    `${where} is in character set ${charset}, which is not decoded here`,
    `decoded are ${[...decoders.keys()].join(', ')}; convert the column, or leave its table out`,
  );
}

/** For the text of statements only: what cannot be decoded must not stop a stream that does not need it. */
export function decodeLoosely(charset: string | undefined, buffer: Buffer): string {
  return (decoders.get(charset ?? 'utf8mb4') ?? decodeUtf8)(buffer, 0, buffer.length);
}
