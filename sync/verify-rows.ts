// Rows of one table of the owner's side, each against what came of it on the other.
import { TranslationError } from '../acl/translation-error.ts';
import type { Row } from '../acl/translator.ts';
import { sameKeys } from './same-keys.ts';
import { keyText } from './verify-compare.ts';
import { judge } from './verify-judge.ts';
import type { Part } from './verify-plan.ts';
import { type KeyRange, keyOf, rowsByKey, rowsIn } from './verify-read.ts';
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

type Judged = Found & { readonly targets: readonly (Row | undefined)[] };

/** Suspects, quarantined rows and such come out as they are found: `Found` of nothing but rows are equal ones. */
export class RowCheck {
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
      const { targets, ...found } = await this.judge(rows);
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
      const keys = rows.map((row) => this.sourceKeyOf(row));
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

  /** @returns undefined where no row of the source can have come from it */
  sourceKeyOf(target: Row): Row | undefined {
    try {
      return this.#part.sourceKey(target);
    } catch (error) {
      if (!(error instanceof TranslationError)) throw error;
      return undefined;
    }
  }

  /** Rows of the source as they were read. @param hash of the target's rows, when the caller needs theirs */
  async judge(rows: readonly Row[], hash?: string): Promise<Judged> {
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
