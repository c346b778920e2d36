// The shop's one database: a pool for its work, and a connection of its own for the schema.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import knex, { type Knex } from 'knex';
import type { DatabaseAddress } from './options.ts';
import { type Commented, commentStatements } from './trace.ts';

export type Database = Knex;

/** What talks SQL to the server, as far as setting up a session goes: callbacks, as mysql2's plain face has them. */
type RawConnection = Commented & { query(sql: string, done: (error: Error | null) => void): void };

/**
 * Zero dates are data here ("never"): MySQL 8 refuses them by default, so its NO_ZERO_DATE and
 * NO_ZERO_IN_DATE stay out. Strict, so that a text euckr cannot hold is an error and never a "?".
 */
export const sqlMode = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION';

/** How mysql2 reads: dates, DECIMAL and 64-bit integers (COUNT, SUM) as strings, INT as numbers. */
export const reading = {
  charset: 'utf8mb4',
  dateStrings: true,
  supportBigNumbers: true,
  bigNumberStrings: true,
} as const;

/** What fails is thrown where it is asked for; knex would print it, with its stack, beside that. */
const silent = { warn() {}, error() {}, deprecate() {}, debug() {} };

function open(
  address: DatabaseAddress,
  connection: { multipleStatements: boolean },
  poolMax: number,
): Database {
  return knex({
    client: 'mysql2',
    connection: { ...address, ...reading, ...connection },
    log: silent,
    acquireConnectionTimeout: 5_000,
    pool: {
      min: 0,
      max: poolMax,
      afterCreate: (raw: RawConnection, done: (error: Error | null, raw: RawConnection) => void) => {
        commentStatements(raw);
        raw.query(`SET SESSION sql_mode = '${sqlMode}'`, (error: Error | null) => done(error, raw));
      },
    },
  });
}

/** The pool. Nothing connects before the first query; `destroy()` ends it. */
export const openDatabase = (address: DatabaseAddress): Database =>
  open(address, { multipleStatements: false }, 10);

/**
 * Brings the schema up to date from the folder's `*.sql` files, in the order of their names.
 * @throws what knex throws: no server, no such database, a statement that fails
 */
export async function migrate(address: DatabaseAddress, folder: string): Promise<void> {
  const files = readdirSync(folder)
    .filter((file) => file.endsWith('.sql'))
    .sort();
  const database = open(address, { multipleStatements: true }, 1);
  try {
    // One start at a time; it ends with the connection. Who holds it knows that a lock of knex's own, which
    // outlives its process, is a dead one's.
    const [[lock]] = await database.raw("SELECT GET_LOCK(CONCAT('migrate ', SHA1(DATABASE())), 30) AS taken");
    if (String(lock.taken) !== '1')
      throw new Error('another start has been changing the schema for 30 seconds');
    await database.migrate.forceFreeMigrationsLock();
    await database.migrate.latest({
      migrationSource: {
        getMigrations: async () => files,
        getMigrationName: (file: string) => file,
        getMigration: async (file: string) => ({
          up: async (on: Knex) => {
            await on.raw(readFileSync(join(folder, file), 'utf8'));
          },
          down: async () => {
            throw new Error(`${file} has no way back`);
          },
        }),
      },
      // DDL commits by itself: a transaction around it would only pretend.
      disableTransactions: true,
    });
  } finally {
    await database.destroy();
  }
}

/** Whether a trigger that guards a table has refused a statement: SIGNAL SQLSTATE '45000', in Banyan's name. */
export const isRefusedByGuard = (error: unknown): boolean =>
  error instanceof Error &&
  'sqlState' in error &&
  error.sqlState === '45000' &&
  'sqlMessage' in error &&
  String(error.sqlMessage).startsWith('banyan:');

/** Whether a statement failed on a primary or unique key. */
export const isDuplicateKey = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ER_DUP_ENTRY';
