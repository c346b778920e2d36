// Lets writes in: at once, or after they have waited. What becomes of each is the word of the rule (capability/release.ts); here is
// what waits, in what order it goes, and how many go at a time.
import type { ServerResponse } from 'node:http';
import type { Side } from '../capability/capability.ts';
import { treat, type Writes } from '../capability/release.ts';
import type { Hold, Waiting } from './hold.ts';

export type HoldLimits = {
  readonly holdMax: number;
  readonly holdMsMax: number;
  readonly holdReleaseMax: number;
};

/** A write that may be sent. It counts as in flight until its group is left. */
export type Entered = {
  readonly is: 'entered';
  /** Who owns the first capability of the group. */
  readonly to: Side;
  /** To be called when all is over; of one that has waited. */
  readonly freeSlot?: () => void;
};

export type Entry =
  | Entered
  /** Not executed. */
  | { readonly is: 'refused'; readonly why: string }
  /** Its client has left. */
  | { readonly is: 'gone' };

/** The capabilities that one route writes. */
export type WriteGroup = {
  /**
   * @param since by performance.now(), when the request came
   * @param client whose leaving frees its place
   * @param isNew it has not been let in before
   */
  enter(since: number, client: ServerResponse, isNew: boolean): Entered | Promise<Entry>;
  /** It is in flight no more: answered, or both ends are done with it. */
  leave(): void;
  /** For how long new writes have had to wait, in milliseconds; 0 when they need not. */
  changingMs(): number;
};

export type WriteEvents = {
  held(capability: string): void;
  heldUntil(capability: string, outcome: Entry['is'], seconds: number): void;
};

/** How this replica stands to one capability's writes. */
export type WriteState = {
  readonly name: string;
  writes: Writes;
  /** By performance.now(): since when it does not send; undefined while it does. */
  changingSince: number | undefined;
  inFlight: number;
  /** Sent after they had waited, and not over yet. */
  released: number;
  readonly hold: Hold<HeldWrite>;
  readonly changed: Set<() => void>;
};

export const entered = {
  legacy: { is: 'entered', to: 'legacy' },
  service: { is: 'entered', to: 'service' },
} as const satisfies Record<Side, Entered>;

/** What the rule says to all that a route writes: the first that does not let it pass has its way. */
function treatAll(
  states: readonly WriteState[],
  waitedMs: number,
  limits: HoldLimits,
):
  | { readonly do: 'send'; readonly to: Side }
  | { readonly do: 'hold'; readonly at: WriteState }
  | { readonly do: 'refuse'; readonly why: string } {
  let to: Side = 'legacy';
  for (const [index, state] of states.entries()) {
    const treatment = treat(
      state.writes,
      { waitedMs, held: state.hold.size },
      { heldMax: limits.holdMax, ageMsMax: limits.holdMsMax },
    );
    if (treatment.do === 'refuse') return treatment;
    if (treatment.do === 'hold') return { do: 'hold', at: state };
    if (index === 0) to = treatment.to;
  }
  return { do: 'send', to };
}

export class Group implements WriteGroup {
  readonly states: readonly WriteState[];
  readonly #limits: HoldLimits;
  readonly #events: WriteEvents;

  constructor(states: readonly WriteState[], limits: HoldLimits, events: WriteEvents) {
    this.states = states;
    this.#limits = limits;
    this.#events = events;
  }

  enter(since: number, client: ServerResponse, isNew: boolean): Entered | Promise<Entry> {
    // A new one has waited for nothing, however long its head has been judged.
    const treatment = treatAll(this.states, isNew ? 0 : performance.now() - since, this.#limits);
    if (treatment.do === 'refuse') return Promise.resolve({ is: 'refused', why: treatment.why });
    if (treatment.do === 'hold') return this.#wait(treatment.at, since, client);
    // Those who waited go first, as long as there is room behind them.
    const busy = isNew ? this.states.find(({ hold }) => hold.size > 0) : undefined;
    if (busy && busy.hold.size < this.#limits.holdMax) return this.#wait(busy, since, client);
    this.count();
    return entered[treatment.to];
  }

  count(): void {
    for (const state of this.states) state.inFlight += 1;
  }

  leave(): void {
    for (const state of this.states) {
      state.inFlight -= 1;
      if (state.inFlight === 0) for (const tell of state.changed) tell();
    }
  }

  changingMs(): number {
    const now = performance.now();
    return Math.max(0, ...this.states.map(({ changingSince = now }) => now - changingSince));
  }

  #wait(at: WriteState, since: number, client: ServerResponse): Promise<Entry> {
    const { promise, resolve } = Promise.withResolvers<Entry>();
    const end = (entry: Entry) => {
      held.at.hold.remove(held);
      client.off('close', gone);
      this.#events.heldUntil(at.name, entry.is, (performance.now() - since) / 1000);
      resolve(entry);
    };
    const gone = () => end({ is: 'gone' });
    const held: HeldWrite = { since, group: this, at, end, late: () => tryAgain(held, this.#limits) };
    client.once('close', gone);
    at.hold.add(held);
    this.#events.held(at.name);
    if (client.destroyed) gone();
    return promise;
  }
}

type HeldWrite = Waiting & {
  readonly group: Group;
  at: WriteState;
  end(entry: Entry): void;
};

/** One that waits is judged anew: it goes, is refused, or goes on waiting, perhaps for another capability. */
function tryAgain(held: HeldWrite, limits: HoldLimits): void {
  const treatment = treatAll(held.group.states, performance.now() - held.since, limits);
  if (treatment.do === 'refuse') return void held.end({ is: 'refused', why: treatment.why });
  if (treatment.do === 'hold') {
    held.at.hold.remove(held);
    held.at = treatment.at;
    held.at.hold.add(held);
    return;
  }
  const slot = held.at;
  slot.released += 1;
  held.group.count();
  const freeSlot = () => {
    slot.released -= 1;
    release(slot, limits);
  };
  held.end({ is: 'entered', to: treatment.to, freeSlot });
}

/** Lets those that wait go in their order, a bounded number at a time, so that the upstream is not overrun. */
export function release(state: WriteState, limits: HoldLimits): void {
  while (state.writes.is === 'sending' && state.released < limits.holdReleaseMax) {
    const first = state.hold.first();
    if (!first) return;
    tryAgain(first, limits);
  }
}
