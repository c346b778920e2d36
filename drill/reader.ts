// A client of the service that looks at the counters again and again: what only grows on legacy must never be seen to
// shrink or vanish on the service, whatever is applied anew, backfilled again or taken over.
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { Outages } from './outages.ts';
import type { Sides } from './sides.ts';
import { countersOn } from './told.ts';
import { isLost } from './writers.ts';

export type Reader = {
  readonly reads: () => number;
  /** Values that went back. */
  readonly stale: readonly string[];
  /** Errors that no fault explains. */
  readonly errors: readonly string[];
  stop(): Promise<void>;
};

const betweenMs = 5;

export function startReader(sides: Sides, outages: Outages): Reader {
  const newest = new Map<string, number>();
  const stale: string[] = [];
  const errors: string[] = [];
  let reads = 0;
  let isStopped = false;
  const read = async (sql: Connection) => {
    const counters = await countersOn('service', async (text) => (await sql.query<RowDataPacket[]>(text))[0]);
    reads++;
    for (const [id, was] of newest) {
      const value = counters.get(id);
      if (value === undefined || value < was)
        stale.push(`counter ${id} was ${was}, then ${value ?? 'not there'}`);
    }
    for (const [id, value] of counters) newest.set(id, value);
  };
  const running = (async () => {
    let sql: Connection | undefined;
    while (!isStopped) {
      const since = performance.now();
      try {
        sql ??= await sides.service.connect();
        await read(sql);
      } catch (error) {
        sql?.destroy();
        sql = undefined;
        if (!isLost(error) || !outages.explains('service', since)) errors.push(`reader: ${String(error)}`);
      }
      await delay(betweenMs);
    }
    sql?.destroy();
  })();
  return {
    reads: () => reads,
    stale,
    errors,
    stop: async () => {
      isStopped = true;
      await running;
    },
  };
}
