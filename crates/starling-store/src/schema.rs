//! The tables, and how an older database gets the ones it lacks.

use std::path::Path;

use rusqlite::Connection;

use crate::{StoreError, messages};

/// The schema that this program reads and writes.
pub const SCHEMA_VERSION: u32 = 4;

/// Every schema there ever was, oldest first. Entries are appended, never edited: databases that went through one carry
/// its number.
const MIGRATIONS: [&str; SCHEMA_VERSION as usize] = [
    include_str!("schema/v1.sql"),
    include_str!("schema/v2.sql"),
    include_str!("schema/v3.sql"),
    include_str!("schema/v4.sql"),
];

/// The schema with an empty index of words, which SQL alone cannot fill.
const WORDS_BY_CONVERSATION: u32 = 4;

/// In the header of each of our databases: "Strl".
const APPLICATION_ID: u32 = 0x5374_726c;

/// Brings the database up to [`SCHEMA_VERSION`]. Each step is one transaction, its number included.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let found = version(connection, path)?;
    for (number, sql) in (1u32..).zip(MIGRATIONS) {
        if number > found {
            step(connection, number, sql).map_err(StoreError::sqlite("the schema"))?;
        }
    }
    Ok(())
}

/// Accepts exactly [`SCHEMA_VERSION`]: a reader cannot change anything.
pub(crate) fn check_current(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let found = version(connection, path)?;
    if found < SCHEMA_VERSION {
        return Err(StoreError::SchemaTooOld { found, known: SCHEMA_VERSION });
    }
    Ok(())
}

fn step(connection: &mut Connection, number: u32, sql: &str) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(sql)?;
    if number == WORDS_BY_CONVERSATION {
        messages::index_words(&transaction)?;
    }
    transaction.pragma_update(None, "user_version", number)?;
    transaction.commit()
}

/// The database's schema; 0 for one that is new and empty.
fn version(connection: &Connection, path: &Path) -> Result<u32, StoreError> {
    let number = |pragma: &str| {
        let read = connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, u32>(0));
        read.map_err(StoreError::sqlite("the schema"))
    };
    let (application, version) = (number("application_id")?, number("user_version")?);
    match (application, version) {
        (0, 0) | (APPLICATION_ID, 1..=SCHEMA_VERSION) => Ok(version),
        (APPLICATION_ID, found) if found > SCHEMA_VERSION => {
            Err(StoreError::SchemaTooNew { found, known: SCHEMA_VERSION })
        }
        _ => Err(StoreError::NotADatabase(path.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn migrated() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, Path::new("db")).unwrap();
        connection
    }

    #[test]
    fn migrating_twice_changes_nothing() {
        let mut connection = migrated();
        let schema = |connection: &Connection| -> String {
            let sql = "SELECT group_concat(sql, ';') FROM sqlite_schema";
            connection.query_row(sql, [], |row| row.get(0)).unwrap()
        };
        let before = schema(&connection);
        migrate(&mut connection, Path::new("db")).unwrap();
        assert_eq!(schema(&connection), before);
        check_current(&connection, Path::new("db")).unwrap();
    }

    #[test]
    fn every_table_is_strict() {
        // The tables beneath a full-text index are SQLite's own, and have the type "shadow".
        let sql = "SELECT count(*) FROM pragma_table_list
                   WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%' AND NOT strict";
        assert_eq!(migrated().query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap(), 0);
    }

    #[test]
    fn a_later_schema_is_refused_untouched() {
        let mut connection = migrated();
        connection.pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
        let refused = migrate(&mut connection, Path::new("db"));
        let Err(StoreError::SchemaTooNew { found, known }) = refused else { panic!("{refused:?}") };
        assert_eq!((found, known), (SCHEMA_VERSION + 1, SCHEMA_VERSION));
        let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(found, SCHEMA_VERSION + 1);
    }

    #[test]
    fn another_programs_database_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        assert!(matches!(migrate(&mut connection, Path::new("db")), Err(StoreError::NotADatabase(_))));
    }

    #[test]
    fn a_reader_wants_the_schema_it_knows() {
        let connection = Connection::open_in_memory().unwrap();
        let refused = check_current(&connection, Path::new("db"));
        assert!(matches!(refused, Err(StoreError::SchemaTooOld { found: 0, .. })));
    }

    #[test]
    fn a_step_that_fails_leaves_the_schema_before_it() {
        let mut connection = migrated();
        step(&mut connection, 9, "CREATE TABLE extra (x INTEGER) STRICT; CREATE TABLE slots (x)")
            .unwrap_err();
        let extra = "SELECT count(*) FROM sqlite_schema WHERE name = 'extra'";
        assert_eq!(connection.query_row(extra, [], |row| row.get::<_, u32>(0)).unwrap(), 0);
        check_current(&connection, Path::new("db")).unwrap();
    }
}
