-- The words of each text, under the position of its message, so that a page of what is found is read from one end like a
-- page of what is shown; and each behind the name of its conversation, so that what others say costs nothing. Messages of
-- one position share a row. The program fills the table.
DROP TABLE message_words;
CREATE VIRTUAL TABLE message_words USING fts5 (words, content = '', contentless_delete = 1, tokenize = 'ascii');
INSERT INTO message_words (message_words, rank) VALUES ('pgsz', 3800);
