// One table of the owner's side against what came of it: by sums over ranges of keys where both databases can say
// their rows alike, row by row where they cannot, or where the sums differ.

import { TranslationError } from '../acl/translation-error.ts';
import type { Row } from '../acl/translator.ts';
import { sameKeys } from './same-keys.ts';
import { keyText } from './verify-compare.ts';
import { judge } from './verify-judge.ts';
import type { Part, PartHash } from './verify-plan.ts';
import {
  hashName,
  type KeyRange,
  keyAhead,
  keyOf,
  type RangeSum,
  rowsByKey,
  rowsIn,
  sumOf,
} from './verify-read.ts';
import { type Example, shown } from './verify-store.ts';
import type { LookConnections, Suspect } from './verify-suspects.ts';

/** What a look at some rows has found. */
export type Found = {
  readonly rows: number;
  /** Rows of the source that were read for it. */
  readonly read: number;
  readonly suspects: readonly Suspect[];
  readonly quarantined: readonly Example[];
  readonly roundTrip: readonly Example[];
};

export type Sizes = {
  /** Rows that are read at a time. */
  readonly rowsMax: number;
  /** Rows whose sum is taken at a time. */
  readonly sumRowsMax: number;
};

/** Such keys that are remembered. */
const claimedMax = 10_000;
/** A range whose sums differ is divided into so many. */
const finer = 10;

type Judged = Found & { readonly targets: readonly (Row | undefined)[] };

/** Suspects, quarantined rows and such come out as they are found: `Found` of nothing but rows are equal ones. */
export class TableCheck {
  readonly #part: Part;
  readonly #sql: LookConnections;
  readonly #sizes: Sizes;
  /** Keys of target rows that are some source row's, though written in another way: they are not too much. */
  readonly #claimed = new Set<string>();

  constructor(part: Part, sql: LookConnections, sizes: Sizes) {
    this.#part = part;
    this.#sql = sql;
    this.#sizes = sizes;
  }

  /** The next range of sums; the last has no end. */
  async rangeAfter(after: Row | undefined, rows = this.#sizes.sumRowsMax): Promise<KeyRange> {
    const upTo = await keyAhead(this.#sql.source, this.#part.source, { after, upTo: undefined }, rows);
    return { after, upTo };
  }

  /** Compares a range by its sums, and what differs in it row by row. */
  async *bySums(hash: PartHash, range: KeyRange): AsyncGenerator<Found> {
    const found = await this.#sumsAgree(hash, range);
    if (found) {
      yield found;
      return;
    }
    const fine = Math.max(1, Math.floor(this.#sizes.sumRowsMax / finer));
    for (let after = range.after; ; ) {
      const { source } = this.#part;
      const upTo =
        (await keyAhead(this.#sql.source, source, { after, upTo: range.upTo }, fine)) ?? range.upTo;
      const part = { after, upTo };
      const agreed = await this.#sumsAgree(hash, part);
      if (agreed) yield agreed;
      else {
        yield* this.there(part);
        yield* this.back(this.#onTarget(part));
      }
      if (upTo === undefined || (range.upTo && this.#isSameKey(upTo, range.upTo))) return;
      after = upTo;
    }
  }

  #isSameKey(one: Row, other: Row): boolean {
    const { key } = this.#part.source;
    return keyText(key, one) === keyText(key, other);
  }

  /** Aligned keys have the same values under other names, whether a codec accepts them or not. */
  #onTarget({ after, upTo }: KeyRange): KeyRange {
    const { source, target } = this.#part;
    const renamed = (row: Row | undefined) =>
      row &&
      Object.fromEntries(target.key.map(({ name }, at) => [name, row[source.key[at]?.name ?? ''] ?? null]));
    return { after: renamed(after), upTo: renamed(upTo) };
  }

  /** @returns undefined where they do not */
  async #sumsAgree(hash: PartHash, range: KeyRange): Promise<Found | undefined> {
    const { source, target } = this.#part;
    const onTarget = this.#onTarget(range);
    const [one, other] = await Promise.all([
      sumOf(this.#sql.source, source, hash.source, range),
      sumOf(this.#sql.target, target, hash.target, onTarget),
    ]);
    if (isSame(one, other)) return { rows: one.rows, read: 0, suspects: [], quarantined: [], roundTrip: [] };
    // Legacy's rows that SQL cannot judge are in no sum: the code judges them, and the others must agree.
    if (hash.unsaid === 'source') return this.#withoutUnsaid(hash, range, one, other);
    if (hash.unsaid === 'target') return this.#withoutUnsaidTargets(hash, onTarget, one, other);
    return undefined;
  }

  async #withoutUnsaid(
    hash: PartHash,
    range: KeyRange,
    one: RangeSum,
    other: RangeSum,
  ): Promise<Found | undefined> {
    const { source } = this.#part;
    const { rowsMax } = this.#sizes;
    const rows = await rowsIn(
      this.#sql.source,
      source,
      source.columns,
      range,
      rowsMax + 1,
      `${hash.source} IS NULL`,
    );
    if (rows.length === 0 || rows.length > rowsMax) return undefined;
    const { targets, ...judged } = await this.#judge(rows, hash.target);
    const rest = without(other, targets);
    return isSame({ ...one, rows: one.rows - rows.length }, rest) ? { ...judged, rows: one.rows } : undefined;
  }

  /** The same where legacy follows: rows there that the service's rows are to be. */
  async #withoutUnsaidTargets(
    hash: PartHash,
    range: KeyRange,
    one: RangeSum,
    other: RangeSum,
  ): Promise<Found | undefined> {
    const { source, target } = this.#part;
    const { rowsMax } = this.#sizes;
    const rows = await rowsIn(
      this.#sql.target,
      target,
      target.key,
      range,
      rowsMax + 1,
      `${hash.target} IS NULL`,
    );
    if (rows.length === 0 || rows.length > rowsMax) return undefined;
    const keys = rows.map((row) => this.#sourceKeyOf(row)).filter((key) => key !== undefined);
    const found = await rowsByKey(this.#sql.source, source, source.columns, keys, hash.source);
    const sources = found.filter((row) => row !== undefined);
    if (sources.length !== rows.length) return undefined;
    const rest = without(one, sources);
    const { targets, ...judged } = await this.#judge(sources);
    return isSame(rest, { ...other, rows: other.rows - rows.length })
      ? { ...judged, rows: one.rows }
      : undefined;
  }

  /** Each row of the source against the target's of its key. */
  async *there(range: KeyRange): AsyncGenerator<Found & { readonly last: Row | undefined }> {
    const { source } = this.#part;
    const { rowsMax } = this.#sizes;
    for (let after = range.after; ; ) {
      const rows = await rowsIn(
        this.#sql.source,
        source,
        source.columns,
        { after, upTo: range.upTo },
        rowsMax,
      );
      const last = rows.at(-1);
      if (!last) return;
      const { targets, ...found } = await this.#judge(rows);
      after = keyOf(source, last);
      yield { ...found, last: after };
      if (rows.length < rowsMax) return;
    }
  }

  /** Rows of the target without one on the source. @param range of the target's keys */
  async *back(range: KeyRange): AsyncGenerator<Found & { readonly last: Row | undefined }> {
    const part = this.#part;
    const { target, source } = part;
    if (!part.root) return;
    const { rowsMax } = this.#sizes;
    for (let after = range.after; ; ) {
      const rows = await rowsIn(this.#sql.target, target, target.key, { after, upTo: range.upTo }, rowsMax);
      const last = rows.at(-1);
      if (!last) return;
      const keys = rows.map((row) => this.#sourceKeyOf(row));
      const found = await rowsByKey(
        this.#sql.source,
        source,
        source.key,
        keys.filter((key) => key !== undefined),
      );
      const suspects: Suspect[] = [];
      let at = 0;
      for (const [index, targetKey] of rows.entries()) {
        const sourceKey = keys[index];
        const seen = sourceKey ? found[at++] : undefined;
        if (this.#claimed.has(keyText(target.key, targetKey))) continue;
        if (!seen || !(await this.#isOf(seen, targetKey)))
          suspects.push({ part, sourceKey: seen ? undefined : sourceKey, targetKey });
      }
      after = last;
      yield { rows: 0, read: 0, suspects, quarantined: [], roundTrip: [], last };
      if (rows.length < rowsMax) return;
    }
  }

  /** Whether a source row goes to this target key: where the two sides make other keys equal it may go to another. */
  async #isOf(source: Row, targetKey: Row): Promise<boolean> {
    const { target, isAligned } = this.#part;
    if (isAligned) return true;
    let key: Row;
    try {
      key = this.#part.targetKey(source);
    } catch (error) {
      if (!(error instanceof TranslationError)) throw error;
      return false;
    }
    if (keyText(target.key, key) === keyText(target.key, targetKey)) return true;
    return (await sameKeys(this.#sql.target, target.key, [targetKey], [key])).size > 0;
  }

  #claim(key: Row, actual: Row | undefined): void {
    const columns = this.#part.target.key;
    const text = actual && keyText(columns, actual);
    if (text !== undefined && text !== keyText(columns, key) && this.#claimed.size < claimedMax)
      this.#claimed.add(text);
  }

  #sourceKeyOf(target: Row): Row | undefined {
    try {
      return this.#part.sourceKey(target);
    } catch (error) {
      if (!(error instanceof TranslationError)) throw error;
      return undefined;
    }
  }

  /** @param hash of the target's rows, when the caller needs theirs */
  async #judge(rows: readonly Row[], hash?: string): Promise<Judged> {
    const part = this.#part;
    const { source, target } = part;
    const quarantined: Example[] = [];
    const refuse = (row: Row, field: string, reason: string) =>
      quarantined.push({
        class: 'quarantined',
        table: target.table,
        key: shown(keyOf(source, row)),
        columns: [field],
        reason,
      });
    const keyed = rows.flatMap((row) => {
      try {
        return [{ row, key: part.targetKey(row) }];
      } catch (error) {
        if (!(error instanceof TranslationError)) throw error;
        refuse(row, error.fault.field, error.fault.reason);
        return [];
      }
    });
    const targets = await rowsByKey(
      this.#sql.target,
      target,
      target.columns,
      keyed.map(({ key }) => key),
      hash,
    );
    const suspects: Suspect[] = [];
    const roundTrip: Example[] = [];
    for (const [index, { row, key }] of keyed.entries()) {
      const verdict = judge(part, row, targets[index], key);
      if (verdict.class === 'quarantined') {
        refuse(row, verdict.field, verdict.reason);
        continue;
      }
      const changed = part.changedByRoundTrip(row);
      if (changed.length > 0)
        roundTrip.push({
          class: 'round-trip',
          table: target.table,
          key: shown(keyOf(source, row)),
          columns: changed,
        });
      if (verdict.class === 'different') this.#claim(key, targets[index]);
      if (verdict.class !== 'equal') suspects.push({ part, sourceKey: keyOf(source, row), targetKey: key });
    }
    return { rows: rows.length, read: rows.length, suspects, quarantined, roundTrip, targets };
  }
}

const isSame = (one: RangeSum, other: RangeSum) => one.rows === other.rows && one.hash === other.hash;

/** A sum without some of its rows, each of which says its hash. */
function without({ rows, hash }: RangeSum, some: readonly (Row | undefined)[]): RangeSum {
  const found = some.filter((row) => row !== undefined);
  return {
    rows: rows - found.length,
    hash: found.reduce((sum, row) => sum ^ BigInt(String(row[hashName] ?? 0)), hash),
  };
}
