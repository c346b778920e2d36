// What facade replicas do, by the product's rule.
import { type ReadSide, rule, sideNames } from './decisions.ts';
import { accepts, commitWrite, type Kind, type Scene } from './scene.ts';
import type { S } from './sql-steps.ts';
import * as w from './world.ts';

type Change = (facade: w.Facade, world: w.World) => void;

/** One replica's steps. */
type Replica = { readonly scene: Scene; readonly index: number; readonly name: string };

export function facadeMoves(scene: Scene, index: number) {
  const { world, config, without } = scene;
  const facade = world.facades[index];
  if (!facade) return;
  const replica = { scene, index, name: `f${index + 1}` };
  const { name } = replica;
  if (facade.is === w.down) return bootMoves(replica, facade);
  if (world.writesLeft > 0)
    step(replica, 'fault', `a client writes to ${name}`, (after, world) => {
      world.writesLeft--;
      after.held++;
    });
  if (facade.inFlight !== 0) execute(replica, facade);
  if (facade.is === w.asking) lookMoves(replica, facade);
  else pollMoves(replica, facade);
  if (facade.is === w.holding)
    step(replica, 'system', `${name} asks, and reads ${first(scene)}`, (after, world) => {
      rule.ask(after);
      readFirst(scene, after, world);
    });
  if (!facade.registered)
    step(replica, 'system', `${name} registers`, (after) => {
      after.registered = true;
    });
  if (config.crash && !(facade.registered && without.has('boot registers first') && facade.is === w.asking))
    step(replica, 'fault', `${name} dies`, (after, world) => {
      if (after.inFlight !== 0) world.orphan = after.inFlight;
      Object.assign(after, { is: w.down, read: 0, epoch: 0, to: 0, holds: [0, 0], inFlight: 0, held: 0 });
    });
}

function bootMoves(replica: Replica, facade: w.Facade): void {
  const { scene, name } = replica;
  if (facade.registered)
    step(replica, 'system', `${name}'s heartbeat is over`, (after) => {
      Object.assign(after, { registered: false, acknowledged: [0, 0] });
    });
  step(replica, 'fault', `${name} boots`, (after) => {
    after.registered = !scene.without.has('boot registers first');
    after.acknowledged = [0, 0];
    rule.boot(after);
    if (scene.without.has('boot reads')) Object.assign(after, { is: w.sending, to: 0, epoch: 1 });
  });
}

/** It hears, by a push or by the way, how fences and holds stand. */
function pollMoves(replica: Replica, facade: w.Facade): void {
  const polled = { ...facade };
  rule.polled(polled, readings(replica.scene.world));
  if (polled.is === facade.is && `${polled.holds}` === `${facade.holds}` && polled.epoch === facade.epoch)
    return;
  step(replica, 'system', `${replica.name} hears how fences and holds stand`, (after, world) =>
    rule.polled(after, readings(world)),
  );
}

function lookMoves(replica: Replica, facade: w.Facade): void {
  const { scene, name } = replica;
  if (facade.read === 0)
    step(replica, 'system', `${name} reads ${first(scene)}`, (after, world) =>
      readFirst(scene, after, world),
    );
  else
    step(replica, 'system', `${name} reads ${second(scene)}`, (after, world) =>
      readSecond(scene, after, world),
    );
}

const isHoldFirst = ({ without }: Scene) => !without.has('hold read before the fence');
const first = (scene: Scene) => (isHoldFirst(scene) ? 'the holds' : 'the fences');
const second = (scene: Scene) => (isHoldFirst(scene) ? 'the fences' : 'the holds');

function readings({ sides }: w.World): [ReadSide, ReadSide] {
  const of = (side: w.Side): ReadSide => ({ ...side, holdInForce: side.holdInTime ? side.hold : 0 });
  return [of(sides[0]), of(sides[1])];
}

/** Five bits a side: the hold in force, or (the mutant) the fence. */
function readFirst(scene: Scene, facade: w.Facade, { sides }: w.World): void {
  const holdOf = ({ hold, holdInTime }: w.Side) => (holdInTime ? hold : 0);
  const fenceOf = ({ owner, epoch, turn, turnInTime }: w.Side) =>
    owner | (epoch << 1) | (turn !== 0 && turnInTime ? 16 : 0);
  const of = isHoldFirst(scene) ? holdOf : fenceOf;
  facade.read = 1 | (of(sides[0]) << 1) | (of(sides[1]) << 6);
}

function readSecond(scene: Scene, facade: w.Facade, world: w.World): void {
  const { without } = scene;
  const was = facade.to;
  const join = (now: ReadSide, read: number): ReadSide =>
    isHoldFirst(scene)
      ? { ...now, holdInForce: read }
      : {
          owner: read & 1 ? 1 : 0,
          epoch: (read >> 1) & 7,
          turn: read & 16 ? 15 : 0,
          turnInTime: (read & 16) !== 0,
          holdInForce: now.holdInForce,
        };
  const [a, b] = readings(world);
  const read = [join(a, (facade.read >> 1) & 31), join(b, (facade.read >> 6) & 31)] as const;
  rule.answered(facade, read);
  const sendTo = (to: S) => {
    if (read[to].holdInForce === 0) Object.assign(facade, { is: w.sending, to, holds: [0, 0] });
  };
  if (without.has('own row names the side')) {
    const newest = read[1].epoch > read[0].epoch ? read[1] : read[0];
    if (!newest.turnInTime) sendTo(newest.owner);
  }
  if (without.has('facade reads the fence')) sendTo(was);
}

function step({ scene, index }: Replica, kind: Kind, label: string, change: Change): void {
  const after = scene.copy();
  const facade = after.facades[index];
  if (!facade) return;
  change(facade, after);
  settle(scene, facade);
  scene.emit(kind, label, after);
}

/** What a facade does at once: held writes go, and it acknowledges when it may. */
function settle({ without }: Scene, facade: w.Facade): void {
  if (facade.is === w.down) return;
  if (facade.is !== w.sending && !without.has('facade reads the fence')) facade.to = 0;
  if (facade.is === w.sending && facade.held > 0 && facade.inFlight === 0) {
    facade.held--;
    facade.inFlight = facade.to + 1;
  }
  const inFlight = without.has('nothing in flight when acknowledging') ? 0 : facade.inFlight;
  const ids = rule.acknowledges(facade, inFlight);
  if (ids[0] !== 0) facade.acknowledged = ids;
}

function execute(replica: Replica, facade: w.Facade) {
  const { scene, name } = replica;
  const side: S = facade.inFlight === 1 ? 0 : 1;
  const where = sideNames[side];
  if (!accepts(scene.world, side))
    return scene.emit(
      'system',
      `${name}'s write is refused by ${where}`,
      scene.copy(),
      'a client is refused',
    );
  step(replica, 'system', `${name}'s write is executed on ${where}`, (after, world) => {
    after.inFlight = 0;
    commitWrite(world, side);
  });
}
