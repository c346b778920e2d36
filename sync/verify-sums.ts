// One table of the owner's side against what came of it, by sums over ranges of keys where both databases can say their
// rows alike; row by row where the sums differ.
import type { Row } from '../acl/translator.ts';
import { keyText } from './verify-compare.ts';
import type { Part, PartHash } from './verify-plan.ts';
import { hashName, type KeyRange, keyAhead, type RangeSum, rowsByKey, rowsIn, sumOf } from './verify-read.ts';
import type { Found, RowCheck, Sizes } from './verify-rows.ts';
import type { LookConnections } from './verify-suspects.ts';

/** A range whose sums differ is divided into so many. */
const finer = 10;

export class SumCheck {
  readonly #part: Part;
  readonly #sql: LookConnections;
  readonly #sizes: Sizes;
  readonly #byRow: RowCheck;

  /** @param byRow of the same part: what the sums cannot say */
  constructor(part: Part, sql: LookConnections, sizes: Sizes, byRow: RowCheck) {
    this.#part = part;
    this.#sql = sql;
    this.#sizes = sizes;
    this.#byRow = byRow;
  }

  /** The next range of sums; the last has no end. */
  async rangeAfter(after: Row | undefined, rows = this.#sizes.sumRowsMax): Promise<KeyRange> {
    const upTo = await keyAhead(this.#sql.source, this.#part.source, { after, upTo: undefined }, rows);
    return { after, upTo };
  }

  /** Compares a range by its sums, and what differs in it row by row. */
  async *compare(hash: PartHash, range: KeyRange): AsyncGenerator<Found> {
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
        yield* this.#byRow.there(part);
        yield* this.#byRow.back(this.#onTarget(part));
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
    const { targets, ...judged } = await this.#byRow.judge(rows, hash.target);
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
    const keys = rows.map((row) => this.#byRow.sourceKeyOf(row)).filter((key) => key !== undefined);
    const found = await rowsByKey(this.#sql.source, source, source.columns, keys, hash.source);
    const sources = found.filter((row) => row !== undefined);
    if (sources.length !== rows.length) return undefined;
    const rest = without(one, sources);
    const { targets, ...judged } = await this.#byRow.judge(sources);
    return isSame(rest, { ...other, rows: other.rows - rows.length })
      ? { ...judged, rows: one.rows }
      : undefined;
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
