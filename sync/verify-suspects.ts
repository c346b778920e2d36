// Rows that were not the same on both sides at a first look. Most of them were on their way: each is looked at again,
// the source first, then, when the stream has applied everything that was written before, the target. What differs
// then, and has not passed in the stream meanwhile, is different.
import type { Connection } from 'mysql2/promise';
import type { Row } from '../acl/translator.ts';
import { sameKeys } from './same-keys.ts';
import { pause } from './unless-aborted.ts';
import { isSameValue, keyText } from './verify-compare.ts';
import { type DifferenceClass, judge, type Verdict } from './verify-judge.ts';
import type { Marks } from './verify-marks.ts';
import type { Part } from './verify-plan.ts';
import { rowsByKey } from './verify-read.ts';
import type { Watch, Window } from './verify-watch.ts';

export type Suspect = {
  readonly part: Part;
  /** Undefined for a row of the target that no translator accepts: it cannot have come from the source. */
  readonly sourceKey: Row | undefined;
  readonly targetKey: Row;
};

export type Difference = {
  readonly class: DifferenceClass;
  readonly suspect: Suspect;
  readonly columns: readonly string[];
  readonly expected: Row | undefined;
  readonly actual: Row | undefined;
};

export type LookConnections = { readonly source: Connection; readonly target: Connection };

/** What one needs to look: both sides, and what goes on between them. */
export type Looking = {
  readonly connections: LookConnections;
  readonly marks: Marks;
  readonly watch: Watch;
};

export type Looked = {
  readonly differences: readonly Difference[];
  /** Not the same, and it has changed meanwhile. */
  readonly restless: readonly Suspect[];
};

const looksMax = 12;

type Seen = { readonly suspect: Suspect; readonly source: Row | undefined };

/** @returns undefined when the stream no longer applies, or the signal came */
export async function look(
  suspects: readonly Suspect[],
  { connections, marks, watch }: Looking,
  signal: AbortSignal,
): Promise<Looked | undefined> {
  const byPart = Map.groupBy(suspects, ({ part }) => part);
  using window = watch.open([...byPart.keys()].map(({ source }) => source.table));
  const seen = new Map<Part, Seen[]>();
  for (const [part, some] of byPart) seen.set(part, await readSources(connections.source, part, some));
  if (!(await marks.pass(signal))) return undefined;
  const differences: Difference[] = [];
  const restless: Suspect[] = [];
  for (const [part, rows] of seen) {
    const unequal = await readTargets(connections.target, part, rows);
    const moved = await movedAmong(connections.source, part, unequal, window);
    for (const [index, { suspect, source, verdict, actual }] of unequal.entries()) {
      const { class: kind, expected } = verdict;
      const columns = moved.has(index) ? stillColumns(part, verdict, source, window) : verdict.columns;
      // Of a row that has passed only columns that have not changed say anything.
      if (moved.has(index) && columns.length === 0) restless.push(suspect);
      else differences.push({ class: kind, suspect, columns, expected, actual });
    }
  }
  return { differences, restless };
}

async function readSources(sql: Connection, part: Part, suspects: readonly Suspect[]): Promise<Seen[]> {
  const known = suspects.filter(({ sourceKey }) => sourceKey !== undefined);
  const rows = await rowsByKey(
    sql,
    part.source,
    part.source.columns,
    known.map(({ sourceKey }) => sourceKey ?? {}),
  );
  const bySuspect = new Map(known.map((suspect, index) => [suspect, rows[index]]));
  return suspects.map((suspect) => ({ suspect, source: bySuspect.get(suspect) }));
}

type Unequal = Seen & {
  readonly actual: Row | undefined;
  readonly verdict: Extract<Verdict, { class: DifferenceClass }>;
};

async function readTargets(sql: Connection, part: Part, rows: readonly Seen[]): Promise<Unequal[]> {
  const actual = await rowsByKey(
    sql,
    part.target,
    part.target.columns,
    rows.map(({ suspect }) => suspect.targetKey),
  );
  return rows.flatMap((row, index): Unequal[] => {
    const verdict = judge(part, row.source, actual[index], row.suspect.targetKey);
    return verdict.class === 'equal' || verdict.class === 'quarantined'
      ? []
      : [{ ...row, verdict, actual: actual[index] }];
  });
}

/** Indexes of those whose key has passed, by what the source's server calls equal. */
async function movedAmong(
  sql: Connection,
  part: Part,
  unequal: readonly Unequal[],
  window: Window,
): Promise<ReadonlySet<number>> {
  if (window.isVoid) return new Set(unequal.keys());
  const passed = window.of(part.source.table).map(({ key }) => key);
  const known = unequal.flatMap(({ suspect }, index) => (suspect.sourceKey ? [index] : []));
  const same = await sameKeys(
    sql,
    part.source.key,
    known.map((index) => unequal[index]?.suspect.sourceKey ?? {}),
    passed,
  );
  return new Set([...same].flatMap((at) => known[at] ?? []));
}

/** Differing columns of a row that has passed, in which nothing that has passed was another value. */
function stillColumns(part: Part, verdict: Verdict, source: Row | undefined, window: Window): string[] {
  const { key, table, columns } = part.source;
  // Texts are equal in more than one notation: which of what has passed was this row is not worth asking.
  const isOneNotation = key.every(({ charset }) => charset === undefined);
  if (verdict.class !== 'different' || !source || !isOneNotation || window.isVoid) return [];
  const own = keyText(key, source);
  const passed = window.of(table).filter((each) => keyText(key, each.key) === own);
  return verdict.columns.filter((name) => {
    const from = columns.find((column) => column.name === part.origin.get(name));
    return !from || passed.every((row) => isSameValue(from, row.value(from.name), source[from.name] ?? null));
  });
}

/** Looks again and again, until each is settled. @returns undefined when the stream no longer applies, or the signal */
export async function settle(
  suspects: readonly Suspect[],
  looking: Looking,
  signal: AbortSignal,
): Promise<Looked | undefined> {
  const differences: Difference[] = [];
  let open = suspects;
  for (let looks = 0; open.length > 0 && looks < looksMax; looks++) {
    // A row that is never at rest is looked at less and less often.
    if (looks > 1) await pause(Math.min(500, 5 * 2 ** looks), signal);
    const looked = await look(open, looking, signal);
    if (!looked) return undefined;
    differences.push(...looked.differences);
    open = looked.restless;
  }
  return { differences, restless: open };
}
