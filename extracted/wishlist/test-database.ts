// A fresh database on the tests' server, and the service on it.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { createWishlistService } from './service.ts';

export const migrations = join(import.meta.dirname, '..', '..', 'migrations', 'wishlist');

export type TestDatabase = {
  readonly name: string;
  readonly url: string;
  /** As root; several statements at once. */
  readonly sql: Connection;
  rows(statement: string): Promise<Record<string, unknown>[]>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** The tests' own server, or the one that the repository's run has started for the services. */
export function serverUrl(): string {
  const url = process.env.WISHLIST_TEST_SERVER || process.env.REVIEWS_TEST_SERVER;
  if (!url) throw new Error('WISHLIST_TEST_SERVER is not set: run "npm test" here, which starts a server');
  return url;
}

export async function testDatabase(): Promise<TestDatabase> {
  const name = `wishlist_${randomBytes(6).toString('hex')}`;
  const url = `${serverUrl()}/${name}`;
  const sql = await createConnection({
    uri: serverUrl(),
    charset: 'UTF8MB4_GENERAL_CI',
    multipleStatements: true,
  });
  await sql.query(`CREATE DATABASE ${name}; USE ${name}`);
  return {
    name,
    url,
    sql,
    rows: async (statement) => (await sql.query<RowDataPacket[]>(statement))[0],
    [Symbol.asyncDispose]: async () => {
      // A test may have made a user of the same name.
      await sql.query(`DROP DATABASE IF EXISTS ${name}; DROP USER IF EXISTS ${name}@'127.0.0.1'`);
      await sql.end();
    },
  };
}

// biome-ignore lint/suspicious/noExplicitAny: a test looks into answers of every shape
export type Answer = { status: number; headers: Record<string, unknown>; body: any };

export type TestService = {
  readonly database: TestDatabase;
  /** One request, without a socket. */
  call(method: 'GET' | 'PUT' | 'DELETE', url: string, body?: object): Promise<Answer>;
  [Symbol.asyncDispose](): Promise<void>;
};

export async function testService(): Promise<TestService> {
  const database = await testDatabase();
  const service = await createWishlistService({ databaseUrl: database.url, migrations, logLevel: 'silent' });
  return {
    database,
    call: async (method, url, body) => {
      const answer = await service.app.inject({ method, url, ...(body !== undefined && { body }) });
      const isJson = String(answer.headers['content-type']).includes('json');
      return {
        status: answer.statusCode,
        headers: answer.headers,
        body: isJson ? answer.json() : answer.body,
      };
    },
    [Symbol.asyncDispose]: async () => {
      await service.stop();
      await database[Symbol.asyncDispose]();
    },
  };
}
