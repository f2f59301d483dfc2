-- Schema 1. A released schema is never edited: what changes is appended as the next file.
--
-- Unsigned 64-bit numbers are kept as the signed number of the same bits, so none is refused and none is rounded; they
-- are compared in the program, not here. Those by which rows are ordered or chosen here have their first bit turned
-- over, so that they sort as they are: they are marked "ordered". Column names end in their unit.
--
-- A blob that can be longer than a page has a digest (BLAKE3, 16 bytes) before it: SQLCipher authenticates pages, yet
-- reads a page that fails as zeros, and in a blob's last page zeros would pass for data.

PRAGMA application_id = 0x5374726c; -- "Strl"

-- What the core reads and writes whole: one row for each Slot.
CREATE TABLE slots (
    number INTEGER NOT NULL PRIMARY KEY,
    digest BLOB NOT NULL CHECK (length(digest) = 16),
    bytes  BLOB NOT NULL
) STRICT;

-- Records that this peer holds for others: what is known of them without reading them.
CREATE TABLE records (
    number        INTEGER NOT NULL PRIMARY KEY,
    id            BLOB    NOT NULL UNIQUE CHECK (length(id) = 32),
    record_key    BLOB    NOT NULL CHECK (length(record_key) = 32),
    kind          INTEGER NOT NULL,
    publisher     BLOB    NOT NULL CHECK (length(publisher) = 32),
    sequence      INTEGER NOT NULL,
    size_bytes    INTEGER NOT NULL,
    received_s    INTEGER NOT NULL,
    expires_s     INTEGER NOT NULL,
    keep_until_s  INTEGER NOT NULL,
    tombstone     INTEGER NOT NULL CHECK (tombstone IN (0, 1)),
    welcome       INTEGER NOT NULL CHECK (welcome IN (0, 1)),
    work_bits     INTEGER NOT NULL,
    address_group BLOB    NOT NULL
) STRICT;

-- The records themselves, apart, so that starting reads a few hundred bytes for each and not twenty thousand.
CREATE TABLE record_bodies (
    number  INTEGER NOT NULL PRIMARY KEY REFERENCES records (number) ON DELETE CASCADE,
    digest  BLOB    NOT NULL CHECK (length(digest) = 16),
    encoded BLOB    NOT NULL
) STRICT;

-- Deposits that their mailbox's owner deleted.
CREATE TABLE deletions (
    record_key    BLOB    NOT NULL CHECK (length(record_key) = 32),
    id            BLOB    NOT NULL CHECK (length(id) = 32),
    deleted_s     INTEGER NOT NULL,
    keep_until_s  INTEGER NOT NULL,
    address_group BLOB    NOT NULL,
    PRIMARY KEY (record_key, id)
) STRICT, WITHOUT ROWID;

-- Peers that answered.
CREATE TABLE peers (
    node_key   BLOB    NOT NULL PRIMARY KEY CHECK (length(node_key) = 32),
    answered_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Where they were reached, most trusted first.
CREATE TABLE peer_addresses (
    node_key BLOB    NOT NULL REFERENCES peers (node_key) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    socket   BLOB    NOT NULL,
    PRIMARY KEY (node_key, position)
) STRICT, WITHOUT ROWID;

-- Contacts. The digest is that of the body; names are short and stay on the row's first page.
CREATE TABLE contacts (
    number      INTEGER NOT NULL PRIMARY KEY,
    account     BLOB    NOT NULL UNIQUE CHECK (length(account) = 32),
    state       INTEGER NOT NULL CHECK (state BETWEEN 1 AND 5),
    petname     TEXT    UNIQUE,
    name        TEXT    NOT NULL,
    verified    INTEGER NOT NULL CHECK (verified IN (0, 1)),
    added_s     INTEGER NOT NULL,
    last_seen_s INTEGER,
    digest      BLOB    NOT NULL CHECK (length(digest) = 16),
    body        BLOB    NOT NULL
) STRICT;

-- Sessions with peer devices.
CREATE TABLE sessions (
    number  INTEGER NOT NULL PRIMARY KEY,
    device  BLOB    NOT NULL CHECK (length(device) = 32),
    session BLOB    NOT NULL CHECK (length(session) = 32),
    digest  BLOB    NOT NULL CHECK (length(digest) = 16),
    bytes   BLOB    NOT NULL,
    UNIQUE (device, session)
) STRICT;

-- Sessions that must never be opened again, and the key of ours that each was started on.
CREATE TABLE tombstones (
    device  BLOB NOT NULL CHECK (length(device) = 32),
    session BLOB NOT NULL CHECK (length(session) = 32),
    olm_key BLOB NOT NULL CHECK (length(olm_key) = 32),
    PRIMARY KEY (device, session)
) STRICT, WITHOUT ROWID;

-- The history. A position may be taken twice when somebody crowds the places on purpose; the id decides then.
CREATE TABLE messages (
    number         INTEGER NOT NULL PRIMARY KEY,
    id             BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    conversation   BLOB    NOT NULL CHECK (length(conversation) = 32),
    author         BLOB    NOT NULL CHECK (length(author) = 32),
    mine           INTEGER NOT NULL CHECK (mine IN (0, 1)),
    sequence       INTEGER NOT NULL, -- ordered
    hash           BLOB    NOT NULL CHECK (length(hash) = 32),
    position       INTEGER NOT NULL, -- ordered
    sent_at_ms     INTEGER NOT NULL,
    received_at_ms INTEGER NOT NULL,
    state          INTEGER NOT NULL CHECK (state BETWEEN 1 AND 5),
    digest         BLOB    NOT NULL CHECK (length(digest) = 16),
    text           TEXT    NOT NULL
) STRICT;

-- A page of a conversation, as it is shown.
CREATE INDEX messages_shown ON messages (conversation, position, id);

-- The newest of each author's chain.
CREATE INDEX messages_chains ON messages (conversation, author, sequence DESC, id);

-- The words of each text, under its row's number. The program folds and divides them, since a search on disk is to find
-- what one in memory finds; what is left for the tokenizer is to divide at spaces. The text itself is not kept twice.
CREATE VIRTUAL TABLE message_words USING fts5 (words, content = '', contentless_delete = 1, tokenize = 'ascii');

-- Bytes of a block of that index: one that fits into a page of the database has no overflow page, which could be lost
-- unnoticed.
INSERT INTO message_words (message_words, rank) VALUES ('pgsz', 3800);

-- What waits for a device to confirm it.
CREATE TABLE outbox (
    number       INTEGER NOT NULL PRIMARY KEY, -- ordered
    account      BLOB    NOT NULL CHECK (length(account) = 32),
    device       BLOB    NOT NULL CHECK (length(device) = 32),
    message      BLOB    NOT NULL CHECK (length(message) = 16),
    queued_at_ms INTEGER NOT NULL,
    expires_s    INTEGER NOT NULL,
    digest       BLOB    NOT NULL CHECK (length(digest) = 16),
    content      BLOB    NOT NULL
) STRICT;

-- The steps of messages, in the order in which they were taken. By the number of the message's row and not by its id,
-- which is random: the steps of messages of the same time lie on few pages, and a commit writes whole pages.
CREATE TABLE trace (
    message INTEGER NOT NULL REFERENCES messages (number) ON DELETE CASCADE,
    number  INTEGER NOT NULL, -- of the message's steps
    at_ms   INTEGER NOT NULL,
    step    INTEGER NOT NULL,
    device  BLOB    CHECK (length(device) = 32),
    peers   INTEGER NOT NULL,
    PRIMARY KEY (message, number)
) STRICT, WITHOUT ROWID;

-- Ids that must not be taken twice, and until when.
CREATE TABLE seen (
    id      BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 32),
    until_s INTEGER NOT NULL -- ordered
) STRICT, WITHOUT ROWID;

CREATE INDEX seen_ends ON seen (until_s);
