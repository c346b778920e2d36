// A fresh database on the tests' server (REVIEWS_TEST_SERVER), and the service on it.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { createReviewsService, type ReviewsService } from './service.ts';

export const migrations = join(import.meta.dirname, '..', '..', 'migrations', 'reviews');

export type TestDatabase = {
  readonly name: string;
  readonly url: string;
  /** As root; several statements at once, dates and big numbers as strings. */
  readonly sql: Connection;
  rows(statement: string, parameters?: unknown[]): Promise<Record<string, unknown>[]>;
  /** Another connection, closed with the database. */
  connect(): Promise<Connection>;
  [Symbol.asyncDispose](): Promise<void>;
};

export function serverUrl(): string {
  const url = process.env.REVIEWS_TEST_SERVER;
  if (!url)
    throw new Error('REVIEWS_TEST_SERVER is not set: run "npm test" in this folder, which starts a server');
  return url;
}

export async function testDatabase(): Promise<TestDatabase> {
  const name = `reviews_${randomBytes(6).toString('hex')}`;
  const url = `${serverUrl()}/${name}`;
  const admin = await createConnection(serverUrl());
  await admin.query(`CREATE DATABASE ${name}`);
  await admin.end();
  const connections: Connection[] = [];
  const connect = async () => {
    const connection = await createConnection({
      uri: url,
      charset: 'UTF8MB4_GENERAL_CI',
      multipleStatements: true,
      dateStrings: true,
      supportBigNumbers: true,
      bigNumberStrings: true,
    });
    connections.push(connection);
    return connection;
  };
  const sql = await connect();
  return {
    name,
    url,
    sql,
    connect,
    rows: async (statement, parameters = []) => (await sql.query<RowDataPacket[]>(statement, parameters))[0],
    [Symbol.asyncDispose]: async () => {
      await sql.query(`DROP DATABASE IF EXISTS ${name}`);
      for (const connection of connections) await connection.end();
    },
  };
}

export type TestService = ReviewsService & {
  readonly database: TestDatabase;
  /** One request, without a socket. */
  call(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    url: string,
    body?: object,
    /** Whose signed identity it carries; '': none. */
    member?: string,
  ): Promise<Answer>;
  /** Of a member, or with claims of its own. */
  sign(member: string, claims?: Readonly<Record<string, unknown>>): Promise<string>;
  [Symbol.asyncDispose](): Promise<void>;
};

// biome-ignore lint/suspicious/noExplicitAny: a test looks into answers of every shape
export type Answer = { status: number; headers: Record<string, unknown>; body: any };

export async function testService(): Promise<TestService> {
  const database = await testDatabase();
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: 'test', alg: 'ES256' };
  const service = await createReviewsService({
    databaseUrl: database.url,
    migrations,
    logLevel: 'silent',
    identity: { keys: [jwk] },
  });
  const sign = (member: string, claims: Readonly<Record<string, unknown>> = {}) =>
    new SignJWT({ iss: 'banyan', aud: 'reviews', exp: Date.now() / 1000 + 60, ...claims })
      .setSubject(member)
      .setProtectedHeader({ alg: 'ES256', kid: 'test' })
      .sign(privateKey);
  return {
    ...service,
    database,
    sign,
    call: async (method, url, body, member = 'kim') => {
      const headers = member === '' ? {} : { 'banyan-identity': await sign(member) };
      const answer = await service.app.inject({ method, url, headers, ...(body !== undefined && { body }) });
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
