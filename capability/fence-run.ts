// Runs the statements that bring a fence's triggers to another mode, on a server where people write. Making a trigger waits for
// every transaction that has used the table, and everybody else then waits behind it: so it waits for a second, lets
// them pass, says who was in the way, and tries again.
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { FenceStatement } from './fence-triggers.ts';

export class FenceError extends Error {
  override name = 'FenceError';
}

/** The triggers keep the sql_mode of the session that makes them: what is noted must never refuse a write. */
export const fenceSession =
  "SET NAMES utf8mb4, SESSION sql_mode = '', lock_wait_timeout = 1, innodb_lock_wait_timeout = 1";

export type FenceRun = {
  /** By an account that may make triggers with a definer of another name. */
  readonly sql: Connection;
  /** Sees everybody's transactions. */
  readonly observer: Connection;
  readonly waitMsMax: number;
  /** While others have their turn. */
  readonly pauseMs: number;
  readonly onWait: (table: string, inTheWay: string) => void;
};

const isLocked = (error: unknown) =>
  error instanceof Error && 'code' in error && error.code === 'ER_LOCK_WAIT_TIMEOUT';

/** @throws FenceError when a table was in use for too long, naming by whom; the driver's errors otherwise */
export async function runFenceStatements(
  statements: readonly FenceStatement[],
  { sql, observer, waitMsMax, pauseMs, onWait }: FenceRun,
): Promise<void> {
  await sql.query(fenceSession);
  for (const { table, sql: text } of statements)
    for (const until = performance.now() + waitMsMax; ; ) {
      const look = lookWhileWaiting(observer, sql.threadId);
      try {
        await sql.query(text);
        break;
      } catch (error) {
        if (!isLocked(error)) throw error;
        const inTheWay = await look.found;
        if (performance.now() >= until)
          throw new FenceError(
            `${table} was in use for ${Math.round(waitMsMax / 1_000)} s. Open on that server: ${inTheWay}. What was done before is in force, and running this again goes on from there: when that session has ended, or with a longer --wait`,
            { cause: error },
          );
        onWait(table, inTheWay);
        await delay(pauseMs);
      } finally {
        look.stop();
      }
    }
}

const lookAfterMs = 500;

function lookWhileWaiting(observer: Connection, thread: number) {
  const stopping = new AbortController();
  const found = delay(lookAfterMs, undefined, { signal: stopping.signal })
    .then(() => openTransactions(observer, thread))
    .catch(() => 'it could not be read who');
  return { found, stop: () => stopping.abort() };
}

/** The oldest transactions: servers do not all tell who has a table open, and it is hardly ever anybody else. */
async function openTransactions(observer: Connection, thread: number): Promise<string> {
  const [rows] = await observer.query<RowDataPacket[]>(
    `SELECT t.trx_mysql_thread_id AS thread, CONCAT(p.USER, '@', p.HOST) AS user,
       TIMESTAMPDIFF(SECOND, t.trx_started, SYSDATE()) AS seconds
     FROM information_schema.INNODB_TRX t JOIN information_schema.PROCESSLIST p ON p.ID = t.trx_mysql_thread_id
     WHERE p.ID <> ? ORDER BY t.trx_started LIMIT 3`,
    [thread],
  );
  const said = rows.map((row) => `session ${row.thread} (${row.user}), a transaction of ${row.seconds} s`);
  return said.length > 0 ? said.join('; ') : 'no transaction; perhaps a session with LOCK TABLES';
}
