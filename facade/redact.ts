// How values look that nobody may see: their kind, length and classes of characters. What this makes is all that is ever kept, logged
// or shown of an answer. Pure.
import { jsonText } from '../acl/http.ts';
import type { Mark } from '../capability/json-path.ts';

const shownMax = 48;

/** A number that a double does not hold to the digit, as it stands in the text. */
export class ExactNumber {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** What a declaration lets be seen is cut all the same. */
const cut = (text: string) => (text.length > shownMax ? `${text.slice(0, shownMax)}…` : text);

const classes: readonly (readonly [name: string, pattern: RegExp])[] = [
  ['A', /\p{Lu}/u],
  ['a', /\p{Ll}/u],
  ['字', /\p{Lo}/u],
  ['9', /\p{Nd}/u],
  ['space', /\s/u],
  ['.', /[\p{P}\p{S}]/u],
];
/** More than these say nothing new. */
const lookedAtMax = 2_000;

function textShape(text: string): string {
  if (text === '') return 'empty text';
  const start = text.slice(0, lookedAtMax);
  const found = classes.filter(([, pattern]) => pattern.test(start)).map(([name]) => name);
  return `text of ${text.length}${found.length > 0 ? ` (${found.join(' ')})` : ''}`;
}

function numberShape(text: string): string {
  const [whole = '', decimals] = text.replace(/^-/, '').split('.');
  const sign = text.startsWith('-') ? 'negative ' : '';
  return `${sign}number of ${whole.length} digits${decimals === undefined ? '' : ` and ${decimals.length} decimals`}`;
}

const kindOf = (value: unknown): string =>
  value === null
    ? 'null'
    : value instanceof ExactNumber
      ? 'number'
      : Array.isArray(value)
        ? 'array'
        : typeof value === 'string'
          ? 'text'
          : typeof value;

/** @param mark what the route declares of this place */
export function shapeOf(value: unknown, mark: Mark | undefined): string {
  if (mark === 'redact') return `redacted ${kindOf(value)}`;
  if (Array.isArray(value)) return `array of ${value.length}`;
  if (value instanceof ExactNumber) return mark === 'show' ? cut(value.text) : numberShape(value.text);
  if (typeof value === 'object' && value !== null) return `object of ${Object.keys(value).length}`;
  if (mark === 'show' || value === null || typeof value === 'boolean') return cut(jsonText(value));
  if (typeof value === 'number') return numberShape(String(value));
  return typeof value === 'string' ? textShape(value) : kindOf(value);
}

/** Keys can be data, too: what does not look like a name of a program's, or stands in something redacted, is not shown. */
export const shownKey = (key: string, mark: Mark | undefined): string =>
  mark !== 'redact' && /^[A-Za-z_$][A-Za-z0-9_$-]{0,39}$/.test(key) ? `.${key}` : '.*';

/**
 * The query of a request: names, and what their values look like.
 * @param shown names whose values may be seen
 */
export function queryShape(query: URLSearchParams, shown: ReadonlySet<string>): string {
  const parts: string[] = [];
  for (const [name, value] of query) {
    if (parts.length === 8) return `${parts.join('&')}&…`;
    const key = shownKey(name, undefined).slice(1);
    const isNumber = /^-?\d+$/.test(value);
    parts.push(
      `${key}=${shown.has(name) ? cut(value) : `<${isNumber ? numberShape(value) : textShape(value)}>`}`,
    );
  }
  return parts.join('&');
}
