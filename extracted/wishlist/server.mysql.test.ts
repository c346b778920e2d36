// The service as a process: how it starts, what it says when it cannot, how it stops.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
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
    env: { PATH: process.env.PATH, WISHLIST_PORT: '0', ...env },
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

test('it migrates an empty database, listens, answers, and finishes what is in flight when it stops', async () => {
  await using database = await testDatabase();
  // Two instances at once: one migrates, the other waits for it.
  const [one, two] = await Promise.all([
    listening({ WISHLIST_DATABASE_URL: database.url }),
    listening({ WISHLIST_DATABASE_URL: database.url }),
  ]);
  for (const { url } of [one, two])
    for (const path of ['/healthz', '/readyz', '/metrics', '/members/kim/wishes'])
      expect((await fetch(`${url}${path}`)).status, path).toBe(200);
  expect(await (await fetch(`${one.url}/metrics`)).text()).toContain(
    'wishlist_http_requests_total{method="GET",route="/members/:memberId/wishes",status="2xx"} 1',
  );
  expect(await database.rows('SELECT name FROM schema_migration')).toEqual([{ name: '0001-wishlist' }]);
  two.child.kill('SIGINT');
  expect(await two.exited).toBe(0);

  // One request waits for a row when the signal comes.
  const wish = `${one.url}/members/kim/wishes/1`;
  expect((await fetch(wish, { method: 'PUT' })).status).toBe(201);
  await database.sql.query('START TRANSACTION; SELECT * FROM TB_WISH FOR UPDATE');
  const removed = fetch(wish, { method: 'DELETE' });
  const waiting = () =>
    database.rows(
      `SELECT id FROM information_schema.processlist WHERE db = '${database.name}' AND info LIKE 'DELETE%'`,
    );
  await expect.poll(waiting, { timeout: 10_000 }).toHaveLength(1);
  one.child.kill('SIGTERM');
  const refused = () =>
    fetch(`${one.url}/healthz`).then(
      () => 'answered',
      () => 'refused',
    );
  await expect.poll(refused).toBe('refused');
  await database.sql.query('ROLLBACK');
  expect((await removed).status).toBe(204);
  expect(await one.exited).toBe(0);
  expect(one.stdout()).toBe(`{"listening":"${one.url}"}\n`);
});

test('without a database', async () => {
  const said = await failure({ WISHLIST_DATABASE_URL: 'mysql://wishlist:secret@127.0.0.1:1/wishlist' });
  expect(said).toMatch(
    /^wishlist: cannot use the database wishlist@127.0.0.1:1\/wishlist \(.*ECONNREFUSED.*check WISHLIST_DATABASE_URL/,
  );
  expect(said).not.toContain('secret');
  expect(await failure({})).toMatch(/WISHLIST_DATABASE_URL is not set/);
  const missing = `${serverUrl()}/no_such_database`;
  expect(await failure({ WISHLIST_DATABASE_URL: missing })).toMatch(/Unknown database 'no_such_database'/);
});

test('on a port that is taken', async () => {
  await using database = await testDatabase();
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const address = other.address();
  const port = typeof address === 'object' ? String(address?.port) : '';
  const said = await failure({ WISHLIST_DATABASE_URL: database.url, WISHLIST_PORT: port });
  expect(said).toMatch(new RegExp(`cannot listen on 127.0.0.1:${port} .*EADDRINUSE.*set WISHLIST_PORT`));
  other.close();
});

test('after a crash between a migration and its note; then with the rights to its rows alone', async () => {
  await using database = await testDatabase();
  const first = await listening({ WISHLIST_DATABASE_URL: database.url });
  await fetch(`${first.url}/members/kim/wishes/1`, { method: 'PUT' });
  first.child.kill('SIGKILL');
  await first.exited;
  await database.sql.query('DELETE FROM schema_migration');
  const second = await listening({ WISHLIST_DATABASE_URL: database.url });
  expect(await (await fetch(`${second.url}/members/kim/wishes`)).json()).toMatchObject({ total: 1 });

  const url = await userWith(database, 'SELECT, INSERT, UPDATE, DELETE');
  const third = await listening({ WISHLIST_DATABASE_URL: url });
  expect((await fetch(`${third.url}/members/kim/wishes/2`, { method: 'PUT' })).status).toBe(201);
});

test('with a migration that fails: it says which, and notes only those before it', async () => {
  await using database = await testDatabase();
  const folder = mkdtempSync(join(tmpdir(), 'wishlist-'));
  writeFileSync(join(folder, '0001-good.sql'), 'CREATE TABLE IF NOT EXISTS a (id INT);');
  writeFileSync(join(folder, '0002-bad.sql'), 'CREATE TABLE b (id INT); CREATE TABEL c (id INT);');
  const said = await failure({ WISHLIST_DATABASE_URL: database.url, WISHLIST_MIGRATIONS: folder });
  expect(said).toMatch(/migration 0002-bad failed: .*TABEL.*start again/);
  expect(await database.rows('SELECT name FROM schema_migration')).toEqual([{ name: '0001-good' }]);
  rmSync(folder, { recursive: true });
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
