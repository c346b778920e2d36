// Answers of legacy that may be kept for other clients, on routes that say so: undici's cache (RFC 9111) over an instance's connections.
// Legacy itself says which, and for how long: Cache-Control, Expires, Vary and validators are kept to.
import { cacheStores, type Dispatcher, interceptors, type Pool } from 'undici';

export type AnswerCache = {
  /**
   * The same connections, behind the cache, which is one for all instances.
   * @param origin http://host as the client says it: hosts have answers of their own
   */
  over(pool: Pool, origin: string): Pick<Dispatcher, 'dispatch'>;
};

/** @param bytesMax of all that is kept; what was used last goes last */
export function createAnswerCache(bytesMax: number): AnswerCache {
  const store = new cacheStores.MemoryCacheStore({
    maxSize: bytesMax,
    maxCount: 100_000,
    maxEntrySize: Math.max(Math.floor(bytesMax / 16), 1),
  });
  const intercept = interceptors.cache({ store, methods: ['GET'], type: 'shared' });
  const known = new WeakMap<Pool, Dispatcher['dispatch']>();
  return {
    over(pool, origin) {
      let cached = known.get(pool);
      if (!cached) {
        // Not by compose(): it would keep the answers of each instance by itself, and those of different hosts together.
        cached = intercept((options, handler) => pool.dispatch(options, handler));
        known.set(pool, cached);
      }
      const dispatch = cached;
      return { dispatch: (options, handler) => dispatch({ ...options, origin }, handler) };
    },
  };
}
