// What happened while shoppers shopped, and what of it they noticed: each trouble is explained by an incident, or is one too many.
import type { Shoppers } from '../test/story/shoppers.ts';
import type { Cli } from '../test/story/stack.ts';
import { type BatchRun, runBatch } from './batch.ts';
import type { House } from './house.ts';
import { afterMathMs, explain, type Incident, type Ownership } from './incidents.ts';
import type { Walk } from './leg.ts';
import type { DrillOptions, Outcome } from './outcome.ts';
import type { Side } from './sides.ts';

export type Diary = {
  readonly incidents: Incident[];
  readonly ownership: Ownership[];
  /** What the commands said, those that were struck and those that mended it. */
  readonly commands: Cli[];
  /** Of the shoppers' troubles, how many have been looked at. */
  judged: number;
};

/** Legacy owns; nothing has happened yet. */
export const emptyDiary = (): Diary => ({
  incidents: [],
  ownership: [{ from: 0, owners: ['legacy'] }],
  commands: [],
  judged: 0,
});

/** @returns what writes in the diary, and counts what was played, while the owner changes */
export const writtenDown = (house: House, shoppers: Shoppers, diary: Diary, total: Outcome): Walk => ({
  house,
  played: (fault) => {
    total.faults[fault] = (total.faults[fault] ?? 0) + 1;
  },
  begins: (fault, hits) => {
    const incident: Incident = { fault, hits, from: shoppers.now(), to: Number.POSITIVE_INFINITY };
    diary.incidents.push(incident);
    return () => {
      incident.to = shoppers.now();
    };
  },
  owned: (owners) => void diary.ownership.push({ from: shoppers.now(), owners }),
});

/** Each trouble of a client is explained by an incident, or is one too many. */
export function judgeTroubles(
  shoppers: Shoppers,
  diary: Diary,
  total: Outcome,
  say: DrillOptions['say'],
): void {
  for (const trouble of shoppers.troubles.slice(diary.judged)) {
    diary.judged++;
    const incident = explain(trouble, diary.incidents, diary.ownership);
    const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`;
    const what = `${trouble.what} at ${seconds(trouble.startedMs)} after ${seconds(trouble.endedMs - trouble.startedMs)}: ${trouble.detail}`;
    if (incident) {
      total.also.explained = (total.also.explained ?? 0) + 1;
      say(`  explained by "${incident.fault}" at ${seconds(incident.from)}: ${what}`);
    } else {
      if (trouble.what === 'stale') total.staleReads++;
      else total.clientErrors++;
      total.reasons.push(what);
    }
  }
}

/** @param owners who may have owned while it ran */
function judgeBatch(
  run: BatchRun,
  owners: readonly Side[],
  { startedMs, endedMs }: { startedMs: number; endedMs: number },
  incidents: readonly Incident[],
  total: Outcome,
): void {
  const count = (name: string) => {
    total.also[name] = (total.also[name] ?? 0) + 1;
  };
  const wrong = (reason: string) => {
    total.clientErrors++;
    total.reasons.push(reason);
  };
  if (run.is === 'failed') {
    const isExplained = incidents.some(
      ({ hits, from, to }) =>
        hits.includes('legacy database') && endedMs >= from && startedMs <= to + afterMathMs,
    );
    if (isExplained) count('batchesExplained');
    else wrong(`the nightly batch failed: ${run.detail}`);
  } else if (run.is === 'refused') {
    if (owners.includes('service')) count('batchesRefused');
    else wrong(`the nightly batch was refused while legacy owned: ${run.detail}`);
  } else {
    count('batchesDone');
    if (run.hidden > 0 && !owners.includes('legacy'))
      total.reasons.push(`the nightly batch has hidden ${run.hidden} reviews while the service owned`);
  }
}

/** The nightly batch, to its end. @param owners who may own meanwhile */
export async function playBatch(
  house: House,
  shoppers: Shoppers,
  owners: readonly Side[],
  diary: Diary,
  total: Outcome,
): Promise<void> {
  const startedMs = shoppers.now();
  const run = await shoppers.withoutRecommendations(() => runBatch(house.stack.batch));
  judgeBatch(run, owners, { startedMs, endedMs: shoppers.now() }, diary.incidents, total);
}
