// The rows that were there before the stream: read in chunks between two watermarks of the source's binlog, and
// applied by the stream itself when it passes the second, without the keys that have passed in between (DBLog,
// arXiv:2010.12597). So a chunk never overwrites what is newer, and the stream never waits.
import { randomUUID } from 'node:crypto';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { Value } from '../acl/domain.ts';
import type { Row } from '../acl/translator.ts';
import { imagesOf, type RowChange as RowImages } from './binlog/rows.ts';
import type { TableShape } from './binlog/table-map.ts';
import type { FrameKey } from './frame.ts';
import { literal, quoteName } from './literal.ts';
import type { TableMapping } from './mapping.ts';
import { imageRow, imageText, type Quarantine } from './quarantine.ts';
import { NewRows } from './rows-to-changes.ts';
import { afterKey, sameKeys, upToKey } from './same-keys.ts';
import { readSourceColumns, type SourceColumn, selected } from './source-columns.ts';
import { StatementBuilder } from './statement-builder.ts';
import type { Statement, WriteRules } from './statements.ts';
import type { Companion } from './stream.ts';
import { type ThrottleOptions, throttle } from './throttle.ts';
import { pause, unlessAborted } from './unless-aborted.ts';

export type BackfillOptions = ThrottleOptions & {
  readonly key: FrameKey;
  readonly sourceSchema: string;
  readonly mappings: ReadonlyMap<string, readonly TableMapping[]>;
  readonly rules: WriteRules;
  /** To the source, for chunks and watermarks. */
  readonly source: Connection;
  /** To the target, for progress; rows go through the stream. */
  readonly target: Connection;
  readonly quarantine: () => Quarantine;
  readonly chunkRows: number;
  /** While the other side owns nothing is read: nothing would come of it. */
  readonly isApplying: () => boolean;
};

type Progress = {
  readonly table: string;
  readonly lastKey: Row | undefined;
  readonly maxKey: Row | undefined;
  readonly isNew: boolean;
};

type Chunk = {
  /** The key that it begins after. */
  readonly after: Row | undefined;
  readonly mapping: TableMapping;
  /** What the rows' values are, in their order. */
  readonly columns: readonly SourceColumn[];
  readonly key: readonly SourceColumn[];
  readonly low: string;
  readonly high: string;
  readonly seen: Row[];
  recording: boolean;
  /** So much has passed meanwhile, or while the chunk before it was read, that it is read again. */
  isVoid: boolean;
  rows: readonly (readonly Value[])[];
  isLast: boolean;
  readonly landed: PromiseWithResolvers<void>;
};

/** Keys that pass while a chunk is read; with more of them, a transaction of a million rows, say, it is void. */
const seenMax = 20_000;
/** What a chunk is to take in memory, about. */
const chunkBytesMax = 8 * 1024 * 1024;
const pollMs = 500;
/** One is applied while the next is read. */
const chunksMax = 4;

export class Backfill implements Companion {
  readonly #options: BackfillOptions;
  /** Under way, in their order. */
  #chunks: readonly Chunk[] = [];

  constructor(options: BackfillOptions) {
    this.#options = options;
  }

  passed({ sourceTable, sourceKey }: TableMapping, rows: readonly RowImages[], shape: TableShape): void {
    for (const chunk of this.#chunks) {
      if (!chunk.recording || chunk.isVoid || chunk.mapping.sourceTable !== sourceTable) continue;
      if (chunk.seen.length + rows.length > seenMax) {
        chunk.isVoid = true;
        chunk.seen.splice(0);
        continue;
      }
      const places = sourceKey.map((name) => shape.columns.findIndex((column) => column.name === name));
      for (const image of imagesOf(rows))
        chunk.seen.push(
          Object.fromEntries(sourceKey.map((name, at) => [name, image[places[at] ?? -1] ?? null])),
        );
    }
  }

  mark(mark: string): Promise<readonly Statement[]> | undefined {
    for (const chunk of this.#chunks) {
      if (mark === chunk.low) chunk.recording = true;
      if (mark !== chunk.high) continue;
      chunk.recording = false;
      if (!chunk.isVoid) return this.#statements(chunk);
      // Those after it would say that its rows are in, too.
      for (const later of this.#chunks) later.isVoid = true;
      chunk.landed.resolve();
    }
    return undefined;
  }

  missed(mark: string): void {
    const first = this.#chunks.findIndex(({ high }) => high === mark);
    if (first < 0) return;
    for (const chunk of this.#chunks.slice(first)) chunk.isVoid = true;
    this.#chunks[first]?.landed.resolve();
  }

  /** Works through the tables that were asked for, until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const progress = await this.#next();
      if (!progress) await pause(pollMs, signal);
      else await this.#table(progress, signal);
    }
  }

  async #next(): Promise<Progress | undefined> {
    const { target, key } = this.#options;
    const [rows] = await target.query<RowDataPacket[]>(
      "SELECT table_name, state, last_key, max_key FROM banyan.banyan_backfill WHERE capability = ? AND state <> 'complete' ORDER BY asked_at, table_name LIMIT 1",
      [key.capability],
    );
    const [row] = rows;
    const keyOf = (text: unknown) => (typeof text === 'string' ? imageRow(text) : undefined);
    return (
      row && {
        table: String(row.table_name),
        lastKey: keyOf(row.last_key),
        maxKey: keyOf(row.max_key),
        isNew: row.state === 'asked',
      }
    );
  }

  async #table(progress: Progress, signal: AbortSignal): Promise<void> {
    const { source, sourceSchema, mappings } = this.#options;
    const [mapping] = mappings.get(progress.table) ?? [];
    if (!mapping) return this.#complete(progress.table);
    const columns = await readSourceColumns(source, sourceSchema, mapping.sourceTable, mapping.needs);
    const maxKey = progress.isNew ? await this.#begin(mapping, columns) : progress.maxKey;
    if (!maxKey) return this.#complete(progress.table);
    const rowsMax = Math.min(this.#options.chunkRows, await this.#rowsInMemory(mapping.sourceTable));
    const key = keyOf(mapping.sourceKey, columns);
    let after = progress.lastKey;
    let isRead = false;
    while (!signal.aborted) {
      if (!isRead) {
        while (!this.#options.isApplying() && !signal.aborted) await pause(pollMs, signal);
        const startedAt = performance.now();
        const chunk = await this.#read({ mapping, columns, key, after }, maxKey, rowsMax);
        after = lastKeyOf(chunk) ?? after;
        isRead = chunk.isLast;
        await throttle(source, this.#options, performance.now() - startedAt, signal);
      }
      const [first, ...others] = this.#chunks;
      if (!first) return;
      if (!isRead && this.#chunks.length < chunksMax) continue;
      await unlessAborted(first.landed.promise, signal);
      this.#chunks = first.isVoid ? [] : others;
      if (!first.isVoid) continue;
      after = first.after;
      isRead = false;
    }
  }

  /** Remembers the greatest key: the backfill is complete when it has come there. */
  async #begin(
    { sourceTable, sourceKey }: TableMapping,
    columns: readonly SourceColumn[],
  ): Promise<Row | undefined> {
    const { source, target, sourceSchema, key } = this.#options;
    const from = `${quoteName(sourceSchema)}.${quoteName(sourceTable)}`;
    const names = sourceKey.map(quoteName);
    const [max] = await source.query<RowDataPacket[]>(
      `SELECT ${keyOf(sourceKey, columns).map(selected).join(', ')} FROM ${from} ORDER BY ${names.map((name) => `${name} DESC`).join(', ')} LIMIT 1`,
    );
    const [count] = await source.query<RowDataPacket[]>(`SELECT COUNT(*) AS n FROM ${from}`);
    const maxKey = max[0] && { ...max[0] };
    await target.query(
      "UPDATE banyan.banyan_backfill SET state = 'running', max_key = ?, last_key = NULL, rows_done = 0, rows_refused = 0, rows_total = ? WHERE capability = ? AND table_name = ?",
      [maxKey ? imageText(maxKey) : null, Number(count[0]?.n ?? 0), key.capability, sourceTable],
    );
    return maxKey;
  }

  /** How many rows of a table fit into a chunk, by the server's own estimate of their size. */
  async #rowsInMemory(table: string): Promise<number> {
    const [rows] = await this.#options.source.query<RowDataPacket[]>(
      'SELECT AVG_ROW_LENGTH AS bytes FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?',
      [this.#options.sourceSchema, table],
    );
    return Math.max(1, Math.floor(chunkBytesMax / Math.max(1, Number(rows[0]?.bytes ?? 1))));
  }

  async #complete(table: string): Promise<void> {
    await this.#options.target.query(completion(this.#options.key.capability, table));
  }

  async #mark(mark: string): Promise<void> {
    await this.#options.source.query('UPDATE banyan.banyan_watermark SET mark = ? WHERE capability = ?', [
      mark,
      this.#options.key.capability,
    ]);
  }

  async #read(
    place: Pick<Chunk, 'mapping' | 'columns' | 'key' | 'after'>,
    maxKey: Row,
    rowsMax: number,
  ): Promise<Chunk> {
    const { source, sourceSchema } = this.#options;
    const { mapping, columns, key, after } = place;
    const chunk: Chunk = {
      ...place,
      low: randomUUID(),
      high: randomUUID(),
      seen: [],
      recording: false,
      isVoid: this.#chunks.some(({ isVoid }) => isVoid),
      rows: [],
      isLast: false,
      landed: Promise.withResolvers(),
    };
    this.#chunks = [...this.#chunks, chunk];
    await this.#mark(chunk.low);
    const where = [after ? afterKey(key, after) : 'TRUE', upToKey(key, maxKey)].join(' AND ');
    const [rows] = await source.query<Value[][] & RowDataPacket[]>({
      sql: `SELECT ${columns.map(selected).join(', ')} FROM ${quoteName(sourceSchema)}.${quoteName(mapping.sourceTable)}
       WHERE ${where} ORDER BY ${mapping.sourceKey.map(quoteName).join(', ')} LIMIT ${rowsMax}`,
      rowsAsArray: true,
    });
    chunk.rows = rows;
    chunk.isLast = rows.length < rowsMax;
    await this.#mark(chunk.high);
    return chunk;
  }

  /** The chunk as SQL, without what has passed since it was read, and with the progress that it makes. */
  async #statements(chunk: Chunk): Promise<Statement[]> {
    const { key, rules, source, mappings } = this.#options;
    const { mapping, rows, columns } = chunk;
    const keys = chunk.seen.length === 0 ? [] : rows.map((values) => keyIn(chunk, values));
    const passed = await sameKeys(source, chunk.key, keys, chunk.seen);
    const builder = new StatementBuilder(rules);
    const quarantine = this.#options.quarantine();
    const put = (mappings.get(mapping.sourceTable) ?? []).map((each) => new NewRows(each, columns));
    let refused = 0;
    for (const [index, values] of rows.entries())
      if (!passed.has(index)) for (const each of put) if (!each.put(values, quarantine, builder)) refused++;
    const lastKey = lastKeyOf(chunk);
    const progress: Statement = {
      table: 'banyan_backfill',
      sql: `UPDATE banyan.banyan_backfill SET rows_done = rows_done + ${rows.length}, rows_refused = rows_refused + ${refused}
        ${lastKey ? `, last_key = ${literal(imageText(lastKey))}` : ''}
        WHERE capability = ${literal(key.capability)} AND table_name = ${literal(mapping.sourceTable)}`,
      landed: () => chunk.landed.resolve(),
    };
    const end: Statement[] = chunk.isLast
      ? [{ table: 'banyan_backfill', sql: completion(key.capability, mapping.sourceTable) }]
      : [];
    return [...builder.take(), ...end, progress];
  }
}

function keyIn({ mapping, columns }: Chunk, values: readonly Value[]): Row {
  const at = (name: string) => values[columns.findIndex((column) => column.name === name)] ?? null;
  return Object.fromEntries(mapping.sourceKey.map((name) => [name, at(name)]));
}

function lastKeyOf(chunk: Chunk): Row | undefined {
  const last = chunk.rows.at(-1);
  return last && keyIn(chunk, last);
}

const keyOf = (names: readonly string[], columns: readonly SourceColumn[]): SourceColumn[] =>
  names.flatMap((name) => columns.filter((column) => column.name === name));

const completion = (capability: string, table: string) =>
  `UPDATE banyan.banyan_backfill SET state = 'complete', finished_at = CURRENT_TIMESTAMP(6) WHERE capability = ${literal(capability)} AND table_name = ${literal(table)}`;
