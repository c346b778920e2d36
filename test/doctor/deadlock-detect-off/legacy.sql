SET GLOBAL innodb_deadlock_detect = OFF;
