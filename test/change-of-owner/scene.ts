// A state, what may happen in it, and where its successors go: what every kind of step is given.
import type { Machine } from './decisions.ts';
import type { S, Without } from './sql-steps.ts';
import * as sql from './sql-steps.ts';
import { type World, writeEvent } from './world.ts';

export type Config = {
  readonly name: string;
  readonly facades: number;
  /** Where each coordinator wants the owner, and how often it may be run. */
  readonly coordinators: readonly { readonly to: S; readonly attempts: number }[];
  readonly writes: number;
  /** A worker may be paused with an event in hand. */
  readonly zombie?: true;
  /** A writer that goes round the facades (cron), on these sides. */
  readonly bypass?: readonly S[];
  /** It may prepare by XA. */
  readonly xa?: true;
  /** Refused, it may stay in its transaction for ever. */
  readonly lingering?: true;
  /** Answers to turn and close may be lost, and the statements be executed later or never. */
  readonly lost?: true;
  /** Commands may be interrupted. */
  readonly giveUp?: true;
  /** Facades die and boot. */
  readonly crash?: true;
  /** A deadline that has passed may be ahead again. */
  readonly clockBack?: true;
  /** A row that is applied twice is no fault by itself. */
  readonly upserts?: true;
  readonly without?: Without;
};

/** `system`: happens without anybody's help. `run`: a coordinator goes on. `fault`: need not happen. */
export type Kind = 'system' | 'run' | 'fault';

export type Emit = (kind: Kind, label: string, world: World, fault?: string) => void;

export type Scene = {
  readonly config: Config;
  readonly without: Without;
  readonly machine: Machine;
  readonly world: World;
  /** Of the state, to be changed. */
  copy(): World;
  readonly emit: Emit;
};

export const accepts = (world: World, side: S): boolean => sql.admitsWriter(world.sides[side], side);

/** A writer that has looked at the fence in an open transaction holds its row, and who changes it waits. */
export const isLocked = ({ world, without }: Scene, side: S): boolean =>
  world.bypassAt === side &&
  (world.bypass === 1 || world.bypass === 2) &&
  !without.has('shared lock in the trigger');

/** A write that its server has admitted is committed. */
export function commitWrite(world: World, side: S): void {
  world.count++;
  const row = world.sides[side];
  row.bits |= 1 << (world.count - 1);
  row.value = world.count;
  row.log.push(writeEvent(world.count));
}
