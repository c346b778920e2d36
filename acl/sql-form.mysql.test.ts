// Every codec's SQL form against its code, over generated values and odd ones: what the form says is what the code
// says, and what the code refuses it refuses.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { testDatabase } from '../test/databases.ts';
import * as codecs from './codecs.ts';
import type { Domain, Value } from './domain.ts';
import { valuesOf } from './laws.ts';
import { ascii, euckr, utf8mb4 } from './repertoire.ts';
import type { SqlColumn } from './sql-form.ts';
import { legacyField, modelField } from './sql-row.ts';

const seed = Number(process.env.BANYAN_TEST_SEED ?? 20_261_121);
console.log(`SQL forms: seed ${seed}`);

type Case = {
  readonly what: string;
  readonly codec: codecs.Codec;
  readonly legacy: string;
  readonly service: string;
  readonly odd: readonly unknown[];
  /** What the code accepts and the form leaves to it. */
  readonly leaves?: (value: unknown) => boolean;
};

const text = (lengthMax: number, repertoire = euckr): Domain => ({ kind: 'text', lengthMax, repertoire });
const times = ['19700101235959', '19700102000000', '20491231235959', '99991230235959', '99991231000000'];
const broken = [
  '20240231000000',
  '20240200000000',
  '20240010000000',
  '20241310000000',
  '00000000000000',
  '20240201240000',
  '2024020112606',
  '2024-01-31 1:2',
  '+0240131123456',
  ' 2024013112345',
  '2024013112345a',
  '2e240131123456',
  '20240131.12345',
  '',
  '20240131123456',
];
const newYork = [
  '20240310015959',
  '20240310020000',
  '20240310023000',
  '20240310030000',
  '20241103005959',
  '20241103010000',
  '20241103013000',
  '20241103020000',
];
const seoul = ['19880508015959', '19880508023000', '19880508030000', '19881009013000', '19881009025959'];
const far = (value: unknown) => typeof value === 'string' && Number(value.slice(0, 4)) >= 2050;
const asDatetime = (compact: string) => compact.replace(/(....)(..)(..)(..)(..)(..)/, '$1-$2-$3 $4:$5:$6');
const realBroken = [
  '0000-00-00 00:00:00',
  '2024-02-31 00:00:00',
  '2024-00-00 00:00:00',
  '2024-00-10 00:00:00',
  '1000-01-01 00:00:00',
];
const nullable: Domain = { kind: 'either', value: null, or: text(5) };

const cases: readonly Case[] = [
  {
    what: 'a whole number',
    codec: codecs.renamed(codecs.uint8),
    legacy: 'INT NULL',
    service: 'TINYINT UNSIGNED',
    odd: [null, -1, 0, 255, 256, 2_147_483_647],
  },
  {
    what: 'a whole number that the column bounds',
    codec: codecs.renamed(codecs.uint32),
    legacy: 'INT UNSIGNED NULL',
    service: 'INT UNSIGNED',
    odd: [null, 0, 4_294_967_295],
  },
  {
    what: 'digits',
    codec: codecs.renamed({ kind: 'digits', min: -5n, max: 2n ** 63n - 1n }),
    legacy: 'BIGINT NULL',
    service: 'BIGINT',
    odd: [null, '-6', '-5', '9223372036854775807', '-9223372036854775808'],
  },
  {
    what: 'a DECIMAL',
    codec: codecs.renamed({ kind: 'decimal', precision: 20, scale: 4 }),
    legacy: 'DECIMAL(18,4) NULL',
    service: 'DECIMAL(20,4)',
    odd: [null, '0', '-0.0001', '99999999999999.9999'],
  },
  {
    what: 'a euckr text',
    codec: codecs.renamed(text(5)),
    legacy: 'VARCHAR(20) CHARACTER SET euckr NULL',
    service: 'VARCHAR(20) CHARACTER SET euckr',
    odd: [null, '', 'a ', '가나다라마', '가나다라마바', "it's", 'b\\', '~', '|'],
  },
  {
    what: 'a text that may be null',
    codec: codecs.renamed(nullable),
    legacy: 'VARCHAR(20) CHARACTER SET euckr NULL',
    service: 'VARCHAR(5) CHARACTER SET utf8mb4 NULL',
    odd: [null, '', '~', '123456'],
  },
  {
    what: 'a utf8mb4 text of TEXT',
    codec: codecs.renamed(text(6, utf8mb4)),
    legacy: 'TEXT CHARACTER SET utf8mb4 NULL',
    service: 'VARCHAR(6) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin',
    odd: [null, '😀😀😀', '😀😀😀😀😀😀😀', ''],
  },
  {
    what: 'a UTC time',
    codec: codecs.renamed(codecs.isoInstant.legacy),
    legacy: 'DATETIME NULL',
    service: 'DATETIME',
    odd: [null, ...realBroken, '1970-01-01 00:00:00'],
  },
  {
    what: 'one of a few',
    codec: codecs.renamed({ kind: 'oneOf', values: ['new', 'old'] }),
    legacy: "ENUM('new','old','other') CHARACTER SET latin1 NULL",
    service: 'VARCHAR(5)',
    odd: [null, 'other', ''],
  },
  {
    what: 'yes/no flag',
    codec: codecs.yesNoFlag(1, 0),
    legacy: 'VARCHAR(3) CHARACTER SET euckr NULL',
    service: 'BOOLEAN',
    odd: [null, 'y', 'Y ', '', 'N', 'YY'],
  },
  {
    what: 'code table with null',
    codec: codecs.codeTable({ '01': 'desktop', "o'2": 'b\\', '': null }),
    legacy: 'CHAR(3) CHARACTER SET utf16 NULL',
    service: 'VARCHAR(10) NULL',
    odd: [null, '1', '01', "O'2"],
  },
  {
    what: 'fixed-width code',
    codec: codecs.fixedWidthCode({ width: 2, min: 1, max: 10 }),
    legacy: 'CHAR(2) CHARACTER SET euckr NULL',
    service: 'TINYINT UNSIGNED',
    odd: [null, '1', '11', '00', '１'],
  },
  {
    what: 'legacy timestamp of Seoul',
    codec: codecs.legacyTimestamp('Asia/Seoul'),
    legacy: 'CHAR(14) CHARACTER SET euckr NULL',
    service: 'DATETIME',
    odd: [null, ...times, ...broken, ...seoul],
    leaves: far,
  },
  {
    what: 'legacy timestamp of New York',
    codec: codecs.legacyTimestamp('America/New_York'),
    legacy: 'VARCHAR(20) CHARACTER SET ascii NULL',
    service: 'DATETIME',
    odd: [null, ...times, ...broken, ...newYork],
    leaves: far,
  },
  {
    what: 'local datetime of New York',
    codec: codecs.localDatetime('America/New_York'),
    legacy: 'DATETIME NULL',
    service: 'DATETIME',
    odd: [null, ...realBroken, ...times.map(asDatetime), ...newYork.map(asDatetime)],
    leaves: far,
  },
  {
    what: 'zero date or local datetime',
    codec: codecs.zeroDate(codecs.localDatetime('Asia/Seoul')),
    legacy: 'DATETIME NULL',
    service: 'DATETIME NULL',
    odd: [null, ...realBroken, ...seoul.map(asDatetime)],
    leaves: far,
  },
  {
    what: 'zero date or legacy timestamp',
    codec: codecs.zeroDate(codecs.legacyTimestamp('Asia/Seoul'), '00000000000000'),
    legacy: 'CHAR(14) CHARACTER SET euckr NULL',
    service: 'DATETIME NULL',
    odd: [null, ...broken],
    leaves: far,
  },
  {
    what: 'decimal to minor units',
    codec: codecs.decimalToMinorUnits({ precision: 65, scale: 30 }),
    legacy: 'DECIMAL(65,30) NULL',
    service: 'DECIMAL(65,0)',
    odd: [null, '0', '-0.1', '0.000000000000000000000000000001', `-${'9'.repeat(35)}.${'9'.repeat(30)}`],
  },
  {
    what: 'decimal without places to minor units',
    codec: codecs.decimalToMinorUnits({ precision: 9, scale: 0 }),
    legacy: 'DECIMAL(9,0) NULL',
    service: 'BIGINT',
    odd: [null, '0', '-1', '100', '999999999'],
  },
  {
    what: 'euckr text',
    codec: codecs.euckrText({ lengthMax: 60 }),
    legacy: 'VARCHAR(80) CHARACTER SET euckr NULL',
    service: 'VARCHAR(60)',
    odd: [null, '', '&#128512;', '&#65;', '가 ', '가'.repeat(61)],
    leaves: (value) => typeof value === 'string' && value.includes('&#'),
  },
  {
    what: 'renamed ascii',
    codec: codecs.renamed(text(100, ascii)),
    legacy: 'VARCHAR(100) CHARACTER SET ascii',
    service: 'VARCHAR(100) CHARACTER SET ascii',
    odd: ['', 'a.jpg', 'a.jpg '],
  },
];

/** What CONCAT makes of the model's value in the service's column. */
function said(value: Value, isText: boolean): string {
  if (value === null) return '~';
  return isText ? `${[...String(value)].length}:${String(value)}` : String(value);
}

test.each(cases)('$what', async ({ codec, legacy, service, odd, leaves = () => false }) => {
  await using database = await testDatabase('legacy');
  const { sql } = database;
  await sql.query("SET NAMES utf8mb4; SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'");
  await sql.query(
    `CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, c ${legacy}, s ${service}) CHARACTER SET utf8mb4`,
  );
  const values = [...odd, ...fc.sample(valuesOf(fc, codec.legacy), { numRuns: 300, seed })];
  for (const value of values) await sql.query('INSERT IGNORE INTO t (c) VALUES (?)', [value]);
  const [types] = await sql.query(
    "SELECT COLUMN_NAME AS name, COLUMN_TYPE AS type, CHARACTER_SET_NAME AS charset FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND COLUMN_NAME <> 'id' ORDER BY name",
  );
  const [column, model] = types as [SqlColumn, SqlColumn];
  const form = codec.sql?.(column);
  if (!form) throw new Error(`${codec.name} has no form for ${legacy}`);
  const field = legacyField(form, model);
  const isText = /char|enum|text/i.test(model.type);
  const [rows] = await sql.query(
    `SELECT id, c, CAST(CONVERT(CONCAT(${field}) USING utf8mb4) AS BINARY) AS said FROM t ORDER BY id`,
  );
  const wrong: unknown[] = [];
  let accepted = 0;
  for (const { id, c, said: bytes } of rows as { id: number; c: unknown; said: Buffer | null }[]) {
    const ours = bytes === null ? null : bytes.toString();
    let code: string | null = null;
    let model: Value = null;
    try {
      model = codec.forward(c);
      code = said(model, isText);
    } catch (error) {
      if (!(error instanceof codecs.CodecFault)) throw error;
    }
    if (ours !== code && !(ours === null && leaves(c))) wrong.push({ c, ours, code });
    if (ours === null || code === null) continue;
    accepted++;
    await sql.query('UPDATE t SET s = ? WHERE id = ?', [model, id]);
  }
  expect(wrong).toEqual([]);
  expect(accepted).toBeGreaterThan(0);
  // And the service's column says the same of what it was given.
  const [differing] = await sql.query(
    `SELECT c, s FROM t WHERE CONCAT(${field}) IS NOT NULL AND NOT (CAST(CONVERT(CONCAT(${field}) USING utf8mb4) AS BINARY) <=> CAST(CONVERT(CONCAT(${modelField(model)}) USING utf8mb4) AS BINARY))`,
  );
  expect(differing).toEqual([]);
});
