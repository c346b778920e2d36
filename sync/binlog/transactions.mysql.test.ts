// Transactions as the servers write them: their borders, their kinds, XA, compression, checksums, files.
import { randomBytes } from 'node:crypto';
import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { comparePositions, parsePosition, printPosition } from '../position.ts';
import type { Change } from './change.ts';
import { openBinlog } from './reader.ts';
import { connectTo, dialects, type OwnServer, ownServer } from './test-servers.ts';
import { anyServerId, endOf, type Follower, follow, rowsOf } from './test-stream.ts';

/** The changes in short, without what was not asked for: heartbeats and rotates. */
const brief = (changes: readonly Change[]): string[] =>
  changes.flatMap((change) => {
    if (change.kind === 'rows')
      return change.rows.map(
        ({ before, after }) =>
          `${change.change} ${[before?.[0], after?.[0]].filter((each) => each !== undefined).join('>')}`,
      );
    if (change.kind === 'statement')
      return [`${change.class} ${change.sql.slice(0, 40).replace(/\n.*/s, '')}`];
    return change.kind === 'heartbeat' || change.kind === 'rotate' ? [] : [change.kind];
  });

describe.each(dialects)('%s', (dialect) => {
  let server: OwnServer;
  let sql: Connection;
  const isMariadb = dialect === 'mariadb';

  beforeAll(async () => {
    server = await ownServer(dialect);
    sql = await connectTo(server.url, 'tx');
    await sql.query(
      'CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(200)); CREATE TABLE u (id INT PRIMARY KEY, v LONGBLOB)',
    );
  });
  afterAll(async () => {
    await sql?.end();
    await server?.[Symbol.asyncDispose]();
  });

  async function seen(follower: Follower): Promise<string[]> {
    return brief(await follower.untilNow(sql));
  }

  test('transactions whole and in order, statements classified, rolled-back work absent', async () => {
    await using follower = await follow(server.url);
    await sql.query(
      'START TRANSACTION; INSERT INTO t VALUES (1, "a"), (2, "b"); UPDATE t SET id = 3 WHERE id = 2; SAVEPOINT s; INSERT INTO t VALUES (9, "x"); ROLLBACK TO s; COMMIT',
    );
    await sql.query('START TRANSACTION; INSERT INTO t VALUES (4, "c"); ROLLBACK');
    await sql.query('ALTER TABLE t ADD COLUMN w INT');
    await sql.query('REPLACE INTO t VALUES (1, "z", 7); TRUNCATE TABLE t');
    await sql.query('CREATE TABLE c AS SELECT 5 AS id');
    const changes = await follower.untilNow(sql);
    expect(brief(changes).filter((each) => !each.startsWith('control SAVEPOINT'))).toEqual([
      ...['begin', 'insert 1', 'insert 2', 'update 2>3', 'commit'],
      ...['begin', 'ddl ALTER TABLE t ADD COLUMN w INT', 'commit'],
      ...['begin', 'update 1>1', 'commit'],
      ...['begin', 'ddl TRUNCATE TABLE t', 'commit'],
      ...['begin', expect.stringMatching(/^ddl CREATE TABLE/), 'insert 5', 'commit'],
    ]);
    for (const change of changes)
      if (change.kind === 'begin')
        expect(change.gtid).toMatch(isMariadb ? /^0-41-\d+$/ : /^[0-9a-f-]{36}:\d+$/);
    const positions = changes.flatMap((change) => (change.kind === 'commit' ? [change.position] : []));
    for (const [index, position] of positions.entries()) {
      expect(parsePosition(printPosition(position))).toEqual(position);
      const before = positions[index - 1];
      if (before) expect(comparePositions(before, position)).toBe('before');
    }
    expect(positions.at(-1)?.gtid).toBe((await endOf(sql)).gtid);
  });

  test('from any commit the rest comes, by GTID and by file, nothing twice', async () => {
    const { reader } = await follow(server.url);
    await reader.stop();
    await sql.query('TRUNCATE TABLE t');
    for (let id = 1; id <= 5; id++) await sql.query('INSERT INTO t (id) VALUES (?)', [id]);
    await using whole = await follow(server.url, { from: reader.from });
    const changes = await whole.untilNow(sql);
    for (const [index, change] of changes.entries()) {
      if (change.kind !== 'commit') continue;
      const rest = changes.slice(index + 1);
      if (rest.length === 0) continue;
      for (const from of [
        change.position,
        { gtid: undefined, at: change.position.at },
        { gtid: change.position.gtid, at: undefined },
      ]) {
        await using again = await follow(server.url, { from });
        const count = rest.filter(({ kind }) => kind === 'commit').length;
        expect(brief(await again.transactions(count))).toEqual(brief(rest));
      }
    }
  });

  test('XA: rows come with XA COMMIT, not at all after XA ROLLBACK, and a restart in between finds them', async () => {
    await sql.query('TRUNCATE TABLE t');
    await using follower = await follow(server.url, { heldBytesMax: 1_000 });
    const other = await connectTo(server.url, 'tx');
    const values = Array.from(
      { length: 200 },
      (_, index) => `(${index + 100}, '${'x'.repeat(150)}', 0)`,
    ).join();
    await other.query(
      `XA START 'one','b',7; INSERT INTO t VALUES ${values}; XA END 'one','b',7; XA PREPARE 'one','b',7`,
    );
    await other.end();
    await sql.query('INSERT INTO t VALUES (1, "after prepare", 0)');
    const third = await connectTo(server.url, 'tx');
    await third.query(
      "XA START 'two'; INSERT INTO t VALUES (50, 'never', 0); XA END 'two'; XA PREPARE 'two'; XA ROLLBACK 'two'",
    );
    await third.query(
      "XA START 'three'; INSERT INTO t VALUES (60, 'once', 0); XA END 'three'; XA COMMIT 'three' ONE PHASE",
    );
    await third.query(
      "XA START 'four'; INSERT INTO t VALUES (70, 'twice', 0); XA END 'four'; XA PREPARE 'four'",
    );
    await third.end();
    const before = await follower.untilNow(sql);
    expect(brief(before).filter((each) => each.startsWith('insert'))).toEqual(['insert 1', 'insert 60']);
    const last = before.at(-1);
    const position = last?.kind === 'commit' ? last.position : undefined;
    expect(position?.restart).toBeDefined();
    if (!position) return;

    const fourth = await connectTo(server.url, 'tx');
    await fourth.query("XA COMMIT 'one','b',7; XA COMMIT 'four'; INSERT INTO t VALUES (2, 'plain', 0)");
    await fourth.end();
    const expected = [
      'begin',
      ...Array.from({ length: 200 }, (_, index) => `insert ${index + 100}`),
      'commit',
      'begin',
      'insert 70',
      'commit',
      'begin',
      'insert 2',
      'commit',
    ];
    const live = await follower.untilNow(sql);
    expect(brief(live)).toEqual(expected);
    const end = live.at(-1);
    expect(end?.kind === 'commit' && end.position.restart).toBe(undefined);
    for (const from of [
      position,
      parsePosition(printPosition(position)),
      { gtid: undefined, at: position.at, restart: { gtid: undefined, at: position.restart?.at } },
    ]) {
      await using again = await follow(server.url, { from });
      expect(brief(await again.transactions(3))).toEqual(expected);
    }
  });

  test('an XA COMMIT whose XA PREPARE was before the start stops by name', async () => {
    const other = await connectTo(server.url, 'tx');
    await other.query("XA START 'old'; INSERT INTO t VALUES (80, 'lost', 0); XA END 'old'; XA PREPARE 'old'");
    await using follower = await follow(server.url);
    await other.query("XA COMMIT 'old'");
    await other.end();
    await expect(follower.untilNow(sql)).rejects.toMatchObject({ code: 'xa-unknown' });
  });

  test('checksums switched off and on while the stream runs', async () => {
    await sql.query('TRUNCATE TABLE t');
    await using follower = await follow(server.url);
    for (const [index, checksum] of ['NONE', 'CRC32', 'NONE', 'NONE', 'CRC32', 'CRC32'].entries()) {
      await sql.query(
        `INSERT INTO t VALUES (${index}, 'before', 0); SET GLOBAL binlog_checksum = ${checksum}; UPDATE t SET v = 'after' WHERE id = ${index}`,
      );
      expect((await seen(follower)).filter((each) => / \d/.test(each))).toEqual([
        `insert ${index}`,
        `update ${index}>${index}`,
      ]);
      await using late = await follow(server.url);
      await sql.query(`DELETE FROM t WHERE id = ${index}`);
      expect(await seen(late)).toEqual(['begin', `delete ${index}`, 'commit']);
      await seen(follower);
    }
  });

  test('compressed events and transactions', async () => {
    await sql.query('TRUNCATE TABLE t');
    await using follower = await follow(server.url);
    await sql.query(
      isMariadb
        ? 'SET GLOBAL log_bin_compress = ON, GLOBAL log_bin_compress_min_len = 10'
        : 'SET SESSION binlog_transaction_compression = ON',
    );
    const values = Array.from({ length: 3_000 }, (_, index) => `(${index}, '${'y'.repeat(150)}', 0)`).join();
    await sql.query(
      `INSERT INTO t VALUES ${values}; UPDATE t SET id = id + 10000; DELETE FROM t WHERE id < 10010`,
    );
    await sql.query(`ALTER TABLE t COMMENT = '${'long '.repeat(100)}'`);
    const changes = await follower.untilNow(sql);
    await sql.query(
      isMariadb ? 'SET GLOBAL log_bin_compress = OFF' : 'SET SESSION binlog_transaction_compression = OFF',
    );
    const rows = rowsOf(changes);
    expect(
      rows
        .filter(({ change }) => change === 'insert')
        .flatMap(({ rows }) => rows.map(({ after }) => after?.[0])),
    ).toEqual(Array.from({ length: 3_000 }, (_, index) => index));
    expect(brief(changes).filter((each) => each.startsWith('update'))).toHaveLength(3_000);
    expect(brief(changes).filter((each) => each.startsWith('delete'))).toHaveLength(10);
    expect(changes.filter(({ kind }) => kind === 'begin')).toHaveLength(4);
    const last = changes.at(-1);
    expect(last?.kind === 'commit' && last.position.gtid).toBe((await endOf(sql)).gtid);
  });

  test('files rotate between and during reading', async () => {
    await sql.query('TRUNCATE TABLE t');
    await using follower = await follow(server.url);
    await sql.query(
      'INSERT INTO t (id) VALUES (1); FLUSH BINARY LOGS; INSERT INTO t (id) VALUES (2); FLUSH BINARY LOGS; FLUSH BINARY LOGS; INSERT INTO t (id) VALUES (3)',
    );
    const changes = await follower.untilNow(sql);
    expect(brief(changes).filter((each) => each.startsWith('insert'))).toEqual([
      'insert 1',
      'insert 2',
      'insert 3',
    ]);
    expect(changes.filter(({ kind }) => kind === 'rotate')).toHaveLength(3);
    await using again = await follow(server.url, { from: follower.reader.from });
    expect(brief(await again.untilNow(sql))).toEqual(brief(changes));
  });

  test('rows of more than one packet', async () => {
    const big = randomBytes(17 * 1024 * 1024);
    const admin = await connectTo(server.url, 'tx');
    await using follower = await follow(server.url);
    await admin.query('INSERT INTO u VALUES (1, ?)', [big]);
    await admin.query('UPDATE u SET v = REPEAT("z", 16777155)');
    await admin.query('DELETE FROM u');
    await admin.end();
    const [inserted, updated, deleted] = rowsOf(await follower.untilNow(sql));
    const value = inserted?.rows[0]?.after?.[1];
    expect(Buffer.isBuffer(value) && value.equals(big)).toBe(true);
    const before = updated?.rows[0]?.before?.[1];
    expect(Buffer.isBuffer(before) && before.equals(big)).toBe(true);
    const last = deleted?.rows[0]?.before?.[1];
    expect(Buffer.isBuffer(last) && last.length).toBe(16_777_155);
  });

  test('as many columns as a table can have, NULL or not', async () => {
    // MariaDB's definitions end at 64 KiB: 17 bytes a column, and the names.
    const count = isMariadb ? 3_000 : 4_000;
    const names = Array.from({ length: count }, (_, index) => `\`${index.toString(36)}\``);
    await sql.query(
      `CREATE TABLE wide (${names.map((name, index) => `${name} ${index % 2 ? 'SMALLINT' : 'TINYINT UNSIGNED'}`).join()}) ENGINE=MyISAM`,
    );
    await using follower = await follow(server.url);
    await sql.query(
      `INSERT INTO wide VALUES (${names.map((_, index) => (index % 3 === 0 ? 'NULL' : index % 250)).join()})`,
    );
    const [change] = rowsOf(await follower.untilNow(sql));
    expect(change?.rows[0]?.after).toEqual(names.map((_, index) => (index % 3 === 0 ? null : index % 250)));
    expect(change?.table.columns.map(({ name }) => name)).toEqual(names.map((name) => name.slice(1, -1)));
  });

  test('generated and invisible columns, and those an index makes for itself', async () => {
    const hidden = isMariadb
      ? ''
      : ', j JSON, INDEX m ((CAST(j->"$.a" AS UNSIGNED ARRAY))), INDEX f ((id + 1))';
    await sql.query(
      `CREATE TABLE g (id INT PRIMARY KEY, a INT, twice INT AS (a * 2) VIRTUAL, thrice INT AS (a * 3) STORED, secret INT INVISIBLE DEFAULT 5${hidden})`,
    );
    await using follower = await follow(server.url);
    await sql.query(
      `INSERT INTO g (id, a${isMariadb ? '' : ', j'}) VALUES (1, 7${isMariadb ? '' : `, '{"a": [1, 2]}'`}); UPDATE g SET a = 8`,
    );
    const [insert, update] = rowsOf(await follower.untilNow(sql));
    const own = ['id', 'a', 'twice', 'thrice', 'secret', ...(isMariadb ? [] : ['j'])];
    expect(insert?.table.columns.map(({ name }) => name)).toEqual(own);
    expect(insert?.rows[0]?.after?.slice(0, 5)).toEqual([1, 7, 14, 21, 5]);
    expect(update?.rows[0]?.after?.slice(0, 5)).toEqual([1, 8, 16, 24, 5]);
  });

  test('names in any alphabet, in statements and tables', async () => {
    await using follower = await follow(server.url);
    await sql.query(
      'CREATE TABLE `상품 평` (`번호` INT PRIMARY KEY, `naïve ☃` INT); INSERT INTO `상품 평` VALUES (1, 2)',
    );
    const changes = await follower.untilNow(sql);
    const [rows] = rowsOf(changes);
    expect(rows?.table).toMatchObject({
      schema: 'tx',
      table: '상품 평',
      columns: [{ name: '번호' }, { name: 'naïve ☃' }],
    });
    expect(changes.find(({ kind }) => kind === 'statement')).toMatchObject({
      sql: expect.stringContaining('`상품 평`'),
      schema: 'tx',
    });
  });

  test('statements logged as statements are told from definitions', async () => {
    const session = await connectTo(server.url, 'tx');
    await session.query("SET SESSION binlog_format = 'STATEMENT'");
    await using follower = await follow(server.url);
    await session.query('DELETE FROM t; INSERT INTO t VALUES (1, RAND(), @x := 3)');
    await session.end();
    const statements = (await seen(follower)).filter((each) => each !== 'begin' && each !== 'commit');
    expect(statements).toEqual(['dml DELETE FROM t', 'dml INSERT INTO t VALUES (1, RAND(), @x := 3']);
  });

  test('rows without their metadata, or without all columns, stop by name; of tables not wanted they do not', async () => {
    const unwanted = await follow(server.url, { tables: (_, table) => table !== 't' });
    const faults: [string, string, string][] = [
      ['binlog_row_metadata', 'MINIMAL', 'metadata-incomplete'],
      ['binlog_row_image', 'MINIMAL', 'row-image-incomplete'],
    ];
    if (isMariadb) faults.push(['binlog_row_metadata', 'NO_LOG', 'metadata-incomplete']);
    else faults.push(['binlog_row_value_options', 'PARTIAL_JSON', 'row-image-incomplete']);
    await sql.query('CREATE TABLE parts (id INT PRIMARY KEY, v JSON)');
    for (const [variable, value, code] of faults) {
      await using follower = await follow(server.url);
      const [[before]] = await sql.query<never[]>(`SELECT @@GLOBAL.${variable} AS value`);
      await sql.query(`SET GLOBAL ${variable} = '${value}'`);
      const session = await connectTo(server.url, 'tx');
      const table = variable === 'binlog_row_value_options' ? 'parts' : 't';
      await session.query(
        table === 't'
          ? 'DELETE FROM t; INSERT INTO t (id) VALUES (1); UPDATE t SET v = "x"'
          : `INSERT INTO parts VALUES (1, '{"a": "${'a'.repeat(100)}", "b": 1}'); UPDATE parts SET v = JSON_SET(v, "$.b", 2)`,
      );
      await session.end();
      await sql.query(`SET GLOBAL ${variable} = ?`, [Reflect.get(Object(before), 'value')]);
      await expect(follower.untilNow(sql)).rejects.toMatchObject({
        code,
        hint: expect.stringContaining(variable.replace('binlog_row_value_options', 'binlog_row_value')),
      });
      if (table === 't') await unwanted.untilNow(sql);
    }
    await unwanted.reader.stop();
  });

  test('heartbeats come when there is nothing else', async () => {
    const reader = await openBinlog({
      connection: { uri: server.url },
      serverId: anyServerId(),
      from: 'now',
      heartbeatMs: 100,
    });
    for await (const change of reader.events) {
      expect(change).toEqual({ kind: 'heartbeat', position: reader.from });
      break;
    }
    await reader.done;
  });
});
