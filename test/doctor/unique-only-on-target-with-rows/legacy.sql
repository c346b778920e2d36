INSERT INTO item (code, title, body) VALUES ('c3', 'one', '');
