-- On EACH server, in the schema `banyan`: who owns a capability, what is on its way in, what was found wrong.
-- Times are Unix seconds of this server's clock. Each statement may be run again: DDL commits by itself, and a
-- crash may come between two.

CREATE TABLE IF NOT EXISTS banyan_fence (
  capability    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  owner         ENUM('legacy','service') NOT NULL,
  epoch         BIGINT UNSIGNED NOT NULL,
  turn_id       BIGINT UNSIGNED NULL,
  turn_deadline DECIMAL(20,6) NULL,
  PRIMARY KEY (capability)
) ENGINE=InnoDB DEFAULT CHARSET=ascii;

CREATE TABLE IF NOT EXISTS banyan_hold (
  capability VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  hold_id    BIGINT UNSIGNED NOT NULL,
  hold_until DECIMAL(20,6) NOT NULL,
  PRIMARY KEY (capability)
) ENGINE=InnoDB DEFAULT CHARSET=ascii;

-- On the TARGET of a stream: where it is. Its row is written first in each apply transaction, and so is lock,
-- compare-and-set, position, and the marker by which the reader of the other direction knows an echo.
CREATE TABLE IF NOT EXISTS banyan_stream (
  capability    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  source        ENUM('legacy','service') NOT NULL,
  seq           BIGINT UNSIGNED NOT NULL DEFAULT 0,
  gtid          TEXT NULL,
  file          VARCHAR(255) NULL,
  pos           BIGINT UNSIGNED NULL,
  restart       TEXT NULL COMMENT 'while an XA transaction is undecided: where a reader must begin',
  source_server VARCHAR(64) NULL,
  source_owner  ENUM('legacy','service') NULL COMMENT 'by the newest fence row met in the source''s binlog',
  source_epoch  BIGINT UNSIGNED NULL,
  source_turn   BIGINT UNSIGNED NULL COMMENT 'the newest turn met there',
  source_time   DECIMAL(20,6) NULL COMMENT 'the newest heartbeat passed, by the source''s clock',
  session_id    BIGINT UNSIGNED NULL COMMENT 'of the worker''s connection to this server',
  PRIMARY KEY (capability, source)
) ENGINE=InnoDB DEFAULT CHARSET=ascii;

-- On the SOURCE of a stream: a row that changes every moment, so that its passing tells the lag.
CREATE TABLE IF NOT EXISTS banyan_heartbeat (
  capability VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  at         DECIMAL(20,6) NOT NULL,
  PRIMARY KEY (capability)
) ENGINE=InnoDB DEFAULT CHARSET=ascii;

-- On the SOURCE: the marks between which a chunk of a backfill was read.
CREATE TABLE IF NOT EXISTS banyan_watermark (
  capability VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  mark       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  PRIMARY KEY (capability)
) ENGINE=InnoDB DEFAULT CHARSET=ascii;

-- On the TARGET: how far a backfill is; moved in the transaction that applies the chunk.
CREATE TABLE IF NOT EXISTS banyan_backfill (
  capability  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  table_name  VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'the source''s',
  state       ENUM('asked','running','complete') NOT NULL DEFAULT 'asked',
  last_key    LONGTEXT CHARACTER SET utf8mb4 NULL COMMENT 'JSON: the key up to which rows are in',
  max_key     LONGTEXT CHARACTER SET utf8mb4 NULL COMMENT 'JSON: the greatest key when it began',
  rows_total  BIGINT UNSIGNED NULL COMMENT 'an estimate, when it began',
  rows_done   BIGINT UNSIGNED NOT NULL DEFAULT 0,
  rows_refused BIGINT UNSIGNED NOT NULL DEFAULT 0,
  asked_at    DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  finished_at DATETIME(6) NULL,
  PRIMARY KEY (capability, table_name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- On the TARGET: rows that no translator accepts, by the source's key. A later image that is accepted, or the
-- row's deletion, takes it out again.
CREATE TABLE IF NOT EXISTS banyan_quarantine (
  id          BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  capability  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  source      ENUM('legacy','service') NOT NULL,
  table_name  VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  row_key     VARBINARY(512) NOT NULL COMMENT 'JSON, or its SHA-256 when it is longer',
  field       VARCHAR(64) CHARACTER SET utf8mb4 NOT NULL,
  reason      VARCHAR(500) CHARACTER SET utf8mb4 NOT NULL,
  image       LONGTEXT CHARACTER SET utf8mb4 NULL COMMENT 'JSON of the row; NULL once expired: it may be personal',
  since       DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  retry       BOOLEAN NOT NULL DEFAULT FALSE,
  PRIMARY KEY (id),
  UNIQUE KEY quarantine_by_row (capability, source, table_name, row_key)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- On the TARGET: why a stream stands still, until somebody acknowledges it.
CREATE TABLE IF NOT EXISTS banyan_stop (
  capability      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  source          ENUM('legacy','service') NOT NULL,
  position        VARCHAR(500) CHARACTER SET ascii NOT NULL COMMENT 'file:pos of the event',
  code            VARCHAR(64) CHARACTER SET ascii NOT NULL,
  message         VARCHAR(2000) CHARACTER SET utf8mb4 NOT NULL,
  since           DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  acknowledged_by VARCHAR(128) CHARACTER SET utf8mb4 NULL,
  PRIMARY KEY (capability, source)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- On the TARGET: writes seen on the side that is not owner.
CREATE TABLE IF NOT EXISTS banyan_tripwire (
  capability VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  source     ENUM('legacy','service') NOT NULL,
  what       VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'kind of change and table',
  seen       BIGINT UNSIGNED NOT NULL,
  position   VARCHAR(500) CHARACTER SET ascii NOT NULL COMMENT 'of the newest',
  first_at   DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  last_at    DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (capability, source, what)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- On the services' server: which worker runs a capability's streams.
CREATE TABLE IF NOT EXISTS banyan_worker (
  capability  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  holder      VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  lease_until DECIMAL(20,6) NOT NULL,
  PRIMARY KEY (capability)
) ENGINE=InnoDB DEFAULT CHARSET=ascii;
