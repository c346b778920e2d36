// Chance that is the same each time: same seed, same rows.

export type Random = {
  /** A whole number from 0 to below `below`. */
  int(below: number): number;
  /** True this often, of 1. */
  chance(share: number): boolean;
  pick<T>(from: readonly T[]): T;
  /** A whole number from 0 to `max`, small ones far more often; its mean is about `mean`. */
  few(mean: number, max: number): number;
};

/** Mulberry32 (Tommy Ettinger, public domain): 32 bits of state, good enough for a shop's reviews. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (below: number) => Math.floor(next() * below);
  return {
    int,
    chance: (share) => next() < share,
    pick: (from) => {
      const picked = from[int(from.length)];
      if (picked === undefined) throw new Error('there is nothing to pick from');
      return picked;
    },
    few: (mean, max) => {
      let count = 0;
      while (count < max && next() < mean / (1 + mean)) count++;
      return count;
    },
  };
}
