// The table maps in force. A server repeats a table's map in each statement, mostly unchanged: what was made of
// it is kept by its bytes.
import type { BinlogEvent, Format } from './event.ts';
import {
  type CatalogColumns,
  type Collations,
  compileTable,
  needsCatalog,
  readTableColumns,
  readTableHead,
  type TableReader,
} from './table-map.ts';

export type AskCatalog = (schema: string, table: string) => Promise<CatalogColumns | undefined>;

export type TablesOptions = {
  readonly collations: Collations;
  /** Which tables' rows are wanted; of the others nothing is decoded, and nothing can be wrong. */
  readonly wants: (schema: string, table: string) => boolean;
  /** The server's present columns; where the binlog does not tell a column's type. */
  readonly catalog?: AskCatalog;
};

type Known = { readonly body: Buffer; readonly reader: TableReader | undefined };

const knownMax = 10_000;

export class Tables {
  readonly #options: TablesOptions;
  readonly #known = new Map<number, Known>();

  constructor(options: TablesOptions) {
    this.#options = options;
  }

  /** Takes a table map event. A promise when the catalog has to be asked. */
  take(event: BinlogEvent, format: Format): Promise<void> | undefined {
    const head = readTableHead(event.body, format);
    if (this.#known.get(head.id)?.body.equals(event.body)) return undefined;
    if (this.#known.size >= knownMax) this.#known.clear();
    // A view would keep the socket's whole chunk; and the columns' readers must not see later bytes.
    const body = Buffer.from(event.body);
    const put = (reader: TableReader | undefined) => {
      this.#known.set(head.id, { body, reader });
    };
    if (!this.#options.wants(head.schema, head.table)) {
      put(undefined);
      return undefined;
    }
    const columns = readTableColumns(head);
    const { collations, catalog } = this.#options;
    if (!catalog || !needsCatalog(columns.columns, format)) {
      put(compileTable(head, columns, { format, collations, catalog: undefined }));
      return undefined;
    }
    return catalog(head.schema, head.table).then((known) =>
      put(compileTable(head, columns, { format, collations, catalog: known })),
    );
  }

  /** `undefined` for a table without a map, `{ reader: undefined }` for one whose rows are not wanted. */
  get(id: number): { readonly reader: TableReader | undefined } | undefined {
    return this.#known.get(id);
  }

  /** After DDL, or in another file: ids and the catalog's word may mean something else now. */
  forget(): void {
    this.#known.clear();
  }
}
