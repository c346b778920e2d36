// An address leads to another server from one connection to the next: not an event of that one is given.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startRelay } from '../../test/relay.ts';
import { openBinlog } from './reader.ts';
import { connectTo, dialects, type OwnServer, ownServer } from './test-servers.ts';
import { anyServerId, endOf, follow, rowsOf } from './test-stream.ts';

const portOf = (url: string) => Number(new URL(url).port);

describe.each(dialects)('%s', (dialect) => {
  let one: OwnServer;
  let other: OwnServer;
  beforeAll(async () => {
    [one, other] = await Promise.all([
      ownServer(dialect, ['--server-id=71']),
      ownServer(dialect, ['--server-id=72']),
    ]);
    for (const { url } of [one, other]) {
      const sql = await connectTo(url, 'changed');
      await sql.query('CREATE TABLE t (id INT PRIMARY KEY)');
      await sql.end();
    }
  });
  afterAll(() => Promise.all([one?.[Symbol.asyncDispose](), other?.[Symbol.asyncDispose]()]));

  test('a reader ends when it is led to another server, and one that is told which it must be does not begin', async () => {
    await using relay = await startRelay(portOf(one.url));
    const connection = { uri: `mysql://root@127.0.0.1:${relay.port}` };
    const sql = await connectTo(one.url, 'changed');
    const elsewhere = await connectTo(other.url, 'changed');
    await using follower = await follow(one.url, { connection });
    const { server } = follower.reader;
    expect(server).toMatch(dialect === 'mysql' ? /^mysql:[0-9a-f-]{36}$/ : /^mariadb:71$/);
    await sql.query('INSERT INTO t VALUES (1)');
    expect(rowsOf(await follower.untilNow(sql))).toHaveLength(1);
    // Lost, and the same one again.
    relay.cut();
    await sql.query('INSERT INTO t VALUES (2)');
    expect(rowsOf(await follower.untilNow(sql))).toHaveLength(1);

    await elsewhere.query('INSERT INTO t VALUES (3)');
    const from = await endOf(elsewhere);
    await elsewhere.query('INSERT INTO t VALUES (4)');
    relay.lead(portOf(other.url));
    relay.cut();
    await expect(
      (async () => {
        for (;;) expect((await follower.next()).kind).not.toBe('rows');
      })(),
    ).rejects.toMatchObject({ code: 'source-changed' });

    const begin = (told: string | undefined) =>
      openBinlog({ connection, serverId: anyServerId(), from, server: told });
    await expect(begin(server)).rejects.toMatchObject({
      code: 'source-changed',
      message: expect.stringContaining(`where ${server} was read`),
    });
    await using reader = await begin(undefined);
    expect(reader.server).not.toBe(server);
    await Promise.all([sql.end(), elsewhere.end()]);
  });

  test('by GTID alone, a server that has not had all of it is no place to go on', async () => {
    const sql = await connectTo(one.url, 'changed');
    const from = await endOf(sql);
    await sql.end();
    const read = async () => {
      await using reader = await openBinlog({
        connection: { uri: other.url },
        serverId: anyServerId(),
        from,
        heartbeatMs: 100,
      });
      for await (const _ of reader.events) return;
    };
    await expect(read()).rejects.toMatchObject({ code: 'position-ahead' });
  });
});
