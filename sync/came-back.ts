// A server that comes back from the past (a backup, a fail-over without the last transactions) has a fence row from then: it names
// itself, and so does the other side's, at a higher epoch. Both take writes. The one behind is closed, at once; nothing is ever opened.
import type { Connection, ResultSetHeader } from 'mysql2/promise';
import type { Side } from '../capability/capability.ts';
import { type FenceRow, readFence } from '../capability/fence.ts';
import { SyncError } from './errors.ts';

const other = (side: Side): Side => (side === 'legacy' ? 'service' : 'legacy');

export type CameBack = {
  readonly side: Side;
  readonly owner: Side;
  readonly epoch: bigint;
  readonly was: bigint;
};

/** The side that has been closed since, by what the other one says. Pure. */
export function behind(
  fences: Readonly<Record<Side, Pick<FenceRow, 'owner' | 'epoch'>>>,
): CameBack | undefined {
  const { legacy, service } = fences;
  if (legacy.owner !== 'legacy' || service.owner !== 'service' || legacy.epoch === service.epoch)
    return undefined;
  const side = legacy.epoch < service.epoch ? 'legacy' : 'service';
  const owner = other(side);
  return { side, owner, epoch: fences[owner].epoch, was: fences[side].epoch };
}

/**
 * An epoch never falls, and the other side was opened at its own only after this one had been closed at it: so whatever happens
 * meanwhile the statement finds nothing but a row from the past. In the binlog it is what the stream has met before.
 * @param on by an account that may change fences
 * @returns what was closed
 */
export async function closeBehind(
  on: Readonly<Record<Side, Connection>>,
  capability: string,
): Promise<CameBack | undefined> {
  const [legacy, service] = await Promise.all([
    readFence(on.legacy, capability, 'none'),
    readFence(on.service, capability, 'none'),
  ]);
  const found = legacy && service && behind({ legacy, service });
  if (!found) return undefined;
  const { side, owner, epoch } = found;
  const [closed] = await on[side].query<ResultSetHeader>(
    `UPDATE banyan.banyan_fence SET owner = ?, epoch = ?, turn_id = NULL, turn_deadline = NULL
     WHERE capability = ? AND owner = ? AND epoch < ?`,
    [owner, epoch.toString(), capability, side, epoch.toString()],
  );
  return closed.affectedRows === 1 ? found : undefined;
}

/** Why the stream from there stops: where it has read to is not in that server's binlog, or is something else there. */
export const cameBack = (capability: string, { side, owner, epoch, was }: CameBack) =>
  new SyncError(
    'fence-disagrees',
    `${capability}: ${side} came back from the past: it owned at epoch ${was} there, and ${owner} owns at epoch ${epoch}; ${side} was closed`,
    `acknowledge, then run "banyan verify ${capability} --repair --execute": ${side} gets what it has lost, and what was written there meanwhile is taken out. docs/change-of-owner.md, "When the fences disagree"`,
  );
