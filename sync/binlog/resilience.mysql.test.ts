// What goes wrong between a reader and its server: cuts, crashes, pauses, lost binlogs, doubles, damage.
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Change } from './change.ts';
import { openBinlog } from './reader.ts';
import { startRelay } from './test-relay.ts';
import { connectTo, dialects, type OwnServer, ownServer } from './test-servers.ts';
import { anyServerId, endOf, type Follower, follow } from './test-stream.ts';

/** What a consumer that rolls back on abandon is left with: the rows of each transaction that was committed. */
function applied(changes: readonly Change[]): string[][] {
  const done: string[][] = [];
  let open: string[] | undefined;
  for (const change of changes) {
    if (change.kind === 'begin') {
      expect(open).toBe(undefined);
      open = [];
    } else if (change.kind === 'rows')
      open?.push(
        ...change.rows.map(({ before, after }) => `${change.change} ${String((after ?? before)?.[0])}`),
      );
    else if (change.kind === 'commit') {
      if (open && open.length > 0) done.push(open);
      open = undefined;
    } else if (change.kind === 'abandon' || change.kind === 'rollback') {
      expect(open).toBeDefined();
      open = undefined;
    }
  }
  return done;
}

const portOf = (url: string) => Number(new URL(url).port);
const through = (port: number) => ({ uri: `mysql://root@127.0.0.1:${port}` });

async function failure(follower: Follower, sql: Connection): Promise<unknown> {
  try {
    await follower.untilNow(sql);
  } catch (error) {
    return error;
  }
  throw new Error('the stream did not stop');
}

describe.each(dialects)('%s', (dialect) => {
  let server: OwnServer;
  let sql: Connection;
  const isMariadb = dialect === 'mariadb';

  beforeAll(async () => {
    server = await ownServer(dialect, ['--net-write-timeout=1', '--sync-binlog=1']);
    sql = await connectTo(server.url, 'res');
    await sql.query('CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(1000))');
  });
  afterAll(async () => {
    await sql?.end();
    await server?.[Symbol.asyncDispose]();
  });

  /** Transactions of several rows, some of them in several events. */
  async function write(count: number, from: number): Promise<string[][]> {
    const expected: string[][] = [];
    for (let index = 0; index < count; index++) {
      const ids = Array.from({ length: (index % 5) * 12 + 1 }, (_, row) => from + index * 100 + row);
      await sql.query(`INSERT INTO t VALUES ${ids.map((id) => `(${id}, '${'v'.repeat(900)}')`).join()}`);
      expected.push(ids.map((id) => `insert ${id}`));
    }
    return expected;
  }

  test('cut at any byte, every transaction arrives once and whole', async () => {
    await using relay = await startRelay(portOf(server.url));
    const probe = await follow(server.url);
    await probe.reader.stop();
    const expected = await write(20, 1_000_000);
    for (const step of [3_001, 17_011, 44_017]) {
      relay.cutAfterBytes = Number.POSITIVE_INFINITY;
      await using follower = await follow(server.url, {
        connection: through(relay.port),
        from: probe.reader.from,
      });
      relay.cutAfterBytes = 30_000;
      let lost = 0;
      const opened = relay.connectionCount;
      // Each connection gets a little further than the one before.
      const grow = setInterval(() => {
        lost = relay.connectionCount - opened;
        relay.cutAfterBytes += step;
      }, 20);
      const changes = await follower.untilNow(sql);
      clearInterval(grow);
      expect(applied(changes)).toEqual(expected);
      expect(lost).toBeGreaterThan(0);
    }
  });

  test('a consumer that pauses longer than net_write_timeout loses nothing, and memory stays bounded', async () => {
    await using follower = await follow(server.url, { queueBytesMax: 64 * 1024 });
    const values = Array.from({ length: 100 }, () => `'${'w'.repeat(990)}'`);
    for (let block = 0; block < 100; block++)
      await sql.query(
        `INSERT INTO t VALUES ${values.map((value, row) => `(${2_000_000 + block * 100 + row}, ${value})`).join()}`,
      );
    let reconnects = 0;
    await using slow = await follow(server.url, {
      from: follower.reader.from,
      queueBytesMax: 64 * 1024,
      onReconnect: () => reconnects++,
    });
    const first = await slow.next();
    // The server's own timeout for a blocked write is 1 s here: the pause has to be longer than that.
    const [[until]] = await sql.query<never[]>('SELECT SLEEP(3) AS slept');
    expect(until).toBeDefined();
    const rest = await slow.untilNow(sql);
    expect(applied([first, ...rest]).flat()).toHaveLength(10_000);
    expect(reconnects).toBe(0);
  });

  test('kill -9 of the server: the stream goes on when it is back', async () => {
    await using follower = await follow(server.url, { backoffMsMax: 200 });
    const expected = await write(3, 3_000_000);
    const before = await follower.transactions(2);
    await server.crash();
    await sql.end().catch(() => undefined);
    await server.start();
    sql = await connectTo(server.url, 'res');
    expected.push(...(await write(3, 3_100_000)));
    expect(applied([...before, ...(await follower.untilNow(sql))])).toEqual(expected);
  });

  test('a connection that is silent without an end is given up after missed heartbeats', async () => {
    await using relay = await startRelay(portOf(server.url));
    const causes: unknown[] = [];
    await using follower = await follow(server.url, {
      connection: through(relay.port),
      heartbeatMs: 100,
      silentMsMax: 500,
      onReconnect: ({ cause }) => {
        causes.push(cause);
        relay.isStalled = false;
      },
    });
    expect((await follower.next()).kind).toBe('heartbeat');
    relay.isStalled = true;
    const expected = await write(2, 4_000_000);
    expect(applied(await follower.untilNow(sql))).toEqual(expected);
    expect(String(causes[0])).toContain('not even a heartbeat');
  });

  test('a session that the server ends before its first use is replaced', async () => {
    await using follower = await follow(server.url);
    const [sessions] = await sql.query<RowDataPacket[]>(
      'SELECT ID AS id FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND USER = "root" AND COMMAND = "Sleep"',
    );
    for (const { id } of sessions) await sql.query(`KILL ${id}`);
    const expected = await write(1, 4_500_000);
    expect(applied(await follower.untilNow(sql))).toEqual(expected);
  });

  test('damaged on the way: the checksum stops it', async () => {
    await using relay = await startRelay(portOf(server.url));
    await using follower = await follow(server.url, { connection: through(relay.port) });
    relay.damage = (bytes) => {
      const at = bytes.indexOf('damage me');
      if (at < 0) return bytes;
      const copy = Buffer.from(bytes);
      copy[at] = 0x44;
      return copy;
    };
    await sql.query("INSERT INTO t VALUES (5000000, 'damage me')");
    expect(await failure(follower, sql)).toMatchObject({ code: 'checksum-mismatch' });
  });

  test('two readers with one server id: the older one stops, and says why', async () => {
    const serverId = anyServerId();
    const older = await follow(server.url, { serverId });
    const readOn = async (): Promise<never> => {
      for (;;) await older.next();
    };
    const ended = readOn().catch((error: unknown) => error);
    await using newer = await follow(server.url, { serverId });
    expect((await newer.next()).kind).toBe('heartbeat');
    expect(await ended).toMatchObject({ code: 'duplicate-server-id' });
    await older.reader.stop();
  });

  test('a position that the server no longer has', async () => {
    const probe = await follow(server.url);
    await probe.reader.stop();
    await write(1, 6_000_000);
    await sql.query('FLUSH BINARY LOGS');
    await write(1, 6_100_000);
    await sql.query('FLUSH BINARY LOGS; FLUSH BINARY LOGS');
    const files = async () => {
      const [logs] = await sql.query<RowDataPacket[]>('SHOW BINARY LOGS');
      return logs.map(({ Log_name }) => String(Log_name));
    };
    // A file that a dump of before still reads is kept, until the server finds that its reader is gone.
    for (let names = await files(); names.length > 1; names = await files())
      await sql.query(`PURGE BINARY LOGS TO '${names.at(-1)}'`);
    for (const from of [probe.reader.from, { gtid: undefined, at: probe.reader.from.at }]) {
      const error = await follow(server.url, { from }).then(
        (each) => failure(each, sql),
        (each: unknown) => each,
      );
      expect(error).toMatchObject({ code: 'position-lost', hint: expect.stringContaining('new copy') });
    }
  });

  test('a position after the end of the binlog', async () => {
    const { gtid } = await endOf(sql);
    const ahead = isMariadb
      ? String(gtid).replace(/\d+$/, '99999999')
      : `${gtid},00000000-1111-2222-3333-444444444444:1-5`;
    const [logs] = await sql.query<never[]>('SHOW BINARY LOGS');
    const { Log_name: file }: { Log_name: string } = logs.at(-1) ?? { Log_name: '' };
    for (const from of [
      { gtid: ahead, at: undefined },
      { gtid: undefined, at: { file, offset: 99_999_999 } },
    ]) {
      const error = await follow(server.url, { from }).then(
        (each) => failure(each, sql),
        (each: unknown) => each,
      );
      expect(error).toMatchObject({ code: 'position-ahead' });
    }
  });

  test('a server that lost transactions and gave their GTIDs to others', async () => {
    const probe = await follow(server.url);
    await probe.reader.stop();
    const { gtid, at } = probe.reader.from;
    const cases = [{ gtid, at: at && { ...at, offset: at.offset + 10_000 } }];
    // MariaDB can be asked which transactions came before that place, and whether it is one at all.
    if (isMariadb)
      cases.push(
        { gtid: String(gtid).replace(/\d+$/, (sequence) => String(Number(sequence) - 1)), at },
        { gtid, at: at && { ...at, offset: at.offset - 1 } },
      );
    for (const from of cases) {
      const error = await follow(server.url, { from }).then(
        (each) => failure(each, sql),
        (each: unknown) => each,
      );
      expect(error).toMatchObject({ code: 'position-ahead' });
    }
  });

  test('no server, no rights, no binlog: each says so at once', async () => {
    await expect(openBinlog({ connection: through(1), serverId: 5, from: 'now' })).rejects.toMatchObject({
      code: 'unreachable',
    });
    await sql.query("CREATE USER weak@'127.0.0.1' IDENTIFIED BY 'w'");
    const weak = { uri: `mysql://weak:w@127.0.0.1:${portOf(server.url)}` };
    await expect(openBinlog({ connection: weak, serverId: 5, from: 'now' })).rejects.toMatchObject({
      code: 'access-denied',
      hint: expect.stringContaining('REPLICATION SLAVE'),
    });
    const follower = await follow(server.url, {
      connection: weak,
      from: { gtid: (await endOf(sql)).gtid, at: undefined },
    });
    expect(await failure(follower, sql)).toMatchObject({ code: 'access-denied' });
    await using mute = await ownServer(dialect, ['--skip-log-bin']);
    await expect(
      openBinlog({ connection: { uri: mute.url }, serverId: 5, from: 'now' }),
    ).rejects.toMatchObject({ code: 'not-logged' });
  });
});
