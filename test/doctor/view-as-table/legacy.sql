RENAME TABLE member TO member_base;
CREATE VIEW member AS SELECT * FROM member_base;
