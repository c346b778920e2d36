-- A member who has left is masked when read: the words go with the name, whichever of the two streams that bring
-- them is ahead.
ALTER TABLE member ADD COLUMN IF NOT EXISTS has_left BOOLEAN NOT NULL DEFAULT FALSE COMMENT 'reference data: follows the monolith';
