// Two JSON values, place by place: where they differ, bounded in work and in words. Pure.
import { type Mark, type Marks, strongest } from '../capability/json-path.ts';
import { ExactNumber, shapeOf, shownKey } from './redact.ts';

export type Kind =
  | 'status'
  | 'header'
  /** One side has no answer that could be used. */
  | 'fault'
  /** Legacy has it, the service does not. */
  | 'missing'
  /** The service has it, legacy does not. */
  | 'extra'
  | 'type'
  | 'value'
  | 'order';

/** Nothing of it is raw but what the route declares `show`. */
export type Difference = {
  /** Array indexes as [*]; `(status)`, `(header NAME)`, `(answer)` for what is no place in the body. */
  readonly path: string;
  readonly kind: Kind;
  readonly legacy: string;
  readonly service: string;
};

export type CompareLimits = {
  readonly nodesMax: number;
  readonly differencesMax: number;
  readonly depthMax: number;
};

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof ExactNumber);

const typeOf = (value: unknown): string =>
  value === null
    ? 'null'
    : Array.isArray(value)
      ? 'array'
      : value instanceof ExactNumber
        ? 'number'
        : typeof value;

/** Numbers that a double would round are kept as they stand. */
export function parseExactly(text: string): unknown {
  if (!/[\d.]{16}/.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_key, value: unknown, context?: { readonly source?: string }) => {
    const source = context?.source;
    const isLong = typeof value === 'number' && source !== undefined && source.length >= 16;
    return isLong && String(value) !== source ? new ExactNumber(source) : value;
  });
}

/** A place in both bodies, and what may still be declared of it and below. Its path is put together for who asks: few do. */
type Place = {
  readonly above: Place | undefined;
  /** Undefined: an item, or the root. */
  readonly key: string | undefined;
  readonly marks: readonly Marks[];
  readonly mark: Mark | undefined;
};

const pathOf = ({ above, key }: Place): string =>
  above === undefined ? '$' : pathOf(above) + (key === undefined ? '[*]' : shownKey(key, above.mark));

/** A limit was met. */
export class OutOfBounds extends Error {}

/** Notes where two JSON values differ. What it throws is OutOfBounds; what it noted before stands. */
export class Walk {
  readonly differences = new Map<string, Difference>();
  readonly #limits: CompareLimits;
  readonly #ordered: boolean;
  #nodesLeft: number;

  constructor(limits: CompareLimits, ordered: boolean) {
    this.#limits = limits;
    this.#ordered = ordered;
    this.#nodesLeft = limits.nodesMax;
  }

  note(path: string, kind: Kind, legacy: string, service: string): void {
    const key = `${kind} ${path}`;
    if (this.differences.has(key)) return;
    this.differences.set(key, { path, kind, legacy, service });
    if (this.differences.size >= this.#limits.differencesMax) throw new OutOfBounds();
  }

  /** @param marks what is declared of the bodies */
  compare(legacy: unknown, service: unknown, marks: Marks): void {
    const root = { above: undefined, key: undefined, marks: [marks], mark: marks.own };
    this.#compare(legacy, service, root, 0);
  }

  #compare(legacy: unknown, service: unknown, place: Place, depth: number): void {
    this.#spend(depth);
    if (place.mark === 'ignore') return;
    if (typeOf(legacy) !== typeOf(service)) this.#differ('type', legacy, service, place);
    else if (Array.isArray(legacy) && Array.isArray(service)) this.#arrays(legacy, service, place, depth);
    else if (isObject(legacy) && isObject(service)) this.#objects(legacy, service, place, depth);
    else if (!isSame(legacy, service)) this.#differ('value', legacy, service, place);
  }

  #spend(depth: number): void {
    this.#nodesLeft -= 1;
    if (this.#nodesLeft < 0 || depth > this.#limits.depthMax) throw new OutOfBounds();
  }

  #differ(kind: Kind, legacy: unknown, service: unknown, place: Place): void {
    const show = (value: unknown) => (value === undefined ? 'nothing' : shapeOf(value, place.mark));
    this.note(pathOf(place), kind, show(legacy), show(service));
  }

  #objects(
    legacy: Record<string, unknown>,
    service: Record<string, unknown>,
    place: Place,
    depth: number,
  ): void {
    const common: string[] = [];
    for (const key of Object.keys(legacy)) {
      const below = keyPlace(place, key);
      if (Object.hasOwn(service, key)) {
        common.push(key);
        this.#compare(legacy[key], service[key], below, depth + 1);
      } else {
        this.#spend(depth);
        if (below.mark !== 'ignore') this.#differ('missing', legacy[key], undefined, below);
      }
    }
    const inTheirs = Object.keys(service).filter((key) => Object.hasOwn(legacy, key));
    for (const key of Object.keys(service)) {
      if (Object.hasOwn(legacy, key)) continue;
      this.#spend(depth);
      const below = keyPlace(place, key);
      if (below.mark !== 'ignore') this.#differ('extra', undefined, service[key], below);
    }
    if (this.#ordered && common.some((key, index) => key !== inTheirs[index]))
      this.note(pathOf(place), 'order', 'keys in one order', 'keys in another');
  }

  /** What is the same at both ends is left out, so that one item more or less does not look like many changed ones. */
  #arrays(legacy: readonly unknown[], service: readonly unknown[], place: Place, depth: number): void {
    const items = itemPlace(place);
    if (items.mark === 'ignore') return;
    const least = Math.min(legacy.length, service.length);
    const isEqual = (one: unknown, other: unknown) => this.#isEqual(one, other, items, depth + 1);
    let start = 0;
    while (start < least && isEqual(legacy[start], service[start])) start += 1;
    let end = 0;
    while (end < least - start && isEqual(legacy.at(-1 - end), service.at(-1 - end))) end += 1;
    const ours = legacy.slice(start, legacy.length - end);
    const theirs = service.slice(start, service.length - end);
    if (ours.length > 1 && ours.length === theirs.length && this.#isPermuted(ours, theirs, items, depth)) {
      this.note(pathOf(place), 'order', `${legacy.length} items`, 'the same in another order');
      return;
    }
    for (let index = 0; index < Math.max(ours.length, theirs.length); index++) {
      this.#spend(depth);
      if (index >= theirs.length) this.#differ('missing', ours[index], undefined, items);
      else if (index >= ours.length) this.#differ('extra', undefined, theirs[index], items);
      else this.#compare(ours[index], theirs[index], items, depth + 1);
    }
  }

  #isEqual(legacy: unknown, service: unknown, place: Place, depth: number): boolean {
    this.#spend(depth);
    if (place.mark === 'ignore') return true;
    if (Array.isArray(legacy) && Array.isArray(service)) {
      const items = itemPlace(place);
      return (
        items.mark === 'ignore' ||
        (legacy.length === service.length &&
          legacy.every((item, index) => this.#isEqual(item, service[index], items, depth + 1)))
      );
    }
    if (!isObject(legacy) || !isObject(service)) return isSame(legacy, service);
    const counted = (object: Record<string, unknown>) => {
      const keys = Object.keys(object);
      return place.marks.length === 0 ? keys : keys.filter((key) => keyPlace(place, key).mark !== 'ignore');
    };
    const [ours, theirs] = [counted(legacy), counted(service)];
    if (ours.length !== theirs.length) return false;
    for (const [index, key] of ours.entries()) {
      if (!Object.hasOwn(service, key) || (this.#ordered && theirs[index] !== key)) return false;
      const below = place.marks.length === 0 ? place : keyPlace(place, key);
      if (!this.#isEqual(legacy[key], service[key], below, depth + 1)) return false;
    }
    return true;
  }

  #isPermuted(ours: readonly unknown[], theirs: readonly unknown[], place: Place, depth: number): boolean {
    const counts = new Map<string, number>();
    for (const item of ours) {
      const text = this.#canonical(item, place, depth + 1);
      counts.set(text, (counts.get(text) ?? 0) + 1);
    }
    for (const item of theirs) {
      const text = this.#canonical(item, place, depth + 1);
      const count = counts.get(text) ?? 0;
      if (count === 0) return false;
      counts.set(text, count - 1);
    }
    return true;
  }

  /** The same text for what counts as the same. */
  #canonical(value: unknown, place: Place, depth: number): string {
    this.#spend(depth);
    if (place.mark === 'ignore') return '';
    if (Array.isArray(value))
      return `[${value.map((item) => this.#canonical(item, itemPlace(place), depth + 1)).join()}]`;
    if (value instanceof ExactNumber) return value.text;
    if (!isObject(value)) return JSON.stringify(value) ?? '';
    const keys = this.#ordered ? Object.keys(value) : Object.keys(value).sort();
    const fields: string[] = [];
    for (const key of keys) {
      const below = keyPlace(place, key);
      if (below.mark === 'ignore') continue;
      fields.push(`${JSON.stringify(key)}:${this.#canonical(value[key], below, depth + 1)}`);
    }
    return `{${fields.join()}}`;
  }
}

const isSame = (one: unknown, other: unknown) =>
  one instanceof ExactNumber || other instanceof ExactNumber
    ? one instanceof ExactNumber && other instanceof ExactNumber && one.text === other.text
    : one === other;

/** What is declared of a place holds for all below it. */
function placeBelow(above: Place, key: string | undefined, marks: readonly Marks[]): Place {
  return { above, key, marks, mark: marks.reduce((known, each) => strongest(known, each.own), above.mark) };
}

function keyPlace(place: Place, key: string): Place {
  const marks = place.marks.length === 0 ? place.marks : place.marks.flatMap((each) => each.ofKey(key));
  return placeBelow(place, key, marks);
}

function itemPlace(place: Place): Place {
  const marks = place.marks.length === 0 ? place.marks : place.marks.flatMap((each) => each.ofItems());
  return placeBelow(place, undefined, marks);
}
