// Names and values of columns as they stand in SQL.
import type { Value } from '../acl/domain.ts';

export const quoteName = (name: string) => `\`${name.replaceAll('`', '``')}\``;

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must be escaped
const unsafe = /[\0\x1a'\\]/;

/** A value as an SQL literal, for a session without NO_BACKSLASH_ESCAPES. */
export function literal(value: Value | Uint8Array | undefined): string {
  if (value === null || value === undefined) return 'NULL';
  if (typeof value === 'number') return Object.is(value, -0) ? '-0e0' : String(value);
  if (typeof value === 'string') return unsafe.test(value) ? escaped(value) : `'${value}'`;
  if (value instanceof Uint8Array)
    return value.length === 0
      ? "''"
      : // Not x'…', which is a text when it is compared with a BIT.
        `0x${Buffer.from(value.buffer, value.byteOffset, value.length).toString('hex')}`;
  throw new TypeError('a list is no column value');
}

const escapes: Readonly<Record<string, string>> = {
  '\0': '\\0',
  '\n': '\\n',
  '\r': '\\r',
  '\x1a': '\\Z',
  "'": "''",
  '"': '"',
  '\\': '\\\\',
};
const escaped = (text: string) =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must be escaped
  `'${text.replace(/[\0\n\r\x1a'"\\]/g, (character) => escapes[character] ?? character)}'`;

const numberPattern = /^-?\d+(\.\d+)?$/;

/** For comparison with a column that has numbers. */
export const numberLiteral = (value: Value | undefined): string =>
  typeof value === 'string' && numberPattern.test(value) ? value : literal(value);
