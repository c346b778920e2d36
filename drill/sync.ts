// The sync drill: writers on the legacy server, backfills, and faults by the seed. After each round both sides must be
// the same, and everything acknowledged must be there, once.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { claimRunFolder, removeRunFolder, sweepRunFolders } from '../scripts/run-folder.ts';
import { chance } from '../test/sync/seed.ts';
import { endWithUs } from './end-with-us.ts';
import { differences } from './equal.ts';
import { keepEvidence } from './evidence.ts';
import { type FaultKind, faultKinds, faults, type Scene } from './faults.ts';
import { auditJournal, beginJournal } from './journal.ts';
import { Ledger } from './ledger.ts';
import { recordOutages } from './outages.ts';
import { type Drill, type DrillOptions, emptyOutcome, inWords, isClean, type Outcome } from './outcome.ts';
import { type Reader, startReader } from './reader.ts';
import { type RoundPlan, schedule } from './schedule.ts';
import { capabilities, type Sides, startSides } from './sides.ts';
import { tell } from './told.ts';
import { verify } from './verify.ts';
import { Workers } from './workers.ts';
import { startWriters, type Writers } from './writers.ts';

type Plan = RoundPlan<FaultKind>;
type Stage = Scene & { readonly writers: Writers; readonly reader: Reader; readonly ledger: Ledger };

const backfillAttempts = 3;

/** @returns what follows it to its end: a fault may end the command, but not the backfill */
function startBackfill(sides: Sides, capability: string, ...words: string[]): () => Promise<void> {
  const first = sides.banyan('backfill', capability, ...words);
  return async () => {
    let said = await first;
    for (let left = backfillAttempts - 1; said.code !== 0 && left > 0; left--)
      said = await sides.banyan('backfill', capability);
    if (said.code !== 0)
      throw new Error(`banyan backfill ${capability} ended with ${said.code}: ${said.stdout}${said.stderr}`);
  };
}

/** Plays the faults while writers write, and a backfill if one is planned; adds what it has played and found. */
async function play(stage: Stage, plan: Plan, isFirst: boolean, total: Outcome): Promise<void> {
  const { sides, writers } = stage;
  const again = isFirst ? [] : ['--again'];
  // The wishes once only: afterwards each row that the stream writes is counted.
  const backfills = plan.backfill
    ? capabilities
        .filter((name) => isFirst || name === 'reviews')
        .map((name) => startBackfill(sides, name, ...again))
    : [];
  for (const { afterWrites, fault, lastingWrites } of plan.steps) {
    await writers.more(afterWrites);
    total.faults[fault] = (total.faults[fault] ?? 0) + 1;
    await faults[fault](stage, lastingWrites);
  }
  await Promise.all(backfills.map((finish) => finish()));
  if (plan.verifyLive) {
    const verified = await verify(sides, 'live');
    total.differences += verified.differences;
    total.reasons.push(...verified.reasons);
  }
}

/** Nobody writes, and the streams have come to the end: now nothing may be missing, there twice, or different. */
async function judge({ sides, ledger }: Stage, total: Outcome): Promise<void> {
  const equal = await differences(sides.legacy, sides.service);
  const legacy = await tell('legacy', sides.legacy);
  const accounts = [
    ledger.audit('legacy', legacy),
    ledger.audit('service', await tell('service', sides.service)),
    await auditJournal(sides.service),
  ];
  ledger.settle(legacy);
  for (const { lost, doubled, examples } of accounts) {
    total.lost += lost;
    total.doubled += doubled;
    total.reasons.push(...examples);
  }
  const verified = await verify(sides, 'still');
  total.differences += equal.count > 0 ? equal.count : verified.differences;
  total.reasons.push(...equal.examples, ...verified.reasons, ...(await sides.trouble()));
  if (equal.count > 0 && verified.differences === 0)
    total.reasons.push('"banyan verify" finds nothing where SQL finds differences');
}

async function playRound(
  stage: Stage,
  plan: Plan,
  round: number,
  total: Outcome,
  { say, meddle }: DrillOptions,
): Promise<void> {
  const { sides, writers, reader, ledger } = stage;
  const startedAt = performance.now();
  const before = ledger.acknowledged;
  const readsBefore = reader.reads();
  writers.resume();
  await play(stage, plan, round === 1, total);
  await meddle?.(round, sides);
  await writers.pause();
  await sides.aligned();
  if (round === 1) await beginJournal(sides.service);
  await judge(stage, total);
  if (reader.reads() === readsBefore)
    total.reasons.push('the reader has read nothing: stale reads were not measured');
  total.rounds++;
  const what = [...(plan.backfill ? ['a backfill'] : []), ...plan.steps.map(({ fault }) => fault)].join(', ');
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
  say(
    `round ${round}: ${what}; ${ledger.acknowledged - before} writes, ${isClean(total) ? 'both sides are the same' : 'NOT the same'}, ${seconds} s`,
  );
}

/** All rounds, until one is not clean; then everything is ended. */
async function playAll(
  sides: Sides,
  plans: readonly Plan[],
  total: Outcome,
  options: DrillOptions,
): Promise<void> {
  const outages = recordOutages();
  const ledger = new Ledger(await tell('legacy', sides.legacy));
  const workers = new Workers(sides);
  const writers = startWriters(sides, chance(options.seed), ledger, outages);
  const reader = startReader(sides, outages);
  const stage: Stage = { sides, workers, outages, moreWrites: writers.more, writers, reader, ledger };
  try {
    await workers.start();
    for (const [index, plan] of plans.entries()) {
      await playRound(stage, plan, index + 1, total, options);
      total.reasons.push(...writers.errors, ...reader.errors, ...reader.stale);
      if (!isClean(total)) break;
    }
  } catch (error) {
    total.reasons.push(inWords(error), ...writers.errors, ...reader.errors, ...reader.stale);
  }
  total.acknowledged = ledger.acknowledged;
  total.clientErrors = writers.errors.length + reader.errors.length;
  total.staleReads = reader.stale.length;
  const ended = Promise.all([writers.stop(), reader.stop()]);
  // Whoever still waits for an answer of a server that a failed round has left frozen gets none now.
  await sides[Symbol.asyncDispose]();
  await ended;
}

const workerLogs = (sides: Sides) =>
  Object.fromEntries(sides.workerLogs().map((log, index) => [`worker-${index + 1}`, log]));

export const syncDrill: Drill = async (options) => {
  const { seed, rounds, folder } = options;
  const plans = schedule(chance(seed).fork('schedule'), faultKinds, rounds);
  const evidence = join(folder, String(seed));
  rmSync(evidence, { recursive: true, force: true });
  const runs = join(folder, 'runs');
  await sweepRunFolders(runs);
  const runFolder = await claimRunFolder(join(runs, String(process.pid)));
  const over = endWithUs(runFolder);
  const total = emptyOutcome();
  try {
    const sides = await startSides(runFolder.path, runFolder);
    await playAll(sides, plans, total, options);
    await over();
    if (!isClean(total)) keepEvidence(evidence, runFolder.path, { plans, total }, workerLogs(sides));
  } finally {
    await over();
    await runFolder.endChildren();
    removeRunFolder(runFolder.path);
  }
  return total;
};
