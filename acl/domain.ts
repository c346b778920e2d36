// What a column or a JSON field may hold, as data: codecs refuse what is outside, and the laws' tests
// generate what is inside.
import type { Repertoire } from './repertoire.ts';

/** A value as drivers, the change stream and JSON carry it. DECIMAL, BIGINT and dates are strings. */
export type Value = string | number | null | Uint8Array | readonly string[];

export type Domain =
  /** Whatever the column holds: the two sides are alike. */
  | { readonly kind: 'any' }
  | { readonly kind: 'oneOf'; readonly values: readonly Value[] }
  | { readonly kind: 'integer'; readonly min: number; readonly max: number }
  /** Whole numbers as decimal digits, for what a double cannot hold. */
  | { readonly kind: 'digits'; readonly min: bigint; readonly max: bigint }
  /** DECIMAL(precision, scale) as MySQL prints it: always with `scale` places. */
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number }
  | {
      readonly kind: 'text';
      /** In characters (code points), as VARCHAR counts them. */
      readonly lengthMax: number;
      readonly lengthMin?: number;
      readonly repertoire: Repertoire;
      /** A further condition in words and as a test. */
      readonly also?: { readonly holds: (text: string) => boolean; readonly words: string };
    }
  /** Whole seconds from `min` to `max` (Unix time), written in one of two ways. */
  | { readonly kind: 'seconds'; readonly min: number; readonly max: number; readonly format: TimeFormat }
  | { readonly kind: 'list'; readonly item: Extract<Domain, { kind: 'text' }>; readonly itemsMax: number }
  | { readonly kind: 'either'; readonly value: Value; readonly or: Domain };

export type TimeFormat = {
  readonly words: string;
  write(seconds: number): string;
  /** @returns undefined for what is no such time */
  read(text: string): number | undefined;
};

// Proleptic Gregorian calendar in whole seconds, by arithmetic alone: a stream converts millions of times a
// minute, and Date costs a microsecond each way (H. Hinnant, "chrono-compatible low-level date algorithms").

const daySeconds = 86_400;

function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  return (
    era * 146_097 +
    yearOfEra * 365 +
    Math.floor(yearOfEra / 4) -
    Math.floor(yearOfEra / 100) +
    dayOfYear -
    719_468
  );
}

const monthDays = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const isLeap = (year: number) => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);

/** Seconds of a civil time, written as if it were UTC; undefined when there is no such date or time. */
function secondsOf(
  year: number,
  month: number,
  day: number,
  hour: number,
  minute: number,
  second: number,
): number | undefined {
  const days = month === 2 && isLeap(year) ? 29 : monthDays[month - 1];
  // NaN, of what is no digit, fails every comparison.
  if (
    !(
      year >= 1 &&
      days !== undefined &&
      day >= 1 &&
      day <= days &&
      hour <= 23 &&
      minute <= 59 &&
      second <= 59
    )
  )
    return undefined;
  return daysFromCivil(year, month, day) * daySeconds + hour * 3600 + minute * 60 + second;
}

/** Two digits at a place; NaN when they are not. */
function two(text: string, at: number): number {
  const tens = text.charCodeAt(at) - 48;
  const ones = text.charCodeAt(at + 1) - 48;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN;
}

const pad = Array.from({ length: 100 }, (_, number) => String(number).padStart(2, '0'));

type CivilDate = readonly [century: string, year: string, month: string, day: string];

function civilOf(days: number): CivilDate {
  const z = days + 719_468;
  const era = Math.floor(z / 146_097);
  const dayOfEra = z - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shifted = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1;
  const month = shifted < 10 ? shifted + 3 : shifted - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  const digits = (number: number) => pad[number] ?? String(number);
  return [digits(Math.floor(year / 100)), digits(year % 100), digits(month), digits(day)];
}

/** Dates written one way, remembered: rows have the same days again and again. */
function dateWriter(write: (date: CivilDate) => string): (days: number) => string {
  const known = new Map<number, string>();
  return (days) => {
    let text = known.get(days);
    if (text === undefined) {
      text = write(civilOf(days));
      if (known.size >= daysRemembered) known.clear();
      known.set(days, text);
    }
    return text;
  };
}

const daysRemembered = 4_096;

/** Of a day's second: hours, minutes, seconds with something between them. */
function clock(rest: number, between: string): string {
  const minutes = Math.floor(rest / 60);
  const hours = Math.floor(minutes / 60);
  return `${pad[hours]}${between}${pad[minutes - hours * 60]}${between}${pad[rest - minutes * 60]}`;
}

/** `YYYY-MM-DD` and `HH:MM:SS` with one character between them and perhaps one behind. */
function readParts(text: string, between: string, behind: string): number | undefined {
  const isShaped =
    text.length === 19 + behind.length &&
    text[4] === '-' &&
    text[7] === '-' &&
    text[10] === between &&
    text[13] === ':' &&
    text[16] === ':' &&
    text.endsWith(behind);
  return isShaped
    ? secondsOf(
        two(text, 0) * 100 + two(text, 2),
        two(text, 5),
        two(text, 8),
        two(text, 11),
        two(text, 14),
        two(text, 17),
      )
    : undefined;
}

const dashed = dateWriter(([century, year, month, day]) => `${century}${year}-${month}-${day}`);
const joined = dateWriter((date) => date.join(''));

function writeParts(seconds: number, between: string, behind: string): string {
  const days = Math.floor(seconds / daySeconds);
  return `${dashed(days)}${between}${clock(seconds - days * daySeconds, ':')}${behind}`;
}

/** DATETIME as MySQL prints it. */
export const datetime: TimeFormat = {
  words: 'YYYY-MM-DD HH:MM:SS',
  write: (seconds) => writeParts(seconds, ' ', ''),
  read: (text) => readParts(text, ' ', ''),
};

/** CHAR(14), the habit of systems that had no date type. */
export const compact: TimeFormat = {
  words: 'YYYYMMDDHHMMSS',
  write: (seconds) => {
    const days = Math.floor(seconds / daySeconds);
    return joined(days) + clock(seconds - days * daySeconds, '');
  },
  read: (text) =>
    text.length === 14
      ? secondsOf(
          two(text, 0) * 100 + two(text, 2),
          two(text, 4),
          two(text, 6),
          two(text, 8),
          two(text, 10),
          two(text, 12),
        )
      : undefined,
};

/** RFC 3339 in UTC, whole seconds. */
export const instant: TimeFormat = {
  words: 'YYYY-MM-DDTHH:MM:SSZ',
  write: (seconds) => writeParts(seconds, 'T', 'Z'),
  read: (text) => readParts(text, 'T', 'Z'),
};

/** VARCHAR counts code points; most texts have no surrogate, and then units are code points. */
export function lengthOf(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) if ((text.charCodeAt(i) & 0xfc00) === 0xd800) length--;
  return length;
}

/**
 * Why a value is outside its domain, in words without the value itself.
 * @returns undefined when it is inside
 */
export function outside(domain: Domain, value: unknown): string | undefined {
  switch (domain.kind) {
    case 'any':
      return undefined;
    case 'oneOf':
      return domain.values.includes(value as Value)
        ? undefined
        : `is not one of ${domain.values.map((each) => JSON.stringify(each)).join(', ')}`;
    case 'integer':
      return typeof value === 'number' &&
        Number.isInteger(value) &&
        value >= domain.min &&
        value <= domain.max &&
        !Object.is(value, -0)
        ? undefined
        : `is not a whole number from ${domain.min} to ${domain.max}`;
    case 'digits': {
      const inside =
        typeof value === 'string' &&
        /^(0|-?[1-9]\d*)$/.test(value) &&
        BigInt(value) >= domain.min &&
        BigInt(value) <= domain.max;
      return inside ? undefined : `is not decimal digits from ${domain.min} to ${domain.max}`;
    }
    case 'decimal': {
      const { precision, scale } = domain;
      const parts = typeof value === 'string' ? /^-?(0|[1-9]\d*)(?:\.(\d+))?$/.exec(value) : null;
      const inside =
        parts &&
        (parts[2]?.length ?? 0) === scale &&
        (parts[1] === '0' ? 0 : (parts[1]?.length ?? 0)) <= precision - scale &&
        !/^-[0.]+$/.test(parts[0]);
      return inside ? undefined : `is not a DECIMAL(${precision},${scale})`;
    }
    case 'text': {
      if (typeof value !== 'string') return 'is not a text';
      // Units are at least as many as characters: most texts need no count.
      const isLong = value.length > domain.lengthMax || domain.lengthMin !== undefined;
      const length = isLong ? lengthOf(value) : 0;
      if (length > domain.lengthMax) return `is longer than ${domain.lengthMax} characters`;
      if (length < (domain.lengthMin ?? 0)) return `is shorter than ${domain.lengthMin} characters`;
      const character = domain.repertoire.firstOutside(value);
      if (character !== undefined)
        return `has U+${character.toString(16).toUpperCase().padStart(4, '0')}, which ${domain.repertoire.name} cannot hold`;
      return domain.also && !domain.also.holds(value) ? domain.also.words : undefined;
    }
    case 'seconds': {
      const seconds = typeof value === 'string' ? domain.format.read(value) : undefined;
      if (seconds === undefined) return `is not a time written ${domain.format.words}`;
      return seconds >= domain.min && seconds <= domain.max
        ? undefined
        : `is before ${domain.format.write(domain.min)} or after ${domain.format.write(domain.max)}`;
    }
    case 'list': {
      if (!Array.isArray(value)) return 'is not a list';
      if (value.length > domain.itemsMax) return `has more than ${domain.itemsMax} items`;
      for (const item of value) {
        const fault = outside(domain.item, item);
        if (fault !== undefined) return `has an item that ${fault}`;
      }
      return undefined;
    }
    case 'either':
      return value === domain.value ? undefined : outside(domain.or, value);
  }
}
