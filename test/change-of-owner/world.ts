// One state of the whole system, as a string of packed numbers: two servers with fences, holds, rows and binlogs; the
// streams' positions; a paused worker; a writer who goes round the facades; two facade replicas; the coordinators.
import type { S, Server } from './sql-steps.ts';

/** An event of a binlog: 0 fence row, 1 a writer's row, 2 a row that the other direction applied. */
export const fenceEvent = (owner: S, epoch: number, turn: number) =>
  (owner << 2) | (epoch << 3) | (turn << 6);
export const writeEvent = (id: number) => 1 | (id << 2);
export const echoEvent = (id: number) => 2 | (id << 2);
export const kindOf = (event: number) => event & 3;
export const idOf = (event: number) => event >> 2;
export const ownerOf = (event: number): S => ((event >> 2) & 1 ? 1 : 0);
export const epochOf = (event: number) => (event >> 3) & 7;
export const turnOf = (event: number) => event >> 6;

export type Side = Server & {
  /** Writes that are on it, as bits; and the newest one, as a row that every write sets. */
  bits: number;
  value: number;
  /** What its own stream knew before the first event of the log: owner (2: nothing yet), epoch, newest turn. */
  knownOwner: number;
  knownEpoch: number;
  knownTurn: number;
  log: number[];
  /** Of the stream that reads this side, in the log. */
  position: number;
};

export const down = 0;
export const asking = 1;
export const holding = 2;
export const sending = 3;

export type Facade = {
  is: number;
  registered: boolean;
  /** What `asking` has read first: 0 nothing yet, else 1 and two fields of 5 bits. */
  read: number;
  epoch: number;
  /** Where it sends, or sent. */
  to: S;
  /** Ids in force that it knows of, and those that the control store has as acknowledged. */
  holds: [number, number];
  acknowledged: [number, number];
  /** 0 none, else the side + 1. */
  inFlight: number;
  held: number;
};

export type Coordinator = {
  /** The real machine's state, by number; 0 before it begins. */
  state: number;
  attempts: number;
  /** A statement that was sent and not answered: 0 none, 1 turn, 2 close; 3: a close that waits for its lock. */
  pending: number;
  pendingIds: number;
  pendingFrom: S;
  pendingEpoch: number;
  /** Its newest attempt has closed, whether it knows or not. */
  hasClosed: boolean;
  /** Kept only where it is not pinned: the epoch at which it was begun. */
  firstEpoch: number;
};

export type World = {
  sides: [Side, Side];
  /** A worker that was paused with an event of this side in hand: 0 none, else side + 1. */
  zombie: number;
  zombieAt: number;
  /** 0 idle; 1 passed the trigger, not committed; 2 refused, its transaction open; 3 prepared by XA. */
  bypass: number;
  bypassAt: S;
  writesLeft: number;
  count: number;
  /** A write whose facade died: 0 none, else side + 1. */
  orphan: number;
  facades: Facade[];
  coordinators: Coordinator[];
};

const side = (): Side => ({
  owner: 0,
  epoch: 1,
  turn: 0,
  turnInTime: false,
  hold: 0,
  holdInTime: false,
  bits: 0,
  value: 0,
  knownOwner: 0,
  knownEpoch: 1,
  knownTurn: 0,
  log: [],
  position: 0,
});

/** legacy owns at epoch 1, both streams know it, every facade sends to legacy. */
export function firstWorld(facades: number, coordinators: number, writes: number): World {
  return {
    sides: [side(), side()],
    zombie: 0,
    zombieAt: 0,
    bypass: 0,
    bypassAt: 0,
    writesLeft: writes,
    count: 0,
    orphan: 0,
    facades: Array.from({ length: facades }, () => ({
      is: sending,
      registered: true,
      read: 0,
      epoch: 1,
      to: 0,
      holds: [0, 0],
      acknowledged: [0, 0],
      inFlight: 0,
      held: 0,
    })),
    coordinators: Array.from({ length: coordinators }, () => ({
      state: 0,
      attempts: 0,
      pending: 0,
      pendingIds: 0,
      pendingFrom: 0,
      pendingEpoch: 0,
      hasClosed: false,
      firstEpoch: 0,
    })),
  };
}

/** What comes to the same is written the same: events that everybody has read, what a hold was that is over. */
function normalise(world: World, keepsOverHolds: boolean): void {
  for (const [index, side] of world.sides.entries()) {
    const kept = world.zombie === index + 1 ? Math.min(side.position, world.zombieAt) : side.position;
    for (let at = 0; at < kept; at++) {
      const event = side.log[at] ?? 0;
      if (kindOf(event) !== 0) continue;
      side.knownOwner = ownerOf(event);
      side.knownEpoch = epochOf(event);
      side.knownTurn = turnOf(event) || side.knownTurn;
    }
    if (kept > 0) {
      side.log = side.log.slice(kept);
      side.position -= kept;
      if (world.zombie === index + 1) world.zombieAt -= kept;
    }
    if (side.turn === 0) side.turnInTime = false;
    if (side.hold === 0) side.holdInTime = false;
    if (!side.holdInTime && !keepsOverHolds) side.hold = 0;
  }
}

const bit = (value: boolean) => (value ? 1 : 0);
const codes: number[] = [];

export function encode(world: World, keepsOverHolds = false): string {
  normalise(world, keepsOverHolds);
  codes.length = 0;
  for (const s of world.sides) {
    codes.push(
      s.owner | (s.epoch << 1) | (s.turn << 4) | (bit(s.turnInTime) << 8) | (bit(s.holdInTime) << 9),
      s.hold | (s.bits << 4) | (s.value << 7) | (s.position << 10),
      s.knownOwner | (s.knownEpoch << 2) | (s.knownTurn << 5) | (s.log.length << 9),
      ...s.log,
    );
  }
  codes.push(
    world.zombie | (world.zombieAt << 2) | (world.bypass << 6) | (world.bypassAt << 8) | (world.orphan << 9),
    world.writesLeft | (world.count << 4),
  );
  for (const f of world.facades)
    codes.push(
      f.is | (bit(f.registered) << 2) | (f.to << 3) | (f.epoch << 4) | (f.inFlight << 7) | (f.held << 9),
      f.read,
      f.holds[0] | (f.holds[1] << 4) | (f.acknowledged[0] << 8) | (f.acknowledged[1] << 12),
    );
  for (const c of world.coordinators)
    codes.push(
      c.state,
      c.attempts |
        (c.pending << 2) |
        (c.pendingIds << 4) |
        (c.pendingFrom << 8) |
        (c.pendingEpoch << 9) |
        (bit(c.hasClosed) << 12) |
        (c.firstEpoch << 13),
    );
  return String.fromCharCode(...codes);
}

export function decode(text: string, facades: number, coordinators: number): World {
  let at = 0;
  const take = () => text.charCodeAt(at++);
  const asS = (value: number): S => (value & 1 ? 1 : 0);
  const takeSide = (): Side => {
    const [a, b, c] = [take(), take(), take()];
    const log: number[] = [];
    for (let left = c >> 9; left > 0; left--) log.push(take());
    return {
      owner: asS(a),
      epoch: (a >> 1) & 7,
      turn: (a >> 4) & 15,
      turnInTime: (a & 256) !== 0,
      holdInTime: (a & 512) !== 0,
      hold: b & 15,
      bits: (b >> 4) & 7,
      value: (b >> 7) & 7,
      position: b >> 10,
      knownOwner: c & 3,
      knownEpoch: (c >> 2) & 7,
      knownTurn: (c >> 5) & 15,
      log,
    };
  };
  const sides: [Side, Side] = [takeSide(), takeSide()];
  const [various, writes] = [take(), take()];
  const world: World = {
    sides,
    zombie: various & 3,
    zombieAt: (various >> 2) & 15,
    bypass: (various >> 6) & 3,
    bypassAt: asS(various >> 8),
    orphan: (various >> 9) & 3,
    writesLeft: writes & 15,
    count: writes >> 4,
    facades: [],
    coordinators: [],
  };
  for (let left = facades; left > 0; left--) {
    const [a, read, ids] = [take(), take(), take()];
    world.facades.push({
      is: a & 3,
      registered: (a & 4) !== 0,
      to: asS(a >> 3),
      epoch: (a >> 4) & 7,
      inFlight: (a >> 7) & 3,
      held: a >> 9,
      read,
      holds: [ids & 15, (ids >> 4) & 15],
      acknowledged: [(ids >> 8) & 15, ids >> 12],
    });
  }
  for (let left = coordinators; left > 0; left--) {
    const [state, b] = [take(), take()];
    world.coordinators.push({
      state,
      attempts: b & 3,
      pending: (b >> 2) & 3,
      pendingIds: (b >> 4) & 15,
      pendingFrom: asS(b >> 8),
      pendingEpoch: (b >> 9) & 7,
      hasClosed: (b & 4096) !== 0,
      firstEpoch: b >> 13,
    });
  }
  return world;
}
