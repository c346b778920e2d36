// The SQL files of a folder, run once each in the order of their numbers and noted in schema_migration. A file
// is noted after it ran, so a crash in between runs it again: each of its statements must bear that.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { connectionOptions, unreachable } from './database.ts';
import { errnoOf, StartError } from './errors.ts';

const lockSecondsMax = 60;

export type SqlFile = { readonly name: string; readonly sql: string };

/**
 * The NNNN-name.sql files of a folder, in order.
 * @throws StartError when there are none, or a name has no number of four digits or one that is taken
 */
export function readMigrations(folder: string): SqlFile[] {
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => name.endsWith('.sql'));
  } catch (cause) {
    throw new StartError(`cannot read the migrations folder ${folder}: set WISHLIST_MIGRATIONS`, { cause });
  }
  if (names.length === 0) throw new StartError(`no .sql files in ${folder}: set WISHLIST_MIGRATIONS`);
  const numbers = new Set<string>();
  return names.sort().map((file) => {
    const [, name, number] = /^((\d{4})-.+)\.sql$/.exec(file) ?? [];
    if (name === undefined || number === undefined)
      throw new StartError(`${join(folder, file)}: name it like 0002-what.sql`);
    if (numbers.has(number))
      throw new StartError(`${join(folder, file)}: another file has the number ${number}`);
    numbers.add(number);
    return { name, sql: readFileSync(join(folder, file), 'utf8') };
  });
}

/**
 * Brings the schema up to date. Several instances may start at once: the others wait for the first.
 * @throws StartError when the database cannot be reached, or a file fails
 */
export async function migrate(url: string, files: readonly SqlFile[]): Promise<void> {
  let sql: Connection;
  try {
    sql = await createConnection({ ...connectionOptions(url), multipleStatements: true });
  } catch (cause) {
    throw unreachable(url, cause);
  }
  let running = 'schema_migration';
  try {
    const [[lock]] = await sql.query<RowDataPacket[]>(
      `SELECT GET_LOCK(CONCAT('migrate ', LEFT(DATABASE(), 50)), ${lockSecondsMax}) AS got`,
    );
    if (Number(lock?.got) !== 1)
      throw new StartError(
        `another instance has been running migrations for ${lockSecondsMax} s: look at its log`,
      );
    const done = await namesOfDone(sql);
    for (const { name, sql: statements } of files.filter((file) => !done.has(file.name))) {
      running = name;
      await sql.query(statements);
      await sql.query('INSERT INTO schema_migration (name, ran_at) VALUES (?, UTC_TIMESTAMP())', [name]);
    }
  } catch (cause) {
    if (cause instanceof StartError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StartError(`migration ${running} failed: ${why}: correct the cause and start again`, { cause });
  } finally {
    sql.destroy(); // and the lock with it
  }
}

/** Asks first, creates then: once the schema is there, a user with no right to DDL will do. */
async function namesOfDone(sql: Connection): Promise<ReadonlySet<string>> {
  try {
    const [rows] = await sql.query<RowDataPacket[]>('SELECT name FROM schema_migration');
    return new Set(rows.map((row) => String(row.name)));
  } catch (error) {
    if (errnoOf(error) !== 1146) throw error; // no such table
    await sql.query(`CREATE TABLE schema_migration (
      name   VARCHAR(100) NOT NULL,
      ran_at DATETIME     NOT NULL COMMENT 'UTC',
      PRIMARY KEY (name)
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`);
    return new Set();
  }
}
