-- Verification: what was asked for and how far it is, what was found, what is not proven yet.
-- Each statement may be run again.

-- On the services' server, whoever owns: the newest verification of each table.
CREATE TABLE IF NOT EXISTS banyan_verify (
  capability  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  table_name  VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'the legacy one',
  run         VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'tables that were asked for together',
  state       ENUM('asked','running','complete') NOT NULL DEFAULT 'asked',
  repair      BOOLEAN NOT NULL DEFAULT FALSE,
  with_values BOOLEAN NOT NULL DEFAULT FALSE COMMENT 'examples hold values, which may be personal',
  source      ENUM('legacy','service') NULL COMMENT 'the owner that it is compared with',
  progress    LONGTEXT CHARACTER SET utf8mb4 NULL COMMENT 'JSON: up to where no row is in doubt',
  rows_total  BIGINT UNSIGNED NULL COMMENT 'an estimate, when it began',
  rows_done   BIGINT UNSIGNED NOT NULL DEFAULT 0,
  result      LONGTEXT CHARACTER SET utf8mb4 NULL COMMENT 'JSON: counts and examples',
  asked_at    DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  finished_at DATETIME(6) NULL,
  PRIMARY KEY (capability, table_name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- On the services' server: rows that the stream has applied and that were then not the same on both sides.
CREATE TABLE IF NOT EXISTS banyan_mismatch (
  capability VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  source     ENUM('legacy','service') NOT NULL,
  table_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'the source''s',
  target     VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  row_key    VARBINARY(512) NOT NULL COMMENT 'JSON, or its SHA-256 when it is longer',
  source_key LONGTEXT CHARACTER SET utf8mb4 NOT NULL COMMENT 'JSON',
  class      ENUM('missing','extra','different') NOT NULL,
  columns    VARCHAR(2000) CHARACTER SET utf8mb4 NOT NULL COMMENT 'of the target, with commas',
  since      DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (capability, source, table_name, target, row_key)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- On the services' server: how many changes that the stream has applied have not been looked at yet.
CREATE TABLE IF NOT EXISTS banyan_touched (
  capability VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  source     ENUM('legacy','service') NOT NULL,
  table_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'the source''s',
  waiting    BIGINT UNSIGNED NOT NULL COMMENT 'keys that are next',
  skipped    BIGINT UNSIGNED NOT NULL COMMENT 'changes that were too many: only a verification proves them',
  at         DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (capability, source, table_name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
