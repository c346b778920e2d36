// The product's own decisions, asked with the model's small numbers: each question is put to the real code once, and
// its answer remembered by number.
import { type Event, next, resume } from '../../capability/change-of-owner.ts';
import { begin } from '../../capability/change-of-owner-place.ts';
import type { Action, State } from '../../capability/change-of-owner-state.ts';
import {
  acknowledges,
  answered,
  ask,
  booted,
  polled,
  type Readings,
  type Writes,
} from '../../capability/release.ts';
import type { S, Server } from './sql-steps.ts';
import { asking, type Facade, holding, sending } from './world.ts';

export const sideNames = ['legacy', 'service'] as const;
const numberOf = (side: 'legacy' | 'service'): S => (side === 'legacy' ? 0 : 1);

type FenceOf = Pick<Server, 'owner' | 'epoch' | 'turn' | 'turnInTime'>;

const fenceRow = ({ owner, epoch, turn, turnInTime }: FenceOf) => ({
  owner: sideNames[owner],
  epoch: BigInt(epoch),
  turn: turn === 0 ? null : { id: BigInt(turn), isOver: !turnInTime },
});

const packFence = ({ owner, epoch, turn, turnInTime }: FenceOf) =>
  owner | (epoch << 1) | (turn << 4) | (turnInTime ? 256 : 0);

/** Coordinators: each state of the real machine has a number; reasons do not make it another. */
export class Machine {
  readonly #states: State[] = [];
  readonly #actions: Action[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #next = new Map<number, number>();

  stateOf(number: number): State {
    const state = this.#states[number - 1];
    if (!state) throw new Error(`no state ${number}`);
    return state;
  }

  actionOf(number: number): Action {
    const action = this.#actions[number - 1];
    if (!action) throw new Error(`no state ${number}`);
    return action;
  }

  /** How coordinators have ended. */
  get outcomes(): ReadonlySet<string> {
    return new Set(this.#states.map((state) => (state.at === 'ended' ? state.outcome : 'going on')));
  }

  #number({ state, action }: { state: State; action: Action }): number {
    const key = JSON.stringify(state, (name, value) =>
      name === 'reason' || name === 'because' ? '' : typeof value === 'bigint' ? `${value}n` : value,
    );
    let number = this.#numbers.get(key);
    if (number === undefined) {
      this.#states.push(state);
      this.#actions.push(action);
      number = this.#states.length;
      this.#numbers.set(key, number);
    }
    return number;
  }

  begin(to: S, attempt: number, fences: readonly [FenceOf, FenceOf]): number {
    const rows = { legacy: fenceRow(fences[0]), service: fenceRow(fences[1]) };
    const begun = begin({ id: 1n, capability: 'reviews', to: sideNames[to] }, rows);
    if (begun.is === 'change')
      return this.#number(resume(begun.change, { hold: BigInt(attempt), turn: BigInt(attempt) }, rows));
    const change = {
      id: 1n,
      capability: 'reviews',
      from: sideNames[to ? 0 : 1],
      to: sideNames[to],
      epoch: 0n,
    } as const;
    return this.#number({ state: { at: 'ended', change, ...begun.end }, action: { do: 'nothing' } });
  }

  /** @param repin the mutant that reads the epoch again */
  resume(number: number, attempt: number, fences: readonly [FenceOf, FenceOf], repin: boolean): number {
    const { change } = this.stateOf(number);
    if (repin) return this.begin(numberOf(change.to), attempt, fences);
    const rows = { legacy: fenceRow(fences[0]), service: fenceRow(fences[1]) };
    return this.#number(resume(change, { hold: BigInt(attempt), turn: BigInt(attempt) }, rows));
  }

  /** @param code tells events apart, below 2^24 */
  next(number: number, code: number, event: () => Event): number {
    const key = number * 2 ** 28 + code;
    let after = this.#next.get(key);
    if (after === undefined) {
      after = this.#number(next(this.stateOf(number), event()));
      this.#next.set(key, after);
    }
    return after;
  }

  fences(number: number, [legacy, service]: readonly [FenceOf, FenceOf]): number {
    return this.next(number, (1 << 24) | packFence(legacy) | (packFence(service) << 10), () => ({
      is: 'fences',
      fences: { legacy: fenceRow(legacy), service: fenceRow(service) },
    }));
  }

  fence(number: number, row: FenceOf): number {
    return this.next(number, (2 << 24) | packFence(row), () => ({ is: 'fence', row: fenceRow(row) }));
  }

  rows(number: number, rows: 0 | 1): number {
    return this.next(number, (3 << 24) | rows, () => ({ is: 'rows', rows }));
  }

  busy(number: number, isLate: boolean): number {
    return this.next(number, (4 << 24) | (isLate ? 1 : 0), () => ({
      is: 'busy',
      blocker: undefined,
      isLate,
    }));
  }

  lost(number: number): number {
    return this.next(number, 5 << 24, () => ({ is: 'lost', message: 'the connection was lost' }));
  }

  giveUp(number: number): number {
    return this.next(number, 6 << 24, () => ({ is: 'give-up', reason: 'interrupted' }));
  }

  drain(number: number, turn: number, isLate: boolean): number {
    return this.next(number, (7 << 24) | (turn << 1) | (isLate ? 1 : 0), () => ({
      is: 'drain',
      turn: turn === 0 ? null : BigInt(turn),
      isLate,
    }));
  }

  xa(number: number, isPrepared: boolean): number {
    return this.next(number, (8 << 24) | (isPrepared ? 1 : 0), () => ({
      is: 'xa',
      prepared: isPrepared ? ['x'] : [],
    }));
  }

  checked(number: number): number {
    return this.next(number, 9 << 24, () => ({ is: 'checked', faults: [] }));
  }

  /** @param hold whose acknowledgement is looked for */
  replicas(number: number, facades: readonly Facade[], hold: number, isLate: boolean): number {
    let code = isLate ? 1 : 0;
    for (const [index, { registered, is, acknowledged, epoch }] of facades.entries()) {
      const seen =
        (registered ? 1 : 0) | (is === 0 ? 2 : 0) | (acknowledged.includes(hold) ? 4 : 0) | (epoch << 3);
      code |= seen << (1 + index * 6);
    }
    return this.next(number, (10 << 24) | code, () => ({
      is: 'replicas',
      isLate,
      replicas: facades.map(({ registered, is, acknowledged, epoch }, index) => ({
        name: `f${index + 1}`,
        heartbeat: !registered ? 'over' : is === 0 ? 'silent' : 'alive',
        acknowledged: acknowledged.filter((id) => id !== 0).map(BigInt),
        epoch: BigInt(epoch),
        held: 0,
        heldMax: 10,
        oldestHeldMs: 0,
        holdAgeMsMax: 10_000,
      })),
    }));
  }
}

export type ReadSide = FenceOf & { readonly holdInForce: number };

const readingsOf = (read: readonly [ReadSide, ReadSide]): Readings => {
  const [legacy, service] = read;
  const of = (side: ReadSide) => ({
    is: 'read' as const,
    hold: side.holdInForce === 0 ? undefined : { id: BigInt(side.holdInForce), isOver: false },
    fence: fenceRow(side),
  });
  return { legacy: of(legacy), service: of(service) };
};

const pair = (ids: readonly bigint[]): [number, number] => [Number(ids[0] ?? 0), Number(ids[1] ?? 0)];

function writesOf({ is, epoch, to, holds }: Facade): Writes {
  if (is === asking) return { is: 'asking', epoch: BigInt(epoch) };
  if (is === sending) return { is: 'sending', epoch: BigInt(epoch), to: sideNames[to] };
  return { is: 'holding', epoch: BigInt(epoch), holds: holds.filter((id) => id !== 0).map(BigInt) };
}

/** Where it would send matters only while it sends. */
function put(facade: Facade, writes: Writes): void {
  facade.epoch = Number(writes.epoch);
  facade.read = 0;
  facade.is = { asking, holding, sending }[writes.is];
  facade.holds = writes.is === 'holding' ? pair(writes.holds) : [0, 0];
  if (writes.is === 'sending') facade.to = numberOf(writes.to);
}

/** The real rule of a facade replica. */
export const rule = {
  boot: (facade: Facade) => put(facade, booted),
  ask: (facade: Facade) => put(facade, ask(writesOf(facade))),
  answered(facade: Facade, read: readonly [ReadSide, ReadSide]): void {
    const writes = writesOf(facade);
    if (writes.is === 'asking') put(facade, answered(writes, readingsOf(read)));
  },
  polled: (facade: Facade, read: readonly [ReadSide, ReadSide]) =>
    put(facade, polled(writesOf(facade), readingsOf(read))),
  acknowledges: (facade: Facade, inFlight: number): [number, number] =>
    pair(acknowledges(writesOf(facade), inFlight)),
};
