// What a facade replica does with a capability's writes: send, hold, or refuse. Pure.
//
// A replica that holds lets go only after READING that a side admits its writes (CHANGE-OF-OWNER, R4), and in this order:
// the hold, then the fence. The other order lets a turn in between. Before it reads it marks itself in flight: it
// acknowledges nothing until it has an answer. A replica that sends goes on sending without a look: no turn happens
// without its acknowledgement.
import type { Side } from './capability.ts';
import type { FenceRow, HoldRow } from './fence.ts';

/** What one look at a side gave: its hold, read first, then its fence, under a shared lock. */
export type Reading =
  | { readonly is: 'read'; readonly hold: HoldRow | undefined; readonly fence: FenceRow }
  | { readonly is: 'unreachable' };

export type Readings = Readonly<Record<Side, Reading>>;

export type Writes =
  /** It has marked itself in flight, and looks. A replica that boots begins here, after it has registered. */
  | { readonly is: 'asking'; readonly epoch: bigint }
  /** `holds`: those in force that it knows of. It acknowledges them once nothing of its own is in flight. */
  | { readonly is: 'holding'; readonly epoch: bigint; readonly holds: readonly bigint[] }
  | { readonly is: 'sending'; readonly epoch: bigint; readonly to: Side };

/** Registered already, and nothing known: it looks before it sends. */
export const booted: Writes = { is: 'asking', epoch: 0n };

const sides: readonly Side[] = ['legacy', 'service'];

function newestEpoch(known: bigint, readings: Readings): bigint {
  let newest = known;
  for (const side of sides) {
    const reading = readings[side];
    if (reading.is === 'read' && reading.fence.epoch > newest) newest = reading.fence.epoch;
  }
  return newest;
}

function holdsIn(readings: Readings): bigint[] {
  return sides.flatMap((side) => {
    const reading = readings[side];
    return reading.is === 'read' && reading.hold && !reading.hold.isOver ? [reading.hold.id] : [];
  });
}

/** The side whose OWN row names it, at the highest epoch seen on either, with no turn and no hold in force. */
function admitting(readings: Readings, epoch: bigint): Side | undefined {
  return sides.find((side) => {
    const reading = readings[side];
    if (reading.is !== 'read') return false;
    const { hold, fence } = reading;
    const isHeld = hold !== undefined && !hold.isOver;
    const isTurned = fence.turn !== null && !fence.turn.isOver;
    return fence.owner === side && fence.epoch === epoch && !isHeld && !isTurned;
  });
}

/** It wants to let go: from now on, and until the answer, it acknowledges nothing. */
export function ask(writes: Writes): Writes {
  return writes.is === 'holding' ? { is: 'asking', epoch: writes.epoch } : writes;
}

/** The look that was asked for has come. */
export function answered(writes: Extract<Writes, { is: 'asking' }>, readings: Readings): Writes {
  const epoch = newestEpoch(writes.epoch, readings);
  const to = admitting(readings, epoch);
  return to === undefined ? { is: 'holding', epoch, holds: holdsIn(readings) } : { is: 'sending', epoch, to };
}

/** A look by the way, or a coordinator's word: it can make a replica hold, never let go. */
export function polled(writes: Writes, readings: Readings): Writes {
  if (writes.is === 'asking') return writes; // its own look comes
  const epoch = newestEpoch(writes.epoch, readings);
  const holds = holdsIn(readings);
  if (writes.is === 'holding') return { is: 'holding', epoch, holds };
  const { to } = writes;
  const reading = readings[to];
  // What cannot be read has not changed hands without our acknowledgement.
  const stays = reading.is === 'unreachable' || admitting({ ...readings, [to]: reading }, epoch) === to;
  return stays ? { is: 'sending', epoch, to } : { is: 'holding', epoch, holds };
}

/** The holds for which it may say that nothing of its own is under way. */
export function acknowledges(writes: Writes, inFlight: number): readonly bigint[] {
  return writes.is === 'holding' && inFlight === 0 ? writes.holds : [];
}

export type Treatment =
  | { readonly do: 'send'; readonly to: Side }
  | { readonly do: 'hold' }
  /** 503 with Retry-After: it has not been executed. */
  | { readonly do: 'refuse'; readonly why: string };

/**
 * What becomes of one write now.
 * @param waitedMs since it came; 0 when it comes
 * @param held how many are held beside it
 */
export function treat(
  writes: Writes,
  { waitedMs, held }: { readonly waitedMs: number; readonly held: number },
  { heldMax, ageMsMax }: { readonly heldMax: number; readonly ageMsMax: number },
): Treatment {
  if (writes.is === 'sending') return { do: 'send', to: writes.to };
  if (waitedMs >= ageMsMax) return { do: 'refuse', why: `it was held for ${ageMsMax} ms` };
  if (waitedMs === 0 && held >= heldMax) return { do: 'refuse', why: `${heldMax} writes are held already` };
  return { do: 'hold' };
}
