// The keys that the stream has applied lately, verified all the time: at any moment only those of about the last
// second are unproven, and the worker after a crash looks at those. What is too much to look at is counted, until a verification
// of the table proves it.
import type { Connection } from 'mysql2/promise';
import { TranslationError } from '../acl/translation-error.ts';
import type { Row } from '../acl/translator.ts';
import { BinlogError } from './binlog/errors.ts';
import type { RowChange as RowImages } from './binlog/rows.ts';
import type { TableShape } from './binlog/table-map.ts';
import { type FrameKey, isDisconnected, type StreamState } from './frame.ts';
import type { TableMapping } from './mapping.ts';
import { type Position, printPosition } from './position.ts';
import { rowKey } from './quarantine.ts';
import type { Companion } from './stream.ts';
import { TouchedKeys } from './touched-keys.ts';
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
import { pause, unlessAborted } from './unless-aborted.ts';
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

export class Touched implements Companion {
  readonly #options: TouchedOptions;
  readonly #keys = new TouchedKeys();
  readonly #saved = new Map<string, string>();
  readonly #mismatches = new Map<string, Mismatch>();
  #parts = new Map<string, Part[]>();
  #handovers = 0;
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
    return this.#keys.unproven;
  }

  get mismatched(): number {
    return this.#mismatches.size;
  }

  passed(mapping: TableMapping, rows: readonly RowImages[], shape: TableShape): void {
    this.#keys.add(mapping, rows, shape);
  }

  mark(): undefined {
    return undefined;
  }

  turned(turn: bigint): void {
    this.#turn = turn;
    this.#wake();
  }

  /** What waits, or is still read again, is the other side's now, and never looked at here. */
  handedOver(): void {
    this.#handovers += 1;
    this.#keys.forget();
  }

  /** What is skipped up to now is proven by a verification that begins now. */
  verifying(sourceTables: readonly string[]): () => void {
    return this.#keys.proving(sourceTables);
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
        this.#keys.settle();
        carried = [];
      } else {
        try {
          [carried, busyMs] = await this.#look(carried, signal);
        } catch (error) {
          if (isDisconnected(error) || !(error instanceof Error) || !('sqlState' in error)) throw error;
          this.#parts = new Map();
          this.#keys.giveUp();
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
    for (const { table, skipped } of left) this.#keys.skip(table, skipped);
    const from = await readProvenUpTo(books, key);
    const state = await unlessAborted(begun, signal);
    // Who watches has proven everything before it gave up the writes.
    if (!state || !isApplying()) return;
    try {
      if (from) {
        const before = this.#handovers;
        await readAgain(from, state.position, (mapping, rows, shape) => {
          if (this.#handovers === before) this.passed(mapping, rows, shape);
        });
      } else await this.#saveUpTo(state);
    } catch (error) {
      if (signal.aborted) return;
      if (isDisconnected(error) || (error instanceof BinlogError && error.code === 'unreachable'))
        throw error;
      // How many is known only as of a second before: that there may be some must be told of every table.
      const waiting = new Map(left.map((each) => [each.table, each.waiting]));
      for (const name of new Set((await plan()).map(({ source }) => source.table)))
        this.#keys.skip(name, Math.max(1, waiting.get(name) ?? 0));
      onTrouble(error);
    }
  }

  /** Or until a turn passes. */
  async #rest(ms: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    await pause(ms, AbortSignal.any([signal, woken.signal]));
  }

  /** What is skipped, only a verification proves: then it is not said, and no owner changes. */
  async #saveProven(turn: bigint): Promise<void> {
    if (this.#keys.waiting > 0) return;
    const { books, key } = this.#options;
    if (!this.#keys.hasSkipped) await saveProven(books, key, turn);
    if (this.#turn === turn) this.#turn = undefined;
  }

  /** @returns the rows that are to be looked at again, and how long it took */
  async #look(carried: readonly Suspect[], signal: AbortSignal): Promise<[Suspect[], number]> {
    if (this.#keys.waiting === 0 && carried.length === 0 && !this.#isDueAgain()) return [[], 0];
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
    this.#keys.settle([...restless].map(({ part }) => part.source.table));
    return [[...restless], performance.now() - startedAt];
  }

  /** Keys that wait, of each table some. */
  #take(): Suspect[] {
    return [...this.#keys.take(batchMax)].flatMap(([name, keys]) =>
      (this.#parts.get(name) ?? []).flatMap((part) => suspectsOf(part, keys)),
    );
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
      this.#keys.skip(mismatch.table, 1);
      return;
    }
    await writeMismatch(this.#options.books, this.#options.key, mismatch, difference);
    this.#mismatches.set(name, mismatch);
  }

  /** Rows that are as they should be. */
  async #mended(proven: readonly Suspect[]): Promise<void> {
    if (this.#mismatches.size === 0) return;
    for (const suspect of proven) {
      const mismatch = mismatchOf(suspect);
      if (!this.#mismatches.has(nameOf(mismatch))) continue;
      await deleteMismatch(this.#options.books, this.#options.key, mismatch);
      this.#mismatches.delete(nameOf(mismatch));
    }
  }

  /** @param isSettled nothing that was taken to be looked at is left */
  async #save(isSettled: boolean): Promise<void> {
    if (performance.now() - this.#savedAt < saveMs) return;
    this.#savedAt = performance.now();
    for (const { table, waiting, skipped } of this.#keys.standing()) {
      const text = `${waiting} ${skipped}`;
      if (text === this.#saved.get(table)) continue;
      await saveTouched(this.#options.books, this.#options.key, table, waiting, skipped);
      this.#saved.set(table, text);
    }
    // After what is only counted: it will not be read again.
    if (!isSettled || this.#keys.hasOlder) return;
    if (this.#next) await this.#saveUpTo(this.#next);
    // All that the stream has committed has passed here.
    this.#next = this.#options.committed();
    this.#keys.beginOlder();
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
