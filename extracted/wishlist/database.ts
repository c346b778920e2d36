// The connection pool. COUNT and what else is 64 bits wide comes as a string.
import { setTimeout as delay } from 'node:timers/promises';
import { createPool } from 'mysql2';
import type { Pool } from 'mysql2/promise';
import { StartError } from './errors.ts';

const connectionsMax = 10;
const waitingMax = 1000;
const connectMsMax = 5000;
const answerMsMax = 2000;
const lockWaitSecondsMax = 5;

/** Strict whatever the server's default is: nothing may be cut off or turned into "?" silently. */
const session = `SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00',
  innodb_lock_wait_timeout = ${lockWaitSecondsMax}`;

/** What every connection of this service has in common. */
export const connectionOptions = (url: string) => ({
  uri: url,
  charset: 'UTF8MB4_GENERAL_CI',
  dateStrings: true,
  supportBigNumbers: true,
  bigNumberStrings: true,
  connectTimeout: connectMsMax,
});

/** The pool that serves requests; nothing connects before the first query. */
export function openDatabase(url: string): Pool {
  const pool = createPool({
    ...connectionOptions(url),
    connectionLimit: connectionsMax,
    queueLimit: waitingMax,
  });
  pool.on('connection', (connection) => {
    // Runs before anything else on this connection; without it the connection is of no use.
    connection.query(session, (error) => {
      if (error) connection.destroy();
    });
  });
  return pool.promise();
}

/** Resolves when the database has answered, rejects when it has not within 2 s. */
export async function answers(pool: Pool): Promise<void> {
  const late = new AbortController();
  const timeout = delay(answerMsMax, undefined, { signal: late.signal }).then(() => {
    throw new Error(`the database did not answer within ${answerMsMax} ms`);
  });
  timeout.catch(() => {}); // lost the race, which is what abort() is for
  try {
    await Promise.race([pool.query('SELECT 1'), timeout]);
  } finally {
    late.abort();
  }
}

/** Says where it tried to connect, without the password. */
export function unreachable(url: string, cause: unknown): StartError {
  const { hostname, port, pathname, username } = new URL(url);
  const where = `${decodeURIComponent(username)}@${hostname}:${port || 3306}${pathname}`;
  // A refused connection to a name with several addresses is an AggregateError without a message.
  const first: unknown = cause instanceof AggregateError ? cause.errors[0] : cause;
  const why = first instanceof Error ? first.message : String(first);
  return new StartError(
    `cannot use the database ${where} (${why}): check WISHLIST_DATABASE_URL and that it runs`,
    { cause },
  );
}
