// Every type, at its edges: what the stream gives is what SELECT gives.
import type { RowDataPacket } from 'mysql2';
import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Value } from './columns.ts';
import { connectTo, dialects, serverOf } from './test-servers.ts';
import { follow, rowsOf } from './test-stream.ts';

type TypeCase = {
  readonly type: string;
  /** SQL literals. */
  readonly values: readonly string[];
  /** How SELECT is to give it, where mysql2 would make something else of it. */
  readonly select?: (column: string) => string;
  readonly only?: 'mariadb' | 'mysql';
};

const quoted = (...texts: string[]) =>
  texts.map((text) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`);
const integers = (bits: number, unsigned: boolean): string[] => {
  const top = 2n ** BigInt(unsigned ? bits : bits - 1);
  return ['0', '1', String(top - 1n), ...(unsigned ? [String(top / 2n)] : ['-1', String(-top)])];
};
const asDouble = (column: string) => `CAST(${column} AS DOUBLE)`;
const asText = (column: string) => `CAST(${column} AS CHAR)`;
/** Bytes as they are stored; mysql2 makes objects of geometries. */
const asBytes = (column: string) => `UNHEX(HEX(${column}))`;

const fractions = [0, 1, 2, 3, 4, 5, 6];
const texts = quoted('', 'a', 'trailing  ', 'it\'s "quoted", \\ and; more', '가각힣 ©', 'x'.repeat(200));
const euckrTexts = quoted('', 'ascii', '가나다', '갂갃뷁힣', '똠방각하 펲시콜라', '☆※→', 'mixed 한글 text');

const numbers: TypeCase[] = [
  ...(
    [
      ['TINYINT', 8],
      ['SMALLINT', 16],
      ['MEDIUMINT', 24],
      ['INT', 32],
      ['BIGINT', 64],
    ] as const
  ).flatMap(([type, bits]) => [
    { type, values: integers(bits, false) },
    { type: `${type} UNSIGNED`, values: integers(bits, true) },
  ]),
  { type: 'BOOLEAN', values: ['TRUE', 'FALSE'] },
  {
    type: 'BIGINT',
    values: ['9007199254740991', '9007199254740993', '-9007199254740993', '4294967296', '-4294967297'],
  },
  ...[1, 7, 8, 9, 31, 33, 64].map((bits) => ({
    type: `BIT(${bits})`,
    values: ["b'0'", "b'1'", `b'${'1'.repeat(bits)}'`],
  })),
  {
    type: 'FLOAT',
    values: ['0', '-0.1', '3.4028234e38', '1.17549435e-38', '16777217', '0.3'],
    select: asDouble,
  },
  { type: 'FLOAT UNSIGNED', values: ['0.1', '7'], select: asDouble },
  { type: 'DOUBLE', values: ['0', '0.1', '-1e308', '5e-324', '9007199254740993', '0.30000000000000004'] },
  {
    type: 'DECIMAL(65,30)',
    values: [
      '0',
      `-${'9'.repeat(35)}.${'9'.repeat(30)}`,
      '0.000000000000000000000000000001',
      '12345678901234567890.123',
    ],
  },
  {
    type: 'DECIMAL(12,2)',
    values: ['0', '0.01', '-0.01', '9999999999.99', '-1234567.80', '100000000', '1000000000'],
  },
  ...['9,0', '10,0', '18,9', '19,10', '5,5', '1,1', '65,0', '30,30'].map((size) => ({
    type: `DECIMAL(${size})`,
    values: ['0', '0.5', '-0.5', '0.123456789', '-0.000000001', '7'],
  })),
  { type: 'DECIMAL(38,38)', values: ['0.5', '-0.00000000000000000000000000000000000001'], only: 'mariadb' },
  { type: 'DECIMAL(10,3) UNSIGNED', values: ['0.001', '1234567.891'] },
  { type: 'YEAR', values: ['0', '1901', '2024', '2155'] },
];

const times: TypeCase[] = [
  {
    type: 'DATE',
    values: quoted('0000-00-00', '2024-00-00', '2024-02-00', '1000-01-01', '9999-12-31', '2023-02-31'),
  },
  ...fractions.flatMap((digits) => [
    {
      type: `TIME(${digits})`,
      values: quoted(
        '00:00:00',
        '-00:00:00.5',
        '838:59:59',
        '-838:59:59',
        '-12:13:14.123456',
        '100:00:01.999',
        '-00:00:00.000001',
        '-01:00:00',
      ),
    },
    {
      type: `DATETIME(${digits})`,
      values: quoted(
        '0000-00-00 00:00:00',
        '2024-00-00 01:02:03',
        '9999-12-31 23:59:59',
        '2024-02-29 12:34:56.789012',
        '1000-01-01 00:00:00',
      ),
    },
    {
      type: `TIMESTAMP(${digits})`,
      values: quoted(
        '0000-00-00 00:00:00',
        '1970-01-01 00:00:01',
        '2038-01-19 03:14:07',
        '2024-02-29 12:34:56.789012',
      ),
    },
  ]),
];

const charsets: TypeCase[] = [
  ...['utf8mb4', 'utf8mb3', 'utf16', 'utf32', 'ucs2', 'utf16le'].flatMap((charset) => [
    { type: `VARCHAR(300) CHARACTER SET ${charset}`, values: texts },
    { type: `CHAR(60) CHARACTER SET ${charset}`, values: texts.slice(0, 5) },
    { type: `TEXT CHARACTER SET ${charset}`, values: texts },
  ]),
  { type: 'VARCHAR(20) CHARACTER SET utf8mb4', values: quoted('😀𝄞', '\u2028') },
  { type: 'VARCHAR(20) CHARACTER SET utf16', values: quoted('😀𝄞') },
  ...['CHAR(40)', 'VARCHAR(40)', 'TEXT'].map((type) => ({
    type: `${type} CHARACTER SET euckr`,
    values: euckrTexts,
  })),
  { type: 'VARCHAR(40) CHARACTER SET latin1', values: quoted('', 'plain', 'café €œ', 'ÿ') },
  { type: 'VARCHAR(40) CHARACTER SET ascii', values: quoted('', 'plain') },
  { type: 'CHAR(255)', values: quoted('', 'ab', 'x'.repeat(255), '힣'.repeat(255)) },
  { type: 'VARCHAR(255) CHARACTER SET latin1', values: quoted('y'.repeat(255)) },
  { type: 'VARCHAR(256) CHARACTER SET latin1', values: quoted('y'.repeat(256)) },
  ...['TINYTEXT', 'MEDIUMTEXT', 'LONGTEXT'].map((type) => ({ type, values: texts })),
  { type: 'BINARY(5)', values: ["x'0102030000'", "''", "x'00'", "'abcde'"] },
  { type: 'BINARY(16)', values: ["x'00112233445566778899aabbccddee00'"] },
  { type: 'BINARY(255)', values: ["x'0102'", "x'ff'"] },
  { type: 'VARBINARY(300)', values: ["x'0102030000'", "''", "x'00'"] },
  ...['TINYBLOB', 'BLOB', 'MEDIUMBLOB', 'LONGBLOB'].map((type) => ({ type, values: ["x'0001ff00'", "''"] })),
  {
    type: "ENUM('a','b','it''s','c,d','가','')",
    values: quoted('a', 'b', "it's", 'c,d', '가', '', 'not a member'),
  },
  { type: "ENUM('é','ü') CHARACTER SET latin1", values: quoted('é', 'ü') },
  { type: "ENUM('가','나') CHARACTER SET euckr", values: quoted('나') },
  {
    type: `ENUM(${Array.from({ length: 300 }, (_, index) => `'m${index}'`).join()})`,
    values: quoted('m0', 'm299'),
  },
  { type: "SET('x','y''s','다','')", values: quoted('', 'x', "x,y's", "x,y's,다") },
  {
    type: `SET(${Array.from({ length: 64 }, (_, index) => `'s${index}'`).join()})`,
    values: quoted('s0', 's63', 's8,s31,s32,s40', 's0,s63'),
  },
];

const others: TypeCase[] = [
  {
    type: 'GEOMETRY',
    values: ["ST_GeomFromText('POINT(1 2)')", "ST_GeomFromText('LINESTRING(0 0,1 1)', 4326)"],
    select: asBytes,
  },
  { type: 'POINT', values: ["ST_GeomFromText('POINT(1.5 -2)', 3857)"], select: asBytes },
  { type: 'JSON', values: quoted('{"a": 1}', '[1, "가", null]', '"text"'), select: asText },
  {
    type: 'UUID',
    values: quoted(
      '123e4567-e89b-12d3-a456-426655440000',
      '00000000-0000-0000-0000-000000000000',
      '0190a7a0-1234-7abc-8def-000000000000',
      'ffffffff-ffff-4fff-bfff-ffffffffffff',
    ),
    only: 'mariadb',
  },
  {
    type: 'INET6',
    values: quoted(
      '::',
      '::1',
      '2001:db8::1',
      '::ffff:1.2.3.4',
      '::1.2.3.4',
      '1:0:0:2:0:0:0:3',
      'fe80::1:0:0:1',
      '1:2:3:4:5:6:7:8',
      'ff00::',
      '0:1::',
    ),
    only: 'mariadb',
  },
  { type: 'INET4', values: quoted('0.0.0.0', '10.0.0.0', '255.255.255.255'), only: 'mariadb' },
  {
    type: 'VARCHAR(300) COMPRESSED',
    values: quoted('', 'short', 'z'.repeat(290), '가'.repeat(250)),
    only: 'mariadb',
  },
  { type: 'TEXT CHARACTER SET euckr COMPRESSED', values: euckrTexts, only: 'mariadb' },
  { type: 'BLOB COMPRESSED', values: ["''", "x'00ff'", "REPEAT('q', 5000)"], only: 'mariadb' },
  { type: 'VECTOR(3)', values: ["STRING_TO_VECTOR('[1,2,3.5]')"], select: asBytes, only: 'mysql' },
  {
    type: 'JSON',
    only: 'mysql',
    select: asText,
    values: [
      ...quoted(
        '{}',
        '[]',
        'true',
        'null',
        '1',
        '-1',
        '65535',
        '-32769',
        '2147483648',
        '18446744073709551615',
        '-9223372036854775808',
        '1.0',
        '1e15',
        '1e14',
        '0.1',
        '-0.0',
        '1.5e-7',
        '1e-16',
        '5e-324',
        '1.7976931348623157e308',
      ),
      ...quoted(
        '{"b": {"c": [1, [2, [3]]]}, "aa": "x", "a": "\\u0001\\u007f\\t\\\\\\"/é😀"}',
        `[${'"abcdefghij", '.repeat(7_000)}1]`,
        `{"k": "${'v'.repeat(70_000)}", "n": 65536, "m": -5}`,
      ),
      "JSON_ARRAY(CAST('2024-01-02' AS DATE), CAST('-12:13:14.5' AS TIME(1)), CAST('2024-01-02 03:04:05.000007' AS DATETIME(6)), CAST(-1.50 AS DECIMAL(10,3)), x'00ff', b'101')",
      "JSON_OBJECT('date', CAST('0000-00-00' AS DATE), 'long', REPEAT('가', 50000))",
    ],
  },
];

const cases = [...numbers, ...times, ...charsets, ...others];

async function select(sql: Connection, statement: string): Promise<Record<string, Value>[]> {
  const [rows] = await sql.query<(RowDataPacket & Record<string, Value>)[]>(statement);
  return rows.map((row) => ({ ...row }));
}

describe.each(dialects)('%s', (dialect) => {
  let server: Awaited<ReturnType<typeof serverOf>>;
  let sql: Connection;
  const database = `values_${process.pid}`;
  const own = cases.filter(({ only }) => only === undefined || only === dialect);

  beforeAll(async () => {
    server = await serverOf(dialect);
    sql = await connectTo(server.url, database);
  });
  afterAll(async () => {
    await sql?.query(`DROP DATABASE ${database}`);
    await sql?.end();
    await server?.[Symbol.asyncDispose]();
  });

  test('each type at its edges, inserted, updated and deleted', async () => {
    await using follower = await follow(server.url, { tables: (schema) => schema === database });
    const faults: string[] = [];
    for (const [index, { type, values, select: expression = (column: string) => column }] of own.entries()) {
      const table = `t${index}`;
      await sql.query(`CREATE TABLE ${table} (id INT PRIMARY KEY, v ${type} NULL)`);
      await sql.query(
        `INSERT IGNORE INTO ${table} VALUES (0, NULL), ${values.map((value, row) => `(${row + 1}, ${value})`).join(', ')}`,
      );
      const selected = await select(sql, `SELECT ${expression('v')} AS v FROM ${table} ORDER BY id`);
      await sql.query(`UPDATE ${table} SET id = id + 1000; DELETE FROM ${table}`);
      const changes = rowsOf(await follower.untilNow(sql));
      // Large rows come in several events.
      const rows = (kind: string) => changes.flatMap(({ change, rows }) => (change === kind ? rows : []));
      const images = [
        rows('insert').map(({ after }) => after?.[1]),
        rows('update').map(({ before }) => before?.[1]),
        rows('update').map(({ after }) => after?.[1]),
        rows('delete').map(({ before }) => before?.[1]),
      ];
      for (const image of images)
        for (const [row, { v }] of selected.entries()) {
          const given = image[row];
          const same = Buffer.isBuffer(v) ? Buffer.isBuffer(given) && v.equals(given) : Object.is(given, v);
          if (!same)
            faults.push(
              `${type} ${row > 0 ? values[row - 1]?.slice(0, 60) : 'NULL'}: SELECT gives ${String(v).slice(0, 80)}, the stream ${String(given).slice(0, 80)}`,
            );
        }
    }
    expect([...new Set(faults)]).toEqual([]);
  });

  test('all types side by side in one table', async () => {
    await using follower = await follow(server.url, { tables: (schema) => schema === database });
    const columns = own.map(
      ({ type }, index) =>
        `\`c${index}\` ${type.replace('VARCHAR(300)', 'VARCHAR(30)').replace('BINARY(255)', 'BINARY(20)').replace('CHAR(255)', 'CHAR(20)')} NULL`,
    );
    await sql.query(`CREATE TABLE \`모두 -- \`\`x\`\`\` (id INT PRIMARY KEY, ${columns.join(', ')})`);
    const longest = Math.max(...own.map(({ values }) => values.length));
    for (let row = 0; row <= longest; row++)
      await sql.query(
        `INSERT IGNORE INTO \`모두 -- \`\`x\`\`\` VALUES (${row}, ${own.map(({ values }) => values[row] ?? 'NULL').join(', ')})`,
      );
    const expressions = own.map(
      ({ select: expression = (column: string) => column }, index) =>
        `${expression(`c${index}`)} AS c${index}`,
    );
    const selected = await select(
      sql,
      `SELECT id, ${expressions.join(', ')} FROM \`모두 -- \`\`x\`\`\` ORDER BY id`,
    );
    const changes = rowsOf(await follower.untilNow(sql));
    expect(changes[0]?.table.table).toBe('모두 -- `x`');
    expect(changes[0]?.table.columns.map(({ name }) => name)).toEqual([
      'id',
      ...own.map((_, index) => `c${index}`),
    ]);
    expect(changes[0]?.table.primaryKey).toEqual([0]);
    for (const [row, expected] of selected.entries())
      expect(changes[row]?.rows[0]?.after, `row ${row}`).toEqual(Object.values(expected));
  });
});
