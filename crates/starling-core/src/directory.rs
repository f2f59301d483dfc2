//! The publishing side of the directory: from a profile to signed entries under index keys, and back.

use alloc::string::String;
use alloc::vec::Vec;

use starling_crypto::safety::KeyTag;
use starling_proto::DecodeError;
use starling_proto::identity::{About, DirectoryEntry, Name};
use starling_proto::ids::{AccountKey, RecordKey};
use starling_proto::limits;
use starling_proto::record::{Record, RecordKind};

use crate::identity::Identity;
use crate::io::{CommandError, ErrorCode};
use crate::profile::Profile;
use crate::publisher::Wanted;
use crate::search::{Entry, entry_words};
use crate::words;

/// Why a profile cannot be as the user wants it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// A part of it is too long or holds what it may not.
    #[error(transparent)]
    Part(#[from] DecodeError),
    /// All parts together do not fit into an entry.
    #[error("name, about text and keywords together are {over} bytes too long")]
    TooLong {
        /// Bytes to be saved.
        over: usize,
    },
    /// Nothing in it is a word, so that nobody could find it.
    #[error("there is no word in name, about text or keywords to be found by")]
    NoWords,
}

impl From<DirectoryError> for CommandError {
    fn from(error: DirectoryError) -> Self {
        let hint = match &error {
            DirectoryError::Part(_) => {
                "a name has at most 128 bytes, an about text 512, a keyword 64, without control characters"
            }
            DirectoryError::TooLong { .. } => "shorten the about text or drop keywords",
            DirectoryError::NoWords => "add a keyword: starling profile set --keyword chess",
        };
        Self { code: ErrorCode::BadInput, message: alloc::format!("{error}"), hint: hint.into() }
    }
}

/// The profile with what the user wants changed.
///
/// # Errors
/// [`DirectoryError`] saying which part is wrong.
pub fn changed(
    profile: &Profile,
    name: Option<String>,
    about: Option<String>,
    keywords: Option<Vec<String>>,
) -> Result<Profile, DirectoryError> {
    let mut changed = profile.clone();
    if let Some(name) = name {
        changed.name = Name::new(name)?;
    }
    if let Some(about) = about {
        changed.about = About::new(about)?;
    }
    if let Some(keywords) = keywords {
        changed.set_keywords(keywords)?;
    }
    if changed.listed {
        check_words(&changed)?;
    }
    Ok(changed)
}

/// The profile, listed or not.
///
/// # Errors
/// [`DirectoryError::NoWords`] if it is to be listed and nobody could find it.
pub fn listed(profile: &Profile, listed: bool) -> Result<Profile, DirectoryError> {
    let changed = Profile { listed, ..profile.clone() };
    if listed {
        check_words(&changed)?;
    }
    Ok(changed)
}

fn check_words(profile: &Profile) -> Result<(), DirectoryError> {
    if profile_words(profile).is_empty() { Err(DirectoryError::NoWords) } else { Ok(()) }
}

/// The entry that holders keep.
///
/// # Errors
/// [`DirectoryError::TooLong`] if it does not fit.
pub fn entry(profile: &Profile, identity: &Identity) -> Result<Vec<u8>, DirectoryError> {
    let entry = DirectoryEntry {
        account: identity.account(),
        name: profile.name.clone(),
        about: profile.about.clone(),
        keywords: profile.keywords.clone(),
        device_certs: identity.cert_chain(),
    };
    let bytes = entry.encode();
    match bytes.len().saturating_sub(limits::DIRECTORY_ENTRY) {
        0 => Ok(bytes),
        over => Err(DirectoryError::TooLong { over }),
    }
}

/// What is to lie in the directory: the same entry under every index key, or nothing for one who is not listed.
#[must_use]
pub fn publications(profile: &Profile, identity: &Identity) -> Vec<Wanted> {
    // A stored profile was checked when it was set, so an entry that does not fit is not published.
    let Some(payload) = profile.listed.then(|| entry(profile, identity)).and_then(Result::ok) else {
        return Vec::new();
    };
    words::index_keys(&profile_words(profile))
        .into_iter()
        .map(|key| Wanted { kind: RecordKind::Directory, key, payload: payload.clone() })
        .collect()
}

/// The account record: every account has one, listed or not, since contacts re-read it.
#[must_use]
pub fn account_record(identity: &Identity) -> Wanted {
    Wanted {
        kind: RecordKind::Account,
        key: RecordKey::for_account(&identity.account()),
        payload: identity.list().list().encode(),
    }
}

/// Reads a verified directory record.
#[must_use]
pub fn read_entry(record: &Record) -> Option<Entry> {
    let body = record.body();
    let entry = DirectoryEntry::decode(&body.payload).ok().filter(|_| body.kind == RecordKind::Directory)?;
    Some(Entry {
        account: entry.account,
        tag: tag(&entry.account),
        publisher: body.publisher,
        sequence: body.sequence,
        issued: body.issued,
        name: entry.name.as_str().into(),
        about: entry.about.as_str().into(),
        keywords: entry.keywords.iter().map(|word| word.as_str().into()).collect(),
    })
}

/// The short key tag that stands beside every name.
#[must_use]
pub fn tag(account: &AccountKey) -> String {
    alloc::format!("{}", KeyTag::of(account))
}

fn profile_words(profile: &Profile) -> Vec<words::Word> {
    entry_words(profile.name.as_str(), profile.about.as_str(), &profile.keyword_texts())
}
