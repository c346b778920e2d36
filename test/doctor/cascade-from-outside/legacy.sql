ALTER TABLE item ADD category_id INT NULL,
  ADD CONSTRAINT item_category FOREIGN KEY (category_id) REFERENCES category (id) ON DELETE SET NULL;
