// The same rows by two decoders of others: @vlasky/zongji and mariadb-binlog. Where they are not right is named
// here by what they give, and in docs/binlog.md.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import ZongJi from '@vlasky/zongji';
import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectTo, dialects, type OwnServer, ownServer } from './test-servers.ts';
import { anyServerId, follow, rowsOf } from './test-stream.ts';

type Case = readonly [type: string, literal: string];

/** Both oracles agree with SELECT, and so with the stream. */
const right: readonly Case[] = [
  ['INT', '-5'],
  ['INT UNSIGNED', '4294967295'],
  ['MEDIUMINT', '-8388608'],
  ['BIGINT', '-9007199254740993'],
  ['BIGINT UNSIGNED', '18446744073709551615'],
  ['DECIMAL(65,30)', "'-12345678901234567890.123456789'"],
  ['DECIMAL(12,2)', "'0.10'"],
  ['DOUBLE', '0.1'],
  ['YEAR', '2024'],
  ['DATE', "'2024-02-29'"],
  ['DATETIME', "'2024-02-29 01:02:03'"],
  ['DATETIME(6)', "'2024-02-29 01:02:03.000001'"],
  ['TIME', "'-12:13:14'"],
  ['TIME(6)', "'100:59:58.999999'"],
  ['VARCHAR(20)', "'plain'"],
  ['CHAR(5)', "'ab'"],
];

/** zongji is right here too; mariadb-binlog prints bytes, numbers of members, or seconds. */
const rightInZongji: readonly Case[] = [
  ['BIT(12)', "b'101'"],
  ['FLOAT', '0.3'],
  ['VARCHAR(20) CHARACTER SET euckr', "'똠갂 가'"],
  ['TEXT CHARACTER SET utf16', "'가a'"],
  ['BINARY(5)', "x'0102000000'"],
  ['BLOB', "x'00ff'"],
  ["ENUM('a','가')", "'가'"],
  ["SET('p','q','가')", "'p,가'"],
];

/** [type, literal, what the stream gives, what zongji gives] */
const wrongInZongji: readonly (readonly [...Case, unknown, unknown])[] = [
  ['YEAR', '0', 0, 1900],
  ["ENUM('a','b')", "'no member'", '', undefined],
];

/** In MariaDB these are bytes to zongji. */
const bytesInZongji: readonly (readonly [...Case, unknown])[] = [
  ['UUID', "'123e4567-e89b-12d3-a456-426655440000'", '123e4567-e89b-12d3-a456-426655440000'],
  ['INET6', "'2001:db8::1'", '2001:db8::1'],
  ['INET4', "'10.0.0.0'", '10.0.0.0'],
  // After a GEOMETRY, which MariaDB counts among the columns with a character set, zongji reads the wrong one.
  ['GEOMETRY', 'NULL', null],
  ['VARCHAR(20) COMPRESSED', "'hello'", 'hello'],
];

/** The row images of the first row event, by column name. */
async function rowByZongji(url: URL, write: () => Promise<void>): Promise<Record<string, unknown>> {
  const zongji = new ZongJi({
    host: url.hostname,
    port: Number(url.port),
    user: url.username,
    dateStrings: true,
  });
  try {
    const row = new Promise<Record<string, unknown>>((resolve, reject) => {
      zongji.on('error', reject);
      zongji.on('binlog', (event) => {
        if (event.getEventName() !== 'writerows' || !('rows' in event)) return;
        const [first] = event.rows;
        if (first) resolve({ ...first });
      });
    });
    const ready = new Promise<void>((resolve) => zongji.on('ready', () => resolve()));
    zongji.start({
      startAtEnd: true,
      serverId: anyServerId(),
      includeEvents: ['tablemap', 'writerows'],
      includeSchema: { oracle: true },
    });
    await ready;
    await write();
    return await row;
  } finally {
    zongji.stop();
  }
}

describe.each(dialects)('%s', (dialect) => {
  let server: OwnServer;
  let sql: Connection;

  beforeAll(async () => {
    server = await ownServer(dialect);
    sql = await connectTo(server.url, 'oracle');
  });
  afterAll(async () => {
    await sql?.end();
    await server?.[Symbol.asyncDispose]();
  });

  async function create(
    table: string,
    cases: readonly (readonly [string, string, ...unknown[]])[],
  ): Promise<() => Promise<void>> {
    await sql.query(
      `CREATE TABLE ${table} (${cases.map(([type], index) => `c${index} ${type} NULL`).join()})`,
    );
    return async () => {
      await sql.query(`INSERT IGNORE INTO ${table} VALUES (${cases.map(([, literal]) => literal).join()})`);
    };
  }

  test('zongji gives the same, but for the values named', async () => {
    const own = dialect === 'mariadb' ? bytesInZongji : [];
    const cases = [...right, ...rightInZongji, ...wrongInZongji, ...own];
    const write = await create('z', cases);
    await using follower = await follow(server.url);
    const theirs = await rowByZongji(new URL(server.url), write);
    const ours = rowsOf(await follower.untilNow(sql))[0]?.rows[0]?.after ?? [];
    const agreed = right.length + rightInZongji.length;
    const their = (index: number) => theirs[`c${index}`];
    expect(ours.slice(0, agreed)).toEqual(Array.from({ length: agreed }, (_, index) => their(index)));
    for (const [index, [, , stream, zongji]] of wrongInZongji.entries())
      expect([ours[agreed + index], their(agreed + index)]).toEqual([stream, zongji]);
    for (const [index, [, , stream]] of own.entries()) {
      const at = agreed + wrongInZongji.length + index;
      expect([ours[at], Buffer.isBuffer(their(at)) || their(at) === null]).toEqual([stream, true]);
    }
  });

  if (dialect === 'mariadb')
    test('mariadb-binlog -vv gives the same, but for the values named', async () => {
      await using follower = await follow(server.url);
      const { at } = follower.reader.from;
      const cases = [...right, ...rightInZongji, ...bytesInZongji];
      await (await create('b', cases))();
      const ours = rowsOf(await follower.untilNow(sql))[0]?.rows[0]?.after ?? [];
      const url = new URL(server.url);
      const { stdout } = await promisify(execFile)(
        'mariadb-binlog',
        [
          '--no-defaults',
          '-vv',
          '--base64-output=DECODE-ROWS',
          '--read-from-remote-server',
          `--host=${url.hostname}`,
          `--port=${url.port}`,
          '--user=root',
          `--start-position=${at?.offset}`,
          at?.file ?? '',
        ],
        { encoding: 'latin1', maxBuffer: 1e8 },
      );
      const theirs = [...stdout.matchAll(/^### {3}@\d+=(.*?) \/\*/gms)].map(([, text = '']) => text);
      expect(theirs).toHaveLength(cases.length);
      // Texts are in quotes; what may be unsigned is told both ways; dates have colons.
      const plain = (text: string, type: string) => {
        if (type.endsWith('UNSIGNED')) return /\((\d+)\)$/.exec(text)?.[1] ?? text;
        const bare = text.replace(/^'(.*)'$/s, '$1').replace(/ \(\d+\)$/, '');
        if (type === 'DOUBLE') return String(Number(bare));
        return type === 'DATE' ? bare.replaceAll(':', '-') : bare;
      };
      const agreed = right.map(([type], index) => plain(theirs[index] ?? '', type));
      expect(ours.slice(0, right.length).map(String)).toEqual(agreed);
      const named = Object.fromEntries(cases.map(([type], index) => [type, theirs[index]]));
      expect(named).toMatchObject({
        'BINARY(5)': "'\\x01\\x02'", // without the trailing zeros
        "ENUM('a','가')": '2',
        "SET('p','q','가')": "b'00000101'",
        UUID: expect.stringMatching(/^'\\x12>Eg/),
        INET4: "'\\x0a'",
        'VARCHAR(20) COMPRESSED': "'\\x00hello'",
      });
    });
});
