CREATE USER dba@'%' IDENTIFIED BY 'x';
GRANT SUPER ON *.* TO dba@'%';
CREATE USER shop_app@'%' IDENTIFIED BY 'x';
GRANT SELECT, ALTER ON `sh%`.* TO shop_app@'%';
CREATE USER cron@'%' IDENTIFIED BY 'x';
GRANT DROP ON shop.item TO cron@'%';
-- These cannot.
CREATE USER reporter@'%' IDENTIFIED BY 'x';
GRANT SELECT, UPDATE ON *.* TO reporter@'%';
GRANT ALL ON `other\_shop`.* TO reporter@'%';
GRANT DROP ON shop.category TO reporter@'%';
GRANT ALTER ON shop.member TO reporter@'%';
