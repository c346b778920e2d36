// Codecs: how one legacy column is said in the service's model, and back. Each knows the domain of both
// sides, refuses what is outside, and is exact: back(forward(x)) = x for every x that it accepts, and
// forward(back(y)) = y.
import {
  compact,
  type Domain,
  datetime,
  instant,
  lengthOf,
  outside,
  type TimeFormat,
  type Value,
} from './domain.ts';
import type { Repertoire } from './repertoire.ts';
import { euckr, utf8mb4 } from './repertoire.ts';
import { zoneOf } from './zone.ts';

export type Codec = {
  readonly name: string;
  readonly legacy: Domain;
  readonly model: Domain;
  /** Legacy to model. @throws CodecFault */
  forward(value: unknown): Value;
  /** Model to legacy. @throws CodecFault */
  back(value: unknown): Value;
};

/** A value that a codec does not accept: the reason, without the value. */
export class CodecFault extends Error {
  override name = 'CodecFault';
}

/** Puts the checks of both domains around a pair of functions that may trust their argument's domain. */
function codec<L extends Value, M extends Value>(
  name: string,
  legacy: Domain,
  model: Domain,
  forward: (value: L) => M,
  back: (value: M) => L,
): Codec {
  const checked = (domain: Domain, value: unknown): Value => {
    const fault = outside(domain, value);
    if (fault !== undefined) throw new CodecFault(`${fault} (${name})`);
    return value as Value;
  };
  return {
    name,
    legacy,
    model,
    // The domain that was checked is what makes L and M true.
    forward: (value) => checked(model, forward(checked(legacy, value) as L)),
    back: (value) => checked(legacy, back(checked(model, value) as M)),
  };
}

/** The same value under another name. */
export const renamed = (domain: Domain): Codec =>
  codec(
    'renamed',
    domain,
    domain,
    (value) => value,
    (value) => value,
  );

export const uint8: Domain = { kind: 'integer', min: 0, max: 255 };
export const uint32: Domain = { kind: 'integer', min: 0, max: 4_294_967_295 };

/** `'Y'`/`'N'` as the two values of the model. */
export const yesNoFlag = (yes: Value = 1, no: Value = 0): Codec =>
  codeTable({ Y: yes, N: no }, 'yes/no flag');

/** A closed list of codes, each with its word in the model. */
export function codeTable(table: Readonly<Record<string, Value>>, name = 'code table'): Codec {
  const toModel = new Map(Object.entries(table));
  const toLegacy = new Map(Object.entries(table).map(([code, word]) => [word, code]));
  if (toLegacy.size !== toModel.size)
    throw new Error(`${name}: two codes have the same word, so there is no way back`);
  const get = <K, V>(map: Map<K, V>, key: K): V => {
    const value = map.get(key);
    if (value === undefined) throw new CodecFault(`is not in the ${name}`);
    return value;
  };
  return codec<string, Value>(
    name,
    { kind: 'oneOf', values: [...toModel.keys()] },
    { kind: 'oneOf', values: [...toLegacy.keys()] },
    (code) => get(toModel, code),
    (word) => get(toLegacy, word),
  );
}

/** A number written with leading zeros: `'05'`. */
export function fixedWidthCode(options: { width: number; min: number; max: number }): Codec {
  const { width, min, max } = options;
  const digits = new RegExp(`^\\d{${width}}$`);
  const words = `is not ${width} digits from ${min} to ${max}`;
  const legacy: Domain = {
    kind: 'oneOf',
    values: Array.from({ length: max - min + 1 }, (_, index) => String(min + index).padStart(width, '0')),
  };
  return codec<string, number>(
    'fixed-width code',
    legacy,
    { kind: 'integer', min, max },
    (text) => {
      if (!digits.test(text)) throw new CodecFault(words);
      return Number(text);
    },
    (number) => String(number).padStart(width, '0'),
  );
}

const from1970 = Date.UTC(1970, 0, 2) / 1000;
const to9999 = Date.UTC(9999, 11, 30) / 1000;

function zonedTime(name: string, zoneName: string, format: TimeFormat): Codec {
  const zone = zoneOf(zoneName);
  const range = { min: from1970, max: to9999 };
  const read = (timeFormat: TimeFormat, text: string) => timeFormat.read(text) ?? Number.NaN;
  return codec<string, string>(
    name,
    { kind: 'seconds', ...range, format },
    { kind: 'seconds', min: range.min - 86_400, max: range.max + 86_400, format: datetime },
    (local) => {
      const seconds = zone.toUtc(read(format, local));
      if (seconds === undefined) throw new CodecFault(`is a time that the clocks of ${zoneName} skipped`);
      return datetime.write(seconds);
    },
    (utc) => {
      const seconds = read(datetime, utc);
      const local = zone.toLocal(seconds);
      // When clocks are put back an hour happens twice; a local time can mean only the first.
      if (zone.toUtc(local) !== seconds)
        throw new CodecFault(`is in the hour that the clocks of ${zoneName} repeated`);
      return format.write(local);
    },
  );
}

/** CHAR(14) in a zone's wall clock, as DATETIME in UTC. Whole seconds, 1970 to 9999. */
export const legacyTimestamp = (zone: string): Codec => zonedTime('legacy timestamp', zone, compact);

/** DATETIME in a zone's wall clock, as DATETIME in UTC. */
export const localDatetime = (zone: string): Codec => zonedTime('local datetime', zone, datetime);

/** A zero date (or another value that means "none") is NULL in the model. */
export function zeroDate(of: Codec, zero = '0000-00-00 00:00:00'): Codec {
  return codec<Value, Value>(
    `zero date or ${of.name}`,
    { kind: 'either', value: zero, or: of.legacy },
    { kind: 'either', value: null, or: of.model },
    (value) => (value === zero ? null : of.forward(value)),
    (value) => (value === null ? zero : of.back(value)),
  );
}

/** DATETIME in UTC as an RFC 3339 instant: how JSON says what a row holds. */
export const isoInstant: Codec = codec<string, string>(
  'instant',
  { kind: 'seconds', min: from1970 - 86_400, max: to9999 + 86_400, format: datetime },
  { kind: 'seconds', min: from1970 - 86_400, max: to9999 + 86_400, format: instant },
  (text) => instant.write(datetime.read(text) ?? Number.NaN),
  (text) => datetime.write(instant.read(text) ?? Number.NaN),
);

/** DECIMAL money as whole minor units, in digits: `'12000.00'` is `'1200000'`. */
export function decimalToMinorUnits(options: { precision: number; scale: number }): Codec {
  const { precision, scale } = options;
  const max = 10n ** BigInt(precision) - 1n;
  return codec<string, string>(
    'decimal to minor units',
    { kind: 'decimal', precision, scale },
    { kind: 'digits', min: -max, max },
    (decimal) => BigInt(decimal.replace('.', '')).toString(),
    (units) => {
      const sign = units.startsWith('-') ? '-' : '';
      const digits = units.replace('-', '').padStart(scale + 1, '0');
      return scale === 0 ? units : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
    },
  );
}

/** `'a.jpg,b.jpg'` as a list; the empty text is the empty list. */
export function commaList(options: {
  itemLengthMax: number;
  itemsMax: number;
  repertoire: Repertoire;
}): Codec {
  const { itemLengthMax, itemsMax } = options;
  const item = {
    kind: 'text',
    lengthMin: 1,
    lengthMax: itemLengthMax,
    repertoire: options.repertoire,
    also: { holds: (text: string) => !text.includes(','), words: 'has a comma' },
  } as const;
  const list: Domain = { kind: 'list', item, itemsMax };
  const split = (text: string) => (text === '' ? [] : text.split(','));
  return codec<string, readonly string[]>(
    'comma list',
    {
      kind: 'text',
      lengthMax: itemsMax * (itemLengthMax + 1),
      repertoire: options.repertoire,
      also: {
        holds: (text) => outside(list, split(text)) === undefined,
        words: `is not a comma list of at most ${itemsMax}`,
      },
    },
    list,
    split,
    (items) => items.join(','),
  );
}

/** A text padded with spaces to a fixed width, as fixed-length records left it. */
export function trimmedChar(options: { width: number; repertoire: Repertoire }): Codec {
  const { width, repertoire } = options;
  return codec<string, string>(
    'trimmed char',
    { kind: 'text', lengthMin: width, lengthMax: width, repertoire },
    {
      kind: 'text',
      lengthMax: width,
      repertoire,
      also: { holds: (text) => !text.endsWith(' '), words: 'ends in a space' },
    },
    (text) => text.replace(/ +$/, ''),
    (text) => text + ' '.repeat(width - lengthOf(text)),
  );
}

const reference = /&#([1-9]\d{0,6});/g;

/**
 * A column of a narrow character set whose writers put decimal references, as browsers do in forms (HTML,
 * "form submission", character encoding), for what the set cannot hold. The model has the character itself.
 * A reference to a character that the set can hold is plain text on both sides; one to a character that it
 * cannot hold is not accepted in the model, for it would come back as the character.
 */
export function euckrText(options: { lengthMax: number }): Codec {
  const { lengthMax } = options;
  const isUnmappable = (codePoint: number) =>
    codePoint <= 0x10ffff && utf8mb4.holds(codePoint) && !euckr.holds(codePoint);
  const encode = (text: string) => {
    if (euckr.firstOutside(text) === undefined) return text;
    let encoded = '';
    for (const character of text) {
      const codePoint = character.codePointAt(0) ?? 0;
      encoded += isUnmappable(codePoint) ? `&#${codePoint};` : character;
    }
    return encoded;
  };
  const decode = (text: string) =>
    text.includes('&#')
      ? text.replace(reference, (whole, digits) =>
          isUnmappable(Number(digits)) ? String.fromCodePoint(Number(digits)) : whole,
        )
      : text;
  return codec<string, string>(
    'euckr text',
    { kind: 'text', lengthMax, repertoire: euckr },
    {
      kind: 'text',
      lengthMax,
      repertoire: utf8mb4,
      also: {
        holds: (text) => lengthOf(encode(text)) <= lengthMax && decode(encode(text)) === text,
        words: `is longer than ${lengthMax} characters as euckr, or has a reference to a character that euckr cannot hold`,
      },
    },
    decode,
    encode,
  );
}

/** One codec after another: legacy, the first's model, the second's model. */
export function chain(first: Codec, second: Codec): Codec {
  return {
    name: `${first.name}, then ${second.name}`,
    legacy: first.legacy,
    model: second.model,
    forward: (value) => second.forward(first.forward(value)),
    back: (value) => first.back(second.back(value)),
  };
}
