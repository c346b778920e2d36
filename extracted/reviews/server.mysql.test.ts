// The service as a process: how it starts, what it says when it cannot, how it stops.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, expect, test } from 'vitest';
import { serverUrl, type TestDatabase, testDatabase } from './test-database.ts';

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

function start(env: Record<string, string>) {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'server.ts')], {
    env: { PATH: process.env.PATH, REVIEWS_PORT: '0', REVIEWS_IDENTITY: 'off', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  const exited = once(child, 'exit').then(([code]) => code);
  return { child, exited, stderr: text(child.stderr) };
}

/** Its standard output is one line, and nothing else ever. */
async function listening(env: Record<string, string>) {
  const started = start(env);
  let stdout = '';
  started.child.stdout?.setEncoding('utf8').on('data', (chunk) => {
    stdout += chunk;
  });
  await expect.poll(() => stdout, { timeout: 15_000 }).toMatch(/\n/);
  const { listening: url }: { listening: string } = JSON.parse(stdout);
  return { ...started, url, stdout: () => stdout };
}

/** Exit code 1 and one line on standard error. */
async function failure(env: Record<string, string>): Promise<string> {
  const { child, exited, stderr } = start(env);
  expect(await text(child.stdout ?? [])).toBe('');
  expect(await exited).toBe(1);
  const said = (await stderr).trimEnd().split('\n');
  expect(said).toHaveLength(1);
  return said[0] ?? '';
}

test('it migrates an empty database, listens, answers, and stops in order', async () => {
  await using database = await testDatabase();
  // Two instances at once: one migrates, the other waits for it.
  const [one, two] = await Promise.all([
    listening({ REVIEWS_DATABASE_URL: database.url }),
    listening({ REVIEWS_DATABASE_URL: database.url }),
  ]);
  for (const { url } of [one, two]) {
    for (const path of ['/healthz', '/readyz', '/metrics', '/products/1/reviews'])
      expect((await fetch(`${url}${path}`)).status, path).toBe(200);
  }
  expect((await database.rows('SELECT name FROM schema_migration'))[0]?.name).toMatch(/^0001-reviews-/);
  two.child.kill('SIGINT');
  expect(await two.exited).toBe(0);

  // One request is being answered (it waits for a row), one connection is idle but open, when the signal comes.
  await database.sql.query("INSERT INTO product VALUES (1, '사과')");
  const review = { productId: 1, rating: 5, body: '', channel: 'app' };
  const headers = { 'content-type': 'application/json', 'banyan-identity': 'kim' };
  await fetch(`${one.url}/reviews`, { method: 'POST', headers, body: JSON.stringify(review) });
  await database.sql.query('START TRANSACTION; SELECT * FROM review WHERE id = 1 FOR UPDATE');
  const viewed = fetch(`${one.url}/reviews/1/views`, { method: 'POST' });
  const updates = () =>
    database.rows("SELECT id FROM information_schema.processlist WHERE db = ? AND info LIKE 'UPDATE%'", [
      database.name,
    ]);
  await expect.poll(updates, { timeout: 10_000 }).toHaveLength(1);
  const open = await halfRequest(one.url);
  one.child.kill('SIGTERM');
  const { hostname, port } = new URL(one.url);
  const refused = () =>
    new Promise((resolve) => {
      const socket = connect(Number(port), hostname, () => resolve(socket.destroy() && 'accepted'));
      socket.once('error', () => resolve('refused'));
    });
  await expect.poll(refused).toBe('refused');
  expect(await open.finish()).toMatch(/^HTTP\/1.1 503 [\s\S]*connection: close/i);
  await database.sql.query('ROLLBACK');
  expect(await (await viewed).json()).toMatchObject({ viewCount: 1 });
  expect(await one.exited).toBe(0);
  expect(one.stdout()).toBe(`{"listening":"${one.url}"}\n`);
});

/** Asks for /readyz, but keeps the last line to itself until told. */
async function halfRequest(url: string) {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  socket.write('GET /readyz HTTP/1.1\r\nHost: x\r\n');
  // The server has read this much when it has answered a request sent later on another connection.
  await fetch(`${url}/healthz`);
  return {
    finish: () => {
      socket.write('\r\n');
      return text(socket);
    },
  };
}

test('without a database', async () => {
  const said = await failure({ REVIEWS_DATABASE_URL: 'mysql://reviews:secret@127.0.0.1:1/reviews' });
  expect(said).toMatch(
    /^reviews: cannot use the database reviews@127.0.0.1:1\/reviews \(.*ECONNREFUSED.*check REVIEWS_DATABASE_URL/,
  );
  expect(said).not.toContain('secret');
  expect(await failure({})).toMatch(/REVIEWS_DATABASE_URL is not set/);
  const missing = `${serverUrl()}/no_such_database`;
  expect(await failure({ REVIEWS_DATABASE_URL: missing })).toMatch(/Unknown database 'no_such_database'/);
});

test('on a port that is taken', async () => {
  await using database = await testDatabase();
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const address = other.address();
  const port = typeof address === 'object' ? String(address?.port) : '';
  const said = await failure({ REVIEWS_DATABASE_URL: database.url, REVIEWS_PORT: port });
  expect(said).toMatch(new RegExp(`cannot listen on 127.0.0.1:${port} .*EADDRINUSE.*set REVIEWS_PORT`));
  other.close();
});

test('as a database user that may not create triggers: nothing is left half done', async () => {
  await using database = await testDatabase();
  const url = await userWith(database, 'CREATE, ALTER, DROP, INDEX, SELECT, INSERT, UPDATE, DELETE');
  // A server that writes a binlog and does not trust its users in it asks for more than the right to triggers.
  const [binlog] = await database.rows(
    'SELECT @@log_bin AND NOT @@log_bin_trust_function_creators AS strict',
  );
  const isStrict = Number(binlog?.strict) === 1;
  const remedy = isStrict ? /triggers.*log_bin_trust_function_creators=ON/ : /triggers.*GRANT TRIGGER/;
  expect(await failure({ REVIEWS_DATABASE_URL: url })).toMatch(remedy);
  expect(await database.rows('SHOW TABLES')).toEqual([
    { [`Tables_in_${database.name}`]: 'schema_migration' },
  ]);
  if (isStrict) return;
  await database.sql.query(`GRANT TRIGGER ON ${database.name}.* TO ${database.name}@'127.0.0.1'`);
  const { url: service } = await listening({ REVIEWS_DATABASE_URL: url });
  expect((await fetch(`${service}/readyz`)).status).toBe(200);
});

test('with little more than the rights to its rows, once the schema is there', async () => {
  await using database = await testDatabase();
  const first = await listening({ REVIEWS_DATABASE_URL: database.url });
  first.child.kill('SIGTERM');
  await first.exited;
  const url = await userWith(database, 'SELECT, INSERT, UPDATE, DELETE');
  const { url: service } = await listening({ REVIEWS_DATABASE_URL: url });
  expect((await fetch(`${service}/readyz`)).status).toBe(200);
});

test('on tables that something else has made', async () => {
  await using database = await testDatabase();
  await database.sql.query('CREATE TABLE member (id INT)');
  expect(await failure({ REVIEWS_DATABASE_URL: database.url })).toMatch(
    /member.*already exists.*empty database/,
  );
});

async function userWith(database: TestDatabase, rights: string): Promise<string> {
  const user = `${database.name}@'127.0.0.1'`;
  await database.sql.query(
    `CREATE USER ${user} IDENTIFIED BY 'secret'; GRANT ${rights} ON ${database.name}.* TO ${user}`,
  );
  const url = new URL(database.url);
  url.username = database.name;
  url.password = 'secret';
  return url.href;
}
