// Chance that can be repeated: BANYAN_TEST_SEED fixes it, and each suite prints what it used.

export type Chance = {
  readonly seed: number;
  /** 0 ≤ n < max */
  below(max: number): number;
  pick<T>(from: readonly T[]): T;
  /** Another sequence, which depends on the seed and the name alone. */
  fork(name: string): Chance;
};

/** mulberry32 */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function chance(seed: number): Chance {
  const next = generator(seed);
  const below = (max: number) => Math.floor(next() * max);
  return {
    seed,
    below,
    pick: (from) => {
      const picked = from[below(from.length)];
      if (picked === undefined) throw new Error('nothing to pick from');
      return picked;
    },
    fork: (name) =>
      chance([...name].reduce((hash, letter) => Math.imul(hash ^ letter.charCodeAt(0), 16_777_619), seed)),
  };
}

/** The suite's seed: as given, else by the clock. */
export function suiteSeed(suite: string): Chance {
  const given = process.env.BANYAN_TEST_SEED;
  const seed = given === undefined ? Date.now() % 1_000_000_000 : Number(given);
  console.log(`${suite}: BANYAN_TEST_SEED=${seed}`);
  return chance(seed);
}
