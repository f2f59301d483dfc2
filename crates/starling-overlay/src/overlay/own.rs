//! What the core above asks of this peer itself, and of nobody else.

use rand_core::CryptoRng;
use starling_proto::message::{OwnerRequest, Refusal, Request, Response};
use starling_proto::time::{Now, Tick};

use super::{Context, Overlay};
use crate::group::AddressGroup;
use crate::io::{ChannelBinding, Remote};
use crate::limiter;
use crate::storage::{OverlayStore, StorageError};
use crate::verify::Verify;

impl Overlay {
    /// Whether a request that others answer, between devices, may be served: its sender has greeted, and asks no more
    /// often than anybody may.
    ///
    /// # Errors
    /// The refusal to answer with.
    pub fn admit(&mut self, remote: &Remote, request: &Request, now: Tick) -> Result<(), Refusal> {
        if !self.links.contains_key(&remote.key) {
            return Err(Refusal::NotAllowed);
        }
        let group = AddressGroup::of(&remote.address);
        if self.limiter.allow(group, limiter::cost(request), now) {
            Ok(())
        } else {
            Err(Refusal::RateLimited)
        }
    }

    /// Asks our own holder what a mailbox's owner may: the owner is on this peer. The request is signed for `binding`,
    /// as there is no connection.
    ///
    /// # Errors
    /// [`StorageError`] from beneath: as for [`Self::handle`].
    pub fn ask_own_holder(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        store: &mut dyn OverlayStore,
        verify: &dyn Verify,
        (binding, request): (ChannelBinding, &OwnerRequest),
    ) -> Result<Response, StorageError> {
        let mut context = Context { now, rng, store, verify };
        let address = core::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let remote = Remote { key: self.me, address, binding };
        self.holder.owner(now, &mut context.tools(), &remote, request)
    }

    /// Whether enough unrelated peers have our time, so that what is over by the clock may be destroyed.
    #[must_use]
    pub fn clock_is_confirmed(&self, now: Now) -> bool {
        self.clock.is_trusted(now)
    }
}
