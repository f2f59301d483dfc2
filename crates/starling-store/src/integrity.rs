//! Looking for damage, page by page.

use rusqlite::Connection;

use crate::StoreError;

/// The most findings of one kind; a wholly broken file has one for each page.
const FINDINGS: usize = 100;

/// What a full check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Integrity {
    /// What is wrong, in SQLite's words: numbers of pages and rows and names of tables, never their content. At most a
    /// hundred of each kind.
    pub problems: Vec<String>,
}

impl Integrity {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Checks the code of each page (SQLCipher's HMAC), then the structure of each table and index, then the references.
/// Later steps are left out when an earlier one found something: they would only repeat it.
pub(crate) fn check(connection: &Connection) -> Result<Integrity, StoreError> {
    for pragma in ["cipher_integrity_check", "integrity_check(100)", "foreign_key_check"] {
        let problems = match findings(connection, pragma).map_err(StoreError::sqlite("the check")) {
            Err(StoreError::Corrupt(_)) => vec![format!("{pragma} cannot read the database")],
            found => found?,
        };
        if !problems.is_empty() {
            return Ok(Integrity { problems });
        }
    }
    Ok(Integrity { problems: Vec::new() })
}

fn findings(connection: &Connection, pragma: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("PRAGMA {pragma}"))?;
    let mut rows = statement.query([])?;
    let mut problems = Vec::new();
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        if text != "ok" && problems.len() < FINDINGS {
            problems.push(text);
        }
    }
    Ok(problems)
}
