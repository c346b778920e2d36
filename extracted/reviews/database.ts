// The connection pool and TypeORM's DataSource on it. Dates, DECIMAL and BIGINT come as strings.

import { setTimeout as delay } from 'node:timers/promises';
import mysql from 'mysql2';
import { DataSource, type DataSourceOptions, type EntityManager, type Logger } from 'typeorm';
import {
  histogramEntity,
  memberEntity,
  photoEntity,
  productEntity,
  recommendationEntity,
  reviewEntity,
} from './entities.ts';
import { isContention, StartError } from './errors.ts';
import { commentStatements } from './trace.ts';

const connectionsMax = 10;
const waitingMax = 1000;
const connectMsMax = 5000;
const answerMsMax = 2000;
const lockWaitSecondsMax = 5;
const attemptsMax = 8;

/** Strict whatever the server's default is: nothing may be cut off silently. */
const session = `SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00',
  innodb_lock_wait_timeout = ${lockWaitSecondsMax}`;

export type PoolFigures = { open: number; inUse: number; waitedTotal: number; max: number };

export type Database = {
  readonly source: DataSource;
  /** How the pool is used at this moment. */
  pool(): PoolFigures;
  /** Resolves when the database has answered, rejects when it has not within 2 s. */
  answers(): Promise<void>;
  close(): Promise<void>;
};

/** What every connection of this service has in common. */
export function connectionOptions(url: string) {
  return {
    type: 'mysql',
    url,
    // The part of a collation's name before the first underscore is the character set: utf8mb4.
    charset: 'UTF8MB4_GENERAL_CI',
    timezone: 'Z',
    dateStrings: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
    connectTimeout: connectMsMax,
    synchronize: false,
    logger: silence(),
  } as const satisfies DataSourceOptions;
}

/** TypeORM's own loggers write to standard output, some of it even when told not to; errors reach us as errors. */
function silence(): Logger {
  const ignore = () => {};
  return {
    logQuery: ignore,
    logQueryError: ignore,
    logQuerySlow: ignore,
    logSchemaBuild: ignore,
    logMigration: ignore,
    log: ignore,
  };
}

/**
 * Opens the pool that serves requests.
 * @throws StartError when the database cannot be reached
 */
export async function openDatabase(url: string): Promise<Database> {
  const open = new Set<mysql.PoolConnection>();
  const inUse = new Set<mysql.PoolConnection>();
  let waitedTotal = 0;
  // TypeORM is given its driver, for then the pool is ours to look at.
  const createPool = (options: mysql.PoolOptions): mysql.Pool => {
    const pool = mysql.createPool(options);
    pool.on('connection', (connection: mysql.PoolConnection) => {
      commentStatements(connection);
      open.add(connection);
      const gone = () => {
        open.delete(connection);
        inUse.delete(connection);
      };
      connection.once('end', gone).once('error', gone);
      // Runs before anything else on this connection; without it the connection is of no use.
      connection.query(session, (error) => {
        if (error) connection.destroy();
      });
    });
    pool.on('acquire', (connection: mysql.PoolConnection) => inUse.add(connection));
    pool.on('release', (connection: mysql.PoolConnection) => inUse.delete(connection));
    pool.on('enqueue', () => waitedTotal++);
    return pool;
  };
  const source = new DataSource({
    ...connectionOptions(url),
    driver: { ...mysql, createPool },
    poolSize: connectionsMax,
    extra: { queueLimit: waitingMax, waitForConnections: true },
    entities: [memberEntity, productEntity, reviewEntity, photoEntity, recommendationEntity, histogramEntity],
  });
  try {
    await source.initialize();
  } catch (cause) {
    throw unreachable(url, cause);
  }
  return {
    source,
    pool: () => ({ open: open.size, inUse: inUse.size, waitedTotal, max: connectionsMax }),
    answers: async () => {
      const late = new AbortController();
      const timeout = delay(answerMsMax, undefined, { signal: late.signal }).then(() => {
        throw new Error(`the database did not answer within ${answerMsMax} ms`);
      });
      timeout.catch(() => {}); // lost the race, which is what abort() is for
      try {
        await Promise.race([source.query('SELECT 1'), timeout]);
      } finally {
        late.abort();
      }
    },
    close: () => source.destroy(),
  };
}

/** Says where it tried to connect, without the password. */
export function unreachable(url: string, cause: unknown): StartError {
  const { hostname, port, pathname, username } = new URL(url);
  const where = `${decodeURIComponent(username)}@${hostname}:${port || 3306}${pathname}`;
  // A refused connection to a name with several addresses is an AggregateError without a message.
  const first: unknown = cause instanceof AggregateError ? cause.errors[0] : cause;
  const why = first instanceof Error ? first.message : String(first);
  return new StartError(
    `cannot use the database ${where} (${why}): check REVIEWS_DATABASE_URL and that it runs`,
    { cause },
  );
}

/** Runs the work in one transaction. The work must do nothing but SQL on its manager. */
export function inTransaction<T>(
  source: DataSource,
  work: (manager: EntityManager) => Promise<T>,
): Promise<T> {
  // Nothing here is decided by rows read before: no gap locks are needed, and without them fewer deadlocks come.
  return againstOthers(() => source.transaction('READ COMMITTED', work));
}

/** Runs a statement or a transaction, again when it lost against other writers (deadlock, lock wait). */
export async function againstOthers<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt === attemptsMax || !isContention(error)) throw error;
      await delay(Math.random() * 5 * 2 ** attempt);
    }
  }
}
