// How far the world is with a change of owner: by the word of both fence rows, and nobody else's. Pure.
import type { Side } from './capability.ts';
import type { FenceRow } from './fence.ts';

/** Pinned when the command begins and never read again: a resumed command cannot undo what came after it. */
export type ChangeOfOwner = {
  readonly id: bigint;
  readonly capability: string;
  readonly from: Side;
  readonly to: Side;
  /** At which `from` owns. */
  readonly epoch: bigint;
};

export type Fences = Readonly<Record<Side, FenceRow>>;

/** `undone`: X owns as before. `unfinished`: Y will own, or nobody knows yet; the same command goes on from there. */
export type End = {
  readonly outcome: 'done' | 'undone' | 'superseded' | 'unfinished';
  readonly reason: string;
};

const other = (side: Side): Side => (side === 'legacy' ? 'service' : 'legacy');

/**
 * What a command that wants `to` to own has to do, by the fences' word.
 * @returns a change to resume; for an owner that is on its way to `to` already, the change that brings it there
 */
export function begin(
  { id, capability, to }: Pick<ChangeOfOwner, 'id' | 'capability' | 'to'>,
  fences: Fences,
): { readonly is: 'change'; readonly change: ChangeOfOwner } | { readonly is: 'nothing'; readonly end: End } {
  const from = other(to);
  const nothing = (outcome: End['outcome'], reason: string) => ({
    is: 'nothing' as const,
    end: { outcome, reason },
  });
  const newest = fences[to].epoch >= fences[from].epoch ? fences[to] : fences[from];
  if (fences[to].epoch === fences[from].epoch && fences[to].owner !== fences[from].owner)
    return nothing('undone', disagree(fences));
  if (fences[to].owner === to && newest.owner === to)
    return fences[to].epoch === newest.epoch
      ? nothing('done', `${to} owns already, at epoch ${newest.epoch}`)
      : nothing('undone', disagree(fences));
  const epoch = newest.owner === to ? newest.epoch - 1n : newest.epoch;
  return { is: 'change', change: { id, capability, from, to, epoch } };
}

export type Place = 'before-owner' | 'unchanged' | 'closed' | 'open' | 'superseded' | 'disagree';

/** How far the world is with a change, by both fence rows. */
export function placeOf({ from, to, epoch }: ChangeOfOwner, fences: Fences): Place {
  const [x, y] = [fences[from], fences[to]];
  if (x.epoch > epoch + 1n || y.epoch > epoch + 1n) return 'superseded';
  if (x.epoch === epoch + 1n) {
    if (x.owner !== to) return 'superseded';
    if (y.epoch === epoch + 1n) return y.owner === to ? 'open' : 'disagree';
    return y.epoch === epoch && y.owner === from ? 'closed' : 'disagree';
  }
  // Y is ahead of X, or either is behind where an owner at this epoch has been: a server came back from the past.
  if (y.epoch !== epoch || y.owner !== from) return 'disagree';
  if (x.epoch === epoch) return x.owner === from ? 'unchanged' : 'disagree';
  return x.epoch === epoch - 1n && x.owner === to ? 'before-owner' : 'disagree';
}

const printRow = ({ owner, epoch }: FenceRow) => `${owner} at epoch ${epoch}`;
const printFences = ({ legacy, service }: Fences) =>
  `legacy's fence names ${printRow(legacy)}, the service's ${printRow(service)}`;
export const disagree = (fences: Fences) =>
  `the fences do not belong together: ${printFences(fences)}; see docs/change-of-owner.md, "When the fences disagree"`;
export const superseded = ({ to, epoch }: ChangeOfOwner, fences: Fences) =>
  `the owner has changed since this change to ${to} was begun at epoch ${epoch}: ${printFences(fences)}`;
