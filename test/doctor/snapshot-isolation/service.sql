SET GLOBAL innodb_snapshot_isolation = ON;
