// Takes the steps of a ramp: moves the reads, waits for the step's window, and has what all facades counted in it judged. It protects
// nobody while it waits: that is what the facades themselves do.
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from 'mysql2/promise';
import { type CheckName, figuresOf, judgeStep, usualAnalysis } from '../capability/analysis.ts';
import { type Capability, isMirrored } from '../capability/capability.ts';
import { takeChangeLease } from '../capability/change-store.ts';
import { type Deed, readStandings, record } from '../capability/control-store.ts';
import { usualLimits, type Verdict } from '../capability/gate.ts';
import { beatOverMs, readReplicas } from '../capability/replicas.ts';
import type { SideTally } from '../capability/tally.ts';
import { readTallies, type Window, windowBetween } from './analysis.ts';
import { onFacade, statusAt } from './facade-admin.ts';
import type { FlagPlace } from './flag-place.ts';
import { moveReads } from './move-reads.ts';

export type RampInput = {
  readonly control: Connection;
  readonly capability: Capability;
  readonly place: FlagPlace;
  readonly token: string;
  readonly steps: readonly number[];
  readonly everyMs: number;
  /** Checks that somebody answers for. */
  readonly override: readonly string[];
  readonly holder: string;
  /** The newest word on its reads, as it was read. */
  readonly round: bigint;
  readonly deed: Pick<Deed, 'actor' | 'reason'>;
  /** A step begins, goes on, and has been judged. */
  readonly tell: (line: string) => void;
  readonly progress: (line: string) => void;
};

export type StepReport = {
  readonly percent: number;
  readonly seconds: number;
  readonly verdicts: readonly Verdict[];
  readonly figures: ReturnType<typeof figuresOf>;
  readonly facades: Readonly<Record<string, ReturnType<typeof figuresOf>>>;
};

export type RampOutcome =
  /** Every step was judged well. */
  | 'done'
  /** The reads are legacy's again. */
  | 'returned'
  /** Nothing can be said of a step: the percentage stays. */
  | 'no-data'
  /** A facade does not serve the percentage. */
  | 'not-followed'
  /** Somebody else has moved the reads, or has taken the lease. */
  | 'superseded';

export type RampEnd = {
  readonly outcome: RampOutcome;
  readonly reason: string;
  readonly percent: number;
  readonly steps: readonly StepReport[];
};

/** Beside the time in which a facade asks an Unleash twice. */
const followMsMax = 5_000;
const lookEveryMs = 500;

/** Of a check somebody may answer for: errors and a lack of reads are nobody's to wave through. */
export const overridable: readonly CheckName[] = ['latency', 'parity'];

const remedies: Readonly<Record<CheckName, (name: string) => string>> = {
  samples: () => 'wait for more traffic, or take longer steps (--every)',
  errors: (name) =>
    `the facades' log and the service's say what failed; then run "banyan ramp ${name}" again`,
  latency: (name) => `see what the service waits for; then run "banyan ramp ${name}" again`,
  parity: (name) => `banyan diff ${name}; too few were compared: banyan shift ${name} --shadow 100`,
};

/** @returns the names of facades that do not serve it in time */
async function notFollowing({ control, token, capability }: RampInput, percent: number): Promise<string[]> {
  const start = performance.now();
  for (;;) {
    const alive = (await readReplicas(control)).filter(({ beatAgeMs }) => beatAgeMs <= beatOverMs);
    const all = await Promise.all(alive.map(({ adminUrl }) => statusAt(adminUrl, token)));
    const late = alive.filter((_row, at) => onFacade(all[at], capability.name)?.effectivePercent !== percent);
    const pollMs = Math.max(0, ...all.map((status) => (status.reachable ? (status.flags.pollMs ?? 0) : 0)));
    if ((late.length === 0 && alive.length > 0) || performance.now() - start > followMsMax + 2 * pollMs)
      return alive.length === 0 ? ['(none is registered)'] : late.map(({ name }) => name);
    await delay(50);
  }
}

type Interrupted = Pick<RampEnd, 'outcome' | 'reason'>;

/** What has become of the reads since they were moved. */
async function interruption(
  { control, capability: { name }, holder }: RampInput,
  round: bigint,
): Promise<Interrupted | undefined> {
  const reads = (await readStandings(control)).get(name)?.reads;
  if (reads?.round !== round)
    return { outcome: 'superseded', reason: `somebody else has moved its reads: "banyan audit ${name}"` };
  if (reads.returned)
    return { outcome: 'returned', reason: `a facade took the reads back: ${reads.returned.why}` };
  if (!(await takeChangeLease(control, name, holder)))
    return { outcome: 'superseded', reason: 'another command has taken the lease of its changes' };
  return undefined;
}

function judged(
  { capability, override, everyMs }: RampInput,
  percent: number,
  window: Window,
  before: SideTally | undefined,
): { readonly report: StepReport; readonly isFailing: boolean; readonly isClosed: boolean } {
  const checks = judgeStep({
    tally: window.sum,
    limits: { ...usualAnalysis, ...capability.analysis },
    parityMin: { ...usualLimits, ...capability.gates }.parityMin,
    isMirrorable: capability.routes.some(isMirrored),
    isWhole: percent === 100,
    before,
  });
  const isOverridden = (check: CheckName) => overridable.includes(check) && override.includes(check);
  const verdicts = checks.map(
    ({ check, passes, evidence }): Verdict => ({
      gate: check,
      verdict: passes ? 'pass' : isOverridden(check) ? 'overridden' : 'fail',
      evidence,
      ageMs: null,
      remedy: remedies[check](capability.name),
      mayBeOverridden: overridable.includes(check),
    }),
  );
  const failed = checks.filter(({ check, passes }) => !passes && !isOverridden(check));
  return {
    report: {
      percent,
      seconds: everyMs / 1_000,
      verdicts,
      figures: figuresOf(window.sum),
      facades: Object.fromEntries([...window.byFacade].map(([name, tally]) => [name, figuresOf(tally)])),
    },
    isFailing: failed.some(({ isWithoutData }) => !isWithoutData),
    isClosed: failed.length > 0,
  };
}

const failures = ({ verdicts }: StepReport) =>
  verdicts
    .filter(({ verdict }) => verdict === 'fail')
    .map(({ gate, evidence }) => `${gate}: ${evidence}`)
    .join('; ');

/** Waits until the window of a step is over, or something has happened. */
async function watched(input: RampInput, percent: number, round: bigint): Promise<Interrupted | undefined> {
  const until = performance.now() + input.everyMs;
  for (;;) {
    const found = await interruption(input, round);
    const left = until - performance.now();
    if (found || left <= 0) return found;
    input.progress(`${percent} %: ${Math.ceil(left / 1_000)} s left`);
    await delay(Math.min(lookEveryMs, left));
  }
}

/** @param tellReport shows what a step was judged by */
export async function takeSteps(
  input: RampInput,
  tellReport: (report: StepReport) => void,
): Promise<RampEnd> {
  const { control, capability, place, token, steps, deed, tell } = input;
  const { name } = capability;
  const reports: StepReport[] = [];
  let [round, before, at] = [input.round, undefined as SideTally | undefined, 0];
  const move = async (percent: number, guarded: boolean, detail: object, reason = deed.reason) => {
    const told = { actor: deed.actor, action: 'ramp', reason, detail };
    return moveReads(control, place, { name, percent, guarded, after: round, deed: told });
  };
  const count = async () => readTallies(await readReplicas(control), token, name);
  const end = (found: Interrupted): RampEnd => ({
    ...found,
    percent: found.outcome === 'returned' ? 0 : at,
    steps: reports,
  });
  for (const percent of steps) {
    ({ round } = await move(percent, true, { steps, everyMs: input.everyMs }));
    at = percent;
    tell(`reads ${percent} %`);
    const late = await notFollowing(input, percent);
    const early = await interruption(input, round);
    if (early) return end(early);
    if (late.length > 0)
      return end({
        outcome: 'not-followed',
        reason: `not served by ${late.join(', ')}: see "banyan status"`,
      });
    const first = await count();
    const found = await watched(input, percent, round);
    if (found) return end(found);
    const last = await count();
    const window = windowBetween(first, last);
    const { report, isFailing, isClosed } = judged(input, percent, window, before);
    reports.push(report);
    tellReport(report);
    await record(control, name, {
      actor: deed.actor,
      action: 'ramp-step',
      reason: deed.reason,
      detail: report,
    });
    if (last.unheard.length > 0)
      return end({ outcome: 'no-data', reason: `not heard of: ${last.unheard.join(', ')}` });
    if (isFailing) {
      const reason = `at ${percent} %: ${failures(report)}`;
      const { flagFault } = await move(0, false, { figures: report.figures }, reason.slice(0, 500));
      if (flagFault !== undefined)
        tell(`the phase holds the reads at legacy; the flag could not be put to 0: ${String(flagFault)}`);
      return end({ outcome: 'returned', reason });
    }
    if (isClosed) return end({ outcome: 'no-data', reason: `at ${percent} %: ${failures(report)}` });
    if (percent < 100) before = window.sum.legacy;
  }
  return end({ outcome: 'done', reason: `reads are at ${at} %` });
}
