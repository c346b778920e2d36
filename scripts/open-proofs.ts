// Whether a side may be opened by hand because the one that closed is lost for good: facts → verdicts. Pure.
import type { Side } from '../capability/capability.ts';
import type { FenceRow } from '../capability/fence.ts';
import type { Verdict } from '../capability/gate.ts';

/** How it is known that X was closed: one row, while this turn was in force. */
export type Closed =
  | { readonly by: 'journal'; readonly change: bigint; readonly turn: bigint; readonly detail: string }
  | { readonly by: 'operator'; readonly turn: bigint };

export type OpenFacts = {
  /** X: the side that closed, and is lost. */
  readonly from: Side;
  readonly at: string;
  /** What answered at its address, if anything did. */
  readonly answer: string | undefined;
  /** Whether the stream from X has moved while it was watched. */
  readonly hasMoved: boolean;
  readonly watchedMs: number;
  /** Y's own row. */
  readonly fence: FenceRow;
  /** What the stream from X has met, by Y's word. */
  readonly met: {
    readonly owner: Side | null;
    readonly epoch: bigint | null;
    readonly turn: bigint | null;
  };
  readonly closed: Closed | undefined;
  /** Why there is no such proof, where there is none. */
  readonly notClosed: string;
};

const verdictOf = (gate: string, passes: boolean, evidence: string, remedy: string): Verdict => ({
  gate,
  verdict: passes ? 'pass' : 'fail',
  evidence,
  remedy,
  ageMs: null,
  mayBeOverridden: false,
});

const closedText = (closed: Closed) =>
  closed.by === 'journal'
    ? `the journal of change ${closed.change} says that turn ${closed.turn} was closed: ${closed.detail}`
    : `you have seen the close of turn ${closed.turn} answer 1 row`;

export function judgeOpen(facts: OpenFacts): Verdict[] {
  const { from, at, answer, hasMoved, watchedMs, fence, met, closed, notClosed } = facts;
  return [
    verdictOf(
      'lost',
      answer === undefined && !hasMoved,
      answer !== undefined
        ? `${from}'s server at ${at} answers: ${answer}`
        : hasMoved
          ? `nothing answers at ${at}, but the stream from ${from} moves: the worker reaches that server elsewhere`
          : `nothing answers at ${at}, and the stream from ${from} has not moved for ${watchedMs} ms`,
      answer !== undefined
        ? 'nothing: the stream opens the other side as soon as it reads on there (banyan status)'
        : 'give the address that the worker uses; if it reaches that server, nothing is to be done',
    ),
    verdictOf(
      'fences',
      fence.owner === from && met.owner === from && met.epoch === fence.epoch,
      `the row that is left names ${fence.owner} at epoch ${fence.epoch}, and the stream from there has read ${met.owner ?? 'nobody'} at epoch ${met.epoch ?? '?'}`,
      'docs/change-of-owner.md, "When the fences disagree"',
    ),
    verdictOf(
      'closed',
      closed !== undefined,
      closed ? closedText(closed) : notClosed,
      `without it ${from} may have taken writes to its end; docs/change-of-owner.md, "When a server is gone"`,
    ),
    verdictOf(
      'drained',
      closed !== undefined && met.turn === closed.turn,
      met.turn === null
        ? `the stream from ${from} has met no turn`
        : `the newest turn that the stream from ${from} has met is ${met.turn}`,
      closed
        ? `it must be ${closed.turn}: what was written before that turn is not all here`
        : 'it must be the turn that was closed',
    ),
  ];
}

/**
 * The proof in the journal of a change.
 * @param steps of the change, oldest first; `detail` as change-journal.ts writes it: hold, turn, what was answered
 */
export function closedBy(
  change: { readonly id: bigint; readonly to: Side; readonly epoch: bigint },
  steps: readonly { readonly step: string; readonly detail: string }[],
): Closed | undefined {
  const after = `${change.to} at ${change.epoch + 1n}`;
  for (const { step, detail } of steps.toReversed()) {
    const [, turn, said] = /^\d+ (\d+) (.*)$/s.exec(detail) ?? [];
    // The answer to the close, or the row as it was read when that answer was lost.
    const isClosed = (step === 'close' && said === '1 row') || (step === 'read-close' && said === after);
    if (turn !== undefined && said !== undefined && isClosed)
      return { by: 'journal', change: change.id, turn: BigInt(turn), detail: said };
  }
  return undefined;
}
