-- Reads that go back to legacy by themselves. Each statement may be run again.

-- How often somebody has said which reads go to the service: what a facade has seen belongs to one such word, and to no later one.
CREATE TABLE IF NOT EXISTS read_shift (
  capability VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  round      BIGINT UNSIGNED NOT NULL,
  guarded    TINYINT(1) NOT NULL COMMENT 'the facades judge the service at 100 %, too',
  shifted_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (capability)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- A facade has seen the service fail: until the next word all reads are legacy's. The first one's reason is the reason.
CREATE TABLE IF NOT EXISTS read_return (
  capability  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  round       BIGINT UNSIGNED NOT NULL,
  facade      VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  reason      VARCHAR(500) NOT NULL,
  returned_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (capability, round)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
