// What a stream decides by the fence rows in its own source's binlog (CHANGE-OF-OWNER, R1 and R2). Pure.
import type { Side } from '../capability/capability.ts';

/** `references`: rows that follow legacy whoever owns the capability. */
export type StreamKind = 'tables' | 'references';

/** `none`: no fence row has been met yet. */
export type Mode = 'apply' | 'watch' | 'none';

/** By the newest fence row met; null before the first. */
export type Known = {
  readonly owner: Side | null;
  readonly epoch: bigint | null;
  /** The newest turn met, whether it is over or not. */
  readonly turn: bigint | null;
};

export type FenceEvent = { readonly owner: Side; readonly epoch: bigint; readonly turn: bigint | null };

export type Opening = { readonly owner: Side; readonly epoch: bigint };

/** What the target's fence must say: the source, at this epoch; `position`: nothing is written that it concerns. */
export type Check = { readonly epoch: bigint | null } | 'position';

const other = (side: Side): Side => (side === 'legacy' ? 'service' : 'legacy');

export function modeOf(kind: StreamKind, source: Side, { owner }: Pick<Known, 'owner'>): Mode {
  if (kind === 'references' || owner === source) return 'apply';
  return owner === other(source) ? 'watch' : 'none';
}

/** The other direction's position, first in a transaction, says that it is an echo of ours. */
export const isMarker = (source: Side, row: { readonly source: Side; readonly isFirst: boolean }) =>
  row.isFirst && row.source === other(source);

/** A fence row has passed. `opens`: it was the close row; the target opens in the transaction that passes it. */
export function afterFence(
  source: Side,
  known: Known,
  { owner, epoch, turn }: FenceEvent,
): { readonly known: Known; readonly opens?: Opening } {
  const after = { owner, epoch, turn: turn ?? known.turn };
  return known.owner === source && owner !== source
    ? { known: after, opens: { owner, epoch } }
    : { known: after };
}

/** What becomes of a change of a captured table. */
export function treatmentOf(mode: Mode, isEcho: boolean): 'apply' | 'trip' | 'pass' {
  if (isEcho || mode === 'none') return 'pass';
  return mode === 'apply' ? 'apply' : 'trip';
}

/** For what a stream has read in this state. */
export function checkOf(kind: StreamKind, source: Side, { owner, epoch }: Omit<Known, 'turn'>): Check {
  return kind === 'tables' && owner === source ? { epoch } : 'position';
}
