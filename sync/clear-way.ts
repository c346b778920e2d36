// At the opening the applier needs the fence row of its target for itself. A session there that was refused, and has not ended
// its transaction, keeps a shared lock on it, for as long as it likes, while nobody may write anywhere. It can have
// changed nothing of the capability: it is ended.
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { type Blocker, fenceBlockers } from '../capability/blockers.ts';
import type { FrameKey } from './frame.ts';

/** A wait shorter than this is nobody's fault. */
const waitMs = 300;
/** InnoDB shows locks as they were until nobody has looked for 0.1 s. */
const againMs = 150;

export type Way = {
  readonly key: FrameKey;
  /** The session that waits for the fence row. */
  readonly thread: number;
  connect(): Promise<Connection>;
  /** A session was ended, or could not be; undefined: it could not be asked who is in the way. */
  onInTheWay(blocker: Blocker | undefined, failure: unknown): void;
};

/** Ends whoever is in the way, until it is disposed of. */
export function clearWay(way: Way): AsyncDisposable {
  const stopping = new AbortController();
  const clearing = clear(way, stopping.signal).catch((error: unknown) => {
    if (!stopping.signal.aborted) way.onInTheWay(undefined, error);
  });
  return {
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      await clearing;
    },
  };
}

async function clear({ key, thread, connect, onInTheWay }: Way, signal: AbortSignal): Promise<void> {
  await delay(waitMs, undefined, { signal });
  const sql = await connect();
  try {
    while (!signal.aborted) {
      const blockers = await fenceBlockers(sql, thread);
      // Only while the side is closed. It stays closed: the one who would open it is waiting.
      if (blockers.length > 0 && (await isClosed(sql, key)))
        for (const blocker of blockers) onInTheWay(blocker, await kill(sql, blocker));
      await delay(againMs, undefined, { signal });
    }
  } finally {
    sql.destroy();
  }
}

/** The target's row names the source, or there is none. */
async function isClosed(sql: Connection, { capability, source }: FrameKey): Promise<boolean> {
  const [rows] = await sql.query<RowDataPacket[]>(
    'SELECT 1 FROM banyan.banyan_fence WHERE capability = ? AND owner <> ?',
    [capability, source],
  );
  return rows.length === 0;
}

/** @returns why it could not be ended */
async function kill(sql: Connection, { thread }: Blocker): Promise<unknown> {
  try {
    await sql.query('KILL ?', [thread]);
    return undefined;
  } catch (error) {
    return error;
  }
}
