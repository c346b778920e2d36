// Limits of how often a client may come to a declared route, by @fastify/rate-limit. The facade has one Fastify route for all, so the
// plugin's hooks by route have nothing to hang on: each declared route gets a limiter of its own, which the one handler asks.
import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { BanyanConfig, Route } from '../capability/capability.ts';

export type RateLimits = {
  /** @returns undefined for a route without a limit */
  limiterOf(route: Route): ((request: FastifyRequest) => Promise<Allowance>) | undefined;
};

/** Milliseconds until the client may come again, when it has come too often. */
export type Allowance =
  | { readonly isExceeded: false }
  | { readonly isExceeded: true; readonly afterMs: number };

/**
 * Clients are told apart by address, by the word of trusted proxies; IPv6 by its first 64 bits. 5,000 of a route are known at a
 * time, by the plugin's own bound.
 * @returns undefined when no route declares a limit: then nothing is asked at all
 */
export async function createRateLimits(
  app: FastifyInstance,
  { capabilities, legacy }: BanyanConfig,
): Promise<RateLimits | undefined> {
  const routes = [...capabilities.flatMap((capability) => capability.routes), ...(legacy.routes ?? [])];
  if (!routes.some((route) => route.rateLimit)) return undefined;
  await app.register(rateLimit, { global: false });
  const limiters = new Map<Route, (request: FastifyRequest) => Promise<Allowance>>();
  for (const route of routes) {
    if (!route.rateLimit) continue;
    const { max, perMs } = route.rateLimit;
    const check = app.createRateLimit({ max, timeWindow: perMs });
    limiters.set(route, async (request) => {
      const found = await check(request);
      return !found.isAllowed && found.isExceeded
        ? { isExceeded: true, afterMs: found.ttl }
        : { isExceeded: false };
    });
  }
  return { limiterOf: (route) => limiters.get(route) };
}
