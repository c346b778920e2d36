// For the tests: a shop of its own on a database of its own, and a client that takes answers as they come.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { reading } from './database.ts';
import { parseDatabaseUrl, readMigrations, type ShopOptions } from './options.ts';
import { createShop } from './shop.ts';

export type TestDatabase = {
  url: string;
  sql: Connection;
  rows(query: string, ...values: unknown[]): Promise<RowDataPacket[]>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** An empty database on the server of MONOLITH_TEST_SERVER, dropped when disposed of. */
export async function testDatabase(): Promise<TestDatabase> {
  const server = process.env.MONOLITH_TEST_SERVER;
  if (!server)
    throw new Error('MONOLITH_TEST_SERVER must be mysql://user:password@host:port of a server to test on');
  const name = `shop_${randomBytes(6).toString('hex')}`;
  const admin = await createConnection(server);
  await admin.query(`CREATE DATABASE ${name}`);
  await admin.end();
  const url = `${server}/${name}`;
  const sql = await createConnection({ uri: url, ...reading });
  await sql.query("SET SESSION sql_mode = 'STRICT_TRANS_TABLES'");
  return {
    url,
    sql,
    rows: async (query, ...values) => (await sql.query<RowDataPacket[]>(query, values))[0],
    [Symbol.asyncDispose]: async () => {
      await sql.query(`DROP DATABASE ${name}`);
      await sql.end();
    },
  };
}

/** Runs one of the shop's programs to its end. @throws with its standard error when it fails */
export function run(
  program: string,
  env: Record<string, string>,
  ...args: string[]
): Promise<{ stdout: string; stderr: string }> {
  const path = join(import.meta.dirname, program);
  return promisify(execFile)(process.execPath, [path, ...args], { env: { ...process.env, ...env } });
}

export type Answer = { status: number; headers: IncomingHttpHeaders; body: Buffer; text: string };
export type Call = {
  method?: string;
  headers?: Record<string, string>;
  form?: Record<string, string>;
  body?: Buffer;
};

/** One request, its answer as it is on the wire: no redirect followed, nothing unpacked. */
export function call(
  base: string,
  path: string,
  { method, headers, form, body }: Call = {},
): Promise<Answer> {
  const payload = form ? Buffer.from(new URLSearchParams(form).toString()) : body;
  const type = form ? { 'content-type': 'application/x-www-form-urlencoded' } : {};
  return new Promise((resolve, reject) => {
    const sent = request(base + path, {
      method: method ?? (payload ? 'POST' : 'GET'),
      headers: { ...type, ...headers },
    });
    sent.on('error', reject).on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('error', reject).on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const whole = Buffer.concat(chunks);
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: whole,
          text: whole.toString('utf8'),
        });
      });
    });
    sent.end(payload);
  });
}

export type TestShop = {
  url: string;
  database: TestDatabase;
  uploads: string;
  options: ShopOptions;
  call(path: string, given?: Call): Promise<Answer>;
  /** The headers of a member who is logged in. */
  logIn(mbrId: string): Promise<{ cookie: string }>;
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** A seeded shop in this process. */
export async function testShop(reviews: number): Promise<TestShop> {
  const database = await testDatabase();
  const uploads = mkdtempSync(join(tmpdir(), 'shop-'));
  await run(
    'seed.ts',
    { LEGACY_DATABASE_URL: database.url, LEGACY_UPLOADS: uploads },
    '--reviews',
    String(reviews),
  );
  const options: ShopOptions = {
    database: parseDatabaseUrl(database.url),
    uploads,
    migrations: readMigrations({}),
    publicUrl: undefined,
    trustedProxy: '127.0.0.1',
    logLevel: 'silent',
    heartbeatMs: 50,
  };
  const shop = await createShop(options);
  const url = await shop.app.listen({ host: '127.0.0.1', port: 0 });
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= shop.stop();
    return stopped;
  };
  return {
    url,
    database,
    uploads,
    options,
    call: (path, given) => call(url, path, given),
    logIn: async (mbrId) => {
      const { headers, text } = await call(url, '/api/member/login.do', {
        form: { mbrId, mbrPw: 'shop1234' },
      });
      const cookie = headers['set-cookie']?.[0]?.split(';')[0];
      if (cookie === undefined) throw new Error(`${mbrId} cannot log in: ${text}`);
      return { cookie };
    },
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop();
      await database[Symbol.asyncDispose]();
      rmSync(uploads, { recursive: true, force: true });
    },
  };
}

/** A multipart form with one file in it. */
export function multipart(bytes: Buffer): { headers: { 'content-type': string }; body: Buffer } {
  const boundary = 'shop-test-boundary';
  const head = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="사진.jpg"\r\nContent-Type: image/jpeg\r\n\r\n`;
  return {
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
    body: Buffer.concat([Buffer.from(head), bytes, Buffer.from(`\r\n--${boundary}--\r\n`)]),
  };
}
