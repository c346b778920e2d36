// What a legacy column is in the model, said as SQL: so that a database can tell whether two sides agree without
// handing out its rows. A form may refuse more than its codec does, and what it accepts it says as the codec does
// (acl/sql-form.mysql.test.ts).
import { type Domain, datetime, type Value } from './domain.ts';
import type { Repertoire } from './repertoire.ts';

/** A column of a table, as an expression sees it. */
export type SqlColumn = {
  /** Quoted. */
  readonly name: string;
  /** As in information_schema.COLUMNS.COLUMN_TYPE: `varchar(20)`, `int(10) unsigned`. */
  readonly type: string;
  /** Of texts. */
  readonly charset: string | undefined;
};

export type SqlForm = {
  /** The model's value, texts in utf8mb4; NULL where the codec refuses, or the form cannot say. */
  readonly value: string;
  /** When the model's value is null. */
  readonly isNull?: string;
  /** The value with its length in characters in front, `3:abc`, where that is cheaper than to ask for it. */
  readonly withLength?: string;
};

/** `3:abc` */
export const lengthAndText = (length: string, text: string) => `CONCAT(${length}, ':', ${text})`;

/** For sessions without NO_BACKSLASH_ESCAPES. */
export const sqlText = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;

const bitsOf: Readonly<Record<string, bigint>> = {
  tinyint: 8n,
  smallint: 16n,
  mediumint: 24n,
  int: 32n,
  bigint: 64n,
};

/** `int(10) unsigned` → `int` */
export const baseType = (type: string): string => /^[a-z0-9]+/.exec(type.toLowerCase())?.[0] ?? '';

export const isTextType = (type: string): boolean => /^((var)?char|(tiny|medium|long)?text)\b/i.test(type);

/** Character sets in which ASCII is ASCII, and no other character has bytes of it in front. */
const asciiInside = new Set(['ascii', 'latin1', 'euckr', 'utf8mb3', 'utf8', 'utf8mb4']);

const isAscii = (text: string) => /^[\x20-\x7e]*$/.test(text);

/** Texts as bytes, to be compared with these: 'a' is not 'A', and a space at the end counts. */
export const exactText = ({ name, charset = '' }: SqlColumn, others: readonly string[]) =>
  asciiInside.has(charset) && others.every(isAscii)
    ? `CAST(${name} AS BINARY)`
    : `CAST(CONVERT(${name} USING utf8mb4) AS BINARY)`;

const within = (name: string, min: bigint | number | string, max: bigint | number | string): string =>
  `IF(${name} BETWEEN ${min} AND ${max}, ${name}, NULL)`;

function integerForm({ name, type }: SqlColumn, min: bigint, max: bigint): SqlForm | undefined {
  const bits = bitsOf[baseType(type)];
  if (bits === undefined || /zerofill/i.test(type)) return undefined;
  const isUnsigned = /unsigned/i.test(type);
  const least = isUnsigned ? 0n : -(2n ** (bits - 1n));
  const most = isUnsigned ? 2n ** bits - 1n : 2n ** (bits - 1n) - 1n;
  return { value: min <= least && max >= most ? name : within(name, min, max) };
}

/** Character sets all of whose characters a repertoire holds. */
const inside: Readonly<Record<string, readonly string[]>> = {
  ascii: ['ascii'],
  euckr: ['euckr', 'ascii'],
  utf8mb4: ['utf8mb4', 'utf8mb3', 'utf8', 'ascii'],
};

/**
 * A text that is the same in the model.
 * @param but a further condition
 */
export function textForm(
  column: SqlColumn,
  domain: { lengthMax: number; lengthMin?: number; repertoire: Repertoire },
  but?: string,
): SqlForm | undefined {
  const { name, type, charset = '' } = column;
  const { lengthMax, lengthMin = 0, repertoire } = domain;
  if (!isTextType(type) || !inside[repertoire.name]?.includes(charset)) return undefined;
  const length = `CHAR_LENGTH(${name})`;
  const declared = Number(/\((\d+)\)/.exec(type)?.[1] ?? Number.POSITIVE_INFINITY);
  const conditions = [
    ...(declared > lengthMax ? [`${length} <= ${lengthMax}`] : []),
    ...(lengthMin > 0 ? [`${length} >= ${lengthMin}`] : []),
    ...(but ? [but] : []),
  ];
  const text = `CONVERT(${name} USING utf8mb4)`;
  const accepted = (value: string) =>
    conditions.length > 0 ? `IF(${conditions.join(' AND ')}, ${value}, NULL)` : value;
  return { value: accepted(text), withLength: accepted(lengthAndText(length, text)) };
}

/** Codes and their words. */
export function tableForm(
  column: SqlColumn,
  pairs: readonly (readonly [string, Value])[],
): SqlForm | undefined {
  if (!isTextType(column.type) && baseType(column.type) !== 'enum') return undefined;
  const words = pairs.flatMap(([code, word]) =>
    typeof word === 'number' || typeof word === 'string' ? [{ code, word }] : [],
  );
  const ofNull = pairs.find(([, word]) => word === null)?.[0];
  // A list has no SQL form.
  if (words.length === 0 || words.length + (ofNull === undefined ? 0 : 1) !== pairs.length) return undefined;
  const exact = exactText(
    column,
    pairs.map(([code]) => code),
  );
  const cases = (said: (word: string | number) => string) =>
    `CASE ${exact} ${words.map(({ code, word }) => `WHEN ${sqlText(code)} THEN ${said(word)}`).join(' ')} END`;
  return {
    value: cases((word) => (typeof word === 'number' ? String(word) : sqlText(word))),
    withLength: cases((word) => sqlText(`${[...String(word)].length}:${word}`)),
    ...(ofNull === undefined ? {} : { isNull: `${exact} <=> ${sqlText(ofNull)}` }),
  };
}

/**
 * A DATETIME whose day is one of its month's, or whose month is none: not the 31st of February.
 * @param day of the month, where it can be had for less
 */
export const isRealDay = (expression: string, day = `DAYOFMONTH(${expression})`) =>
  `(${day} BETWEEN 1 AND 28 OR ${expression} + INTERVAL 0 SECOND = ${expression})`;

function decimalForm(
  { name, type }: SqlColumn,
  domain: { precision: number; scale: number },
): SqlForm | undefined {
  const [, precision, scale] = /^decimal\((\d+),(\d+)\)( unsigned)?$/i.exec(type) ?? [];
  return Number(scale) === domain.scale && Number(precision) <= domain.precision
    ? { value: name }
    : undefined;
}

/** The value itself, where it is inside a domain. @returns undefined where SQL cannot tell, or not simply */
export function domainForm(domain: Domain, column: SqlColumn): SqlForm | undefined {
  switch (domain.kind) {
    case 'integer':
      // The driver gives BIGINT as a text, which is no whole number to the code.
      return baseType(column.type) === 'bigint'
        ? undefined
        : integerForm(column, BigInt(domain.min), BigInt(domain.max));
    case 'digits':
      return baseType(column.type) === 'bigint' ? integerForm(column, domain.min, domain.max) : undefined;
    case 'decimal':
      return decimalForm(column, domain);
    case 'text':
      return domain.also ? undefined : textForm(column, domain);
    case 'oneOf': {
      const codes = domain.values.filter((value) => typeof value === 'string');
      return codes.length === domain.values.length
        ? tableForm(
            column,
            codes.map((code) => [code, code]),
          )
        : undefined;
    }
    case 'seconds': {
      if (domain.format !== datetime || column.type.toLowerCase() !== 'datetime') return undefined;
      const range = `${column.name} BETWEEN ${sqlText(datetime.write(domain.min))} AND ${sqlText(datetime.write(domain.max))}`;
      return {
        value: `IF(${range} AND MONTH(${column.name}) > 0 AND ${isRealDay(column.name)}, ${column.name}, NULL)`,
      };
    }
    case 'either': {
      const of = domainForm(domain.or, column);
      return of && domain.value === null ? { ...of, isNull: `${column.name} IS NULL` } : undefined;
    }
    case 'any':
    case 'list':
      return undefined;
  }
}

/** DECIMAL as whole minor units: by its digits, for a product of two large DECIMALs would be rounded. */
export function minorUnitsForm(
  column: SqlColumn,
  domain: { precision: number; scale: number },
): SqlForm | undefined {
  const form = decimalForm(column, domain);
  if (!form) return undefined;
  const { name } = column;
  const digits = `TRIM(LEADING '0' FROM REPLACE(ABS(${name}), '.', ''))`;
  return { value: `IF(${name} = 0, '0', CONCAT(IF(${name} < 0, '-', ''), ${digits}))` };
}
