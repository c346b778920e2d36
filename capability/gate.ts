// What a gate is: facts in, a verdict out, with what it rests on and what to do when it is closed.
import type { Side } from './capability.ts';
import type { Phase } from './phase.ts';

/** What a capability may declare otherwise, each with its default. */
export type GateLimits = {
  /** A verification older than this proves nothing any more. */
  readonly verifiedHoursMax: number;
  /** Reads must have been at 100 % for so long. */
  readonly readsMinutesMin: number;
  /** Of the reads that could go to the service, in the last minute. */
  readonly readsShareMin: number;
  readonly lagMsMax: number;
  /** Changes that were applied and that nothing has proven yet. */
  readonly unprovenMax: number;
  /** The fence must have seen who writes for so long. */
  readonly observedMinutesMin: number;
  /** Of the mirrored reads of each route, the share that both sides must answer alike. */
  readonly parityMin: number;
  /** So many mirrored reads at least, of all routes together. */
  readonly parityComparedMin: number;
  /** Those of the last so many minutes. */
  readonly parityMinutes: number;
};

export const usualLimits: GateLimits = {
  verifiedHoursMax: 24,
  readsMinutesMin: 60,
  readsShareMin: 0.99,
  // An idle stream says where it is once a second.
  lagMsMax: 3_000,
  unprovenMax: 1_000,
  observedMinutesMin: 24 * 60,
  parityMin: 0.999,
  parityComparedMin: 1_000,
  parityMinutes: 60,
};

export type StreamFact = {
  /** With its kind: `reviews`, `reviews+references`. */
  readonly stream: string;
  readonly source: Side;
  /** Null: no heartbeat has passed yet. */
  readonly lagMs: number | null;
  /** Why it stands still, if it does, and the command that lets it go on. */
  readonly stop: { readonly why: string; readonly goesOnBy: string } | null;
};

export type ParityFact = {
  /** Routes that can be mirrored at all. */
  readonly mirrored: number;
  /** Those that were; `different`: by more than noise. */
  readonly routes: readonly {
    readonly route: string;
    readonly compared: number;
    readonly different: number;
  }[];
  /** Since the newest comparison. */
  readonly ageMs: number | null;
};

export type Facts = {
  readonly phase: Phase;
  readonly phaseAgeMs: number;
  readonly fences: Readonly<Record<Side, { readonly owner: Side; readonly epoch: bigint }>>;
  /** Evidence in force. */
  readonly backfilledAgeMs: number | undefined;
  readonly verifiedAgeMs: number | undefined;
  readonly isWorkerRunning: boolean;
  readonly streams: readonly StreamFact[];
  readonly quarantined: number;
  readonly unproven: number;
  /** Of the owner's changes those that only a verification proves: there were too many to look at. */
  readonly skipped: number;
  readonly mismatched: number;
  /** As every facade serves it; null where none could be asked. `service`, `legacy`: unpinned reads of the last minute. */
  readonly reads: { readonly percent: number; readonly service: number; readonly legacy: number } | null;
  /** Of the reads that were mirrored at the present epoch, over all facades; null where none could be asked. */
  readonly parity: ParityFact | null;
  readonly replicas: readonly { readonly name: string; readonly heartbeat: 'alive' | 'silent' | 'over' }[];
  readonly fenceModes: readonly {
    readonly side: Side;
    readonly table: string;
    readonly mode: 'off' | 'observe' | 'enforce';
  }[];
  readonly writers: readonly {
    readonly side: Side;
    readonly observedMs: number | undefined;
    readonly undeclared: readonly string[];
  }[];
  /** Seen on the side that is not owner. */
  readonly tripwires: readonly { readonly source: Side; readonly what: string; readonly ageMs: number }[];
  /** Write routes that no translator says to the service. */
  readonly untranslated: readonly string[];
  /** Routes of legacy that write its tables, and name no remedy. */
  readonly unremedied: readonly string[];
  /** Routes of legacy that read or write its tables at all. */
  readonly entangled: readonly string[];
  /** What doctor refuses. */
  readonly refusals: readonly { readonly code: string; readonly object: string; readonly what: string }[];
  /** Counters of the side that shall own which cannot be raised above the other's. */
  readonly shortCounters: readonly string[];
};

export type Verdict = {
  readonly gate: string;
  readonly verdict: 'pass' | 'fail' | 'overridden';
  readonly evidence: string;
  /** How old what it rests on is; null: of this moment. */
  readonly ageMs: number | null;
  /** What to do when it fails. */
  readonly remedy: string;
  /** Without it the move would break something, or could not happen at all. */
  readonly mayBeOverridden: boolean;
};

export type Judged = {
  readonly passes: boolean;
  readonly evidence: string;
  readonly remedy: string;
  readonly ageMs?: number;
};

export type Gate = {
  readonly name: string;
  readonly mayBeOverridden: boolean;
  judge(facts: Facts, limits: GateLimits, to: Side, capability: string): Judged;
};
