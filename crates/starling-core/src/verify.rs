//! Joins the overlay's questions to the cryptography that answers them.

use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;

use starling_crypto::owner::verify_owner_request;
use starling_crypto::record::{self, IndexKeys, verify_record};
use starling_crypto::stamp::{StampChecker, StampPolicy};
use starling_overlay::verify::{RecordRejection, Verify};
use starling_proto::identity::DirectoryEntry;
use starling_proto::ids::{NodeKey, RecordKey};
use starling_proto::limits;
use starling_proto::message::OwnerRequest;
use starling_proto::record::Record;
use starling_proto::time::UnixSeconds;

use crate::directory;
use crate::search::entry_words;
use crate::words::{self, Word};

/// Checks what peers claim, by real signatures.
#[derive(Debug)]
pub struct Verifier {
    /// Behind a cell, since looking at a record changes nothing but what is remembered of stamps.
    stamps: RefCell<StampChecker>,
}

impl Verifier {
    /// A verifier for a network with this price of stamps.
    #[must_use]
    pub const fn new(stamps: StampPolicy) -> Self {
        Self { stamps: RefCell::new(StampChecker::new(stamps)) }
    }
}

/// An entry belongs under the beginnings of its words and nowhere else: otherwise one entry could be put before
/// everybody who searches for anything.
struct ByWords;

impl IndexKeys for ByWords {
    fn is_index_key(&self, entry: &DirectoryEntry, key: &RecordKey) -> bool {
        words::index_keys(&words_of(entry)).contains(key)
    }
}

impl Verify for Verifier {
    fn record(&self, record: &Record, now: UnixSeconds) -> Result<(), RecordRejection> {
        verify_record(record, now, &mut self.stamps.borrow_mut(), &ByWords).map_err(|rejection| {
            match rejection {
                record::RecordRejection::Dates => RecordRejection::Dates,
                record::RecordRejection::Publisher => RecordRejection::Publisher,
                record::RecordRejection::Capability => RecordRejection::Capability,
                record::RecordRejection::Stamp => RecordRejection::Stamp,
                record::RecordRejection::Signature => RecordRejection::Signature,
                _ => RecordRejection::Payload,
            }
        })
    }

    fn owner(
        &self,
        request: &OwnerRequest,
        holder: &NodeKey,
        binding: &[u8; limits::CHANNEL_BINDING],
    ) -> bool {
        verify_owner_request(request, holder, binding).is_ok()
    }

    fn matched_words(&self, record: &Record, words: &[String]) -> usize {
        directory::read_entry(record).map_or(0, |entry| words::matched(&entry.words(), words))
    }
}

fn words_of(entry: &DirectoryEntry) -> Vec<Word> {
    let keywords: Vec<String> = entry.keywords.iter().map(|word| word.as_str().into()).collect();
    entry_words(entry.name.as_str(), entry.about.as_str(), &keywords)
}
