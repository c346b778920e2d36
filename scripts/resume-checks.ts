// Whether a stream may go on from another server than the one that it has read: facts → verdicts. Pure.
import type { Side } from '../capability/capability.ts';
import type { Fences } from '../capability/change-of-owner-place.ts';
import type { HoldRow } from '../capability/fence.ts';
import type { Verdict } from '../capability/gate.ts';

export type StoppedStream = {
  /** With its kind: `reviews`, `reviews+references`. */
  readonly stream: string;
  /** Whether it applies what it reads; else it watches. */
  readonly applies: boolean;
  /** Null: it was never written down. */
  readonly knownServer: string | null;
  readonly gtid: string | undefined;
  /** Why the server that the address leads to now cannot be read from there; undefined: it can. */
  readonly refusal: string | undefined;
  readonly stopAgeMs: number;
};

export type ResumeFacts = {
  readonly capability: string;
  readonly side: Side;
  /** That the address leads to now. */
  readonly server: string;
  readonly streams: readonly StoppedStream[];
  readonly fences: Fences;
  /** On that server. */
  readonly hold: HoldRow | undefined;
  /** Of the newest clean verification in force. */
  readonly verifiedAgeMs: number | undefined;
};

export const resumeChecks = ['server', 'fences', 'hold', 'position', 'verified'] as const;

const verdictOf = (
  gate: (typeof resumeChecks)[number],
  passes: boolean,
  evidence: string,
  remedy: string,
  { ageMs = null, mayBeOverridden = false }: Partial<Pick<Verdict, 'ageMs' | 'mayBeOverridden'>> = {},
): Verdict => ({ gate, verdict: passes ? 'pass' : 'fail', evidence, remedy, ageMs, mayBeOverridden });

/** The same owner at one epoch; or one side an epoch ahead and closed, which the other will open. */
export function belongTogether({ legacy, service }: Fences): boolean {
  if (legacy.epoch === service.epoch) return legacy.owner === service.owner;
  const isClosedBy = (side: Side, ahead: Fences[Side], behind: Fences[Side]) =>
    ahead.epoch === behind.epoch + 1n && ahead.owner !== side && behind.owner === side;
  return isClosedBy('legacy', legacy, service) || isClosedBy('service', service, legacy);
}

const beginAnew = 'docs/change-of-owner.md, "When a server is gone", has how to begin the stream anew';

function positionCheck({ streams, side }: ResumeFacts): Verdict {
  const without = streams.find(({ gtid }) => gtid === undefined);
  const refused = streams.find(({ refusal }) => refusal !== undefined);
  if (without)
    return verdictOf(
      'position',
      false,
      `${without.stream} from ${side} has no GTID: a file and an offset are a place on one server only`,
      `a backfill: ${beginAnew}`,
    );
  return verdictOf(
    'position',
    refused === undefined,
    refused
      ? `${refused.stream} cannot be read on: ${refused.refusal}`
      : `it has logged what the stream has read, and gives what comes after ${streams.map(({ gtid }) => gtid).join(' and ')}`,
    `compare first: what the lost server had and this one has not is on the other side all the same; ${beginAnew}`,
  );
}

function verifiedCheck({ streams, verifiedAgeMs, capability }: ResumeFacts): Verdict {
  const stopAgeMs = Math.max(...streams.map((each) => each.stopAgeMs));
  const passes = verifiedAgeMs !== undefined && verifiedAgeMs < stopAgeMs;
  return verdictOf(
    'verified',
    passes,
    passes
      ? 'verified since the stop'
      : verifiedAgeMs === undefined
        ? 'no verification is in force'
        : 'the newest verification is older than the stop: of the other server',
    streams.some(({ applies }) => applies)
      ? `a verification needs this very stream: compare some rows by hand, resume with --override verified --reason TEXT, then at once banyan verify ${capability}`
      : `banyan verify ${capability}`,
    { mayBeOverridden: true, ...(verifiedAgeMs === undefined ? {} : { ageMs: verifiedAgeMs }) },
  );
}

/** @param overridden the checks that somebody answers for */
export function judgeResume(facts: ResumeFacts, overridden: readonly string[]): Verdict[] {
  const { capability, side, server, streams, fences, hold } = facts;
  const { legacy, service } = fences;
  const was = [...new Set(streams.map(({ knownServer }) => knownServer ?? 'not written down'))].join(', ');
  const { turn } = fences[side];
  const isHeld = hold !== undefined && !hold.isOver;
  const isTurned = turn !== null && !turn.isOver;
  const verdicts = [
    verdictOf(
      'server',
      streams.every(({ knownServer }) => knownServer !== server),
      `the streams have read ${was}; the address leads to ${server}`,
      `it is the server that was read: banyan worker --acknowledge ${capability}`,
    ),
    verdictOf(
      'fences',
      belongTogether(fences),
      `legacy's names ${legacy.owner} at epoch ${legacy.epoch}, the service's ${service.owner} at epoch ${service.epoch}`,
      'docs/change-of-owner.md, "When the fences disagree"',
    ),
    verdictOf(
      'hold',
      !isHeld && !isTurned,
      isTurned
        ? `a turn (${turn.id}) is in force there`
        : isHeld
          ? `a hold (${hold.id}) is in force there`
          : 'neither hold nor turn is in force there',
      "wait some seconds: it ends by itself, by that server's clock",
    ),
    positionCheck(facts),
    verifiedCheck(facts),
  ];
  return verdicts.map((each) =>
    each.verdict === 'fail' && each.mayBeOverridden && overridden.includes(each.gate)
      ? { ...each, verdict: 'overridden' }
      : each,
  );
}
