-- On the way back the translator has nothing for it.
ALTER TABLE item ADD note VARCHAR(10) CHARACTER SET utf8mb4 NOT NULL;
