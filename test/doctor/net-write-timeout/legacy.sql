SET GLOBAL net_write_timeout = 5;
