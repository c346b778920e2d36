-- On the services' server: up to where in the source's binlog everything that a stream has applied has been found the same on both
-- sides. What came after is read once more by the worker that comes after a crash.
CREATE TABLE IF NOT EXISTS banyan_proven_up_to (
  capability    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  source        ENUM('legacy','service') NOT NULL,
  position      TEXT NOT NULL,
  source_server VARCHAR(64) NULL,
  PRIMARY KEY (capability, source)
) ENGINE=InnoDB DEFAULT CHARSET=ascii;
