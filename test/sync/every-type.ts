// Every column type that the stream promises, with values at its edges.

export type TypeCase = {
  readonly type: string;
  /** SQL literals. */
  readonly values: readonly string[];
};

const quoted = (...texts: string[]) =>
  texts.map((text) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`);

const integers: TypeCase[] = (
  [
    ['TINYINT', 8n],
    ['SMALLINT', 16n],
    ['MEDIUMINT', 24n],
    ['INT', 32n],
    ['BIGINT', 64n],
  ] as const
).flatMap(([type, bits]) => [
  { type, values: ['0', '-1', String(2n ** (bits - 1n) - 1n), String(-(2n ** (bits - 1n)))] },
  { type: `${type} UNSIGNED`, values: ['0', '1', String(2n ** bits - 1n), String(2n ** (bits - 1n))] },
]);

const numbers: TypeCase[] = [
  ...integers,
  { type: 'BIGINT', values: ['9007199254740993', '-9007199254740993', '9007199254740992'] },
  { type: 'BOOLEAN', values: ['TRUE', 'FALSE'] },
  ...[1, 7, 8, 9, 33, 64].map((bits) => ({
    type: `BIT(${bits})`,
    values: ["b'0'", "b'1'", `b'${'1'.repeat(bits)}'`],
  })),
  { type: 'FLOAT', values: ['0', '-0.1', '3.4028234e38', '1.17549435e-38', '16777217', '0.3', '123456.789'] },
  {
    type: 'DOUBLE',
    values: ['0', '0.1', '-1e308', '5e-324', '9007199254740993', '0.30000000000000004', '-0e0'],
  },
  {
    type: 'DECIMAL(65,30)',
    values: [
      '0',
      `-${'9'.repeat(35)}.${'9'.repeat(30)}`,
      '0.000000000000000000000000000001',
      '12345678901234567890.123',
    ],
  },
  { type: 'DECIMAL(12,2)', values: ['0', '0.01', '-0.01', '9999999999.99'] },
  { type: 'DECIMAL(65,0)', values: ['9'.repeat(65), `-${'9'.repeat(65)}`] },
  { type: 'DECIMAL(10,3) UNSIGNED', values: ['0.001', '1234567.891'] },
  { type: 'YEAR', values: ['0', '1901', '2024', '2155'] },
];

const times: TypeCase[] = [
  {
    type: 'DATE',
    values: quoted('0000-00-00', '2024-00-00', '2024-02-00', '1000-01-01', '9999-12-31', '2023-02-31'),
  },
  ...[0, 1, 3, 6].flatMap((digits) => [
    {
      type: `TIME(${digits})`,
      values: quoted(
        '00:00:00',
        '838:59:59',
        '-838:59:59',
        '-12:13:14.123456',
        '-00:00:00.5',
        '-00:00:00.000001',
      ),
    },
    {
      type: `DATETIME(${digits})`,
      values: quoted(
        '0000-00-00 00:00:00',
        '2024-00-00 01:02:03',
        '9999-12-31 23:59:59',
        '2024-02-29 12:34:56.789012',
      ),
    },
    {
      type: `TIMESTAMP(${digits}) NULL`,
      values: quoted(
        '0000-00-00 00:00:00',
        '1970-01-01 00:00:01',
        '2038-01-19 03:14:07',
        // An hour that a zone with daylight saving has twice.
        '2024-10-27 00:30:00.123456',
      ),
    },
  ]),
];

const texts = quoted(
  '',
  'a',
  'trailing  ',
  'it\'s "quoted", \\ and; more',
  'tab\tnewline\nreturn\r',
  '가각힣 ©',
);
const euckrTexts = quoted('', 'ascii', '가나다', '갂갃뷁힣', '똠방각하 펲시콜라', '☆※→ %_');

const strings: TypeCase[] = [
  ...['utf8mb4', 'utf8mb3', 'utf16', 'ucs2'].flatMap((charset) => [
    { type: `VARCHAR(60) CHARACTER SET ${charset}`, values: texts },
    { type: `CHAR(30) CHARACTER SET ${charset}`, values: texts },
    { type: `TEXT CHARACTER SET ${charset}`, values: texts },
  ]),
  { type: 'VARCHAR(20) CHARACTER SET utf8mb4', values: quoted('😀𝄞', '\u2028', '\0\x1a') },
  { type: 'VARCHAR(20) CHARACTER SET utf16', values: quoted('😀𝄞') },
  ...['CHAR(40)', 'VARCHAR(40)', 'TEXT'].map((type) => ({
    type: `${type} CHARACTER SET euckr`,
    values: euckrTexts,
  })),
  { type: 'VARCHAR(40) CHARACTER SET latin1', values: quoted('', 'plain', 'café €œ', 'ÿ') },
  { type: 'VARCHAR(40) CHARACTER SET latin1', values: ["_latin1 x'818d8f909d'", "_latin1 x'80a0ff'"] },
  { type: 'VARCHAR(40) CHARACTER SET ascii', values: quoted('', 'plain') },
  { type: 'MEDIUMTEXT', values: [...texts, "REPEAT('가', 100000)"] },
  { type: 'BINARY(5)', values: ["x'0102030000'", "''", "x'00'", "'abcde'"] },
  { type: 'BINARY(255)', values: ["x'0102'", "x'ff'"] },
  { type: 'VARBINARY(30)', values: ["x'0102030000'", "''", "x'00'", "x'27225c0a'"] },
  { type: 'LONGBLOB', values: ["x'0001ff00'", "''", "REPEAT(x'00ff', 50000)"] },
  { type: "ENUM('a','b','it''s','c,d','가')", values: quoted('a', "it's", 'c,d', '가', 'not a member') },
  { type: "ENUM('é','ü') CHARACTER SET latin1", values: quoted('é', 'ü', '?') },
  { type: "ENUM('1','2','0')", values: quoted('1', '0', '2') },
  { type: "SET('x','y''s','다')", values: quoted('', 'x', "x,y's", "x,y's,다") },
  {
    type: `SET(${Array.from({ length: 64 }, (_, index) => `'s${index}'`).join()})`,
    values: quoted('s0', 's63', 's8,s31,s32,s40', 's0,s63'),
  },
];

const others: TypeCase[] = [
  {
    type: 'GEOMETRY',
    values: ["ST_GeomFromText('POINT(1 2)')", "ST_GeomFromText('LINESTRING(0 0,1 1)', 4326)"],
  },
  { type: 'POINT', values: ["ST_GeomFromText('POINT(1.5 -2)', 3857)"] },
  { type: 'JSON', values: quoted('{"a": 1}', '[1, "가", null]', '"text"', '{"b":\t2}') },
  {
    type: 'UUID',
    values: quoted('123e4567-e89b-12d3-a456-426655440000', '00000000-0000-0000-0000-000000000000'),
  },
  { type: 'INET6', values: quoted('::', '2001:db8::1', '::ffff:1.2.3.4', 'fe80::1:0:0:1') },
  { type: 'INET4', values: quoted('0.0.0.0', '255.255.255.255') },
  { type: 'VARCHAR(300) COMPRESSED', values: quoted('', 'short', 'z'.repeat(290)) },
  { type: 'BLOB COMPRESSED', values: ["''", "x'00ff'", "REPEAT('q', 5000)"] },
];

export type TypeTable = {
  readonly table: string;
  readonly ddl: string;
  readonly columns: readonly TypeCase[];
};

const quoteName = (name: string) => `\`${name.replaceAll('`', '``')}\``;

function typeTable(table: string, columns: readonly TypeCase[], more = ''): TypeTable {
  const declared = columns.map(({ type }, index) => `c${index} ${type}${/NULL/.test(type) ? '' : ' NULL'}`);
  return {
    table,
    columns,
    ddl: `CREATE TABLE ${quoteName(table)} (id INT PRIMARY KEY, ${declared.join(', ')}${more}) CHARACTER SET utf8mb4;`,
  };
}

export const typeTables: readonly TypeTable[] = [
  typeTable('numbers', numbers),
  typeTable('times', times),
  typeTable('strings', strings),
  typeTable('others', others),
  // Generated columns follow by themselves, stored or not, also in the middle and under names of other alphabets.
  {
    table: '주문 -- `표`',
    columns: [
      { type: 'INT', values: ['1', '-5'] },
      { type: 'VARCHAR(20)', values: texts.slice(0, 3) },
    ],
    ddl: "CREATE TABLE `주문 -- ``표``` (id INT PRIMARY KEY, g INT GENERATED ALWAYS AS (c0 * 2) STORED, c0 INT NULL, `상품 명` VARCHAR(60) GENERATED ALWAYS AS (CONCAT('<', c1, '>')) VIRTUAL, c1 VARCHAR(20) NULL, hidden INT INVISIBLE DEFAULT 7) CHARACTER SET utf8mb4;",
  },
];

/** How many rows it takes to have each value of each column once; a row more is all NULL. */
const rowsOf = ({ columns }: TypeTable) => Math.max(...columns.map(({ values }) => values.length)) + 1;

const valueAt = ({ values }: TypeCase, row: number) => values[row] ?? 'NULL';

export const inserts = (table: TypeTable, idFrom: number): string[] =>
  Array.from(
    { length: rowsOf(table) },
    (_, row) =>
      `INSERT IGNORE INTO ${quoteName(table.table)} (id, ${table.columns.map((_, index) => `c${index}`).join(', ')}) VALUES (${idFrom + row}, ${table.columns.map((column) => valueAt(column, row)).join(', ')})`,
  );

/** Each row becomes what the next one was: each value meets each change. */
export const updates = (table: TypeTable, idFrom: number): string[] =>
  Array.from(
    { length: rowsOf(table) },
    (_, row) =>
      `UPDATE IGNORE ${quoteName(table.table)} SET ${table.columns.map((column, index) => `c${index} = ${valueAt(column, (row + 1) % rowsOf(table))}`).join(', ')} WHERE id = ${idFrom + row}`,
  );

/** Many rows in one statement; in the first every column is NULL. */
export const bulkInserts = (table: TypeTable, idFrom: number): string[] => {
  const columns = table.columns.map((_, index) => `c${index}`).join(', ');
  return [
    `INSERT IGNORE INTO ${quoteName(table.table)} (id, ${columns}) SELECT ${idFrom} + seq * 100 + id - ${idFrom}, ${columns} FROM ${quoteName(table.table)} CROSS JOIN seq_1_to_20 WHERE id BETWEEN ${idFrom} AND ${idFrom + 99} ORDER BY id DESC`,
  ];
};

export const deletes = (table: TypeTable, idFrom: number): string[] => [
  `DELETE FROM ${quoteName(table.table)} WHERE id >= ${idFrom} AND id % 3 = 0`,
];

/** Types that may be a primary key, with values that are near to each other. */
export const keyCases: readonly TypeCase[] = [
  {
    type: 'BIGINT UNSIGNED',
    values: ['9007199254740992', '9007199254740993', '18446744073709551615', '18446744073709551614', '0'],
  },
  { type: 'BIGINT', values: ['-9007199254740993', '-9007199254740992', '-9007199254740994', '1'] },
  {
    type: 'DECIMAL(30,10)',
    values: ['12345678901234567890.1', '12345678901234567890.2', '12345678901234567890.3', '-0.5', '0.5'],
  },
  { type: 'DOUBLE', values: ['0.1', '0.30000000000000004', '0.3', '-1e300'] },
  { type: 'FLOAT', values: ['0.1', '0.3', '16777216', '16777218'] },
  { type: 'BIT(40)', values: ["b'0'", "b'1'", "b'100000000'", "b'1100000000'"] },
  { type: "ENUM('zebra','ant','mole','bee')", values: quoted('zebra', 'ant', 'mole', 'bee', 'no member') },
  { type: "SET('z','a','m')", values: quoted('', 'z', 'a', 'z,a', 'm', 'z,m') },
  { type: 'DATE', values: quoted('0000-00-00', '2024-00-00', '2024-02-29', '9999-12-31') },
  {
    type: 'DATETIME(6)',
    values: quoted('0000-00-00 00:00:00', '2024-02-29 12:34:56.000001', '2024-02-29 12:34:56.000002'),
  },
  {
    type: 'TIMESTAMP(6)',
    values: quoted(
      '1970-01-01 00:00:01',
      '2024-02-29 12:34:56.000001',
      '2024-10-27 00:30:00',
      '2024-10-27 01:30:00',
    ),
  },
  { type: 'TIME(3)', values: quoted('-838:59:59', '-00:00:00.500', '00:00:00', '12:00:00.001', '838:59:59') },
  { type: 'YEAR', values: ['0', '1901', '2000', '2155'] },
  {
    type: 'VARCHAR(20) CHARACTER SET utf8mb4',
    values: quoted('a', 'B', 'c ', '', '가', "o'x", 'back\\slash', '한글'),
  },
  { type: 'VARCHAR(20) CHARACTER SET euckr', values: quoted('a', 'B', 'c ', '', '가', '뷁') },
  { type: 'VARCHAR(20) CHARACTER SET latin1', values: quoted('é', 'a', 'B', '€', 'ÿ') },
  { type: 'VARCHAR(20) CHARACTER SET utf16', values: quoted('a', 'B', '😀', '가') },
  { type: 'CHAR(8) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin', values: quoted('a', 'A', 'b', 'B') },
  {
    type: 'VARCHAR(8) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin',
    values: quoted('a', 'a ', 'A', 'A '),
  },
  { type: 'BINARY(4)', values: ["x'00'", "x'01'", "'ab'", "x'ffffffff'"] },
  { type: 'VARBINARY(8)', values: ["''", "x'00'", "x'0000'", "'a'", "'A'", "x'ff'"] },
  {
    type: 'UUID',
    values: quoted(
      '123e4567-e89b-12d3-a456-426655440000',
      '00000000-0000-0000-0000-000000000000',
      'ffffffff-ffff-4fff-bfff-ffffffffffff',
      '0190a7a0-1234-7abc-8def-000000000000',
    ),
  },
  { type: 'INET6', values: quoted('::', '::1', '2001:db8::1', '::ffff:1.2.3.4') },
];

/** One table with the key alone, one with it in the middle of a composite key. */
export const keyTables: readonly {
  readonly table: string;
  readonly ddl: string;
  readonly values: readonly string[];
}[] = keyCases.flatMap(({ type, values }, index) => [
  {
    table: `key${index}`,
    ddl: `CREATE TABLE key${index} (k ${type} NOT NULL PRIMARY KEY, v INT NOT NULL);`,
    values,
  },
  {
    table: `keys${index}`,
    ddl: `CREATE TABLE keys${index} (v INT NOT NULL, a SMALLINT NOT NULL, k ${type} NOT NULL, b VARCHAR(5) NOT NULL, PRIMARY KEY (a, k, b));`,
    values,
  },
]);

const rowOf = (table: string, value: string, v: number) =>
  table.startsWith('keys') ? `(${v}, 1, ${value}, 'b'), (${v}, 2, ${value}, 'B')` : `(${value}, ${v})`;

const columnsOf = (table: string) => (table.startsWith('keys') ? '(v, a, k, b)' : '(k, v)');

export const keyInserts = ({ table, values }: (typeof keyTables)[number]): string[] =>
  values.map(
    (value, index) => `INSERT IGNORE INTO ${table} ${columnsOf(table)} VALUES ${rowOf(table, value, index)}`,
  );

/** Rows found by their keys: changed, moved to another key and back, deleted one at a time. */
export function keyChanges({ table, values }: (typeof keyTables)[number]): string[] {
  const [last] = values.slice(-1);
  return [
    ...values.map((_, index) => `UPDATE ${table} SET v = v + 100 WHERE v = ${index}`),
    // The last row goes, the first takes its key.
    `DELETE FROM ${table} WHERE v = ${values.length + 99}`,
    `UPDATE IGNORE ${table} SET k = ${last} WHERE v = 100`,
    // Several at once, between others that are near to them.
    `DELETE FROM ${table} WHERE v % 2 = 1`,
  ];
}
