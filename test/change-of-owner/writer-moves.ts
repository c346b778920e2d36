// What clocks do, and writers who go round the facades.
import { sideNames } from './decisions.ts';
import { accepts, commitWrite, type Scene } from './scene.ts';
import type { S } from './sql-steps.ts';

export function clockMoves({ config, world, copy, emit }: Scene, side: S): void {
  const { turn, turnInTime, hold, holdInTime } = world.sides[side];
  const name = sideNames[side];
  if (turn !== 0 && turnInTime) {
    const after = copy();
    after.sides[side].turnInTime = false;
    emit('system', `the turn's deadline passes on ${name}`, after);
  }
  if (hold !== 0 && holdInTime) {
    const after = copy();
    after.sides[side].holdInTime = false;
    emit('system', `the hold on ${name} runs out`, after);
  }
  if (config.clockBack && turn !== 0 && !turnInTime) {
    const after = copy();
    after.sides[side].turnInTime = true;
    emit('fault', `the clock of ${name} is set back before the deadline`, after);
  }
}

/** Its trigger looks, in a transaction that ends later; refused, it may try again in the same one. */
export function cronMoves(scene: Scene, side: S): void {
  const { world, copy, emit } = scene;
  const name = sideNames[side];
  const isHere = world.bypassAt === side;
  if (world.writesLeft > 0 && (world.bypass === 0 || (world.bypass === 2 && isHere))) {
    const after = copy();
    const passes = accepts(world, side);
    after.bypass = passes ? 1 : 2;
    after.bypassAt = side;
    if (passes) after.writesLeft--;
    if (passes || world.bypass === 0)
      emit('fault', `cron on ${name} ${passes ? 'passes' : 'is refused by'} the trigger`, after);
  }
  if (world.bypass !== 0 && isHere) endCron(scene, side);
}

function endCron({ config, world, copy, emit }: Scene, side: S) {
  const name = sideNames[side];
  const after = copy();
  after.bypass = 0;
  if (world.bypass === 2)
    return emit(config.lingering ? 'fault' : 'system', `cron on ${name} ends its transaction`, after);
  commitWrite(after, side);
  emit('system', `cron on ${name} commits${world.bypass === 3 ? ' by XA' : ''}`, after);
  if (!config.xa || world.bypass === 3) return;
  const prepared = copy();
  prepared.bypass = 3;
  emit('fault', `cron on ${name} prepares by XA`, prepared);
}

/** What a facade had sent before it died. */
export function orphanMoves({ world, copy, emit }: Scene): void {
  if (world.orphan === 0) return;
  const side: S = world.orphan === 1 ? 0 : 1;
  const after = copy();
  after.orphan = 0;
  const passes = accepts(world, side);
  if (passes) commitWrite(after, side);
  emit('system', `the dead facade's write ${passes ? 'is executed' : 'is refused'}`, after);
}
