-- On the services' server: capabilities that legacy follows no longer. There is no way back from here.
CREATE TABLE IF NOT EXISTS banyan_retired (
  capability VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  at         DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (capability)
) ENGINE=InnoDB DEFAULT CHARSET=ascii;
