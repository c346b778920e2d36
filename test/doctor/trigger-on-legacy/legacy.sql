-- Fine as long as legacy owns; it fires on the way back.
CREATE TRIGGER shout BEFORE INSERT ON item FOR EACH ROW SET NEW.title = UPPER(NEW.title);
