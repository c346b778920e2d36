// Clients of the shop who write reviews and read them back, through the facades: each keeps a ledger of what was acknowledged
// to it, and looks whether its own reads know it. They know nothing of sides.
import { openPools } from './shop-client.ts';
import type { Review } from './shop-ledger.ts';
import { type Floor, Shopper, type ShoppersOptions, type Timed, type Trouble } from './shopper.ts';

export type Shoppers = {
  readonly troubles: readonly Trouble[];
  readonly timed: readonly Timed[];
  /** By their marks. */
  readonly reviews: ReadonlyMap<string, Review>;
  /** One more review by the first shopper, until it is answered, and read back. */
  writeOne(): Promise<void>;
  /** Writes that were answered as done. */
  readonly acknowledged: () => number;
  /** Reads by shoppers of what they had written. */
  readonly ownReads: () => number;
  /** Milliseconds since they began. */
  now(): number;
  /** Nobody recommends anything meanwhile: the nightly batch and a recommendation are each other's deadlock in this shop. */
  withoutRecommendations<T>(work: () => Promise<T>): Promise<T>;
  /** Lets each finish what it is at. */
  stop(): Promise<void>;
};

/** Logs everybody in, then has them go to work. */
export async function startShoppers(options: ShoppersOptions): Promise<Shoppers> {
  const startedAt = performance.now();
  const floor: Floor = {
    pools: openPools(options.facades),
    now: () => performance.now() - startedAt,
    troubles: [],
    timed: [],
    reviews: new Map(),
    numbers: new Set(),
    ownReads: 0,
    acknowledged: 0,
    recommending: new Set(),
    mayRecommend: true,
  };
  const crew = Array.from({ length: options.shoppers }, (_, index) => new Shopper(index + 1, options, floor));
  await Promise.all(crew.map((shopper) => shopper.join()));
  let isStopped = false;
  const isIdle = options.writesPerSecond + options.readsPerSecond === 0;
  const work = Promise.all(isIdle ? [] : crew.map((shopper) => shopper.work(() => isStopped)));
  const { troubles, timed, reviews, now } = floor;
  let stopped: Promise<void> | undefined;
  async function stop(): Promise<void> {
    isStopped = true;
    await work;
    await Promise.all(floor.pools.map((pool) => pool.close()));
  }
  return {
    troubles,
    timed,
    reviews,
    writeOne: async () => crew[0]?.create(),
    acknowledged: () => floor.acknowledged,
    ownReads: () => floor.ownReads,
    now,
    async withoutRecommendations(doing) {
      floor.mayRecommend = false;
      await Promise.all(floor.recommending);
      try {
        return await doing();
      } finally {
        floor.mayRecommend = true;
      }
    },
    stop: () => (stopped ??= stop()),
  };
}
