// A little client traffic for the demo: people who look at products and their reviews, and keep wish lists.
// It writes no reviews: until there is a change stream they would be on one side only.
import { setTimeout as delay } from 'node:timers/promises';

export type Traffic = {
  /** Since the last call. */
  take(): { readonly requests: number; readonly failures: number };
  stop(): Promise<void>;
};

const clients = 20;
const requestsPerSecond = 10;

/** Starts asking the facade, some ten requests a second by twenty clients who keep their cookies. */
export function startTraffic(facade: string, products: readonly number[]): Traffic {
  const cookies = new Map<number, string>();
  const stopped = new AbortController();
  let requests = 0;
  let failures = 0;
  const ask = async (client: number, path: string) => {
    const cookie = cookies.get(client);
    requests++;
    try {
      const response = await fetch(new URL(path, facade), {
        headers: cookie ? { cookie } : {},
        signal: AbortSignal.any([stopped.signal, AbortSignal.timeout(10_000)]),
      });
      await response.arrayBuffer();
      if (response.status >= 500) failures++;
      const kept = response.headers.getSetCookie().map((each) => each.split(';', 1)[0]);
      if (kept.length > 0) cookies.set(client, kept.join('; '));
    } catch {
      if (!stopped.signal.aborted) failures++;
    }
  };
  const paths = (product: number) => [
    `/api/review/list.do?prdNo=${product}`,
    `/products/${product}`,
    `/api/review/list.do?prdNo=${product}&sort=STAR&page=2`,
    `/api/review/summary.do?prdNo=${product}`,
  ];
  const run = async () => {
    for (let turn = 0; !stopped.signal.aborted; turn++) {
      const product = products[turn % products.length] ?? 1;
      const choices = paths(product);
      await ask(turn % clients, choices[turn % choices.length] ?? '/');
      await delay(1000 / requestsPerSecond, undefined, { signal: stopped.signal }).catch(() => undefined);
    }
  };
  const done = run();
  return {
    take: () => {
      const taken = { requests, failures };
      requests = 0;
      failures = 0;
      return taken;
    },
    stop: async () => {
      stopped.abort();
      await done;
    },
  };
}
