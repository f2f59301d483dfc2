//! How a listed account describes itself.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use prost::Message as _;

use super::DeviceCert;
use crate::ids::AccountKey;
use crate::{DecodeError, limits, wire};

/// Defines a text of `$limit` bytes whose characters `$allowed` lets through.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $what:literal, $limit:expr, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// Checks length and characters.
            ///
            /// # Errors
            /// [`DecodeError::TooLong`] or [`DecodeError::BadText`].
            pub fn new(text: impl Into<String>) -> Result<Self, DecodeError> {
                let text = text.into();
                limits::bytes_at_most($what, text.len(), $limit)?;
                let allowed: fn(&str) -> bool = $allowed;
                if allowed(&text) { Ok(Self(text)) } else { Err(DecodeError::BadText($what)) }
            }

            /// The text. Direction marks and look-alikes are still in it: whoever shows it marks them.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        /// The length alone: no log line holds what people say of themselves.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({} bytes)"), self.0.len())
            }
        }
    };
}

text! {
    /// What a person is called: 1 to [`limits::NAME`] bytes without control characters, not only blanks.
    Name, "name", limits::NAME, |text| !text.trim().is_empty() && !text.contains(char::is_control)
}
text! {
    /// What a person says of themselves: at most [`limits::ABOUT`] bytes; line feeds are the only control characters.
    About, "about", limits::ABOUT, |text| !text.contains(|c: char| c.is_control() && c != '\n')
}
text! {
    /// A word to be found by: 1 to [`limits::WORD`] bytes without blanks and control characters.
    Keyword, "keyword", limits::WORD,
    |text| !text.is_empty() && !text.contains(|c: char| c.is_control() || c.is_whitespace())
}

/// Nothing said.
impl Default for About {
    fn default() -> Self {
        Self(String::new())
    }
}

/// The payload of a directory record, which the device signs as the record's publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// The account that is described.
    pub account: AccountKey,
    /// Its name.
    pub name: Name,
    /// What it says of itself.
    pub about: About,
    /// At most [`limits::WORDS`] words to be found by.
    pub keywords: Vec<Keyword>,
    /// The publishing device's certificate, then each issuer's: 1 to [`limits::CERT_CHAIN`].
    pub device_certs: Vec<DeviceCert>,
}

impl DirectoryEntry {
    /// The bytes that travel. An entry is good only if they fit into [`limits::DIRECTORY_ENTRY`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::DirectoryEntry {
            account: self.account.as_bytes().to_vec(),
            name: self.name.0.clone(),
            about: self.about.0.clone(),
            keywords: self.keywords.iter().map(|word| word.0.clone()).collect(),
            device_certs: self.device_certs.iter().map(DeviceCert::encode).collect(),
        }
        .encode_to_vec()
    }

    /// Reads an entry and checks its lengths, counts and characters.
    ///
    /// # Errors
    /// [`DecodeError`] saying which field is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        limits::bytes_at_most("directory entry", bytes.len(), limits::DIRECTORY_ENTRY)?;
        let entry =
            wire::DirectoryEntry::decode(bytes).map_err(|_| DecodeError::Malformed("directory entry"))?;
        limits::at_most("keywords", entry.keywords.len(), limits::WORDS)?;
        limits::at_most("device certificates", entry.device_certs.len(), limits::CERT_CHAIN)?;
        if entry.device_certs.is_empty() {
            return Err(DecodeError::Missing("device certificate"));
        }
        Ok(Self {
            account: AccountKey::from_slice(&entry.account)?,
            name: Name::new(entry.name)?,
            about: About::new(entry.about)?,
            keywords: entry.keywords.into_iter().map(Keyword::new).collect::<Result<_, _>>()?,
            device_certs: entry
                .device_certs
                .iter()
                .map(|cert| DeviceCert::decode(cert))
                .collect::<Result<_, _>>()?,
        })
    }
}
