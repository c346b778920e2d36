// Writes a heartbeat to a source, again and again: its passing in the stream tells the lag.
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { pause } from './unless-aborted.ts';

/** Heartbeats that have not come back yet, at the most; older ones are forgotten. */
const underwayMax = 1_000;

export class Heartbeats {
  readonly #capability: string;
  /** When each was sent, by this process's monotonic clock, by the source's time that it carries. */
  readonly #underway = new Map<string, number>();
  #lagMs: number | undefined;

  constructor(capability: string) {
    this.#capability = capability;
  }

  /** One heartbeat each `everyMs`, until the signal. @throws when the connection is lost */
  async run(sql: Connection, everyMs: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const sentAt = performance.now();
      // The time is taken first, so that it can be told to us as well as written.
      const [rows] = await sql.query<RowDataPacket[]>(
        'SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) AS DECIMAL(20,6)) AS at',
      );
      const at = String(rows[0]?.at);
      this.#underway.set(at, sentAt);
      if (this.#underway.size > underwayMax) this.#underway.delete(this.#underway.keys().next().value ?? '');
      await sql.query('UPDATE banyan.banyan_heartbeat SET at = ? WHERE capability = ?', [
        at,
        this.#capability,
      ]);
      await pause(everyMs, signal);
    }
  }

  /** Everything that was written before this heartbeat is on the target. */
  passed(at: string): void {
    const sentAt = this.#underway.get(at);
    if (sentAt === undefined) return; // by another worker, or before a restart
    this.#lagMs = performance.now() - sentAt;
    for (const key of this.#underway.keys()) {
      this.#underway.delete(key);
      if (key === at) return;
    }
  }

  /** Milliseconds by which the target is behind: of the last heartbeat, or of the oldest that has not come. */
  lagMs(): number | undefined {
    const [oldest] = this.#underway.values();
    const waiting = oldest === undefined ? 0 : performance.now() - oldest;
    return this.#lagMs === undefined ? undefined : Math.max(this.#lagMs, waiting);
  }
}
