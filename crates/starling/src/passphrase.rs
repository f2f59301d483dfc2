//! Where the passphrase comes from: a file, the environment, or a prompt.

use std::env;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use starling_api::types::Code;
use starling_crypto::kdf::Passphrase;
use zeroize::Zeroizing;

use crate::failure::Failure;

/// Looked at if no file is named.
const VARIABLE: &str = "STARLING_PASSPHRASE";
/// The longest passphrase, in bytes: more than anybody types.
const LONGEST: usize = 1024;

/// The user's choice of where the passphrase comes from.
#[derive(Debug)]
pub(crate) struct PassphraseSource {
    file: Option<PathBuf>,
}

impl PassphraseSource {
    /// The first line of `file`; without one, the environment or a prompt.
    pub(crate) const fn new(file: Option<PathBuf>) -> Self {
        Self { file }
    }

    /// What was given without asking anybody.
    ///
    /// # Errors
    /// The file cannot be read, or what was given cannot be a passphrase.
    pub(crate) fn given(&self) -> Result<Option<Passphrase>, Failure> {
        Ok(self.given_text()?.map(seal))
    }

    /// The passphrase of a home that has one; asks for it if it was not given.
    ///
    /// # Errors
    /// As [`Self::given`], or there is no terminal to ask on.
    pub(crate) fn existing(&self) -> Result<Passphrase, Failure> {
        match self.given_text()? {
            Some(text) => Ok(seal(text)),
            None => ask("Passphrase: ", "").map(seal),
        }
    }

    /// The passphrase of something new; asks for it twice if it was not given. `otherwise` goes on with the hint of what
    /// to do where nobody can be asked.
    ///
    /// # Errors
    /// As [`Self::existing`]; it is empty; or the two differ.
    pub(crate) fn new_one(&self, otherwise: &str) -> Result<Passphrase, Failure> {
        if let Some(text) = self.given_text()? {
            return Ok(seal(text));
        }
        let first = check(ask("New passphrase: ", otherwise)?)?;
        let second = ask("The same again: ", otherwise)?;
        if *first == *second {
            Ok(seal(first))
        } else {
            Err(Failure::new(Code::BadInput, "the two passphrases differ", "nothing was made; try again"))
        }
    }

    fn given_text(&self) -> Result<Option<Zeroizing<String>>, Failure> {
        if let Some(path) = &self.file {
            return read(path).and_then(check).map(Some);
        }
        match env::var(VARIABLE) {
            Ok(text) if text.is_empty() => Ok(None),
            Ok(text) => check(Zeroizing::new(text)).map(Some),
            Err(env::VarError::NotPresent) => Ok(None),
            Err(env::VarError::NotUnicode(_)) => Err(not_text(VARIABLE)),
        }
    }
}

/// Moves the text out without leaving a copy.
fn seal(mut text: Zeroizing<String>) -> Passphrase {
    Passphrase::new(std::mem::take(&mut *text))
}

fn check(text: Zeroizing<String>) -> Result<Zeroizing<String>, Failure> {
    match text.len() {
        0 => Err(Failure::new(
            Code::BadInput,
            "the passphrase is empty",
            "give one, or use --no-passphrase with `starling init` to do without",
        )),
        1..=LONGEST => Ok(text),
        _ => Err(Failure::new(
            Code::BadInput,
            format!("the passphrase is longer than {LONGEST} bytes"),
            "use a shorter one",
        )),
    }
}

/// The first line of the file, without the line's end.
fn read(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let name = path.display();
    // One byte above the bound tells a passphrase that is too long; two more are the line's end.
    let limit = LONGEST.saturating_add(3);
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit));
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    let read = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    read.map_err(|error| {
        let message = format!("the passphrase file {name} cannot be read: {error}");
        Failure::new(Code::BadInput, message, "check --passphrase-file")
    })?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line).map_err(|_| not_text(&format!("the passphrase file {name}")))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn not_text(what: &str) -> Failure {
    Failure::new(Code::BadInput, format!("{what} is not UTF-8 text"), "write the passphrase as UTF-8")
}

/// Asks on the terminal. A process whose standard input is none is a script: nobody would answer.
fn ask(prompt: &str, otherwise: &str) -> Result<Zeroizing<String>, Failure> {
    let hint = format!("use --passphrase-file or {VARIABLE}{otherwise}");
    if !io::stdin().is_terminal() {
        let message = "a passphrase is needed, and standard input is no terminal to ask for it on";
        return Err(Failure::new(Code::BadInput, message, hint));
    }
    rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|error| {
        Failure::new(Code::BadInput, format!("the passphrase could not be read: {error}"), hint)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn from_file(content: &[u8]) -> Result<Zeroizing<String>, Failure> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passphrase");
        fs::write(&path, content).unwrap();
        PassphraseSource::new(Some(path)).given_text().map(Option::unwrap)
    }

    #[test]
    fn the_first_line_counts_without_its_end() {
        for content in ["käse und brot", "käse und brot\n", "käse und brot\r\n", "käse und brot\nmore\n"]
        {
            assert_eq!(*from_file(content.as_bytes()).unwrap(), "käse und brot");
        }
        assert_eq!(*from_file(b" blanks count \n").unwrap(), " blanks count ");
    }

    #[test]
    fn what_cannot_be_a_passphrase_is_refused() {
        let longest = "x".repeat(LONGEST);
        assert_eq!(*from_file(longest.as_bytes()).unwrap(), longest);
        for content in [b"" as &[u8], b"\n", b"\xff\xfe", format!("{longest}x").as_bytes()] {
            assert_eq!(from_file(content).unwrap_err().code(), Some(Code::BadInput));
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let failure = PassphraseSource::new(Some("/nowhere/at/all".into())).given().unwrap_err();
        insta::assert_snapshot!(failure.message(), @"the passphrase file /nowhere/at/all cannot be read: No such file or directory (os error 2)");
    }
}
