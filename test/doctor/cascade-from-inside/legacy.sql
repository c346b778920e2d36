-- MySQL 9.6 and later log what a cascade does.
ALTER TABLE thing ADD item_id INT UNSIGNED NULL,
  ADD CONSTRAINT thing_item FOREIGN KEY (item_id) REFERENCES item (id) ON DELETE CASCADE;
