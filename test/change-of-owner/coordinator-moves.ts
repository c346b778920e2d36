// What coordinators do: the product's machine says what is next, the model's SQL steps answer.
import type { State } from '../../capability/change-of-owner-state.ts';
import { sideNames } from './decisions.ts';
import { isLocked, type Kind, type Scene } from './scene.ts';
import type { S } from './sql-steps.ts';
import * as sql from './sql-steps.ts';
import { knownAt } from './worker-moves.ts';
import * as w from './world.ts';

const other = (side: S): S => (side === 0 ? 1 : 0);

/** One coordinator, between two steps. */
type Actor = {
  readonly scene: Scene;
  readonly index: number;
  readonly letter: string;
  readonly mine: w.Coordinator;
};

/** Its attempt's one number, for hold and turn, and the row that its statements are meant for. */
type Aim = { readonly id: number; readonly at: sql.At; readonly on: S };

export function coordinatorMoves(scene: Scene, index: number) {
  const { config, machine, world, without } = scene;
  const [mine, wants] = [world.coordinators[index], config.coordinators[index]];
  if (!mine || !wants) return;
  const letter = String.fromCharCode(65 + index);
  const actor = { scene, index, letter, mine };
  if (mine.pending === 1 || mine.pending === 2) lateMoves(actor);
  if (mine.state === 0)
    return go(actor, 'fault', `${letter} begins, to ${sideNames[wants.to]}`, (me, { sides }) => {
      me.attempts = 1;
      if (without.has('pinned epoch')) me.firstEpoch = Math.max(sides[0].epoch, sides[1].epoch);
      return machine.begin(wants.to, attemptOf(scene, index, 1), sides);
    });
  const state = machine.stateOf(mine.state);
  if (state.at === 'ended') return;
  if (mine.attempts < wants.attempts && mine.pending !== 3)
    go(actor, 'fault', `${letter} dies and is run again`, (me, { sides }) => {
      me.attempts++;
      me.hasClosed = false;
      const attempt = attemptOf(scene, index, me.attempts);
      return machine.resume(me.state, attempt, sides, without.has('pinned epoch'));
    });
  if (config.giveUp && mine.pending !== 3)
    go(actor, 'fault', `${letter} is interrupted`, (me) => machine.giveUp(me.state));
  act(actor, state);
}

/** Numbers that are never used again. */
function attemptOf({ config }: Scene, index: number, attempt: number): number {
  let id = attempt;
  for (const { attempts } of config.coordinators.slice(0, index)) id += attempts;
  return id;
}

/** One step; then looks that always say the same are taken at once. */
function go(
  { scene, index }: Actor,
  kind: Kind,
  label: string,
  change: (mine: w.Coordinator, world: w.World) => number,
): void {
  const { machine, config, without, emit, copy } = scene;
  const after = copy();
  const mine = after.coordinators[index];
  if (!mine) return;
  mine.state = change(mine, after);
  for (;;) {
    const action = machine.actionOf(mine.state);
    if (action.do === 'check') mine.state = machine.checked(mine.state);
    else if (action.do === 'record') mine.state = machine.rows(mine.state, 1);
    else if (action.do === 'recover-xa' && (!config.xa || without.has('XA RECOVER')))
      mine.state = machine.xa(mine.state, false);
    else break;
  }
  emit(kind, label, after, faultOf(mine, machine.stateOf(mine.state)));
}

function faultOf({ hasClosed, firstEpoch }: w.Coordinator, state: State): string | undefined {
  if (!hasClosed) return undefined;
  if (state.at === 'ended' && state.outcome === 'undone') return 'an attempt that closed says undone';
  const isOld = firstEpoch > 0 && Number(state.change.epoch) > firstEpoch;
  return isOld ? 'an old command undoes a later one' : undefined;
}

/** The statement that was not answered is executed after all. */
function lateMoves(actor: Actor): void {
  const { scene, letter, mine } = actor;
  const { pending, pendingIds: id, pendingFrom: owner, pendingEpoch: epoch } = mine;
  if (isLocked(scene, owner)) return;
  const name = sideNames[owner];
  go(
    actor,
    'fault',
    `${letter}'s unanswered ${pending === 1 ? 'turn' : 'close'} reaches ${name}`,
    (me, after) => {
      Object.assign(me, { pending: 0, pendingIds: 0, pendingFrom: 0, pendingEpoch: 0 });
      const aim = { id, at: { owner, epoch }, on: owner };
      if (pending === 1) turn(scene, after, aim);
      else close(scene, after, me, aim, after.sides[owner].turnInTime);
      return me.state;
    },
  );
}

function turn({ without }: Scene, world: w.World, { id, at, on }: Aim): 0 | 1 {
  const row = world.sides[on];
  const rows = sql.turn(row, at, { hold: id, turn: id }, true, without);
  if (rows === 1) row.log.push(w.fenceEvent(row.owner, row.epoch, id));
  return rows;
}

function close(
  { without }: Scene,
  world: w.World,
  mine: w.Coordinator,
  { id, at, on }: Aim,
  inTime: boolean,
): 0 | 1 {
  const row = world.sides[on];
  const rows = sql.close(row, at, id, other(at.owner), without, inTime);
  if (rows === 0) return 0;
  mine.hasClosed = true;
  row.log.push(w.fenceEvent(row.owner, row.epoch, 0));
  return 1;
}

function act(actor: Actor, state: Exclude<State, { at: 'ended' }>) {
  const { scene, letter, mine } = actor;
  const { machine, world, without } = scene;
  const action = machine.actionOf(mine.state);
  const from: S = state.change.from === 'legacy' ? 0 : 1;
  const to = other(from);
  const x = world.sides[from];
  // Where the machine says.
  const on: S = 'on' in action && action.on === 'service' ? 1 : 0;
  const at = { owner: from, epoch: Number(state.change.epoch) };
  const aim = { id: Number(state.attempt.turn), at, on };
  const { id } = aim;
  switch (action.do) {
    case 'read-fences':
      return readFences(actor, state, to, at.epoch + 1);
    case 'hold':
      return go(actor, 'run', `${letter} writes a hold on ${sideNames[on]}`, (me, after) => {
        sql.hold(after.sides[on], id, true);
        return machine.rows(me.state, 1);
      });
    case 'read-replicas': {
      const seen = without.has('every replica acknowledges') ? [] : world.facades;
      const isLate = !(x.hold === id && x.holdInTime);
      const after = machine.replicas(mine.state, seen, id, isLate);
      const has = machine.stateOf(after).at === 'turn' ? 'has every' : 'misses an';
      return look(actor, `${letter} ${has} acknowledgement`, after);
    }
    case 'turn':
      return turnMoves(actor, aim);
    case 'read-fence': {
      const doubts = mine.pending !== 2 || !without.has('lost close is read back');
      const row = doubts ? world.sides[on] : { ...world.sides[on], turn: 0 };
      return look(actor, `${letter} reads the fence of ${sideNames[on]}`, machine.fence(mine.state, row));
    }
    case 'read-drain': {
      const source = world.sides[other(on)];
      const met = without.has('drain') ? id : Number(knownAt(source, source.position).turn ?? 0n);
      const after = machine.drain(mine.state, met, !(x.turn === id && x.turnInTime));
      return look(actor, `${letter} asks whether ${sideNames[on]} has met the turn`, after);
    }
    case 'recover-xa': {
      const isPrepared = world.bypass === 3 && world.bypassAt === on;
      return look(actor, `${letter} looks for prepared XA`, machine.xa(mine.state, isPrepared));
    }
    case 'probe': {
      const after = isLocked(scene, on)
        ? machine.busy(mine.state, false)
        : machine.rows(mine.state, sql.probe(world.sides[on], at));
      return look(actor, `${letter} locks the fence row of ${sideNames[on]} once`, after);
    }
    case 'close':
      return closeMoves(actor, aim);
    case 'remove-hold':
      return go(actor, 'run', `${letter} removes its hold`, (me, after) =>
        machine.rows(me.state, sql.removeHold(after.sides[on], id)),
      );
    case 'end-turn':
      return endTurnMoves(actor, aim);
    case 'release':
      return releaseMoves(actor, aim);
  }
}

/** A look that changes nothing is not a step. */
function look(actor: Actor, label: string, after: number): void {
  if (after !== actor.mine.state) go(actor, 'run', label, () => after);
}

function readFences(actor: Actor, state: State, to: S, epoch: number): void {
  const { scene, letter, mine } = actor;
  const { machine, world, without, copy, emit } = scene;
  if (state.at === 'await-open' && without.has('only the applier opens')) {
    const after = copy();
    if (sql.open(after.sides[to], to, epoch, without) === 1) {
      after.sides[to].log.push(w.fenceEvent(to, epoch, 0));
      emit('fault', `${letter} opens ${sideNames[to]}`, after);
    }
  }
  const [a, b] = world.sides;
  const isBlind = state.at === 'recheck' && without.has('last look waits for a turn');
  const seen = isBlind
    ? ([
        { ...a, turn: 0 },
        { ...b, turn: 0 },
      ] as const)
    : world.sides;
  look(actor, `${letter} reads both fences`, machine.fences(mine.state, seen));
}

function turnMoves(actor: Actor, aim: Aim) {
  const { scene, letter, mine } = actor;
  const { machine } = scene;
  const { on: owner } = aim;
  const { hold, holdInTime } = scene.world.sides[owner];
  if (isLocked(scene, owner)) {
    const after = machine.busy(mine.state, !(hold === aim.id && holdInTime));
    return look(actor, `${letter}'s turn waits for cron until the hold is over`, after);
  }
  go(actor, 'run', `${letter} turns ${sideNames[owner]}`, (me, after) =>
    machine.rows(me.state, turn(scene, after, aim)),
  );
  lose(actor, 1, aim);
}

function closeMoves(actor: Actor, aim: Aim): void {
  const { scene, letter, mine } = actor;
  const { machine, without } = scene;
  const { on: owner } = aim;
  const { turn, turnInTime } = scene.world.sides[owner];
  const isWaiting = mine.pending === 3;
  if (!isLocked(scene, owner)) {
    go(actor, 'run', `${letter} closes ${sideNames[owner]}`, (me, after) => {
      me.pending = 0;
      const inTime = isWaiting || after.sides[owner].turnInTime;
      return machine.rows(me.state, close(scene, after, me, aim, inTime));
    });
    if (!isWaiting) lose(actor, 2, aim);
    return;
  }
  if (isWaiting) return;
  const isLate = !(turn === aim.id && turnInTime);
  // With NOW() the clock is read before the wait for the lock.
  if (without.has('SYSDATE in close') && !isLate)
    go(actor, 'run', `${letter}'s close waits for cron, its clock read`, (me) => {
      me.pending = 3;
      return me.state;
    });
  look(actor, `${letter}'s close waits for cron until the deadline`, machine.busy(mine.state, isLate));
}

function endTurnMoves(actor: Actor, { id, at, on }: Aim) {
  const { scene, letter } = actor;
  const { machine } = scene;
  if (isLocked(scene, on))
    return go(actor, 'run', `${letter} leaves the turn to its deadline`, (me) =>
      machine.busy(me.state, false),
    );
  go(actor, 'run', `${letter} ends its turn`, (me, after) => {
    const row = after.sides[on];
    const rows = sql.endTurn(row, at, id);
    if (rows === 1) row.log.push(w.fenceEvent(row.owner, row.epoch, 0));
    return machine.rows(me.state, rows);
  });
}

function releaseMoves(actor: Actor, { id, at }: Aim): void {
  const { scene, letter, mine } = actor;
  const { hold, holdInTime } = scene.world.sides[at.owner];
  const after = scene.machine.replicas(mine.state, scene.world.facades, id, false);
  if (after === mine.state && !(hold === id && holdInTime)) return;
  go(actor, 'run', `${letter} releases`, (_me, world) => {
    sql.removeHold(world.sides[at.owner], id);
    return after;
  });
}

/** The statement is sent and its answer lost; it may be executed at any later time, or never. */
function lose(actor: Actor, pending: 1 | 2, { id, at }: Aim): void {
  const { scene, letter, mine } = actor;
  if (!scene.config.lost || mine.pending !== 0) return;
  const what = pending === 1 ? 'turn' : 'close';
  go(actor, 'fault', `${letter} sends its ${what} and gets no answer`, (me) => {
    Object.assign(me, { pending, pendingIds: id, pendingFrom: at.owner, pendingEpoch: at.epoch });
    return scene.machine.lost(me.state);
  });
}
