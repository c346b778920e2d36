ALTER TABLE article ADD UNIQUE KEY by_title (title);
