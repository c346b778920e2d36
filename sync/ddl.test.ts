// Which statements a stream must stop at.
import { expect, test } from 'vitest';
import { concernedTable } from './ddl.ts';

const concerned = (sql: string, current = 'shop') =>
  concernedTable(sql, current, 'shop', ['TB_RVW_MST', 'TB_WISH']);

test.each([
  ['INSERT INTO TB_WISH SELECT * FROM other.source', 'TB_WISH'],
  ['replace low_priority `shop`.`TB_WISH` (a) values (1)', 'TB_WISH'],
  ['INSERT /* which */ INTO TB_WISH VALUES (1)', 'TB_WISH'],
  ['UPDATE other.t JOIN TB_RVW_MST USING (id) SET TB_RVW_MST.a = 1', 'TB_RVW_MST'],
  ['DELETE FROM tb_rvw_mst', 'TB_RVW_MST'],
  ['ALTER TABLE TB_RVW_MST ADD c INT', 'TB_RVW_MST'],
  ['DROP DATABASE shop', '*'],
])('%s', (sql, table) => {
  expect(concerned(sql)).toBe(table);
});

test.each([
  // What pt-table-checksum writes.
  "REPLACE INTO `percona`.`checksums` (db, tbl, chunk) SELECT 'shop', 'TB_WISH', COUNT(*) FROM `shop`.`TB_WISH`",
  'INSERT IGNORE INTO report.daily SELECT * FROM shop.TB_RVW_MST',
  'INSERT INTO other.TB_WISH SELECT 1',
  'CREATE INDEX by_name ON TB_WISH (name)',
  'OPTIMIZE TABLE TB_WISH',
])('reads, or changes nothing that is captured: %s', (sql) => {
  expect(concerned(sql, 'elsewhere')).toBeUndefined();
});
