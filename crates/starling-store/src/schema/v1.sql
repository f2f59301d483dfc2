-- Schema 1. A released schema is never edited: what changes is appended as the next file.
--
-- Unsigned 64-bit numbers are kept as the signed number of the same bits, so none is refused and none is rounded; they
-- are compared in the program, not here. Column names end in their unit.
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
