-- A count that is kept by triggers has to follow the stream, too.
CREATE TRIGGER tally_articles AFTER INSERT ON article FOR EACH ROW UPDATE tally SET n = n + 1;
