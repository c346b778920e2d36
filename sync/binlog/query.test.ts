import { expect, test } from 'vitest';
import { classifyStatement, namesIn } from './query.ts';

test.each([
  ['CREATE TABLE t (id INT)', 'ddl'],
  ['/* who */ -- why\n# what\n  ALTER TABLE t ADD c INT', 'ddl'],
  ['/*!40000 ALTER TABLE t DISABLE KEYS */', 'ddl'],
  ['/*M!100500 DROP TABLE t */', 'ddl'],
  ['TRUNCATE TABLE t', 'ddl'],
  ['RENAME TABLE t TO u', 'ddl'],
  ['DROP DATABASE shop', 'ddl'],
  ['CREATE OR REPLACE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET @a = 1', 'ddl'],
  ['SOMETHING NEW', 'ddl'],
  ["CREATE USER a@'%'", 'other'],
  ['DROP USER IF EXISTS a', 'other'],
  ["GRANT SELECT ON *.* TO a@'%'", 'other'],
  ['OPTIMIZE TABLE t', 'other'],
  ['FLUSH TABLES', 'other'],
  ['insert into t values (1)', 'dml'],
  ['(WITH x AS (SELECT 1) DELETE FROM t)', 'dml'],
  ['LOAD DATA INFILE "f" INTO TABLE t', 'dml'],
  ['SAVEPOINT s', 'control'],
  ['ROLLBACK TO `s`', 'control'],
])('%s is %s', (sql, kind) => {
  expect(classifyStatement(sql)).toBe(kind);
});

test.each([
  ['ALTER TABLE `TB``x` ADD c INT', 'tb`x'],
  ['ALTER TABLE "TB_RVW" ADD c INT', 'tb_rvw'],
  ['RENAME TABLE shop.Tb_Rvw TO old', 'tb_rvw'],
  ['/*!50100 DROP TABLE tb_rvw */', 'tb_rvw'],
  ['DROP TABLE a,상품평', '상품평'],
])('%s names %s', (sql, name) => {
  expect(namesIn(sql).has(name)).toBe(true);
});

test('what is between single quotes is no name', () => {
  expect(namesIn("ALTER TABLE t COMMENT 'about tb_rvw, isn''t it \\' tb_rvw'").has('tb_rvw')).toBe(false);
});
