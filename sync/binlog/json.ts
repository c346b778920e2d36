// MySQL's binary JSON as the text that its own CAST(… AS CHAR) prints, key order and spaces included.
import { Cursor } from './cursor.ts';
import { decimalReader } from './decimal.ts';
import { corrupt } from './errors.ts';

const smallObject = 0;
const largeObject = 1;
const smallArray = 2;
const largeArray = 3;
const literal = 4;
const int16 = 5;
const uint16 = 6;
const int32 = 7;
const uint32 = 8;
const int64 = 9;
const uint64 = 10;
const double = 11;
const text = 12;
const opaque = 15;

const literals = ['null', 'true', 'false'] as const;
const depthMax = 150;

/** The document being printed. Offsets may repeat in damaged bytes, so what is printed is bounded. */
type Document = { readonly buffer: Buffer; charsLeft: number };

/** Every three bytes of a document print as less than this many characters. */
const charsPerByte = 16;

function at(document: Document, from: number, to: number): Cursor {
  if (from > to || to > document.buffer.length) throw corrupt('a JSON value outside its document');
  return new Cursor(document.buffer, from, to);
}

function spend(document: Document, printed: string): string {
  document.charsLeft -= printed.length + 2;
  if (document.charsLeft < 0) throw corrupt('a JSON document whose parts overlap');
  return printed;
}

/** JSON.stringify escapes as the server does, but for lone surrogates, which no server stores. */
const quoted = (value: string) => JSON.stringify(value);

/** The server's my_gcvt: shortest digits, e-notation outside of 1e-15 to 1e15. */
export function doubleText(value: number): string {
  if (Object.is(value, -0)) return '-0.0';
  const [mantissa = '', exponentText = '0'] = Math.abs(value).toExponential().split('e');
  const digits = mantissa.replace('.', '');
  const exponent = Number(exponentText);
  const sign = value < 0 ? '-' : '';
  if (exponent < -15 || exponent > 14)
    return `${sign}${digits[0]}${digits.length > 1 ? `.${digits.slice(1)}` : ''}e${exponent}`;
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  if (digits.length <= exponent + 1) return `${sign}${digits.padEnd(exponent + 1, '0')}.0`;
  return `${sign}${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`;
}

function variableLength(cursor: Cursor): number {
  let length = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = cursor.u8();
    length += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return length;
  }
  throw corrupt('a JSON length of more than five bytes');
}

const pad = (value: bigint | number, digits = 2) => String(value).padStart(digits, '0');

function packedTime(packed: bigint): string {
  const absolute = packed < 0n ? -packed : packed;
  const clock = absolute >> 24n;
  const fraction = absolute & 0xff_ffffn;
  return `${packed < 0n ? '-' : ''}${pad((clock >> 12n) & 0x3ffn)}:${pad((clock >> 6n) & 63n)}:${pad(clock & 63n)}.${pad(fraction, 6)}`;
}

function packedDatetime(packed: bigint, withTime: boolean): string {
  const date = packed >> 41n;
  const months = date >> 5n;
  const day = `${pad(months / 13n, 4)}-${pad(months % 13n)}-${pad(date & 31n)}`;
  if (!withTime) return day;
  return `${day} ${packedTime(packed & 0x1ff_ffff_ffffn)}`;
}

const decimalType = 246;
const temporalTypes = new Map<number, (packed: bigint) => string>([
  [7, (packed) => packedDatetime(packed, true)],
  [10, (packed) => packedDatetime(packed, false)],
  [11, packedTime],
  [12, (packed) => packedDatetime(packed, true)],
]);

function printOpaque(document: Document, cursor: Cursor): string {
  const type = cursor.u8();
  const data = cursor.bytes(variableLength(cursor));
  if (type === decimalType) {
    const inner = new Cursor(data);
    return decimalReader(inner.u8(), inner.u8())(inner);
  }
  const temporal = temporalTypes.get(type);
  if (temporal) {
    if (data.length !== 8) throw corrupt('a JSON time that has no eight bytes');
    return `"${temporal(data.readBigInt64LE(0))}"`;
  }
  if (data.length * 2 > document.charsLeft) throw corrupt('a JSON document whose parts overlap');
  return `"base64:type${type}:${data.toString('base64')}"`;
}

function printScalar(document: Document, type: number, cursor: Cursor): string {
  const { buffer } = cursor;
  if (type === int16) return String(buffer.readInt16LE(cursor.take(2)));
  if (type === uint16) return String(cursor.u16());
  if (type === int32) return String(buffer.readInt32LE(cursor.take(4)));
  if (type === uint32) return String(cursor.u32());
  if (type === int64) return String(buffer.readBigInt64LE(cursor.take(8)));
  if (type === uint64) return String(buffer.readBigUInt64LE(cursor.take(8)));
  if (type === double) return doubleText(buffer.readDoubleLE(cursor.take(8)));
  if (type === text) {
    const length = variableLength(cursor);
    if (length > document.charsLeft) throw corrupt('a JSON document whose parts overlap');
    return quoted(cursor.utf8(length));
  }
  if (type === opaque) return printOpaque(document, cursor);
  throw corrupt(`JSON value type ${type}`);
}

/** A container: all its offsets are from its own start. */
function printContainer(document: Document, type: number, from: number, depth: number): string {
  const isObject = type <= largeObject;
  const offsetBytes = type === largeObject || type === largeArray ? 4 : 2;
  const head = at(document, from, document.buffer.length);
  const count = head.uint(offsetBytes);
  const size = head.uint(offsetBytes);
  const entryBytes = 1 + offsetBytes + (isObject ? offsetBytes + 2 : 0);
  if (size > document.buffer.length - from || count * entryBytes > size)
    throw corrupt('a JSON container larger than its document');
  const keys: string[] = [];
  if (isObject)
    for (let i = 0; i < count; i++) {
      const offset = head.uint(offsetBytes);
      const length = head.u16();
      const key = at(document, from + offset, from + size);
      keys.push(spend(document, `${quoted(key.utf8(length))}: `));
    }
  const values: string[] = [];
  for (let i = 0; i < count; i++) {
    const valueType = head.u8();
    const slot = head.at;
    const offset = head.uint(offsetBytes);
    const isInline =
      valueType === literal ||
      valueType === int16 ||
      valueType === uint16 ||
      (offsetBytes === 4 && (valueType === int32 || valueType === uint32));
    const place = isInline ? slot : from + offset;
    values.push((keys[i] ?? '') + printValue(document, valueType, place, depth + 1));
  }
  return isObject ? `{${values.join(', ')}}` : `[${values.join(', ')}]`;
}

function printValue(document: Document, type: number, from: number, depth: number): string {
  if (depth > depthMax) throw corrupt('a JSON document nested too deeply');
  if (type === literal) {
    const name = literals[document.buffer[from] ?? literals.length];
    if (name === undefined) throw corrupt('a JSON literal that is none');
    return spend(document, name);
  }
  // Parts that repeat are paid for each time, whatever they print as.
  if (type === smallObject || type === largeObject || type === smallArray || type === largeArray) {
    spend(document, '');
    return printContainer(document, type, from, depth);
  }
  return spend(document, printScalar(document, type, at(document, from, document.buffer.length)));
}

/** @returns the document's text; an empty value (a NULL that strict mode let pass) is the JSON null, as the server has it */
export function printJson(buffer: Buffer): string {
  const type = buffer[0];
  if (type === undefined) return 'null';
  return printValue({ buffer, charsLeft: buffer.length * charsPerByte + 64 }, type, 1, 0);
}
