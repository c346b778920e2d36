// When a server was made to fail: what explains an error of somebody who was asking it then, and nothing else does.
import type { Side } from './sides.ts';

type Outage = { readonly side: Side; readonly from: number; to: number };

export type Outages = {
  /** @returns to be called when the server answers again */
  begin(side: Side): () => void;
  /** @param since when the request began, by `performance.now()` */
  explains(side: Side, since: number): boolean;
};

export function recordOutages(): Outages {
  const outages: Outage[] = [];
  return {
    begin: (side) => {
      const outage = { side, from: performance.now(), to: Number.POSITIVE_INFINITY };
      outages.push(outage);
      return () => {
        outage.to = performance.now();
      };
    },
    explains: (side, since) => outages.some((outage) => outage.side === side && outage.to >= since),
  };
}
