// What passes in the stream while rows are looked at: a row of the target can be set beside a row of the source only
// when nothing of it has passed since the source's was read.
import type { Row } from '../acl/translator.ts';
import { imagesOf, type RowImage, type RowChange as RowImages } from './binlog/rows.ts';
import type { TableShape } from './binlog/table-map.ts';
import type { TableMapping } from './mapping.ts';
import type { Companion } from './stream.ts';

export type Passed = { readonly key: Row; value(column: string): RowImage[number] };

/** Rows that one window holds; with more of them nothing is known of any. */
const passedMax = 10_000;
const passedCharsMax = 8_000_000;

export class Window {
  readonly #tables: ReadonlySet<string>;
  readonly #passed = new Map<string, Passed[]>();
  readonly #close: (window: Window) => void;
  #count = 0;
  #chars = 0;

  constructor(tables: readonly string[], close: (window: Window) => void) {
    this.#tables = new Set(tables);
    this.#close = close;
  }

  /** So much has passed that it was not kept. */
  get isVoid(): boolean {
    return this.#count > passedMax || this.#chars > passedCharsMax;
  }

  /** What has passed of a source table. */
  of(table: string): readonly Passed[] {
    return this.#passed.get(table) ?? [];
  }

  see({ sourceTable, sourceKey }: TableMapping, image: RowImage, { columns }: TableShape): void {
    if (this.isVoid || !this.#tables.has(sourceTable)) return;
    this.#count++;
    for (const value of image)
      this.#chars += typeof value === 'string' || value instanceof Uint8Array ? value.length + 4 : 8;
    if (this.isVoid) {
      this.#passed.clear();
      return;
    }
    const value = (name: string) => image[columns.findIndex((column) => column.name === name)] ?? null;
    const passed = { key: Object.fromEntries(sourceKey.map((name) => [name, value(name)])), value };
    const known = this.#passed.get(sourceTable);
    if (known) known.push(passed);
    else this.#passed.set(sourceTable, [passed]);
  }

  [Symbol.dispose](): void {
    this.#close(this);
  }
}

export class Watch implements Companion {
  readonly #windows = new Set<Window>();

  passed(mapping: TableMapping, rows: readonly RowImages[], shape: TableShape): void {
    for (const window of this.#windows) for (const image of imagesOf(rows)) window.see(mapping, image, shape);
  }

  mark(): undefined {
    return undefined;
  }

  /** From now on, until it is disposed of. */
  open(sourceTables: readonly string[]): Window {
    const window = new Window(sourceTables, (closed) => this.#windows.delete(closed));
    this.#windows.add(window);
    return window;
  }
}
