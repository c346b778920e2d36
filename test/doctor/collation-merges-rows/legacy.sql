INSERT INTO item (code, title, body) VALUES ('A1', 'other', '');
