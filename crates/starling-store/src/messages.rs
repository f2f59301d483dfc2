//! The history, and the index of its words.

use core::cmp::Reverse;

use rusqlite::types::FromSqlError;
use rusqlite::{Connection, OptionalExtension as _, Row, named_params};
use starling_core::storage::{
    ChainPlace, ChangeOf, MessageKind, MessageRow, MessageState, MessageStatus, MessageStore, StorageError,
};
use starling_core::words;
use starling_proto::ids::{AccountKey, DeviceKey, MessageId};
use starling_proto::time::{Span, UnixMillis, UnixSeconds};

use crate::Database;
use crate::columns::{Bits, Digest, Ordered};

const PART: &str = "messages";

/// Every column of a row, as [`message`] reads them, and whence.
macro_rules! columns {
    ($from:literal) => {
        concat!(
            "SELECT id, conversation, author, mine, sequence, hash, position, sent_at_ms, received_at_ms, state, digest,
                    text, kind, about, edited_at_ms, lives_s, ends_s ",
            $from
        )
    };
}

const SELECT: &str = columns!("FROM messages WHERE id = ?1");

const SELECT_PAGE: &str = columns!(
    "FROM messages WHERE conversation = ?1 AND position <= ?2 AND kind IN (1, 5)
    ORDER BY position DESC, id DESC LIMIT ?3"
);

const SELECT_CHANGES: &str = columns!(
    "FROM messages WHERE about = ?1 AND conversation = ?2 AND mine = ?3 AND kind = ?4 AND kind IN (2, 3, 4)
    ORDER BY position DESC, id DESC LIMIT 2"
);

const SELECT_ENDED: &str = columns!("FROM messages WHERE ends_s <= ?1 ORDER BY ends_s, id LIMIT ?2");

const SELECT_NEXT_END: &str = "SELECT min(ends_s) FROM messages WHERE ends_s IS NOT NULL";

/// So many of the newest messages are read before the index is asked: they mostly have a page of a beginning that is
/// frequent, for which the index puts together all words that begin so; and a short conversation has no more.
const READ_FIRST: i64 = 256;
/// So many bytes of text at most: a few milliseconds to fold.
const READ_BYTES: usize = 128 * 1024;

/// Messages of a conversation whose position has the words, newest first: `CROSS` keeps SQLite from going the other way.
/// Rows of one position share their words there, so each is still to be asked, and they come in any order: SQLite would
/// gather all that is found to sort them.
const SELECT_FOUND: &str = columns!(
    "FROM message_words CROSS JOIN messages ON conversation = ?1 AND position = message_words.rowid AND kind IN (1, 5)
    WHERE message_words MATCH ?4 AND message_words.rowid <= ?2 AND (position, id) < (?2, ?3)
    ORDER BY message_words.rowid DESC"
);

/// Messages of a position, in whichever conversation: steps from one to the next, so that the rows between are not read.
const SELECT_AT: &str = columns!(
    "FROM messages WHERE kind IN (1, 5) AND position = ?1 AND conversation IN (
        WITH RECURSIVE conversations (account) AS (
            SELECT min(conversation) FROM messages
            UNION ALL
            SELECT (SELECT min(conversation) FROM messages WHERE conversation > account)
            FROM conversations WHERE account IS NOT NULL
        )
        SELECT account FROM conversations
    )"
);

/// What the index of words is made of. It names few columns: a schema may be filled that lacks later ones.
const SELECT_WORDS: &str = "SELECT conversation, digest, text FROM messages WHERE number = ?1";

const SELECT_INDEXED: &str = "SELECT position, number FROM messages WHERE kind = 1 AND lives_s IS NULL";

/// The number comes last, so that a row is read as everywhere.
const SELECT_AFTER: &str = "
    SELECT id, conversation, author, mine, sequence, hash, position, sent_at_ms, received_at_ms, state, digest, text, kind,
           about, edited_at_ms, lives_s, ends_s, number
    FROM messages WHERE number > ?1 ORDER BY number LIMIT ?2";

/// Steps from author to author and takes the first row of each: the rows between are not read.
const SELECT_HEADS: &str = "
    WITH RECURSIVE authors (author) AS (
        SELECT min(author) FROM messages WHERE conversation = ?1
        UNION ALL
        SELECT (SELECT min(author) FROM messages WHERE conversation = ?1 AND author > authors.author)
        FROM authors WHERE author IS NOT NULL
    )
    SELECT messages.author, sequence, hash, position FROM authors JOIN messages ON messages.number = (
        SELECT number FROM messages WHERE conversation = ?1 AND author = authors.author
        ORDER BY sequence DESC, id LIMIT 1
    )
    ORDER BY messages.author";

const SELECT_UNTIL: &str = "
    SELECT author, sequence, hash, position FROM messages WHERE conversation = ?1 AND author = ?2 AND sequence <= ?3
    ORDER BY sequence DESC, id LIMIT 1";

const SELECT_BEYOND: &str = "
    SELECT author, sequence, hash, position FROM messages WHERE conversation = ?1 AND author = ?2 AND sequence > ?3
    ORDER BY sequence, id LIMIT 1";

const SELECT_TAKEN: &str = "SELECT EXISTS (SELECT 1 FROM messages WHERE conversation = ?1 AND position = ?2)";

const SELECT_STATUS: &str = "SELECT conversation, mine, state FROM messages WHERE id = ?1";

const UPDATE_STATE: &str = "UPDATE messages SET state = ?2 WHERE id = ?1";

/// What a row's words depend on; whether it is searched as [`is_searched`] says.
const SELECT_KNOWN: &str =
    "SELECT conversation, position, digest, kind = 1 AND lives_s IS NULL FROM messages WHERE id = ?1";

const INSERT: &str = "
    INSERT INTO messages (id, conversation, author, mine, sequence, hash, position, sent_at_ms, received_at_ms, state,
                          digest, text, kind, about, edited_at_ms, lives_s, ends_s)
    VALUES (:id, :conversation, :author, :mine, :sequence, :hash, :position, :sent_at_ms, :received_at_ms, :state,
            :digest, :text, :kind, :about, :edited_at_ms, :lives_s, :ends_s)
    ON CONFLICT (id) DO NOTHING";

const UPDATE: &str = "
    UPDATE messages SET
        conversation = :conversation, author = :author, mine = :mine, sequence = :sequence, hash = :hash,
        position = :position, sent_at_ms = :sent_at_ms, received_at_ms = :received_at_ms, state = :state,
        digest = :digest, text = :text, kind = :kind, about = :about, edited_at_ms = :edited_at_ms, lives_s = :lives_s,
        ends_s = :ends_s
    WHERE id = :id";

const SELECT_HAS_WORDS: &str = "SELECT EXISTS (SELECT 1 FROM message_words WHERE rowid = ?1)";

const DELETE_WORDS: &str = "DELETE FROM message_words WHERE rowid = ?1";

const INSERT_WORDS: &str = "INSERT INTO message_words (rowid, words) VALUES (?1, ?2)";

impl MessageStore for Database {
    fn message(&self, id: &MessageId) -> Result<Option<MessageRow>, StorageError> {
        let found = self.read(PART, |connection| {
            connection.prepare_cached(SELECT)?.query_row([id.as_bytes()], message).optional()
        });
        Ok(found?)
    }

    fn write_message(&mut self, row: &MessageRow) -> Result<(), StorageError> {
        Ok(self.write(PART, |connection| write(connection, row))?)
    }

    fn message_status(&self, id: &MessageId) -> Result<Option<MessageStatus>, StorageError> {
        let found = self.read(PART, |connection| {
            connection.prepare_cached(SELECT_STATUS)?.query_row([id.as_bytes()], status).optional()
        });
        Ok(found?)
    }

    fn set_message_state(&mut self, id: &MessageId, state: MessageState) -> Result<(), StorageError> {
        let row = (id.as_bytes(), state.number());
        self.write(PART, |connection| connection.prepare_cached(UPDATE_STATE)?.execute(row))?;
        Ok(())
    }

    fn messages(
        &self,
        conversation: &AccountKey,
        before: Option<u64>,
        limit: usize,
        text: Option<&str>,
    ) -> Result<Vec<MessageRow>, StorageError> {
        let Some(last) = before.map_or(Some(u64::MAX), |before| before.checked_sub(1)) else {
            return Ok(Vec::new());
        };
        let page = (conversation.as_bytes(), Ordered(last), i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = match text.map(words::searchable) {
            None => self.read(PART, |connection| {
                connection.prepare_cached(SELECT_PAGE)?.query_map(page, message)?.collect()
            }),
            Some(sought) if sought.is_empty() => Ok(Vec::new()),
            Some(sought) => self.read(PART, |connection| search(connection, page, &sought)),
        };
        let mut rows: Vec<MessageRow> = rows?;
        rows.reverse();
        Ok(rows)
    }

    fn last_changes(&self, of: &ChangeOf) -> Result<Vec<MessageRow>, StorageError> {
        let meant = (of.message.as_bytes(), of.conversation.as_bytes(), of.mine, of.kind.number());
        let rows = self.read(PART, |connection| {
            connection.prepare_cached(SELECT_CHANGES)?.query_map(meant, message)?.collect()
        });
        Ok(rows?)
    }

    fn ended(&self, by: UnixSeconds, limit: usize) -> Result<Vec<MessageRow>, StorageError> {
        let page = (Ordered(by.get()), i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = self.read(PART, |connection| {
            connection.prepare_cached(SELECT_ENDED)?.query_map(page, message)?.collect()
        });
        Ok(rows?)
    }

    fn next_end(&self) -> Result<Option<UnixSeconds>, StorageError> {
        let end = self.read(PART, |connection| {
            connection.prepare_cached(SELECT_NEXT_END)?.query_row([], |row| row.get::<_, Option<Ordered>>(0))
        });
        Ok(end?.map(|ends| UnixSeconds::new(ends.0)))
    }

    fn is_taken(&self, conversation: &AccountKey, position: u64) -> Result<bool, StorageError> {
        let place = (conversation.as_bytes(), Ordered(position));
        let taken = self.read(PART, |connection| {
            connection.prepare_cached(SELECT_TAKEN)?.query_row(place, |row| row.get(0))
        });
        Ok(taken?)
    }

    fn chain_heads(&self, conversation: &AccountKey) -> Result<Vec<ChainPlace>, StorageError> {
        let heads = self.read(PART, |connection| {
            let mut statement = connection.prepare_cached(SELECT_HEADS)?;
            statement.query_map([conversation.as_bytes()], chain_place)?.collect()
        });
        Ok(heads?)
    }

    fn chain_until(
        &self,
        conversation: &AccountKey,
        author: &DeviceKey,
        sequence: u64,
    ) -> Result<Option<ChainPlace>, StorageError> {
        self.in_chain(SELECT_UNTIL, (conversation, author, sequence))
    }

    fn chain_beyond(
        &self,
        conversation: &AccountKey,
        author: &DeviceKey,
        sequence: u64,
    ) -> Result<Option<ChainPlace>, StorageError> {
        self.in_chain(SELECT_BEYOND, (conversation, author, sequence))
    }
}

impl Database {
    fn in_chain(
        &self,
        sql: &str,
        (conversation, author, sequence): (&AccountKey, &DeviceKey, u64),
    ) -> Result<Option<ChainPlace>, StorageError> {
        let place = (conversation.as_bytes(), author.as_bytes(), Ordered(sequence));
        let found = self.read(PART, |connection| {
            connection.prepare_cached(sql)?.query_row(place, chain_place).optional()
        });
        Ok(found?)
    }
}

/// A conversation, its newest position, and how many rows at most.
type Page<'a> = (&'a [u8; 32], Ordered, i64);

/// Where a row stands in its conversation.
type Place = (Ordered, MessageId);

/// The newest rows of a page's conversation that hold the words, newest first.
fn search(connection: &Connection, page: Page<'_>, sought: &str) -> rusqlite::Result<Vec<MessageRow>> {
    let (conversation, _, limit) = page;
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    if wanted == 0 {
        return Ok(Vec::new());
    }
    let (mut found, oldest) = read_newest(connection, page, sought)?;
    let Some((position, id)) = oldest.filter(|_| found.len() < wanted) else { return Ok(found) };
    let mut select = connection.prepare_cached(SELECT_FOUND)?;
    let query = query(conversation, sought);
    for row in select.query_map((conversation, position, id.as_bytes(), query), message)? {
        let row = row?;
        if found.len() >= wanted && found.last().is_some_and(|last| last.position > row.position) {
            break;
        }
        if has_words(&row, sought) {
            found.push(row);
        }
    }
    found.sort_by_key(|row| Reverse((row.position, row.id)));
    found.truncate(wanted);
    Ok(found)
}

/// Whether a search finds the row.
fn has_words(row: &MessageRow, sought: &str) -> bool {
    is_searched(row) && words::searchable(&row.text).contains(sought)
}

/// The same among the newest few; and the oldest of these if there may be more.
fn read_newest(
    connection: &Connection,
    (conversation, last, limit): Page<'_>,
    sought: &str,
) -> rusqlite::Result<(Vec<MessageRow>, Option<Place>)> {
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let (mut found, mut oldest, mut rows, mut bytes) = (Vec::new(), None, 0_i64, 0_usize);
    let mut newest = connection.prepare_cached(SELECT_PAGE)?;
    for row in newest.query_map((conversation, last, READ_FIRST), message)? {
        let row = row?;
        (rows, bytes) = (rows.saturating_add(1), bytes.saturating_add(row.text.len()));
        oldest = Some((Ordered(row.position), row.id));
        if has_words(&row, sought) {
            found.push(row);
        }
        if found.len() >= wanted || bytes >= READ_BYTES {
            return Ok((found, oldest));
        }
    }
    Ok((found, oldest.filter(|_| rows == READ_FIRST)))
}

/// Rows of the whole history, by number.
pub(crate) fn after(
    connection: &Connection,
    number: i64,
    limit: u32,
) -> rusqlite::Result<Vec<(i64, MessageRow)>> {
    let mut select = connection.prepare_cached(SELECT_AFTER)?;
    let numbered = |row: &Row<'_>| Ok((row.get(17)?, message(row)?));
    select.query_map((number, limit), numbered)?.collect()
}

/// Writes a new row and its words; of one that is there its words only if the text or the place is another one, or if only one
/// of both is searched.
fn write(connection: &Connection, row: &MessageRow) -> rusqlite::Result<()> {
    let digest = Digest::of(row.text.as_bytes());
    let place = Ordered(row.position);
    if write_row(connection, INSERT, row, digest)? {
        return add_words(connection, row);
    }
    let mut select = connection.prepare_cached(SELECT_KNOWN)?;
    let known: ([u8; 32], Ordered, Digest, bool) =
        select.query_row([row.id.as_bytes()], |row| row.try_into())?;
    write_row(connection, UPDATE, row, digest)?;
    if known == (*row.conversation.as_bytes(), place, digest, is_searched(row)) {
        return Ok(());
    }
    write_words(connection, known.1)?;
    if known.1 == place { Ok(()) } else { write_words(connection, place) }
}

/// Says whether the statement did anything.
fn write_row(connection: &Connection, sql: &str, row: &MessageRow, digest: Digest) -> rusqlite::Result<bool> {
    let changed = connection.prepare_cached(sql)?.execute(named_params! {
        ":id": row.id.as_bytes(),
        ":conversation": row.conversation.as_bytes(),
        ":author": row.author.as_bytes(),
        ":mine": row.mine,
        ":sequence": Ordered(row.sequence),
        ":hash": row.hash,
        ":position": Ordered(row.position),
        ":sent_at_ms": Bits(row.sent_at.get()),
        ":received_at_ms": Bits(row.received_at.get()),
        ":state": row.state.number(),
        ":digest": digest,
        ":text": row.text,
        ":kind": row.kind.number(),
        ":about": row.about.as_ref().map(MessageId::as_bytes),
        ":edited_at_ms": row.edited_at.map(|at| Bits(at.get())),
        ":lives_s": row.lives.map(|lives| Bits(lives.as_secs())),
        ":ends_s": row.ends.map(|ends| Ordered(ends.get())),
    })?;
    Ok(changed > 0)
}

/// Only what is shown is found; a text that is no more has no words. One that will disappear has none from the first day:
/// those of a deleted row stay in the index until it is merged.
fn is_searched(row: &MessageRow) -> bool {
    row.kind == MessageKind::Text && row.lives.is_none()
}

/// Adds those of a new row to the index.
fn add_words(connection: &Connection, row: &MessageRow) -> rusqlite::Result<()> {
    if !is_searched(row) {
        return Ok(());
    }
    let place = Ordered(row.position);
    let shared = connection.prepare_cached(SELECT_HAS_WORDS)?.query_row([place], |row| row.get(0))?;
    if shared {
        return write_words(connection, place);
    }
    insert_words(connection, place, &indexed(row.conversation.as_bytes(), &words::searchable(&row.text)))
}

/// Writes anew what the index has under a position.
fn write_words(connection: &Connection, place: Ordered) -> rusqlite::Result<()> {
    connection.prepare_cached(DELETE_WORDS)?.execute([place])?;
    let mut words = String::new();
    for row in connection.prepare_cached(SELECT_AT)?.query_map([place], message)? {
        let row = row?;
        if is_searched(&row) {
            words.push_str(&indexed(row.conversation.as_bytes(), &words::searchable(&row.text)));
        }
    }
    insert_words(connection, place, &words)
}

fn insert_words(connection: &Connection, place: Ordered, words: &str) -> rusqlite::Result<()> {
    if !words.is_empty() {
        connection.prepare_cached(INSERT_WORDS)?.execute((place, words))?;
    }
    Ok(())
}

/// Fills the empty index from the texts.
///
/// A text that is damaged is passed over: it is reported where it is read, and must not keep the others from being opened.
pub(crate) fn index_words(connection: &Connection) -> rusqlite::Result<()> {
    // By position, since the index takes what comes in its order in one piece. Sorted here: two numbers for each row.
    let mut select = connection.prepare(SELECT_INDEXED)?;
    let rows = select.query_map([], |row| row.try_into())?;
    let mut places: Vec<(Ordered, i64)> = rows.collect::<rusqlite::Result<_>>()?;
    places.sort_unstable();
    for shared in places.chunk_by(|(one, _), (other, _)| one == other) {
        let mut words = String::new();
        for (_, number) in shared {
            words.push_str(&connection.prepare_cached(SELECT_WORDS)?.query_row([number], words_of)?);
        }
        if let Some((place, _)) = shared.first() {
            insert_words(connection, *place, &words)?;
        }
    }
    Ok(())
}

/// The words of a row of [`SELECT_WORDS`]; none of a damaged one.
fn words_of(row: &Row<'_>) -> rusqlite::Result<String> {
    let (conversation, digest): ([u8; 32], Digest) = (row.get(0)?, row.get(1)?);
    let text = row.get_ref(2)?.as_str()?;
    if digest.checked(text.as_bytes()).is_err() {
        return Ok(String::new());
    }
    Ok(indexed(&conversation, &words::searchable(text)))
}

/// Searchable words as the index has them: each behind the beginning of the account that the conversation is with. Accounts
/// that begin alike only cost time, since what is found is read.
fn indexed(conversation: &[u8; 32], words: &str) -> String {
    let [a, b, c, d, e, f, g, h, ..] = *conversation;
    words.replace(' ', &format!(" {:016x}", u64::from_be_bytes([a, b, c, d, e, f, g, h])))
}

/// Searchable words as a phrase whose last word may go on. They are letters and digits, so nothing in them is a sign of the
/// query language.
fn query(conversation: &[u8; 32], words: &str) -> String {
    format!("\"{}\" *", indexed(conversation, words).trim_start())
}

fn message(row: &Row<'_>) -> rusqlite::Result<MessageRow> {
    let digest: Digest = row.get(10)?;
    let text = row.get_ref(11)?.as_str()?;
    digest.checked(text.as_bytes())?;
    Ok(MessageRow {
        id: MessageId::new(row.get(0)?),
        conversation: AccountKey::new(row.get(1)?),
        author: DeviceKey::new(row.get(2)?),
        mine: row.get(3)?,
        sequence: row.get::<_, Ordered>(4)?.0,
        hash: row.get(5)?,
        position: row.get::<_, Ordered>(6)?.0,
        sent_at: UnixMillis::new(row.get::<_, Bits>(7)?.0),
        received_at: UnixMillis::new(row.get::<_, Bits>(8)?.0),
        state: state(row.get(9)?)?,
        kind: MessageKind::from_number(row.get(12)?).ok_or(FromSqlError::InvalidType)?,
        about: row.get::<_, Option<_>>(13)?.map(MessageId::new),
        edited_at: row.get::<_, Option<Bits>>(14)?.map(|at| UnixMillis::new(at.0)),
        lives: row.get::<_, Option<Bits>>(15)?.map(|lives| Span::from_secs(lives.0)),
        ends: row.get::<_, Option<Ordered>>(16)?.map(|ends| UnixSeconds::new(ends.0)),
        text: text.to_owned(),
    })
}

fn status(row: &Row<'_>) -> rusqlite::Result<MessageStatus> {
    let conversation = AccountKey::new(row.get(0)?);
    Ok(MessageStatus { conversation, mine: row.get(1)?, state: state(row.get(2)?)? })
}

fn state(number: u32) -> rusqlite::Result<MessageState> {
    Ok(MessageState::from_number(number).ok_or(FromSqlError::InvalidType)?)
}

fn chain_place(row: &Row<'_>) -> rusqlite::Result<ChainPlace> {
    Ok(ChainPlace {
        author: DeviceKey::new(row.get(0)?),
        sequence: row.get::<_, Ordered>(1)?.0,
        hash: row.get(2)?,
        position: row.get::<_, Ordered>(3)?.0,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::schema;

    /// Bytes of a row that fit into a leaf of a table: SQLCipher's page less its 80 bytes and SQLite's 35.
    const LOCAL: u32 = 4096 - 80 - 35;

    fn tables() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection, Path::new("db")).unwrap();
        connection
    }

    fn row(number: u32, text: String) -> MessageRow {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        MessageRow {
            id: MessageId::new(id),
            conversation: AccountKey::new([1; 32]),
            author: DeviceKey::new([2; 32]),
            mine: false,
            sequence: u64::from(number),
            hash: [3; 32],
            position: u64::from(number),
            sent_at: UnixMillis::new(4),
            received_at: UnixMillis::new(5),
            state: MessageState::Delivered,
            kind: MessageKind::Text,
            about: None,
            edited_at: None,
            lives: None,
            ends: None,
            text,
        }
    }

    fn plan(connection: &Connection, sql: &str) -> String {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let nothing = rusqlite::params_from_iter(vec![rusqlite::types::Null; statement.parameter_count()]);
        let lines = statement.query_map(nothing, |row| row.get::<_, String>("detail")).unwrap();
        lines.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn a_page_and_the_heads_read_only_their_own_rows() {
        let connection = tables();
        let page = plan(&connection, SELECT_PAGE);
        assert!(page.contains("USING INDEX messages_pages") && !page.contains("TEMP B-TREE"), "{page}");
        let heads = plan(&connection, SELECT_HEADS);
        assert!(heads.contains("messages_chains (conversation=? AND author=?)"), "{heads}");
        assert!(!heads.contains("SCAN messages"), "{heads}");
        for in_chain in [SELECT_UNTIL, SELECT_BEYOND] {
            let place = plan(&connection, in_chain);
            assert!(place.contains("messages_chains (conversation=? AND author=? AND sequence"), "{place}");
        }
        let taken = plan(&connection, SELECT_TAKEN);
        assert!(
            taken.contains("USING COVERING INDEX messages_shown (conversation=? AND position=?)"),
            "{taken}"
        );
        let changes = plan(&connection, SELECT_CHANGES);
        let by_all = "USING INDEX messages_changes (about=? AND conversation=? AND mine=? AND kind=?)";
        assert!(changes.contains(by_all) && !changes.contains("TEMP B-TREE"), "{changes}");
        let ended = plan(&connection, SELECT_ENDED);
        assert!(ended.contains("USING INDEX messages_ends (ends_s<?)"), "{ended}");
        let next_end = plan(&connection, SELECT_NEXT_END);
        assert!(next_end.contains("USING COVERING INDEX messages_ends"), "{next_end}");
        let by_place = "messages USING INDEX messages_pages (conversation=? AND position=?)";
        let found = plan(&connection, SELECT_FOUND);
        assert!(found.contains(by_place) && !found.contains("TEMP B-TREE"), "{found}");
        let at = plan(&connection, SELECT_AT);
        assert!(at.contains(by_place) && !at.contains("SCAN messages"), "{at}");
    }

    /// A block with an overflow page could lose it unnoticed.
    #[test]
    fn every_block_of_the_words_fits_into_a_page() {
        let connection = tables();
        for number in 0..600u32 {
            let words = (0..60)
                .map(|at| format!("{:x} common {} ", number.wrapping_mul(at), "long".repeat(at as usize)));
            write(&connection, &row(number, words.collect())).unwrap();
        }
        for number in 0..40 {
            write(&connection, &row(number, format!("another text {number}"))).unwrap();
        }
        let sql = "SELECT count(*), max(length(block)) FROM message_words_data";
        let (blocks, longest): (u32, u32) = connection.query_row(sql, [], |row| row.try_into()).unwrap();
        assert!(blocks > 50, "{blocks}");
        assert!((3000..LOCAL - 10).contains(&longest), "{longest}");
    }

    #[test]
    fn a_message_that_gets_further_leaves_the_words_alone() {
        let connection = tables();
        let mut message = row(1, "hello".into());
        write(&connection, &message).unwrap();
        let blocks = |connection: &Connection| -> Vec<(i64, Vec<u8>)> {
            let mut statement = connection.prepare("SELECT id, block FROM message_words_data").unwrap();
            statement.query_map([], |row| row.try_into()).unwrap().map(Result::unwrap).collect()
        };
        let before = blocks(&connection);
        message.state = MessageState::Read;
        write(&connection, &message).unwrap();
        assert_eq!(blocks(&connection), before);
        message.text = "goodbye".into();
        write(&connection, &message).unwrap();
        assert_ne!(blocks(&connection), before);
    }

    /// Every word of the index, and where it stands.
    fn index(connection: &Connection) -> Vec<(String, i64, u32)> {
        let words =
            "CREATE VIRTUAL TABLE IF NOT EXISTS temp.words USING fts5vocab (main, message_words, instance)";
        connection.execute_batch(words).unwrap();
        let mut statement =
            connection.prepare("SELECT term, doc, offset FROM temp.words ORDER BY 1, 2, 3").unwrap();
        statement.query_map([], |row| row.try_into()).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn the_index_is_filled_again_as_it_was_but_for_what_is_damaged() {
        let connection = tables();
        let elsewhere = |number, text: &str| MessageRow {
            conversation: AccountKey::new([9; 32]),
            position: 2,
            ..row(number, text.into())
        };
        for message in
            [row(3, "the third".into()), row(2, "the second".into()), elsewhere(8, "beside the second")]
        {
            write(&connection, &message).unwrap();
        }
        let hidden = MessageRow { lives: Some(Span::from_secs(1)), ..row(4, "gone soon".into()) };
        let deleted = MessageRow { kind: MessageKind::Deleted, ..row(5, String::new()) };
        for message in [hidden, deleted] {
            write(&connection, &message).unwrap();
        }
        let whole = index(&connection);
        assert_eq!(whole.len(), 7, "{whole:?}");
        let refill = |damage: &str| {
            connection
                .execute_batch("INSERT INTO message_words (message_words) VALUES ('delete-all')")
                .unwrap();
            connection.execute_batch(damage).unwrap();
            assert!(index(&connection).is_empty());
            index_words(&connection).unwrap();
            index(&connection)
        };
        assert_eq!(refill(""), whole);
        let sound = refill("UPDATE messages SET text = 'the thirt' WHERE text = 'the third'");
        assert_eq!(sound.len(), 5, "{sound:?}");
        assert!(whole.iter().filter(|word| sound.contains(word)).count() == 5, "{sound:?}");
    }

    #[test]
    fn the_words_come_and_go_with_what_hides_them() {
        let connection = tables();
        let lasting = row(1, "hello".into());
        let hidden = MessageRow { lives: Some(Span::from_secs(1)), ..lasting.clone() };
        let deleted = MessageRow { kind: MessageKind::Deleted, ..lasting.clone() };
        for (shown, words) in
            [(&hidden, 0), (&lasting, 1), (&hidden, 0), (&lasting, 1), (&deleted, 0), (&lasting, 1)]
        {
            write(&connection, shown).unwrap();
            assert_eq!(index(&connection).len(), words, "{shown:?}");
        }
    }

    #[test]
    fn what_is_searched_is_no_query() {
        let sought = words::searchable("a\" OR NEAR(b*) -c:^d");
        let words = ["a", "or", "near", "b", "c", "d"].map(|word| format!("0102030405060708{word}"));
        let conversation: [u8; 32] = core::array::from_fn(|at| at as u8 + 1);
        assert_eq!(query(&conversation, &sought), format!("\"{}\" *", words.join(" ")));
        assert_eq!(words::searchable("\"*-"), "");
    }
}
