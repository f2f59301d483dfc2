//! Doors for whoever measures a core: no face and no peer comes through here.

use alloc::boxed::Box;
use alloc::vec::Vec;

use rand_core::CryptoRng;
use starling_crypto::session::OlmAccount;
use starling_overlay::io as overlay_io;
use starling_overlay::io::OpResult;
use starling_overlay::overlay::Overlay;
use starling_overlay::verify::Verify;
use starling_proto::addr::Peer;
use starling_proto::ids::NodeId;
use starling_proto::time::Now;

use super::{Context, Core, Errand};
use crate::storage::{CoreStore, StorageError};

/// A lookup of [`Core::look_up`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LookupId(u64);

/// How a lookup of [`Core::look_up`] ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// The closest peers that answered, closest first. Empty where the overlay had too much to do.
    pub peers: Vec<Peer>,
    /// What it cost, in requests.
    pub requests: u32,
}

impl<A: OlmAccount> Core<A> {
    /// Looks up the `width` peers closest to a place, as the overlay does for everything that it stores or finds, and
    /// with nothing of a messenger's around it. [`Self::poll_measured`] tells how it ended.
    ///
    /// # Errors
    /// As [`Self::handle`], after which outputs are to be drained in the same way.
    pub fn look_up(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        store: &mut dyn CoreStore,
        (target, width): (NodeId, usize),
    ) -> Result<LookupId, StorageError> {
        let id = LookupId(self.fresh_id());
        let context = &mut Context { now, rng, store };
        self.latest = now;
        self.errand(context, Errand::Measure(id), overlay_io::Command::Lookup { target, width })?;
        self.settle(context)?;
        Ok(id)
    }

    /// The next lookup of [`Self::look_up`] that has ended.
    pub fn poll_measured(&mut self) -> Option<(LookupId, Measured)> {
        self.measured.pop_front()
    }

    /// Lets somebody else answer whether records are good: a simulator, whose thousand cores check the same record in
    /// the same second. What answers otherwise than [`Verifier`](crate::verify::Verifier) makes this another network.
    pub fn set_verifier(&mut self, verifier: Box<dyn Verify + Send>) {
        self.verifier = verifier;
    }

    /// The overlay, to be looked at.
    #[must_use]
    pub const fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    pub(super) fn note_measured(&mut self, id: LookupId, result: OpResult) {
        let measured = match result {
            OpResult::Found { peers, requests } => Measured { peers, requests },
            _ => Measured { peers: Vec::new(), requests: 0 },
        };
        self.measured.push_back((id, measured));
    }
}
