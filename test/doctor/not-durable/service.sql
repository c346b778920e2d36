SET GLOBAL sync_binlog = 0;
