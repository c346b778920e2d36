// Keys that the stream has applied and nobody has looked at yet, of each table: bounded, and what is too much is counted.
import type { Row } from '../acl/translator.ts';
import { imagesOf, type RowImage, type RowChange as RowImages } from './binlog/rows.ts';
import type { TableShape } from './binlog/table-map.ts';
import type { TableMapping } from './mapping.ts';

/** Keys that are remembered; with more of them they are counted only. */
const keysMax = 10_000;

type Table = {
  readonly waiting: Map<string, Row>;
  /** Of those, the first: they had passed before the place that is to be proven next. */
  older: number;
  /** Taken out of `waiting`, and not proven yet. */
  underway: number;
  skipped: number;
};

/** How it stands with one table. `waiting`: to be looked at; `skipped`: only a verification will prove them. */
export type Touches = { readonly table: string; readonly waiting: number; readonly skipped: number };

export class TouchedKeys {
  readonly #tables = new Map<string, Table>();
  readonly #places = new WeakMap<TableShape, readonly number[]>();
  #waiting = 0;

  /** Changes and keys of which nothing is proven at this moment. */
  get unproven(): number {
    let sum = this.#waiting;
    for (const { underway, skipped } of this.#tables.values()) sum += underway + skipped;
    return sum;
  }

  /** That nobody has taken to be looked at. */
  get waiting(): number {
    return this.#waiting;
  }

  get hasSkipped(): boolean {
    return this.#some(({ skipped }) => skipped > 0);
  }

  /** Some of those that had passed when `beginOlder` was called last. */
  get hasOlder(): boolean {
    return this.#some(({ older }) => older > 0);
  }

  add(mapping: TableMapping, rows: readonly RowImages[], shape: TableShape): void {
    const table = this.#table(mapping.sourceTable);
    for (const image of imagesOf(rows)) this.#touch(table, mapping, image, shape);
  }

  #touch(table: Table, { sourceKey }: TableMapping, image: RowImage, shape: TableShape): void {
    if (this.#waiting >= keysMax) {
      table.skipped++;
      return;
    }
    let places = this.#places.get(shape);
    if (!places) {
      places = sourceKey.map((name) => shape.columns.findIndex((column) => column.name === name));
      this.#places.set(shape, places);
    }
    const values = places.map((place) => image[place] ?? null);
    const size = table.waiting.size;
    table.waiting.set(
      values
        .map((value) => (value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value))
        .join('\0'),
      Object.fromEntries(sourceKey.map((name, at) => [name, values[at] ?? null])),
    );
    this.#waiting += table.waiting.size - size;
  }

  skip(table: string, count: number): void {
    this.#table(table).skipped += count;
  }

  /** What is skipped up to now is proven when the function is called. */
  proving(tables: readonly string[]): () => void {
    const before = tables.map((name) => [this.#table(name), this.#table(name).skipped] as const);
    return () => {
      for (const [table, skipped] of before) table.skipped = Math.max(0, table.skipped - skipped);
    };
  }

  /** The first of each table, at most so many; they are under way until `settle` or `forget`. */
  take(most: number): Map<string, Row[]> {
    const keys = new Map<string, Row[]>();
    for (const [name, table] of this.#tables) {
      const taken = [...table.waiting].slice(0, most);
      for (const [text] of taken) table.waiting.delete(text);
      this.#waiting -= taken.length;
      table.underway += taken.length;
      table.older = Math.max(0, table.older - taken.length);
      keys.set(
        name,
        taken.map(([, key]) => key),
      );
    }
    return keys;
  }

  /** What was taken is proven, but for these: the table of each. */
  settle(restless: Iterable<string> = []): void {
    for (const table of this.#tables.values()) table.underway = 0;
    for (const name of restless) this.#table(name).underway++;
  }

  beginOlder(): void {
    for (const table of this.#tables.values()) table.older = table.waiting.size;
  }

  forget(): void {
    for (const table of this.#tables.values()) {
      table.underway = 0;
      table.older = 0;
      table.waiting.clear();
    }
    this.#waiting = 0;
  }

  /** None of them can be looked at. */
  giveUp(): void {
    for (const table of this.#tables.values()) table.skipped += table.underway + table.waiting.size;
    this.forget();
  }

  *standing(): Iterable<Touches> {
    for (const [table, { waiting, underway, skipped }] of this.#tables)
      yield { table, waiting: waiting.size + underway, skipped };
  }

  #some(is: (table: Table) => boolean): boolean {
    return this.#tables.values().some(is);
  }

  #table(name: string): Table {
    let table = this.#tables.get(name);
    if (!table) {
      table = { waiting: new Map(), older: 0, underway: 0, skipped: 0 };
      this.#tables.set(name, table);
    }
    return table;
  }
}
