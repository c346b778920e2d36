// Findings on servers that cannot be had here: clusters, other versions, tables of a billion rows.
import { expect, test } from 'vitest';
import { binlogFindings } from '../../sync/preflight/binlog-settings.ts';
import { greatest } from '../../sync/preflight/counters.ts';
import { engineFindings } from '../../sync/preflight/engine-settings.ts';
import { retentionFindings } from '../../sync/preflight/retention.ts';
import type { ColumnFacts } from '../../sync/preflight/schema-facts.ts';
import type { ServerFacts } from '../../sync/preflight/server-facts.ts';
import { judgeTrigger } from '../../sync/preflight/triggers.ts';
import { mayMerge } from '../../sync/preflight/unique-keys.ts';

const facts = (
  variables: Readonly<Record<string, string>>,
  more: Partial<ServerFacts> = {},
): ServerFacts => ({
  dialect: 'mariadb',
  version: '11.8.3-MariaDB',
  variables: new Map(Object.entries({ binlog_row_metadata: 'FULL', ...variables })),
  filters: { only: [], not: [] },
  isReplica: false,
  preparedXa: 0,
  begunXa: 0,
  sysdateMoves: true,
  ...more,
});

const codes = (findings: readonly { code: string; severity: string }[]) =>
  findings.map(({ code, severity }) => `${severity} ${code}`);

test('a multi-writer cluster is refused, a single primary is not', () => {
  const group = { group_replication_group_name: '3e11fa47', group_replication_single_primary_mode: 'OFF' };
  expect(codes(engineFindings('legacy', facts({ wsrep_on: 'ON' })))).toEqual(['refuse multi-writer']);
  expect(codes(engineFindings('legacy', facts(group)))).toEqual(['refuse multi-writer']);
  const single = { ...group, group_replication_single_primary_mode: 'ON' };
  expect(engineFindings('legacy', facts(single))).toEqual([]);
  // The variable is there without a group, too.
  expect(engineFindings('legacy', facts({ ...group, group_replication_group_name: '' }))).toEqual([]);
});

test('settings that are fine in one dialect and unknown in the other', () => {
  const mysql = facts({ binlog_row_value_options: '', innodb_doublewrite: 'DETECT_AND_RECOVER' });
  expect([...binlogFindings('legacy', mysql, ['shop']), ...engineFindings('legacy', mysql)]).toEqual([]);
  expect(codes(engineFindings('legacy', facts({ innodb_doublewrite: 'DETECT_ONLY' })))).toEqual([
    'refuse not-durable',
  ]);
  expect(codes(binlogFindings('legacy', facts({ binlog_row_image: 'FULL_NODUP' }), []))).toEqual([
    'refuse binlog-row-image',
  ]);
});

test('a version without full metadata is refused', () => {
  const old = facts({}, { version: '10.4.34-MariaDB', variables: new Map() });
  expect(binlogFindings('legacy', old, [])).toMatchObject([
    { code: 'binlog-row-metadata', what: expect.stringMatching(/^version 10\.4\.34/) },
  ]);
});

test('retention is held against the time that a backfill takes', () => {
  const hours = (count: number) => facts({ binlog_expire_logs_seconds: String(count * 3_600) });
  const rows = 5_000 * 3_600;
  expect(codes(retentionFindings('legacy', hours(48), 20 * rows))).toEqual([]);
  expect(codes(retentionFindings('legacy', hours(48), 30 * rows))).toEqual(['warn retention-short']);
  expect(codes(retentionFindings('legacy', hours(48), 50 * rows))).toEqual(['refuse retention-short']);
  expect(retentionFindings('legacy', hours(0), 50 * rows)).toEqual([]);
  const days = facts({ expire_logs_days: '0.02' });
  expect(retentionFindings('legacy', days, 0)).toMatchObject([
    {
      severity: 'refuse',
      object: 'expire_logs_days',
      remedy: expect.stringMatching(/expire_logs_days = 1 /),
    },
  ]);
  const kept = facts({ binlog_expire_logs_seconds: '60', binlog_expire_logs_auto_purge: 'OFF' });
  expect(retentionFindings('legacy', kept, 0)).toEqual([]);
  expect(codes(retentionFindings('legacy', facts({ max_binlog_total_size: '1073741824' }), 0))).toEqual([
    'warn retention-by-size',
  ]);
});

const column = (fullType: string, collation?: string): ColumnFacts => ({
  name: 'c',
  type: fullType.replace(/[( ].*$/, ''),
  fullType,
  isGenerated: false,
  isCounter: false,
  mustBeGiven: false,
  charset: collation?.replace(/_.*$/, ''),
  collation,
  bytesMax: 0,
});

test.each([
  ['utf8mb4_bin', 'utf8mb4_bin', false],
  ['utf8mb4_bin', 'utf8mb4_general_ci', true],
  ['utf8mb4_general_ci', 'utf8mb4_bin', false],
  ['latin1_general_ci', 'utf8mb4_general_ci', false],
  ['euckr_korean_ci', 'utf8mb4_unicode_ci', true],
  ['utf8mb4_nopad_bin', 'utf8mb4_bin', true],
  ['utf8mb4_bin', 'utf8mb4_nopad_bin', false],
  ['utf8mb4_0900_ai_ci', 'utf8mb4_0900_as_cs', true],
  ['utf8mb4_0900_ai_ci', 'utf8mb4_0900_bin', false],
  [undefined, 'utf8mb4_bin', true],
  ['utf8mb4_general_ci', undefined, false],
])('texts of %s in %s: two may become one: %s', (from, to, expected) => {
  expect(mayMerge(column('varchar(20)', from), column('varchar(20)', to))).toBe(expected);
});

test.each([
  ['tinyint(3) unsigned', 255n],
  ['mediumint(9)', 8_388_607n],
  ['int(10) unsigned', 4_294_967_295n],
  ['bigint', 9_223_372_036_854_775_807n],
  ['bigint(20) unsigned', 18_446_744_073_709_551_615n],
  ['decimal(20,0)', undefined],
])('%s holds up to %s', (fullType, max) => {
  expect(greatest(column(fullType))).toBe(max);
});

test.each([
  ['BEFORE INSERT', 'SET NEW.title = UPPER(NEW.title)', 'changes'],
  ['BEFORE UPDATE', 'BEGIN SET @n = 1, new . `title`:= 1; END', 'changes'],
  ['BEFORE INSERT', 'SELECT MAX(n) INTO NEW.n FROM numbers', 'changes'],
  ['BEFORE INSERT', 'INSERT INTO log VALUES (1, NEW.a, NEW.b)', 'follows'],
  ['BEFORE INSERT', 'SET @last = NEW.a', 'follows'],
  ['AFTER INSERT', 'INSERT IGNORE INTO `shop`.`item` (a) VALUES (NEW.a)', 'changes'],
  ['AFTER DELETE', 'DELETE FROM item WHERE id = OLD.id', 'changes'],
  ['AFTER INSERT', 'INSERT INTO sums SELECT a, 1 FROM item ON DUPLICATE KEY UPDATE n = n + 1', 'follows'],
  [
    'AFTER INSERT',
    "BEGIN IF SUBSTRING_INDEX(USER(), '@', 1) <> 'banyan_apply' THEN DELETE FROM item; END IF; END",
    'fine',
  ],
] as const)('trigger %s %s: %s', (when, body, kind) => {
  expect(judgeTrigger({ name: 'a_trigger', when, body }, new Set(['item'])).kind).toBe(kind);
});
