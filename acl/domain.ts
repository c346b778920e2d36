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

const shape = /^(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)$/;

function secondsOf(text: string, parts: RegExpExecArray | null): number | undefined {
  if (!parts) return undefined;
  const [year, month, day, hour, minute, second] = parts.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  // Below 100 Date.UTC means 19xx.
  if (year < 100 || hour > 23 || minute > 59 || second > 59) return undefined;
  const milliseconds = Date.UTC(year, month - 1, day, hour, minute, second);
  const date = new Date(milliseconds);
  // The 31st of a shorter month rolls over into the next: no such date.
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day && text !== ''
    ? milliseconds / 1000
    : undefined;
}

const iso = (seconds: number) => new Date(seconds * 1000).toISOString();

/** DATETIME as MySQL prints it. */
export const datetime: TimeFormat = {
  words: 'YYYY-MM-DD HH:MM:SS',
  write: (seconds) => iso(seconds).slice(0, 19).replace('T', ' '),
  read: (text) => secondsOf(text, shape.exec(text)),
};

/** CHAR(14), the habit of systems that had no date type. */
export const compact: TimeFormat = {
  words: 'YYYYMMDDHHMMSS',
  write: (seconds) => iso(seconds).slice(0, 19).replace(/\D/g, ''),
  read: (text) => secondsOf(text, /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(text)),
};

/** RFC 3339 in UTC, whole seconds. */
export const instant: TimeFormat = {
  words: 'YYYY-MM-DDTHH:MM:SSZ',
  write: (seconds) => `${iso(seconds).slice(0, 19)}Z`,
  read: (text) => secondsOf(text, /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)Z$/.exec(text)),
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
      if (lengthOf(value) > domain.lengthMax) return `is longer than ${domain.lengthMax} characters`;
      if (lengthOf(value) < (domain.lengthMin ?? 0)) return `is shorter than ${domain.lengthMin} characters`;
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
