-- The monolith's table as it is there, to the letter: it moves unchanged, row image by row image. Columns, types,
-- character sets and keys follow migrations/legacy; only "IF NOT EXISTS" is added, for a run after a crash.

CREATE TABLE IF NOT EXISTS TB_WISH (
  MBR_ID   VARCHAR(20)  CHARACTER SET euckr NOT NULL,
  PRD_NO   INT UNSIGNED NOT NULL,
  MEMO     VARCHAR(100) NOT NULL DEFAULT '',
  RGST_DTM CHAR(14)     NOT NULL,
  PRIMARY KEY (MBR_ID, PRD_NO)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
