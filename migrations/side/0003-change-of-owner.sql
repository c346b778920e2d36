-- The change of owner: who writes the captured tables, and what a turn has been proven with.
-- Each statement may be run again.

-- On EACH server, by the fence's triggers, in the writer's own transaction. Rows are only ever added, each under a key of its
-- own session: no two writers ever wait for each other here. The worker adds them up in banyan_writer.
CREATE TABLE IF NOT EXISTS banyan_written (
  session_id BIGINT UNSIGNED NOT NULL COMMENT 'the connection''s; a number may come again after a restart',
  at         DECIMAL(20,6) NOT NULL,
  capability VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  db_user    VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  db_host    VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  row_count  BIGINT UNSIGNED NOT NULL COMMENT 'written by that session since it was last noted: at least',
  PRIMARY KEY (session_id, at, capability)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE IF NOT EXISTS banyan_writer (
  capability VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  db_user    VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  db_host    VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  row_count  BIGINT UNSIGNED NOT NULL,
  first_at   DECIMAL(20,6) NOT NULL,
  last_at    DECIMAL(20,6) NOT NULL,
  PRIMARY KEY (capability, db_user, db_host)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- On the services' server: the newest turn of which every change that the stream had applied was looked at.
CREATE TABLE IF NOT EXISTS banyan_proven (
  capability VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  source     ENUM('legacy','service') NOT NULL,
  turn       BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (capability, source)
) ENGINE=InnoDB DEFAULT CHARSET=ascii;
