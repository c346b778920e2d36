// What happens when, by the seed alone: counted in the writers' acknowledged writes, never by the clock.
import type { Chance } from '../test/sync/seed.ts';

export type Step<Kind extends string> = {
  /** Acknowledged writes before it begins. */
  readonly afterWrites: number;
  readonly fault: Kind;
  /** Acknowledged writes during it, for faults that last. */
  readonly lastingWrites: number;
};

export type RoundPlan<Kind extends string> = {
  /** The reviews are read once more while the round goes on. */
  readonly backfill: boolean;
  /** Both sides are verified while the writers write, too. */
  readonly verifyLive: boolean;
  readonly steps: readonly Step<Kind>[];
};

function shuffled<T>(chance: Chance, from: readonly T[]): T[] {
  const left = [...from];
  return Array.from(from, () => left.splice(chance.below(left.length), 1)).flat();
}

/** Mostly over before anybody has noticed; sometimes longer than leases and time limits of sessions. */
const lasting = (chance: Chance) => (chance.below(4) === 0 ? 400 + chance.below(600) : 10 + chance.below(60));

/** Each kind of fault once in an order of its own, then each once again: a short run has many kinds. */
export function schedule<Kind extends string>(
  chance: Chance,
  kinds: readonly Kind[],
  rounds: number,
): RoundPlan<Kind>[] {
  let deck: Kind[] = [];
  const deal = (): Kind[] => {
    if (deck.length === 0) deck = shuffled(chance, kinds);
    return deck.splice(0, 1);
  };
  return Array.from({ length: rounds }, (_, round) => ({
    backfill: round === 0 || chance.below(2) === 0,
    verifyLive: chance.below(3) === 0,
    steps: Array.from({ length: 1 + chance.below(2) }, deal)
      .flat()
      .map((fault) => ({ afterWrites: 20 + chance.below(100), fault, lastingWrites: lasting(chance) })),
  }));
}
