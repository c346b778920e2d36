// The keys that the stream has applied lately, verified all the time: at any moment only those of about the last
// second are unproven, and the worker after a crash looks at those. What is too much to look at is counted, until a verification
// of the table proves it.
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from 'mysql2/promise';
import { TranslationError } from '../acl/translation-error.ts';
import type { Row } from '../acl/translator.ts';
import { BinlogError } from './binlog/errors.ts';
import { imagesOf, type RowImage, type RowChange as RowImages } from './binlog/rows.ts';
import type { TableShape } from './binlog/table-map.ts';
import { type FrameKey, isDisconnected, type StreamState } from './frame.ts';
import type { TableMapping } from './mapping.ts';
import { type Position, printPosition } from './position.ts';
import { rowKey } from './quarantine.ts';
import type { Companion } from './stream.ts';
import {
  deleteMismatch,
  type Mismatch,
  type ProvenUpTo,
  readMismatches,
  readProvenUpTo,
  readTouched,
  saveProven,
  saveProvenUpTo,
  saveTouched,
  writeMismatch,
} from './touched-store.ts';
import { unlessAborted } from './unless-aborted.ts';
import type { Part } from './verify-plan.ts';
import { type Difference, type Looking, look, type Suspect } from './verify-suspects.ts';

export type TouchedOptions = {
  readonly key: FrameKey;
  readonly plan: () => Promise<readonly Part[]>;
  readonly looking: Looking;
  /** To the services' server. */
  readonly books: Connection;
  readonly isApplying: () => boolean;
  /** Where the stream has begun; resolves when it does. */
  readonly begun: Promise<StreamState>;
  /** Where it is now. */
  readonly committed: () => StreamState | undefined;
  /** What it has applied from there on, once more. */
  readonly readAgain: (from: ProvenUpTo, to: Position, passed: Companion['passed']) => Promise<void>;
  /** What could not be looked at, and why. */
  readonly onTrouble: (error: unknown) => void;
};

/** Keys that are remembered; with more of them they are counted only. */
const keysMax = 10_000;
/** Looked at together. */
const batchMax = 500;
/** Between two looks; or longer, so that looking, and waiting for the stream, takes no more than a third of the time. */
const restMs = 250;
const hurryMs = 5;
const restRatio = 2;
const mismatchesMax = 1_000;
/** Rows that were found different are looked at again: they may have been mended. */
const againMs = 5_000;
const saveMs = 1_000;

type Table = {
  readonly waiting: Map<string, Row>;
  /** Of those, the first: they had passed before the place that is to be proven next. */
  older: number;
  /** Taken out of `waiting`, and not proven yet. */
  underway: number;
  skipped: number;
  saved: string;
};

export class Touched implements Companion {
  readonly #options: TouchedOptions;
  readonly #tables = new Map<string, Table>();
  readonly #mismatches = new Map<string, Mismatch>();
  readonly #places = new WeakMap<TableShape, readonly number[]>();
  #parts = new Map<string, Part[]>();
  #waiting = 0;
  #savedAt = 0;
  #againAt = 0;
  /** Everything that was touched before it is to be proven now: a change of owner waits for it. */
  #turn: bigint | undefined;
  /** Proven when nothing older waits any more. */
  #next: StreamState | undefined;
  #proven: string | undefined;
  #wake: () => void = () => undefined;

  constructor(options: TouchedOptions) {
    this.#options = options;
  }

  /** Changes and keys of which nothing is proven at this moment. */
  get unproven(): number {
    let sum = this.#waiting;
    for (const { underway, skipped } of this.#tables.values()) sum += underway + skipped;
    return sum;
  }

  get mismatched(): number {
    return this.#mismatches.size;
  }

  passed(mapping: TableMapping, rows: readonly RowImages[], shape: TableShape): void {
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

  mark(): undefined {
    return undefined;
  }

  turned(turn: bigint): void {
    this.#turn = turn;
    this.#wake();
  }

  /** What waits is the other side's now, and never looked at here. */
  handedOver(): void {
    this.#forget();
  }

  /** What is skipped up to now is proven by a verification that begins now. */
  verifying(sourceTables: readonly string[]): () => void {
    const before = sourceTables.map((name) => [this.#table(name), this.#table(name).skipped] as const);
    return () => {
      for (const [table, skipped] of before) table.skipped = Math.max(0, table.skipped - skipped);
    };
  }

  /** Until the signal. @throws when a connection is lost */
  async run(signal: AbortSignal): Promise<void> {
    const { books, key, isApplying } = this.#options;
    await this.#recover(signal);
    for (const mismatch of await readMismatches(books, key, mismatchesMax))
      this.#mismatches.set(nameOf(mismatch), mismatch);
    let carried: Suspect[] = [];
    while (!signal.aborted) {
      let busyMs = 0;
      if (!isApplying()) {
        // Who watches proves nothing, and nobody waits for it. What waits has passed already, and is committed in a moment.
        this.#turn = undefined;
        for (const table of this.#tables.values()) table.underway = 0;
        carried = [];
      } else {
        try {
          [carried, busyMs] = await this.#look(carried, signal);
        } catch (error) {
          if (isDisconnected(error) || !(error instanceof Error) || !('sqlState' in error)) throw error;
          this.#giveUp();
          carried = [];
          this.#options.onTrouble(error);
        }
      }
      if (this.#turn !== undefined && carried.length === 0) await this.#saveProven(this.#turn);
      await this.#save(carried.length === 0);
      await this.#rest(this.#turn === undefined ? Math.max(restMs, restRatio * busyMs) : hurryMs, signal);
    }
  }

  /** What a worker before this one had not looked at passes once more; where it cannot, it is counted. */
  async #recover(signal: AbortSignal): Promise<void> {
    const { books, key, begun, plan, readAgain, isApplying, onTrouble } = this.#options;
    const left = await readTouched(books, key);
    for (const { table, skipped } of left) this.#table(table).skipped += skipped;
    const from = await readProvenUpTo(books, key);
    const state = await unlessAborted(begun, signal);
    // Who watches has proven everything before it gave up the writes.
    if (!state || !isApplying()) return;
    try {
      if (from) await readAgain(from, state.position, this.passed.bind(this));
      else await this.#saveUpTo(state);
    } catch (error) {
      if (signal.aborted) return;
      if (isDisconnected(error) || (error instanceof BinlogError && error.code === 'unreachable'))
        throw error;
      // How many is known only as of a second before: that there may be some must be told of every table.
      const waiting = new Map(left.map((each) => [each.table, each.waiting]));
      for (const name of new Set((await plan()).map(({ source }) => source.table)))
        this.#table(name).skipped += Math.max(1, waiting.get(name) ?? 0);
      onTrouble(error);
    }
  }

  /** Or until a turn passes. */
  async #rest(ms: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    await delay(ms, undefined, { signal: AbortSignal.any([signal, woken.signal]) }).catch(() => undefined);
  }

  /** What is skipped, only a verification proves: then it is not said, and no owner changes. */
  async #saveProven(turn: bigint): Promise<void> {
    if (this.#waiting > 0) return;
    const { books, key } = this.#options;
    if ([...this.#tables.values()].every(({ skipped }) => skipped === 0)) await saveProven(books, key, turn);
    if (this.#turn === turn) this.#turn = undefined;
  }

  #table(name: string): Table {
    let table = this.#tables.get(name);
    if (!table) {
      table = { waiting: new Map(), older: 0, underway: 0, skipped: 0, saved: '' };
      this.#tables.set(name, table);
    }
    return table;
  }

  /** What is under way cannot be looked at: only a verification will prove it. */
  #giveUp(): void {
    this.#parts = new Map();
    for (const table of this.#tables.values()) table.skipped += table.underway + table.waiting.size;
    this.#forget();
  }

  #forget(): void {
    if (this.#waiting === 0 && [...this.#tables.values()].every(({ underway }) => underway === 0)) return;
    for (const table of this.#tables.values()) {
      table.underway = 0;
      table.older = 0;
      table.waiting.clear();
    }
    this.#waiting = 0;
  }

  /** @returns the rows that are to be looked at again, and how long it took */
  async #look(carried: readonly Suspect[], signal: AbortSignal): Promise<[Suspect[], number]> {
    if (this.#waiting === 0 && carried.length === 0 && !this.#isDueAgain()) return [[], 0];
    const startedAt = performance.now();
    if (this.#parts.size === 0)
      this.#parts = Map.groupBy(await this.#options.plan(), ({ source }) => source.table);
    const known = new Set(carried.map(nameOfSuspect));
    const fresh = [...this.#take(), ...this.#again()];
    const suspects = [...carried, ...fresh.filter((suspect) => !known.has(nameOfSuspect(suspect)))];
    if (suspects.length === 0) return [[], performance.now() - startedAt];
    const looked = await look(suspects, this.#options.looking, signal);
    if (!looked) return [suspects, performance.now() - startedAt];
    const { differences, restless } = looked;
    for (const difference of differences) await this.#found(difference);
    const open = new Set([...restless, ...differences.map(({ suspect }) => suspect)]);
    await this.#mended(suspects.filter((suspect) => !open.has(suspect)));
    for (const table of this.#tables.values()) table.underway = 0;
    for (const { part } of restless) this.#table(part.source.table).underway++;
    return [[...restless], performance.now() - startedAt];
  }

  /** Keys that wait, of each table some. */
  #take(): Suspect[] {
    const suspects: Suspect[] = [];
    for (const [name, table] of this.#tables) {
      const taken = [...table.waiting].slice(0, batchMax);
      for (const [text] of taken) table.waiting.delete(text);
      this.#waiting -= taken.length;
      table.underway += taken.length;
      table.older = Math.max(0, table.older - taken.length);
      const keys = taken.map(([, key]) => key);
      for (const part of this.#parts.get(name) ?? []) suspects.push(...suspectsOf(part, keys));
    }
    return suspects;
  }

  #isDueAgain(): boolean {
    return this.#mismatches.size > 0 && performance.now() - this.#againAt > againMs;
  }

  /** The rows that were different, once more. */
  #again(): Suspect[] {
    if (!this.#isDueAgain()) return [];
    this.#againAt = performance.now();
    return [...this.#mismatches.values()].flatMap(({ table, target, key }) =>
      (this.#parts.get(table) ?? [])
        .filter((part) => part.target.table === target)
        .flatMap((part) => suspectsOf(part, [key])),
    );
  }

  async #found(difference: Difference): Promise<void> {
    const mismatch = mismatchOf(difference.suspect);
    const name = nameOf(mismatch);
    if (this.#mismatches.size >= mismatchesMax && !this.#mismatches.has(name)) {
      this.#table(mismatch.table).skipped++;
      return;
    }
    this.#mismatches.set(name, mismatch);
    await writeMismatch(this.#options.books, this.#options.key, mismatch, difference);
  }

  /** Rows that are as they should be. */
  async #mended(proven: readonly Suspect[]): Promise<void> {
    if (this.#mismatches.size === 0) return;
    for (const suspect of proven) {
      const mismatch = mismatchOf(suspect);
      if (this.#mismatches.delete(nameOf(mismatch)))
        await deleteMismatch(this.#options.books, this.#options.key, mismatch);
    }
  }

  /** @param isSettled nothing that was taken to be looked at is left */
  async #save(isSettled: boolean): Promise<void> {
    if (performance.now() - this.#savedAt < saveMs) return;
    this.#savedAt = performance.now();
    for (const [name, table] of this.#tables) {
      const waiting = table.waiting.size + table.underway;
      const saved = `${waiting} ${table.skipped}`;
      if (saved === table.saved) continue;
      await saveTouched(this.#options.books, this.#options.key, name, waiting, table.skipped);
      table.saved = saved;
    }
    // After what is only counted: it will not be read again.
    if (!isSettled || [...this.#tables.values()].some(({ older }) => older > 0)) return;
    if (this.#next) await this.#saveUpTo(this.#next);
    // All that the stream has committed has passed here.
    this.#next = this.#options.committed();
    for (const table of this.#tables.values()) table.older = table.waiting.size;
  }

  async #saveUpTo({ position, sourceServer }: StreamState): Promise<void> {
    const text = printPosition(position);
    if (text === this.#proven) return;
    await saveProvenUpTo(this.#options.books, this.#options.key, { position: text, server: sourceServer });
    this.#proven = text;
  }
}

function suspectsOf(part: Part, keys: readonly Row[]): Suspect[] {
  return keys.flatMap((sourceKey): Suspect[] => {
    try {
      return [{ part, sourceKey, targetKey: part.targetKey(sourceKey) }];
    } catch (error) {
      if (!(error instanceof TranslationError)) throw error;
      return []; // it is in quarantine
    }
  });
}

function mismatchOf({ part, sourceKey = {} }: Suspect): Mismatch {
  const { source, target } = part;
  const names = source.key.map(({ name }) => name);
  return { table: source.table, target: target.table, key: sourceKey, rowKey: rowKey(names, sourceKey) };
}

const nameOf = ({ table, target, rowKey: text }: Mismatch) => `${table}\0${target}\0${text}`;
const nameOfSuspect = (suspect: Suspect) => nameOf(mismatchOf(suspect));
