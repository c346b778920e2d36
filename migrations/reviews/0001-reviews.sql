-- The reviews service's model. Ids are shared with the monolith; instants are UTC; deletes are soft.
-- A member's id is text, so what makes two of them equal is shared too: the character set and collation are
-- those of the monolith's column (it folds ASCII case, and only that).

CREATE TABLE member (
  id           VARCHAR(20) CHARACTER SET euckr COLLATE euckr_korean_ci NOT NULL COMMENT 'reference data: follows the monolith',
  display_name VARCHAR(50) NOT NULL,
  PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE product (
  id    INT UNSIGNED NOT NULL COMMENT 'reference data: follows the monolith',
  title VARCHAR(200) NOT NULL,
  PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- Each list order has an index that holds the whole filter and the sort key (and the id, as every secondary
-- index of InnoDB does): a deep page walks index entries, and only the rows of the page itself are read.
CREATE TABLE review (
  id              INT UNSIGNED     NOT NULL AUTO_INCREMENT,
  product_id      INT UNSIGNED     NOT NULL,
  author_id       VARCHAR(20)      CHARACTER SET euckr COLLATE euckr_korean_ci NOT NULL,
  rating          TINYINT UNSIGNED NOT NULL COMMENT 'half stars, 1 to 10',
  body            VARCHAR(2000)    NOT NULL,
  channel         ENUM('desktop','mobile','app') NOT NULL,
  visibility      ENUM('visible','hidden')       NOT NULL,
  deleted         BOOLEAN          NOT NULL DEFAULT FALSE,
  view_count      INT UNSIGNED     NOT NULL DEFAULT 0,
  recommend_count INT UNSIGNED     NOT NULL DEFAULT 0,
  created_at      DATETIME         NOT NULL COMMENT 'UTC',
  updated_at      DATETIME         NULL COMMENT 'UTC',
  PRIMARY KEY (id),
  KEY review_by_date (product_id, visibility, deleted, created_at, id),
  KEY review_by_rating (product_id, visibility, deleted, rating, id),
  KEY review_by_recommendations (product_id, visibility, deleted, recommend_count, id),
  KEY review_by_author (author_id, id),
  CONSTRAINT review_rating_scale CHECK (rating BETWEEN 1 AND 10)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE review_photo (
  review_id INT UNSIGNED     NOT NULL,
  position  TINYINT UNSIGNED NOT NULL COMMENT 'from 1',
  file_name VARCHAR(100)     CHARACTER SET ascii NOT NULL,
  PRIMARY KEY (review_id, position)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE review_recommendation (
  review_id  INT UNSIGNED NOT NULL,
  member_id  VARCHAR(20)  CHARACTER SET euckr COLLATE euckr_korean_ci NOT NULL,
  created_at DATETIME     NOT NULL COMMENT 'UTC',
  PRIMARY KEY (review_id, member_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- The rating summary as a materialised view: how many visible, undeleted reviews a product has at each
-- rating. Triggers keep it in the writer's own transaction, whoever the writer is: the service or the
-- change stream. Count and average are sums over at most ten rows.
CREATE TABLE rating_histogram (
  product_id   INT UNSIGNED     NOT NULL,
  rating       TINYINT UNSIGNED NOT NULL,
  review_count INT              NOT NULL,
  PRIMARY KEY (product_id, rating)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TRIGGER review_counted AFTER INSERT ON review FOR EACH ROW
  INSERT INTO rating_histogram (product_id, rating, review_count)
  SELECT NEW.product_id, NEW.rating, 1 FROM DUAL WHERE NEW.visibility = 'visible' AND NOT NEW.deleted
  ON DUPLICATE KEY UPDATE review_count = review_count + 1;

-- What leaves one place of the histogram and arrives at another goes in the order of its key: two writers
-- who move reviews in opposite directions queue up instead of deadlocking.
CREATE TRIGGER review_recounted AFTER UPDATE ON review FOR EACH ROW
BEGIN
  DECLARE was BOOLEAN DEFAULT OLD.visibility = 'visible' AND NOT OLD.deleted;
  DECLARE now_is BOOLEAN DEFAULT NEW.visibility = 'visible' AND NOT NEW.deleted;
  IF was <> now_is OR OLD.product_id <> NEW.product_id OR OLD.rating <> NEW.rating THEN
    INSERT INTO rating_histogram (product_id, rating, review_count)
    SELECT product_id, rating, difference
    FROM (SELECT OLD.product_id AS product_id, OLD.rating AS rating, -1 AS difference, was AS applies
          UNION ALL SELECT NEW.product_id, NEW.rating, 1, now_is) AS moved
    WHERE applies ORDER BY product_id, rating
    ON DUPLICATE KEY UPDATE review_count = review_count + VALUES(review_count);
  END IF;
END;

CREATE TRIGGER review_uncounted AFTER DELETE ON review FOR EACH ROW
  UPDATE rating_histogram SET review_count = review_count - 1
  WHERE product_id = OLD.product_id AND rating = OLD.rating AND OLD.visibility = 'visible' AND NOT OLD.deleted;
