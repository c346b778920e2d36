SET GLOBAL binlog_checksum = 'NONE';
