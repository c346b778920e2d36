// Reading whole tables must not be felt by applications: rest after each chunk, and wait while there is much to do.
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { pause } from './unless-aborted.ts';

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
  if (niceRatio > 0) await pause(niceRatio * tookMs, signal);
  while (!signal.aborted) {
    const [status] = await source.query<RowDataPacket[]>("SHOW GLOBAL STATUS LIKE 'Threads_running'");
    if (lagMs() <= lagMsMax && Number(status[0]?.Value ?? 0) <= threadsRunningMax) return;
    await pause(pauseMs, signal);
  }
}
