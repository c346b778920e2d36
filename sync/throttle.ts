// Reading whole tables must not be felt by applications: rest after each chunk, and wait while there is much to do.
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection, RowDataPacket } from 'mysql2/promise';

export type ThrottleOptions = {
  /** Rest after a chunk, as a multiple of the time it took. */
  readonly niceRatio: number;
  readonly lagMsMax: number;
  readonly threadsRunningMax: number;
  readonly lagMs: () => number;
};

const pauseMs = 200;

/**
 * @param source the server that is read
 * @param tookMs how long the last chunk took
 */
export async function throttle(
  source: Connection,
  { niceRatio, lagMs, lagMsMax, threadsRunningMax }: ThrottleOptions,
  tookMs: number,
  signal: AbortSignal,
): Promise<void> {
  const pause = (ms: number) => delay(ms, undefined, { signal }).catch(() => undefined);
  if (niceRatio > 0) await pause(niceRatio * tookMs);
  while (!signal.aborted) {
    const [status] = await source.query<RowDataPacket[]>("SHOW GLOBAL STATUS LIKE 'Threads_running'");
    if (lagMs() <= lagMsMax && Number(status[0]?.Value ?? 0) <= threadsRunningMax) return;
    await pause(pauseMs);
  }
}
