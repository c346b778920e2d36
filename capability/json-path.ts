// Patterns of places in JSON, as routes declare them: `$.list[*].name`, `.*` for any key. All pure.

/** A key by its name, any key, or any item. */
export type Segment = { readonly key: string } | 'any-key' | 'any-item';

const segmentPattern = /\.([A-Za-z_$][\w$-]*)|\['((?:[^'\\]|\\.)*)'\]|(\.\*)|(\[\*\])/y;

/** @returns undefined for what is no pattern */
export function parseJsonPath(text: string): Segment[] | undefined {
  if (!text.startsWith('$')) return undefined;
  const segments: Segment[] = [];
  segmentPattern.lastIndex = 1;
  for (let at = 1; at < text.length; at = segmentPattern.lastIndex) {
    const [found, key, quoted, anyKey] = segmentPattern.exec(text) ?? [];
    if (found === undefined) return undefined;
    const named = key ?? quoted?.replaceAll(/\\(.)/g, '$1');
    segments.push(named !== undefined ? { key: named } : anyKey !== undefined ? 'any-key' : 'any-item');
  }
  return segments;
}

/** What becomes of the places that a pattern names, and of all below them. */
export type Mark = 'ignore' | 'redact' | 'show';

/** The patterns that may still name something below a place. */
export class Marks {
  #own: Mark | undefined;
  readonly #keys = new Map<string, Marks>();
  #anyKey: Marks | undefined;
  #items: Marks | undefined;

  /** Of several that name one place, `ignore` goes before `redact`, and that before `show`. */
  add(segments: readonly Segment[], mark: Mark): void {
    const [segment, ...rest] = segments;
    if (segment === undefined) this.#own = strongest(this.#own, mark);
    else this.#below(segment).add(rest, mark);
  }

  get own(): Mark | undefined {
    return this.#own;
  }

  /** At most two: by its name, and by `.*`. */
  ofKey(key: string): readonly Marks[] {
    const named = this.#keys.get(key);
    if (named) return this.#anyKey ? [named, this.#anyKey] : [named];
    return this.#anyKey ? [this.#anyKey] : none;
  }

  ofItems(): readonly Marks[] {
    return this.#items ? [this.#items] : none;
  }

  #below(segment: Segment): Marks {
    if (segment === 'any-item') {
      this.#items ??= new Marks();
      return this.#items;
    }
    if (segment === 'any-key') {
      this.#anyKey ??= new Marks();
      return this.#anyKey;
    }
    const known = this.#keys.get(segment.key) ?? new Marks();
    this.#keys.set(segment.key, known);
    return known;
  }
}

const none: readonly Marks[] = [];
const strength: Readonly<Record<Mark, number>> = { show: 1, redact: 2, ignore: 3 };

/** Of two that say something of one place. */
export const strongest = (one: Mark | undefined, other: Mark | undefined): Mark | undefined =>
  one === undefined || (other !== undefined && strength[other] > strength[one]) ? other : one;
