// Fresh databases on the two private servers that `npm test` started; each test file takes its own.
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Connection, createConnection } from 'mysql2/promise';

export type TestServer = 'legacy' | 'services';

export type TestDatabase = {
  readonly name: string;
  /** mysql://root:…@127.0.0.1:PORT/NAME */
  readonly url: string;
  /** A connection as root, for the test itself; DECIMAL, BIGINT and dates stay strings. */
  readonly sql: Connection;
  [Symbol.asyncDispose](): Promise<void>;
};

export function serverUrl(server: TestServer): string {
  const url = process.env[`BANYAN_TEST_${server.toUpperCase()}_SERVER`];
  if (!url) throw new Error('no test servers: run the suites by "npm test -- PATH", which starts them');
  return url;
}

/**
 * A new database, with the schema of the named folder of migrations/ when one is given.
 * Dropped when disposed of.
 */
export async function testDatabase(server: TestServer, migrations?: string): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  const url = `${serverUrl(server)}/${name}`;
  const admin = await createConnection(serverUrl(server));
  await admin.query(`CREATE DATABASE ${name}`);
  await admin.end();
  const sql = await createConnection({
    uri: url,
    multipleStatements: true,
    dateStrings: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
  });
  if (migrations !== undefined) {
    const folder = join(import.meta.dirname, '..', 'migrations', migrations);
    for (const file of readdirSync(folder)
      .filter((file) => file.endsWith('.sql'))
      .sort())
      await sql.query(readFileSync(join(folder, file), 'utf8'));
  }
  return {
    name,
    url,
    sql,
    [Symbol.asyncDispose]: async () => {
      await sql.query(`DROP DATABASE IF EXISTS ${name}`);
      await sql.end();
    },
  };
}
