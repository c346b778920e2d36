// Moves the percentage of a capability's reads that the service answers: the phase, the flag, and the word that facades judge by, in the
// order that never serves unready data. What "banyan shift --reads" and each step of "banyan ramp" do.
import type { Connection } from 'mysql2/promise';
import { readFlag, shadowFlag } from '../capability/capability.ts';
import { type Cohort, cohortStrategy, cohortText } from '../capability/cohort.ts';
import {
  type CapabilityRow,
  change,
  type Deed,
  type Evidence,
  evidenceInForce,
  record,
} from '../capability/control-store.ts';
import type { Phase } from '../capability/phase.ts';
import { beginRound } from '../capability/read-shift.ts';
import { CommandError, standingOf } from './command.ts';
import type { FlagPlace } from './flag-place.ts';

/** The phase that a percentage of reads means; a shadow goes on without them. */
const phaseFor = (percent: number, isNaming: boolean, isShadowed: boolean): Phase =>
  percent === 100 ? 'reads' : percent > 0 || isNaming ? 'canary' : isShadowed ? 'shadow' : 'synced';

export type Movable = { readonly current: CapabilityRow; readonly evidence: Evidence | undefined };

/** @throws CommandError when the reads are not for a percentage, or nothing says that the service is ready for them */
export async function mayMoveReads(control: Connection, name: string, percent: number): Promise<Movable> {
  const current = await standingOf(control, name);
  if (current.phase === 'owned' || current.phase === 'retired')
    throw new CommandError(
      `${name} is in ${current.phase}: the service owns it, and its reads are not for a percentage`,
    );
  const evidence = await evidenceInForce(control, name, 'verified');
  if (percent > 0 && !evidence) {
    const isBackfilled = await evidenceInForce(control, name, 'backfilled');
    throw new CommandError(
      isBackfilled
        ? `nothing says that the data of ${name} is the same on both sides: run "banyan verify ${name}" first`
        : `nothing says that the service has the data of ${name}: run "banyan backfill ${name}", then "banyan verify ${name}" first`,
    );
  }
  return { current, evidence };
}

export type ReadMove = {
  readonly name: string;
  readonly percent: number;
  /** Who is moved whatever the percentage; without, those who are named already. At 0 nobody is. */
  readonly cohorts?: readonly Cohort[] | undefined;
  /** The facades judge the service at 100 %, too. */
  readonly guarded: boolean;
  /** Only if this is still the newest word on its reads. */
  readonly after?: bigint;
  readonly deed: Deed;
};

export type Moved = {
  /** Undefined: the flag was of another kind. */
  readonly was: number | undefined;
  readonly from: Phase;
  readonly to: Phase;
  readonly round: bigint;
  readonly evidence: Evidence | undefined;
  /** At 0: why the flag is not there, while the phase holds the reads at legacy. */
  readonly flagFault: unknown;
};

/**
 * @throws CommandError as `mayMoveReads`, and when the flag cannot be moved; ControlStoreError when somebody else moves it at the
 *   same time
 */
export async function moveReads(control: Connection, place: FlagPlace, move: ReadMove): Promise<Moved> {
  const { name, percent, cohorts, guarded, after, deed } = move;
  const flag = readFlag(name);
  const naming = cohorts?.map((cohort) => cohortStrategy(flag, cohort));
  const isNaming = naming !== undefined && naming.length > 0;
  const { current, evidence } = await mayMoveReads(control, name, isNaming ? Math.max(percent, 1) : percent);
  // The way back is open also when the flags cannot be had: a phase in which nothing is read and nothing mirrored, whatever they are.
  const isBack = percent === 0 && !isNaming;
  let isAway = false;
  const ask = async (of: string): Promise<number | undefined> => {
    if (isAway) return undefined;
    try {
      return await place.percentOf(of);
    } catch (error) {
      if (!isBack) throw error;
      isAway = true;
      return undefined;
    }
  };
  const was = await ask(flag);
  const shadow = await ask(shadowFlag(name));
  const isShadowed = !isAway && (shadow ?? 1) > 0;
  const to =
    percent === 0 && !isNaming && current.phase === 'legacy'
      ? 'legacy'
      : phaseFor(percent, isNaming, isShadowed);
  const detail = typeof deed.detail === 'object' && deed.detail !== null ? deed.detail : {};
  const told = {
    ...deed,
    detail: {
      reads: percent,
      was: was ?? 'a flag of another kind',
      ...(cohorts && { cohorts: cohorts.map(cohortText) }),
      ...detail,
    },
  };
  // What facades have seen of the service before does not count from here on.
  const movePhase = async () => {
    const round = await beginRound(control, name, { guarded, ...(after !== undefined && { after }) });
    if (to === current.phase) await record(control, name, told);
    else await change(control, { capability: name, from: current, to, deed: told });
    return round;
  };
  const moveFlag = async (): Promise<unknown> => {
    try {
      await place.setPercent(flag, percent, naming);
      return undefined;
    } catch (error) {
      if (!isBack) throw error;
      return error;
    }
  };
  // Forward the phase opens before the flag asks; back the flag lets go before the phase closes.
  const isForward = percent > (was ?? 100) || (isNaming && percent === was);
  const isLate = isForward || isAway;
  const early = isLate ? undefined : await moveFlag();
  const round = await movePhase();
  const flagFault = isLate ? await moveFlag() : early;
  return { was, from: current.phase, to, round, evidence, flagFault };
}
