-- The change of owner: which facades there are, who runs a change, and what was done. No safety rests on any of it: who
-- owns is the fences' word. Times are by this server's clock. Each statement may be run again.

-- A facade has a row from before it sends its first write until it has stopped.
CREATE TABLE IF NOT EXISTS replica (
  name      VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  admin_url VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  beat_at   DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- The newest change of each capability; what it pins is never read again from the fences.
CREATE TABLE IF NOT EXISTS change_of_owner (
  capability  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  id          BIGINT UNSIGNED NOT NULL,
  from_side   ENUM('legacy','service') NOT NULL,
  to_side     ENUM('legacy','service') NOT NULL,
  epoch       BIGINT UNSIGNED NOT NULL COMMENT 'at which from_side owns',
  outcome     ENUM('done','undone','superseded','unfinished') NULL COMMENT 'NULL: somebody is at it, or died at it',
  holder      VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'who runs it: for people',
  lease_until DATETIME(6) NOT NULL,
  begun_at    DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (capability)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- Its AUTO_INCREMENT numbers changes, holds and turns: none is ever used twice.
CREATE TABLE IF NOT EXISTS change_step (
  id         BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  change_id  BIGINT UNSIGNED NULL COMMENT 'NULL: this row is the change''s own number',
  at         DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  capability VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  step       VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  detail     VARCHAR(2000) CHARACTER SET utf8mb4 NOT NULL DEFAULT '',
  PRIMARY KEY (id),
  KEY step_by_change (change_id, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
