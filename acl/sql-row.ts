// A row as one SQL text, the same on both sides when the rows agree, and another when they do not: texts have their
// length in front, null and the separator are no number and no time.
import { baseType, isTextType, lengthAndText, type SqlColumn, type SqlForm } from './sql-form.ts';

const nullText = "'~'";

const plain = /^(tinyint|smallint|mediumint|int|bigint|decimal|year|date)$/;
const timed = /^(datetime|timestamp|time)$/;

type Written = 'plain' | 'text' | undefined;

/** How a column of the service is written; undefined: not so that a legacy column could be written alike. */
function writtenAs({ type }: SqlColumn): Written {
  const base = baseType(type);
  if (isTextType(type) || base === 'enum') return 'text';
  if (plain.test(base)) return /zerofill/i.test(type) ? undefined : 'plain';
  // With places after the second a time is written with them.
  return timed.test(type.toLowerCase()) ? 'plain' : undefined;
}

/** What CONCAT is given for a column of the service. */
export function modelField(column: SqlColumn): string | undefined {
  const written = writtenAs(column);
  if (!written) return undefined;
  const { name, charset } = column;
  const text = charset === 'utf8mb4' ? name : `CONVERT(${name} USING utf8mb4)`;
  return `COALESCE(${written === 'plain' ? name : lengthAndText(`CHAR_LENGTH(${name})`, text)}, ${nullText})`;
}

/** The same for the legacy column that it comes of; NULL for what the form refuses. */
export function legacyField(form: SqlForm, model: SqlColumn): string | undefined {
  const written = writtenAs(model);
  if (!written) return undefined;
  const { value, isNull } = form;
  const { withLength = lengthAndText(`CHAR_LENGTH(${value})`, value) } = form;
  const said = written === 'plain' ? value : withLength;
  return isNull === undefined ? said : `IF(${isNull}, ${nullText}, ${said})`;
}

/** A column that has the same type on both sides: every value as itself, whatever the type. */
export function sameField(column: SqlColumn): string {
  const { name, type } = column;
  const base = baseType(type);
  const said =
    plain.test(base) || timed.test(base)
      ? name
      : /^(inet4|inet6|uuid)$/.test(base)
        ? `CAST(${name} AS CHAR)`
        : base === 'float' || base === 'double'
          ? `CAST(${name} AS DOUBLE)`
          : base === 'enum' || base === 'set' || base === 'bit'
            ? `${name} + 0`
            : `HEX(${name})`;
  return `COALESCE(${said}, ${nullText})`;
}

/**
 * 60 bits of a row; NULL when one of its fields is.
 * @param fields arguments of CONCAT
 */
export const rowHash = (fields: readonly string[]): string =>
  `CONV(LEFT(SHA1(CONCAT(${fields.join(", '|', ")})), 15), 16, 10)`;

/** Of many rows, whatever their order; NULLs apart. */
export const hashOfRows = (hash: string): string => `BIT_XOR(${hash})`;
