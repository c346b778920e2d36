// The SQL files of a folder as TypeORM migrations: read, never imported, run in the order of their numbers.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DataSource, type MigrationInterface, type QueryRunner } from 'typeorm';
import { connectionOptions, unreachable } from './database.ts';
import { errnoOf, StartError } from './errors.ts';

const lockSecondsMax = 60;

export type SqlFile = { readonly name: string; readonly sql: string };

/**
 * The NNNN-name.sql files of a folder.
 * @throws StartError when there are none, or a name has no number or one that is taken
 */
export function readMigrations(folder: string): SqlFile[] {
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => name.endsWith('.sql'));
  } catch (cause) {
    throw new StartError(`cannot read the migrations folder ${folder}: set REVIEWS_MIGRATIONS`, { cause });
  }
  if (names.length === 0) throw new StartError(`no .sql files in ${folder}: set REVIEWS_MIGRATIONS`);
  const numbers = new Set<number>();
  return names.sort().map((file) => {
    const [, stem, digits] = /^((\d{1,12})-.+)\.sql$/.exec(file) ?? [];
    const number = Number(digits);
    if (stem === undefined || !(number > 0))
      throw new StartError(`${join(folder, file)}: name it like 0002-what.sql`);
    if (numbers.has(number))
      throw new StartError(`${join(folder, file)}: another file has the number ${number}`);
    numbers.add(number);
    // TypeORM orders by the last 13 digits of a name, where it expects a time in milliseconds.
    return {
      name: `${stem}-${String(number).padStart(13, '0')}`,
      sql: readFileSync(join(folder, file), 'utf8'),
    };
  });
}

/**
 * Brings the schema up to date. Several instances may start at once: the others wait for the first.
 * @throws StartError when the database cannot be reached, its user may not create triggers, or a file fails
 */
export async function migrate(url: string, files: readonly SqlFile[]): Promise<void> {
  const source = new DataSource({
    ...connectionOptions(url),
    multipleStatements: true,
    poolSize: 2,
    migrations: files.map(toMigration),
    migrationsTableName: 'schema_migration',
    // DDL commits by itself, transaction or not.
    migrationsTransactionMode: 'none',
  });
  try {
    await source.initialize();
  } catch (cause) {
    throw unreachable(url, cause);
  }
  const lock = source.createQueryRunner();
  try {
    const [locked] = await lock.query(
      `SELECT GET_LOCK(CONCAT('migrate ', LEFT(DATABASE(), 50)), ${lockSecondsMax}) AS got`,
    );
    if (Number(locked?.got) !== 1)
      throw new StartError(
        `another instance has been running migrations for ${lockSecondsMax} s: look at its log`,
      );
    if (!(await source.showMigrations())) return;
    if (files.some((file) => /\bCREATE\s+(OR\s+REPLACE\s+)?TRIGGER\b/i.test(file.sql)))
      await proveTriggers(lock);
    await source.runMigrations();
  } catch (error) {
    throw error instanceof StartError ? error : failed(error);
  } finally {
    await lock.release();
    await source.destroy(); // ends the connection, and the lock with it
  }
}

function toMigration(file: SqlFile) {
  return class implements MigrationInterface {
    name = file.name;
    async up(queryRunner: QueryRunner): Promise<void> {
      await queryRunner.query(file.sql);
    }
    async down(): Promise<void> {
      throw new Error(`${file.name} has no way back: restore a backup`);
    }
  };
}

/** By doing it: grants come in too many shapes to be read, and a migration that stops halfway stays halfway. */
async function proveTriggers(runner: QueryRunner): Promise<void> {
  await runner.query('CREATE TABLE IF NOT EXISTS migration_trigger_proof (id INT PRIMARY KEY) ENGINE=InnoDB');
  try {
    await runner.query(
      'CREATE TRIGGER migration_trigger_proof BEFORE INSERT ON migration_trigger_proof FOR EACH ROW SET @proof = 1',
    );
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 1419)
      throw new StartError(
        'the database user may not create triggers, for its server writes a binlog: start the server with' +
          ' log_bin_trust_function_creators=ON, or run the migrations once as a user with SUPER',
        { cause: error },
      );
    if (errno === 1142 || errno === 1044 || errno === 1227)
      throw new StartError(
        'the database user may not create triggers, which keep the rating summary: GRANT TRIGGER on this database' +
          ' to it, or run the migrations once as a user that may',
        { cause: error },
      );
    throw error;
  } finally {
    await runner.query('DROP TABLE migration_trigger_proof');
  }
}

function failed(cause: unknown): StartError {
  const why = cause instanceof Error ? cause.message : String(cause);
  const hint =
    errnoOf(cause) === 1050
      ? 'the tables are there, but not by this service (it notes what it ran in schema_migration): give it an empty database'
      : 'correct the cause, drop what the file had made until then (DDL does not roll back), and start again';
  return new StartError(`a migration failed: ${why}: ${hint}`, { cause });
}
