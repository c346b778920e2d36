// What happens in which minute of a soak, by the seed alone.
import type { Chance } from '../test/sync/seed.ts';
import { type Blow, type Moment, route } from './route.ts';
import type { StackFaultKind } from './stack-faults.ts';

export type Kill = Blow<StackFaultKind> & {
  /** `apart`: while nobody changes the owner. */
  readonly at: Moment | { readonly is: 'apart' };
};

export type Minute = {
  readonly kill: Kill | undefined;
  /** Percentages of reads that a flag turns to, one after the other. */
  readonly turns: readonly number[];
  /** The nightly batch runs, if legacy owns. */
  readonly batch: boolean;
};

const turns = [25, 100, 0];
const turnsEach = 2;

/** Of the two facades, and of the two database servers, one is never killed: what leaks shows in who lives long. */
const victims = (chance: Chance): StackFaultKind[] => [
  'worker killed',
  chance.pick(['first facade killed', 'second facade killed']),
  'monolith killed',
  'service killed',
  'command killed',
  chance.pick(['legacy server killed', 'services server killed']),
];

/** Every minute the owner changes; in every second one something is killed, and each kind comes round. */
export function soakPlan(chance: Chance, minutes: number): Minute[] {
  const kills = route(chance.fork('kills'), victims(chance.fork('victims')), minutes).flatMap(
    ({ at, blows }) =>
      blows.map((blow): Kill => {
        const isApart = blow.fault !== 'command killed' && chance.below(2) === 0;
        return { ...blow, at: isApart ? { is: 'apart' } : at };
      }),
  );
  return Array.from({ length: minutes }, (_, index) => ({
    kill: index % 2 === 1 ? kills[(index - 1) / 2] : undefined,
    turns: Array.from(
      { length: turnsEach },
      (_, turn) => turns[(index * turnsEach + turn) % turns.length] ?? 0,
    ),
    batch: chance.below(3) > 0,
  }));
}
