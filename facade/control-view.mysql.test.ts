import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { createConnection } from 'mysql2/promise';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { readStandings } from '../capability/control-store.ts';
import { testDatabase } from '../test/databases.ts';
import { watchControlStore } from './control-view.ts';
import { until } from './test-servers.ts';

/** A way to the database that can be cut, and left hanging. */
async function way(url: string) {
  const { hostname, port } = new URL(url);
  const sockets = new Set<Socket>();
  let hanging = false;
  const server = createServer((client) => {
    if (hanging) return void sockets.add(client);
    const upstream = connect(Number(port), hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
    }
    client.on('data', (chunk) => {
      if (!hanging) upstream.write(chunk);
    });
    upstream.pipe(client);
    client.once('close', () => upstream.destroy());
  });
  let listening = 0;
  const open = async () => {
    server.listen(listening, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address !== null && typeof address !== 'string') listening = address.port;
  };
  await open();
  const through = new URL(url);
  through.host = `127.0.0.1:${listening}`;
  const cut = async () => {
    server.close();
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    await once(server, 'close');
  };
  return {
    url: through.href,
    open,
    cut,
    hang: (on: boolean) => {
      hanging = on;
    },
  };
}

const timing = { pollMs: 20, readMsMax: 150, retryMsMax: 100 };

test('phases and evidence are followed; away, hanging or back, the last word stays', async () => {
  await using database = await testDatabase('legacy', 'control');
  await database.sql.query("INSERT INTO capability (name, phase) VALUES ('reviews', 'synced')");
  const road = await way(database.url);
  const lines: { level: number; msg: string }[] = [];
  const log = pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const view = await watchControlStore(
    async () => {
      const connection = await createConnection({ uri: road.url, connectTimeout: 150 });
      connection.on('error', () => {});
      return { read: () => readStandings(connection), close: () => connection.destroy() };
    },
    log,
    timing,
  );
  expect(view.standing('reviews')).toEqual({ phase: 'synced', ready: false });
  expect(view.standing('orders')).toBeUndefined();
  expect(view.status()).toEqual({ connected: true, lastReadAt: expect.any(String), error: null });

  await database.sql.query("UPDATE capability SET phase = 'canary'");
  await database.sql.query(
    "INSERT INTO evidence (capability, kind, facts) VALUES ('reviews', 'verified', '{}')",
  );
  await until(
    () => view.standing('reviews')?.phase === 'canary' && view.standing('reviews')?.ready === true,
    'the move',
  );

  road.hang(true);
  await until(() => !view.status().connected, 'the silence noticed');
  expect(view.status().error).toMatch(/within 150 ms|ETIMEDOUT|timeout/i);
  road.hang(false);
  await until(() => view.status().connected, 'the return');

  await road.cut();
  await until(() => !view.status().connected, 'the loss');
  expect(view.standing('reviews')).toEqual({ phase: 'canary', ready: true });
  await database.sql.query('UPDATE evidence SET withdrawn_at = NOW(6)');
  await road.open();
  await until(() => view.standing('reviews')?.ready === false, 'the news after the loss');
  expect(view.ageSeconds()).toBeLessThan(2);
  // Once for each change of state, not for each attempt.
  expect(lines.map(({ level }) => level)).toEqual([50, 30, 50, 30]);
  await view.stop();
  await road.cut();
});

test('a control store of an older Banyan is called by its name, and what to do', async () => {
  await using database = await testDatabase('legacy', 'control');
  const { sql } = database;
  for (const change of ['DROP TABLE read_shift', 'ALTER TABLE evidence RENAME COLUMN withdrawn_at TO gone']) {
    await sql.query(change);
    await expect(readStandings(sql)).rejects.toThrow(
      /the control store is not of this version of Banyan \(.+\): run "banyan install"/,
    );
  }
});

test('without a control store at the start nothing is known, and it comes when it comes', async () => {
  await using database = await testDatabase('legacy', 'control');
  await database.sql.query("INSERT INTO capability (name, phase) VALUES ('reviews', 'reads')");
  const road = await way(database.url);
  await road.cut();
  const view = await watchControlStore(
    async () => {
      const connection = await createConnection({ uri: road.url, connectTimeout: 150 });
      return { read: () => readStandings(connection), close: () => connection.destroy() };
    },
    pino({ level: 'silent' }),
    timing,
  );
  expect(view.standing('reviews')).toBeUndefined();
  expect(view.status()).toEqual({
    connected: false,
    lastReadAt: null,
    error: expect.stringContaining('ECONNREFUSED'),
  });
  expect(view.ageSeconds()).toBeUndefined();
  await road.open();
  await until(() => view.standing('reviews')?.phase === 'reads', 'the first reading');
  await view.stop();
  await road.cut();
});
