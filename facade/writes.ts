// What this replica does with each capability's writes, by the rule of capability/release.ts. Here is what the rule cannot know:
// what is in flight, what waits, and when it looks.
//
// Each look of the side view is an answer to whoever asks, so a replica that holds asks with every look: before the first row is read
// it has marked itself, and nothing is acknowledged until the answer is there.
import {
  acknowledges,
  answered,
  ask,
  booted,
  polled,
  type Readings,
  type Writes,
} from '../capability/release.ts';
import type { ReplicaReport } from '../capability/replicas.ts';
import { Hold } from './hold.ts';
import type { SideListener } from './side-view.ts';
import {
  entered,
  Group,
  type HoldLimits,
  release,
  type WriteEvents,
  type WriteGroup,
  type WriteState,
} from './write-group.ts';

export type WriteStatus = {
  readonly state: Writes['is'];
  readonly inFlight: number;
  readonly held: number;
  readonly oldestHeldMs: number;
};

export type OwnerWrites = {
  readonly listener: SideListener;
  group(capabilities: readonly string[]): WriteGroup;
  /** From now on it may let go: the others know of this replica. */
  registered(): void;
  /**
   * How it stands, once nothing is in flight of what it holds.
   * @param waitMs how long to wait for that
   * @returns undefined for a capability that there is not
   */
  report(capability: string, waitMs: number): Promise<ReplicaReport | undefined>;
  status(capability: string): WriteStatus | undefined;
};

const isAnswered = ({ writes }: WriteState) => writes.is !== 'asking';
const isSettled = ({ writes, inFlight }: WriteState) =>
  writes.is === 'sending' || (writes.is === 'holding' && inFlight === 0);
/** A look under way is soon over: "asking" would say nothing to whoever wants to know. */
const answerMsMax = 100;

/** @returns when it holds, or the time is over */
async function until(state: WriteState, holds: (state: WriteState) => boolean, msMax: number): Promise<void> {
  if (holds(state) || msMax <= 0) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, msMax);
  const tell = () => {
    if (holds(state)) resolve();
  };
  state.changed.add(tell);
  await promise;
  clearTimeout(timer);
  state.changed.delete(tell);
}

export function createOwnerWrites(
  capabilities: readonly string[],
  limits: HoldLimits,
  events: WriteEvents,
): OwnerWrites {
  const states = new Map<string, WriteState>(
    capabilities.map((name) => [
      name,
      {
        name,
        writes: booted,
        changingSince: performance.now(),
        inFlight: 0,
        released: 0,
        hold: new Hold(limits.holdMsMax),
        changed: new Set(),
      },
    ]),
  );
  let isRegistered = false;
  /** Whether the look under way began after the registration. */
  let isAsked = false;

  function take(state: WriteState, readings: Readings): void {
    const { writes } = state;
    if (writes.is !== 'asking') state.writes = polled(writes, readings);
    else if (isAsked) state.writes = answered(writes, readings);
    if (state.writes.is === 'sending') state.changingSince = undefined;
    else state.changingSince ??= performance.now();
    release(state, limits);
    for (const tell of state.changed) tell();
  }

  return {
    listener: {
      begins() {
        isAsked = isRegistered;
        for (const state of states.values()) state.writes = ask(state.writes);
      },
      ended(readings) {
        for (const state of states.values()) take(state, readings(state.name));
      },
      isHolding: () => states.values().some(({ writes }) => writes.is !== 'sending'),
    },
    group(names) {
      const members = names.map((name) => states.get(name)).filter((state) => state !== undefined);
      return new Group(members, limits, events);
    },
    registered() {
      isRegistered = true;
    },
    async report(name, waitMs) {
      const state = states.get(name);
      if (!state) return undefined;
      await until(state, isSettled, waitMs);
      await until(state, isAnswered, answerMsMax);
      const { writes, inFlight, hold } = state;
      return {
        writes: writes.is,
        epoch: writes.epoch.toString(),
        acknowledged: acknowledges(writes, inFlight).map(String),
        held: hold.size,
        heldMax: limits.holdMax,
        oldestHeldMs: Math.round(hold.oldestMs),
        holdAgeMsMax: limits.holdMsMax,
      };
    },
    status(name) {
      const state = states.get(name);
      if (!state) return undefined;
      const { writes, inFlight, hold } = state;
      return { state: writes.is, inFlight, held: hold.size, oldestHeldMs: Math.round(hold.oldestMs) };
    },
  };
}

/** Without a control store nothing changes hands: every write goes to legacy, and nobody counts. */
export const legacyWrites: Pick<OwnerWrites, 'group' | 'status'> = {
  group: () => ({ enter: () => entered.legacy, leave: () => {}, changingMs: () => 0 }),
  status: () => undefined,
};
