//! One memory of verdicts for all cores of a network.
//!
//! Forty holders check the same record in the same second, each with its own verifier, and each must: on real machines
//! nobody can lean on another's check. In one process the answer is the same, since the shipping [`Verifier`] depends on
//! nothing but the record, the second and the network's price of stamps. So the first core's answer is remembered by
//! exactly these, and the others get it. What is checked, when, and what follows is still decided by each core.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use starling_core::verify::Verifier;
use starling_crypto::stamp::StampPolicy;
use starling_overlay::verify::{RecordRejection, Verify};
use starling_proto::ids::NodeKey;
use starling_proto::limits;
use starling_proto::message::OwnerRequest;
use starling_proto::record::Record;
use starling_proto::time::UnixSeconds;

/// Verdicts that are remembered; at the bound all are forgotten. A record is stored within a second or two, so that a
/// few thousand at work need no more.
const REMEMBERED: usize = 1 << 15;

/// A verifier that shares its memory with its clones.
#[derive(Debug, Clone)]
pub(crate) struct SharedVerifier(Arc<Mutex<Memory>>);

#[derive(Debug)]
struct Memory {
    verifier: Verifier,
    verdicts: BTreeMap<([u8; 32], UnixSeconds), Result<(), RecordRejection>>,
}

impl SharedVerifier {
    /// A verifier of a network with this price of stamps.
    pub(crate) fn new(stamps: StampPolicy) -> Self {
        let verifier = Verifier::new(stamps);
        Self(Arc::new(Mutex::new(Memory { verifier, verdicts: BTreeMap::new() })))
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().expect("no verification panics")
    }
}

impl Verify for SharedVerifier {
    fn record(&self, record: &Record, now: UnixSeconds) -> Result<(), RecordRejection> {
        let name = (*blake3::hash(&record.encode()).as_bytes(), now);
        let mut memory = self.memory();
        if let Some(verdict) = memory.verdicts.get(&name) {
            return *verdict;
        }
        let verdict = memory.verifier.record(record, now);
        if memory.verdicts.len() >= REMEMBERED {
            memory.verdicts.clear();
        }
        memory.verdicts.insert(name, verdict);
        verdict
    }

    fn owner(
        &self,
        request: &OwnerRequest,
        holder: &NodeKey,
        binding: &[u8; limits::CHANNEL_BINDING],
    ) -> bool {
        self.memory().verifier.owner(request, holder, binding)
    }

    fn matched_words(&self, record: &Record, words: &[String]) -> usize {
        self.memory().verifier.matched_words(record, words)
    }
}
