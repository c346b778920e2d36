SET GLOBAL binlog_expire_logs_seconds = 7200;
