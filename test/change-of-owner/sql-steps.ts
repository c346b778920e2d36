// The model's own idea of each SQL statement of a change of owner, on a small picture of one server. That it is the
// right idea is tested against a real server (capability/change-of-owner.mysql.test.ts).

/** legacy, service. */
export type S = 0 | 1;

export type Server = {
  owner: S;
  epoch: number;
  /** 0: none. */
  turn: number;
  /** Whether the turn's deadline is still ahead, by this server's clock. */
  turnInTime: boolean;
  /** 0: none. */
  hold: number;
  holdInTime: boolean;
};

/** What can be left out of the protocol, to see that the test finds it missing. */
export type Guard =
  | 'shared lock in the trigger'
  | 'deadline in close'
  | 'SYSDATE in close'
  | 'turn id in close'
  | 'epoch in close'
  | 'epoch in turn'
  | 'hold in turn'
  | 'epoch in open'
  | 'position compare-and-set'
  | 'look at the target fence'
  | 'marker'
  | 'position with the rows'
  | 'position after the rows'
  | 'facade reads the fence'
  | 'hold read before the fence'
  | 'boot reads'
  | 'boot registers first'
  | 'every replica acknowledges'
  | 'nothing in flight when acknowledging'
  | 'own row names the side'
  | 'only the applier opens'
  | 'drain'
  | 'last look waits for a turn'
  | 'position never falls'
  | 'XA RECOVER'
  | 'opening ends sessions in its way'
  | 'lost close is read back'
  | 'pinned epoch';

export type Without = ReadonlySet<Guard>;
export const nothing: Without = new Set();

/** What a writer's trigger says. */
export const admitsWriter = (server: Server, side: S): boolean =>
  server.owner === side && !(server.turn !== 0 && server.turnInTime);

export function hold(server: Server, id: number, inTime: boolean): void {
  server.hold = id;
  server.holdInTime = inTime;
}

export type At = { readonly owner: S; readonly epoch: number };

export function turn(
  server: Server,
  { owner, epoch }: At,
  ids: { readonly hold: number; readonly turn: number },
  inTime: boolean,
  without: Without = nothing,
): 0 | 1 {
  if (server.owner !== owner) return 0;
  if (server.epoch !== epoch && !without.has('epoch in turn')) return 0;
  if (!(server.hold === ids.hold && server.holdInTime) && !without.has('hold in turn')) return 0;
  server.turn = ids.turn;
  server.turnInTime = inTime;
  return 1;
}

/** @param inTime by which clock the deadline is looked at: the row's, or what it was when the statement began */
export function close(
  server: Server,
  { owner, epoch }: At,
  id: number,
  to: S,
  without: Without = nothing,
  inTime = server.turnInTime,
): 0 | 1 {
  if (server.owner !== owner) return 0;
  if (server.epoch !== epoch && !without.has('epoch in close')) return 0;
  if (server.turn !== id && !without.has('turn id in close')) return 0;
  // A deadline that is NULL compares as unknown.
  if (!(server.turn !== 0 && inTime) && !without.has('deadline in close')) return 0;
  server.owner = to;
  server.epoch = epoch + 1;
  server.turn = 0;
  return 1;
}

export function endTurn(server: Server, { owner, epoch }: At, id: number): 0 | 1 {
  if (server.owner !== owner || server.epoch !== epoch || server.turn !== id) return 0;
  server.turn = 0;
  return 1;
}

export function removeHold(server: Server, id: number): 0 | 1 {
  if (server.hold !== id) return 0;
  server.hold = 0;
  return 1;
}

export const probe = (server: Server, { owner, epoch }: At): 0 | 1 =>
  server.owner === owner && server.epoch === epoch ? 1 : 0;

/** What the apply transaction's look must find. */
export const looksRight = (server: Server, source: S, epoch: number): boolean =>
  server.owner === source && server.epoch === epoch;

export function open(server: Server, owner: S, epoch: number, without: Without = nothing): 0 | 1 {
  if (server.owner === owner) return 0;
  if (server.epoch !== epoch - 1 && !without.has('epoch in open')) return 0;
  server.owner = owner;
  server.epoch = epoch;
  server.turn = 0;
  return 1;
}
