-- The control store: what phase a capability is in, on what evidence, and who did what and why.
-- It holds no owner: that is the fences' word. Each statement may be run again: DDL commits by itself, and a
-- crash may come between two.

CREATE TABLE IF NOT EXISTS capability (
  name       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  phase      ENUM('legacy','synced','shadow','canary','reads','owned','retired') NOT NULL DEFAULT 'legacy',
  version    BIGINT UNSIGNED NOT NULL DEFAULT 1 COMMENT 'grows with every move: compare-and-set',
  changed_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE IF NOT EXISTS evidence (
  id           BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  capability   VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  kind         VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'copied, …',
  facts        LONGTEXT NOT NULL COMMENT 'JSON',
  recorded_at  DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  withdrawn_at DATETIME(6) NULL COMMENT 'set: no longer in force',
  PRIMARY KEY (id),
  KEY evidence_in_force (capability, kind, withdrawn_at, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE IF NOT EXISTS audit (
  id         BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  at         DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  actor      VARCHAR(128) NOT NULL,
  capability VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  action     VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  reason     VARCHAR(500) NULL,
  detail     LONGTEXT NOT NULL COMMENT 'JSON',
  PRIMARY KEY (id),
  KEY audit_by_capability (capability, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- Append-only for everybody, not only for accounts that lack the right to change it.
CREATE TRIGGER IF NOT EXISTS audit_is_not_changed BEFORE UPDATE ON audit FOR EACH ROW
  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the audit is append-only';
CREATE TRIGGER IF NOT EXISTS audit_is_not_deleted BEFORE DELETE ON audit FOR EACH ROW
  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the audit is append-only';
