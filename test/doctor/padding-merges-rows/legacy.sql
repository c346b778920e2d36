ALTER TABLE member MODIFY id VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL;
INSERT INTO member VALUES ('kim', 'Kim', ''), ('kim ', 'another Kim', '');
