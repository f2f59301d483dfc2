-- What a row of the history is: 1 a text, 2 an edit, 3 a deletion, 4 a reaction, 5 a text that was deleted, 6 one whose time
-- is over. What it answers, or of which text it says something. When the text was changed last. How long it lives once it
-- was read, or written by us; and when it ends.
ALTER TABLE messages ADD COLUMN kind INTEGER NOT NULL DEFAULT 1 CHECK (kind BETWEEN 1 AND 6);
ALTER TABLE messages ADD COLUMN about BLOB CHECK (length(about) = 16);
ALTER TABLE messages ADD COLUMN edited_at_ms INTEGER;
ALTER TABLE messages ADD COLUMN lives_s INTEGER;
ALTER TABLE messages ADD COLUMN ends_s INTEGER; -- ordered

-- What each side said about a text, by kind: the last of it is found at once, however much there is.
CREATE INDEX messages_changes ON messages (about, conversation, mine, kind, position, id) WHERE kind IN (2, 3, 4);

-- A page of what is shown, however much lies between.
CREATE INDEX messages_pages ON messages (conversation, position, id) WHERE kind IN (1, 5);

-- The next text that ends.
CREATE INDEX messages_ends ON messages (ends_s) WHERE ends_s IS NOT NULL;
