// Dates and times as the text that SELECT prints, TIMESTAMP as a session in UTC sees it. Three generations:
// the packed decimals of old, MariaDB 5.3's with fractions, and MySQL 5.6's.
import type { Cursor } from './cursor.ts';
import { corrupt } from './errors.ts';

type TextReader = (cursor: Cursor) => string;

const two = Array.from({ length: 100 }, (_, value) => String(value).padStart(2, '0'));
const pad2 = (value: number) => two[value] ?? String(value);
const pad4 = (value: number) => pad2(Math.floor(value / 100)) + pad2(value % 100);

/** Neighbouring rows are mostly of one day, and a day has few minutes: texts that were made once are found again. */
const minuteTexts = Array.from(
  { length: 24 * 60 },
  (_, minute) => `${pad2(Math.floor(minute / 60))}:${pad2(minute % 60)}`,
);
const secondTexts = Array.from({ length: 60 }, (_, second) => `:${pad2(second)}`);

const dateText = (year: number, month: number, day: number) => `${pad4(year)}-${pad2(month)}-${pad2(day)}`;
function clockText(hour: number, minute: number, second: number): string {
  if (hour < 24) return (minuteTexts[hour * 60 + minute] ?? '') + (secondTexts[second] ?? `:${second}`);
  return `${pad2(hour)}:${pad2(minute)}:${pad2(second)}`;
}

const fractionText = (value: number, digits: number) =>
  digits === 0 ? '' : `.${String(value).padStart(digits, '0')}`;

const zeroTimestamp = '0000-00-00 00:00:00';
const daySeconds = 86_400;

/** The day of the last timestamp: those of neighbouring rows are mostly of one day. */
let lastDay = -1;
let lastDayText = '';

function instantText(seconds: number): string {
  const day = Math.floor(seconds / daySeconds);
  if (day !== lastDay) {
    const date = new Date(day * daySeconds * 1_000);
    lastDayText = `${dateText(date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate())} `;
    lastDay = day;
  }
  const rest = seconds - day * daySeconds;
  return lastDayText + clockText(Math.floor(rest / 3_600), Math.floor(rest / 60) % 60, rest % 60);
}

/** Hours have at least two digits, and up to three. */
const timeText = (negative: boolean, hour: number, minute: number, second: number) =>
  (negative ? '-' : '') + clockText(hour, minute, second);

export const readDate: TextReader = (cursor) => {
  const value = cursor.u24();
  return dateText(value >> 9, (value >> 5) & 15, value & 31);
};

export const readYear = (cursor: Cursor): number => {
  const value = cursor.u8();
  return value === 0 ? 0 : value + 1900;
};

const readOldTimestamp: TextReader = (cursor) => {
  const seconds = cursor.u32();
  return seconds === 0 ? zeroTimestamp : instantText(seconds);
};

const readOldDatetime: TextReader = (cursor) => {
  const value = cursor.u64();
  const date = Math.floor(value / 1_000_000);
  const clock = value - date * 1_000_000;
  return `${dateText(Math.floor(date / 10_000), Math.floor(date / 100) % 100, date % 100)} ${clockText(
    Math.floor(clock / 10_000),
    Math.floor(clock / 100) % 100,
    clock % 100,
  )}`;
};

const readOldTime: TextReader = (cursor) => {
  const from = cursor.take(3);
  const signed = cursor.buffer.readIntLE(from, 3);
  const value = Math.abs(signed);
  return timeText(signed < 0, Math.floor(value / 10_000), Math.floor(value / 100) % 100, value % 100);
};

function bigEndian(cursor: Cursor, bytes: number): number {
  return bytes === 0 ? 0 : cursor.buffer.readUIntBE(cursor.take(bytes), bytes);
}

/** MySQL 5.6's fraction: 1 to 3 bytes that hold an even number of digits. */
function readFraction(cursor: Cursor, digits: number): number {
  const value = bigEndian(cursor, (digits + 1) >> 1);
  return digits % 2 === 1 ? Math.floor(value / 10) : value;
}

function timestamp2(digits: number): TextReader {
  return (cursor) => {
    const seconds = cursor.buffer.readUInt32BE(cursor.take(4));
    const fraction = fractionText(readFraction(cursor, digits), digits);
    if (seconds === 0 && Number(fraction) === 0) return zeroTimestamp + fraction;
    return instantText(seconds) + fraction;
  };
}

const datetimeOffset = 0x80_0000_0000;

function datetime2(digits: number): TextReader {
  let lastDate = -1;
  let lastText = '';
  return (cursor) => {
    const { buffer } = cursor;
    const from = cursor.take(5);
    const packed = buffer.readUInt32BE(from) * 256 + (buffer[from + 4] ?? 0) - datetimeOffset;
    if (packed < 0) throw corrupt('a negative DATETIME');
    const clock = packed % 0x2_0000;
    const date = (packed - clock) / 0x2_0000;
    if (date !== lastDate) {
      const months = date >> 5;
      lastText = `${dateText(Math.floor(months / 13), months % 13, date & 31)} `;
      lastDate = date;
    }
    const text = lastText + clockText(clock >> 12, (clock >> 6) & 63, clock & 63);
    return digits === 0 ? text : text + fractionText(readFraction(cursor, digits), digits);
  };
}

function time2(digits: number): TextReader {
  const fractionBytes = (digits + 1) >> 1;
  const unit = 256 ** fractionBytes;
  const offset = 0x80_0000 * unit;
  return (cursor) => {
    // Whole and fraction are one number, so that -00:00:00.5 has a sign.
    const packed = bigEndian(cursor, 3 + fractionBytes) - offset;
    const absolute = Math.abs(packed);
    const clock = Math.floor(absolute / unit);
    const fraction = absolute - clock * unit;
    const shown = digits % 2 === 1 ? Math.floor(fraction / 10) : fraction;
    const text = timeText(packed < 0, clock >> 12, (clock >> 6) & 63, clock & 63);
    return text + fractionText(shown, digits);
  };
}

const oldTimestampFractionBytes = [0, 1, 1, 2, 2, 3, 3] as const;
const oldDatetimeBytes = [5, 6, 6, 7, 7, 7, 8] as const;
const oldTimeBytes = [3, 4, 4, 5, 5, 5, 6] as const;

function oldTimestampWithFraction(digits: number): TextReader {
  return (cursor) => {
    const seconds = cursor.buffer.readUInt32BE(cursor.take(4));
    const fraction = bigEndian(cursor, oldTimestampFractionBytes[digits] ?? 0);
    const text = seconds === 0 && fraction === 0 ? zeroTimestamp : instantText(seconds);
    return text + fractionText(fraction, digits);
  };
}

/** Takes the lowest part off a number that was packed by multiplication. */
function split(value: bigint, base: bigint): [rest: bigint, part: number] {
  return [value / base, Number(value % base)];
}

function bigEndian64(cursor: Cursor, bytes: number): bigint {
  const from = cursor.take(bytes);
  let value = 0n;
  for (let i = 0; i < bytes; i++) value = value * 256n + BigInt(cursor.buffer[from + i] ?? 0);
  return value;
}

function oldDatetimeWithFraction(digits: number): TextReader {
  return (cursor) => {
    const packed = bigEndian64(cursor, oldDatetimeBytes[digits] ?? 0);
    const [inSeconds, fraction] = split(packed, 10n ** BigInt(digits));
    const [inMinutes, second] = split(inSeconds, 60n);
    const [inHours, minute] = split(inMinutes, 60n);
    const [inDays, hour] = split(inHours, 24n);
    const [inMonths, day] = split(inDays, 32n);
    const [year, month] = split(inMonths, 13n);
    return `${dateText(Number(year), month, day)} ${clockText(hour, minute, second)}${fractionText(fraction, digits)}`;
  };
}

function oldTimeWithFraction(digits: number): TextReader {
  const zero = BigInt(838 * 3_600 + 59 * 60 + 59 + 1) * 10n ** BigInt(digits);
  return (cursor) => {
    const packed = bigEndian64(cursor, oldTimeBytes[digits] ?? 0) - zero;
    const [inSeconds, fraction] = split(packed < 0n ? -packed : packed, 10n ** BigInt(digits));
    const seconds = Number(inSeconds);
    const text = timeText(
      packed < 0n,
      Math.floor(seconds / 3_600),
      Math.floor(seconds / 60) % 60,
      seconds % 60,
    );
    return text + fractionText(fraction, digits);
  };
}

export type TemporalKind = 'timestamp' | 'datetime' | 'time';

/** Readers of MySQL 5.6's form; MariaDB writes it by default. */
export function temporalReader(kind: TemporalKind, digits: number): TextReader {
  if (digits > 6) throw corrupt(`a ${kind} with ${digits} digits of fraction`);
  if (kind === 'timestamp') return timestamp2(digits);
  return kind === 'datetime' ? datetime2(digits) : time2(digits);
}

/**
 * Readers of the older forms. The binlog does not say how many digits of fraction such a column has: that
 * comes from the server's catalog.
 */
export function oldTemporalReader(kind: TemporalKind, digits: number): TextReader {
  if (digits > 6) throw corrupt(`a ${kind} with ${digits} digits of fraction`);
  if (kind === 'timestamp') return digits === 0 ? readOldTimestamp : oldTimestampWithFraction(digits);
  if (kind === 'datetime') return digits === 0 ? readOldDatetime : oldDatetimeWithFraction(digits);
  return digits === 0 ? readOldTime : oldTimeWithFraction(digits);
}
