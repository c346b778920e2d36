-- What every other folder's statements are run after: nothing is to be found here. Settings of the servers are in the runner.
CREATE TABLE category (id INT NOT NULL PRIMARY KEY);
CREATE TABLE member (
  id       VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,
  name     VARCHAR(50) CHARACTER SET utf8mb4 NOT NULL,
  password VARCHAR(50) CHARACTER SET utf8mb4 NOT NULL
);
CREATE TABLE item (
  id    INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  code  VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  title VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  body  MEDIUMTEXT CHARACTER SET utf8mb4 NOT NULL,
  UNIQUE KEY item_by_code (code)
);
INSERT INTO item (code, title, body) VALUES ('a1', 'one', ''), ('b2', 'two', '');
CREATE TABLE thing (
  id   BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  size INT NOT NULL,
  area INT GENERATED ALWAYS AS (size * size) STORED
);
