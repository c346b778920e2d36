// The phases of a capability, the legal moves between them, and what a phase lets a flag do. All pure.

/** In their order: forward by evidence, back at any time before `retired`. */
export const phases = ['legacy', 'synced', 'shadow', 'canary', 'reads', 'owned', 'retired'] as const;
export type Phase = (typeof phases)[number];

export const isPhase = (word: unknown): word is Phase => phases.some((phase) => phase === word);

export type Move = { readonly legal: true } | { readonly legal: false; readonly why: string };

const legal: Move = { legal: true };
const refused = (why: string): Move => ({ legal: false, why });

/** Phases that can be entered from each one going forward; `shadow` may be passed over. */
const forward: Readonly<Record<Phase, readonly Phase[]>> = {
  legacy: ['synced'],
  synced: ['shadow', 'canary', 'reads'],
  shadow: ['canary', 'reads'],
  canary: ['reads'],
  reads: ['owned'],
  owned: ['retired'],
  retired: [],
};

/**
 * Whether a capability may go from one phase to another. Whether it has the evidence is the gates' affair.
 * A rollback of the owner lands in `reads`, and only there: the fences decide what owner means.
 */
export function legalMove(from: Phase, to: Phase): Move {
  if (from === to) return refused(`it is in ${from} already`);
  if (from === 'retired') return refused('retired is the end: legacy no longer follows the service');
  if (phases.indexOf(to) > phases.indexOf(from))
    return forward[from].includes(to)
      ? legal
      : refused(`from ${from} the way forward is ${forward[from].join(' or ')}`);
  if (from === 'owned' && to !== 'reads')
    return refused('from owned the way back is reads, by a change of owner');
  return legal;
}

/** What is known of a capability when a request must be routed. */
export type Standing = {
  readonly phase: Phase;
  /** Whether evidence in force says that the service has the data, and that it is right (a clean verification). */
  readonly ready: boolean;
  /** What was said of its reads; undefined as long as nobody has moved any. */
  readonly reads?: ReadsStanding;
};

export type ReadsStanding = {
  /** Grows with each shift. */
  readonly round: bigint;
  /** The facades judge the service at 100 %, too: a ramp is in force. */
  readonly isGuarded: boolean;
  /** A facade has seen the service fail since. */
  readonly returned: { readonly at: string; readonly why: string } | null;
};

export type Interlock = { readonly open: true } | { readonly open: false; readonly why: string };

const mirroredIn: readonly Phase[] = ['shadow', 'canary', 'reads', 'owned'];

/** Whether the shadow flag counts: from when both sides should have the data, until legacy follows no more. */
export function shadowInterlock(standing: Standing | undefined): Interlock {
  if (!standing) return { open: false, why: 'the control store has not been read yet' };
  return mirroredIn.includes(standing.phase)
    ? { open: true }
    : { open: false, why: `the phase is ${standing.phase}` };
}

/** Flags propose, evidence disposes: whether the read flag counts at all. */
export function readInterlock(standing: Standing | undefined): Interlock {
  if (!standing) return { open: false, why: 'the control store has not been read yet' };
  if (standing.phase !== 'canary' && standing.phase !== 'reads')
    return { open: false, why: `the phase is ${standing.phase}; reads move by "banyan shift"` };
  if (!standing.ready) return { open: false, why: 'there is no verification in force: run "banyan verify"' };
  const returned = standing.reads?.returned;
  if (returned)
    return {
      open: false,
      why: `the reads have gone back to legacy by themselves at ${returned.at}: ${returned.why}; "banyan ramp" or "banyan shift" moves them again`,
    };
  return { open: true };
}

/** Whether a service that fails takes the reads back by itself: while some clients read there, and at 100 % under a ramp. */
export const isJudged = (standing: Standing | undefined): boolean =>
  readInterlock(standing).open && (standing?.phase === 'canary' || standing?.reads?.isGuarded === true);
