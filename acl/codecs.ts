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
import {
  domainForm,
  exactText,
  isTextType,
  minorUnitsForm,
  type SqlColumn,
  type SqlForm,
  sqlText,
  tableForm,
  textForm,
} from './sql-form.ts';
import { zoneOf } from './zone.ts';
import { compactForm, datetimeForm } from './zone-sql.ts';

export type Codec = {
  readonly name: string;
  readonly legacy: Domain;
  readonly model: Domain;
  /** Legacy to model. @throws CodecFault */
  forward(value: unknown): Value;
  /** Model to legacy. @throws CodecFault */
  back(value: unknown): Value;
  /** `forward` as SQL, of a legacy column; undefined where there is none for such a column. */
  sql?(column: SqlColumn): SqlForm | undefined;
};

/** A value that a codec does not accept: the reason, without the value. */
export class CodecFault extends Error {
  override name = 'CodecFault';
}

/**
 * Puts a check of the argument's domain before each of a pair of functions, which may then trust it. That what they
 * return is inside the other domain is theirs to see to, and part of the laws.
 */
function codec<L extends Value, M extends Value>(
  name: string,
  legacy: Domain,
  model: Domain,
  forward: (value: L) => M,
  back: (value: M) => L,
  sql: Codec['sql'] = () => undefined,
): Codec {
  const check = (domain: Domain, value: unknown): void => {
    const fault = outside(domain, value);
    if (fault !== undefined) throw new CodecFault(`${fault} (${name})`);
  };
  return {
    name,
    legacy,
    model,
    // The domain that was checked is what makes L and M true.
    forward(value) {
      check(legacy, value);
      return forward(value as L);
    },
    back(value) {
      check(model, value);
      return back(value as M);
    },
    sql,
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
    (column) => domainForm(domain, column),
  );

export const uint8: Domain = { kind: 'integer', min: 0, max: 255 };
export const uint32: Domain = { kind: 'integer', min: 0, max: 4_294_967_295 };

/** `'Y'`/`'N'` as the two values of the model. */
export const yesNoFlag = (yes: Value = 1, no: Value = 0): Codec =>
  codeTable({ Y: yes, N: no }, 'yes/no flag');

/** A closed list of codes, each with its word in the model. */
export const codeTable = (table: Readonly<Record<string, Value>>, name = 'code table'): Codec =>
  tableCodec(name, Object.entries(table));

/** A number written with leading zeros: `'05'`. */
export function fixedWidthCode(options: { width: number; min: number; max: number }): Codec {
  const { width, min, max } = options;
  const numbers = Array.from({ length: max - min + 1 }, (_, index) => min + index);
  return tableCodec(
    'fixed-width code',
    numbers.map((number) => [String(number).padStart(width, '0'), number] as const),
  );
}

/** Pairs of a code and its word: looking one up is the check. */
function tableCodec(name: string, pairs: readonly (readonly [string, Value])[]): Codec {
  const toModel = new Map<unknown, Value>(pairs);
  const toLegacy = new Map<unknown, string>(pairs.map(([code, word]) => [word, code]));
  if (toLegacy.size !== pairs.length || toModel.size !== pairs.length)
    throw new Error(`${name}: two codes have the same word, so there is no way back`);
  const legacy: Domain = { kind: 'oneOf', values: pairs.map(([code]) => code) };
  const model: Domain = { kind: 'oneOf', values: pairs.map(([, word]) => word) };
  const get = <T>(map: ReadonlyMap<unknown, T>, domain: Domain, value: unknown): T => {
    const found = map.get(value);
    if (found === undefined)
      throw new CodecFault(`${outside(domain, value) ?? 'has no counterpart'} (${name})`);
    return found;
  };
  return {
    name,
    legacy,
    model,
    forward: (value) => get(toModel, legacy, value),
    back: (value) => get(toLegacy, model, value),
    sql: (column) => tableForm(column, pairs),
  };
}

const from1970 = Date.UTC(1970, 0, 2) / 1000;
const to9999 = Date.UTC(9999, 11, 30) / 1000;

function zonedTime(
  name: string,
  zoneName: string,
  format: TimeFormat,
  sql: (column: SqlColumn, zone: string) => SqlForm | undefined,
): Codec {
  const zone = zoneOf(zoneName);
  const legacy = { kind: 'seconds', min: from1970, max: to9999, format } as const;
  const model = { kind: 'seconds', min: from1970 - 86_400, max: to9999 + 86_400, format: datetime } as const;
  const read = (domain: Extract<Domain, { kind: 'seconds' }>, value: unknown): number => {
    const { min, max, format: own } = domain;
    const seconds = typeof value === 'string' ? own.read(value) : undefined;
    if (seconds === undefined || seconds < min || seconds > max)
      throw new CodecFault(`${outside(domain, value) ?? 'is no such time'} (${name})`);
    return seconds;
  };
  return {
    name,
    legacy,
    model,
    forward(value) {
      const seconds = zone.toUtc(read(legacy, value));
      if (seconds === undefined) throw new CodecFault(`is a time that the clocks of ${zoneName} skipped`);
      return datetime.write(seconds);
    },
    back(value) {
      const seconds = read(model, value);
      const local = zone.toLocal(seconds);
      // When clocks are put back an hour happens twice; a local time can mean only the first.
      if (zone.toUtc(local) !== seconds)
        throw new CodecFault(`is in the hour that the clocks of ${zoneName} repeated`);
      if (local < from1970 || local > to9999)
        throw new CodecFault(`is out of range in ${zoneName} (${name})`);
      return format.write(local);
    },
    sql: (column) => sql(column, zoneName),
  };
}

/** CHAR(14) in a zone's wall clock, as DATETIME in UTC. Whole seconds, 1970 to 9999. */
export const legacyTimestamp = (zone: string): Codec =>
  zonedTime('legacy timestamp', zone, compact, compactForm);

/** DATETIME in a zone's wall clock, as DATETIME in UTC. */
export const localDatetime = (zone: string): Codec =>
  zonedTime('local datetime', zone, datetime, datetimeForm);

/** A zero date (or another value that means "none") is NULL in the model. */
export function zeroDate(of: Codec, zero = '0000-00-00 00:00:00'): Codec {
  return {
    name: `zero date or ${of.name}`,
    legacy: { kind: 'either', value: zero, or: of.legacy },
    model: { kind: 'either', value: null, or: of.model },
    forward: (value) => (value === zero ? null : of.forward(value)),
    back: (value) => (value === null ? zero : of.back(value)),
    sql(column) {
      const form = of.sql?.(column);
      if (!form || form.isNull !== undefined) return undefined;
      const value = isTextType(column.type) ? exactText(column, [zero]) : column.name;
      return { ...form, isNull: `${value} <=> ${sqlText(zero)}` };
    },
  };
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
    (column) => minorUnitsForm(column, options),
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
    // Where there may be a reference the code must look.
    (column) =>
      textForm(column, { lengthMax, repertoire: euckr }, `LOCATE('&#', CAST(${column.name} AS BINARY)) = 0`),
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
