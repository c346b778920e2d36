// What the worker does with the next event of a stream, by the product's decisions; and a paused one that comes back.
import { afterFence, checkOf, type Known, modeOf, treatmentOf } from '../../sync/mode.ts';
import { sideNames } from './decisions.ts';
import { isLocked, type Kind, type Scene } from './scene.ts';
import type { S } from './sql-steps.ts';
import * as sql from './sql-steps.ts';
import * as w from './world.ts';

const other = (side: S): S => (side === 0 ? 1 : 0);

/** Who applies, and the event in hand. */
type Hand = { readonly who: string; readonly kind: Kind; readonly source: S; readonly position: number };

/** What a stream knows at a position of its source's log. */
export function knownAt(side: w.Side, position: number): Known {
  let known: Known = {
    owner: side.knownOwner === 2 ? null : sideNames[side.knownOwner === 0 ? 0 : 1],
    epoch: BigInt(side.knownEpoch),
    turn: side.knownTurn === 0 ? null : BigInt(side.knownTurn),
  };
  for (const event of side.log.slice(0, position))
    if (w.kindOf(event) === 0) known = afterFence('legacy', known, fenceIn(event)).known;
  return known;
}

const fenceIn = (event: number) => ({
  owner: sideNames[w.ownerOf(event)],
  epoch: BigInt(w.epochOf(event)),
  turn: w.turnOf(event) === 0 ? null : BigInt(w.turnOf(event)),
});

export function workerMoves(scene: Scene, source: S): void {
  const { config, world, copy, emit } = scene;
  const { position, log } = world.sides[source];
  if (position >= log.length) return;
  const who = `the worker of ${sideNames[source]}'s stream`;
  apply(scene, { who, kind: 'system', source, position });
  if (!config.zombie || world.zombie !== 0) return;
  const after = copy();
  after.zombie = source + 1;
  after.zombieAt = position;
  emit('fault', `${who} is paused with the next event in hand, and another takes over`, after);
}

export function zombieMoves(scene: Scene) {
  const { world, without, copy, emit } = scene;
  if (world.zombie === 0) return;
  const source: S = world.zombie === 1 ? 0 : 1;
  const isMoved = world.sides[source].position !== world.zombieAt;
  const isBlind = without.has('position compare-and-set') || without.has('position never falls');
  if (!isMoved || isBlind)
    return apply(scene, { who: 'the paused worker', kind: 'fault', source, position: world.zombieAt });
  const after = copy();
  after.zombie = 0;
  emit('fault', 'the paused worker resumes and finds the position moved', after);
}

/** One event, in the transaction that moves the position past it. */
function apply(scene: Scene, hand: Hand) {
  const { world, without, copy, emit } = scene;
  const { who, kind, source, position } = hand;
  const name = sideNames[source];
  const event = world.sides[source].log[position] ?? 0;
  const known = knownAt(world.sides[source], position);
  const after = copy();
  if (kind === 'fault') after.zombie = 0;
  const now = after.sides[source].position;
  after.sides[source].position = without.has('position never falls')
    ? Math.max(now, position + 1)
    : position + 1;
  const check = checkOf('tables', name, known);
  const isRight =
    without.has('look at the target fence') ||
    check === 'position' ||
    sql.looksRight(after.sides[other(source)], source, Number(check.epoch));
  if (w.kindOf(event) === 0) {
    const { opens } = afterFence(name, known, fenceIn(event));
    if (opens) return open(scene, hand, after, Number(opens.epoch), isRight);
    return emit(kind, `${who} passes a fence row`, after);
  }
  const id = w.idOf(event);
  const treatment = treatmentOf(modeOf('tables', name, known), w.kindOf(event) === 2);
  if (treatment === 'pass') return emit(kind, `${who} passes over the echo of write ${id}`, after);
  if (treatment === 'trip')
    return emit(kind, `${who} meets write ${id} while it watches`, after, 'a tripwire without cause');
  if (!isRight) return stop(scene, hand, after);
  writeRow(scene, hand, after, id);
}

function writeRow(scene: Scene, { who, kind, source, position }: Hand, after: w.World, id: number): void {
  const { config, without, copy, emit } = scene;
  const target = after.sides[other(source)];
  const isTwice = (target.bits & (1 << (id - 1))) !== 0 && !config.upserts;
  target.bits |= 1 << (id - 1);
  target.value = id;
  target.log.push(without.has('marker') ? w.writeEvent(id) : w.echoEvent(id));
  const half = copy();
  if (without.has('position with the rows')) {
    half.sides[source].position = position + 1;
    emit('fault', `${who} commits the position past write ${id}, and dies before its rows`, half);
  }
  if (without.has('position after the rows')) {
    half.sides[other(source)] = target;
    emit('fault', `${who} commits write ${id}, and dies before the position`, half);
  }
  emit(kind, `${who} applies write ${id}`, after, isTwice ? 'a write is applied twice' : undefined);
}

/** The close row: alone in its transaction; sessions that hold the fence row there are ended. */
function open(scene: Scene, hand: Hand, after: w.World, epoch: number, isRight: boolean) {
  const { without, emit } = scene;
  const target = other(hand.source);
  const fence = after.sides[target];
  const name = sideNames[target];
  if (isLocked(scene, target)) {
    if (without.has('opening ends sessions in its way')) return;
    after.bypass = 0;
  }
  if (without.has('only the applier opens') && fence.epoch >= epoch)
    return emit(hand.kind, `${hand.who} passes the close row, ${name} being open`, after);
  if (!isRight || sql.open(fence, target, epoch, without) !== 1) return stop(scene, hand, after);
  fence.log.push(w.fenceEvent(target, epoch, 0));
  emit(hand.kind, `${hand.who} passes the close row and opens ${name}`, after);
}

/** A stream that stands still waits for a person; the paused worker's transaction is only rolled back. */
function stop({ copy, emit }: Scene, { who, kind }: Hand, after: w.World) {
  if (kind !== 'fault') return emit(kind, `${who} stops at the target's fence`, after, 'the stream stops');
  const ended = copy();
  ended.zombie = 0;
  emit(kind, `${who} finds another owner in the target's fence`, ended);
}
