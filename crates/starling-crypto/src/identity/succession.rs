//! What a device list may become, for somebody who has seen an earlier one.

use starling_proto::identity::Signer;

use super::list::continues;
use super::{VerifiedDevice, VerifiedDeviceList};
use crate::CryptoError;

/// How a list follows the one seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListChange {
    /// It is the list seen before.
    Same,
    /// It goes on from the list seen before.
    Extended {
        /// Whether there were lists between the two that were not seen: ordinary after an absence.
        missed: bool,
    },
    /// The account key began anew, without regard for the list seen before: shown to the user as a reset.
    Reset,
}

/// Why a list, good in itself, is not taken in place of the one seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListConflict {
    /// Another account's.
    #[error("the list is another account's")]
    OtherAccount,
    /// An older list than the one seen: served by somebody who is behind or who hides a change.
    #[error("an older list than the one seen")]
    Rollback,
    /// Another list of the same version: the account's devices disagree, or a key was stolen.
    #[error("another list of the version seen")]
    Fork,
    /// Signed by a device that the list seen had revoked.
    #[error("signed by a device that was revoked before")]
    RevokedSigner,
    /// Drops, moves or brings back a device without the account key's word.
    #[error("drops or brings back a device")]
    Rewritten,
}

impl VerifiedDeviceList {
    /// What `newer` is to somebody who has seen this list.
    ///
    /// Lists are ordered by the version of their anchor, then by their own: whoever steals a device can count its lists
    /// up to the end, and the account key still comes after them.
    ///
    /// # Errors
    /// [`ListConflict`] if this list is to be kept.
    pub fn compare(&self, newer: &Self) -> Result<ListChange, ListConflict> {
        if self.account() != newer.account() {
            return Err(ListConflict::OtherAccount);
        }
        if self.hash() == newer.hash() {
            return Ok(ListChange::Same);
        }
        match newer.rank().cmp(&self.rank()) {
            core::cmp::Ordering::Less => Err(ListConflict::Rollback),
            core::cmp::Ordering::Equal => Err(ListConflict::Fork),
            core::cmp::Ordering::Greater => self.compare_greater(newer),
        }
    }

    /// The devices that are active in `newer` and were not listed here: worth a notice to the user.
    pub fn added_in<'a>(&'a self, newer: &'a Self) -> impl Iterator<Item = VerifiedDevice> + 'a {
        newer.devices().filter(|device| self.device(&device.key()) == Err(CryptoError::UnknownDevice))
    }

    fn rank(&self) -> (u64, u64) {
        (self.anchor().body().version, self.list().body().version)
    }

    fn compare_greater(&self, newer: &Self) -> Result<ListChange, ListConflict> {
        let continued = continues(self.list().body(), newer.list().body());
        if newer.anchor().body().version == self.anchor().body().version {
            if newer.anchor().hash() != self.anchor().hash() {
                return Err(ListConflict::Fork);
            }
            if let Signer::Device(key) = newer.list().signer()
                && self.device(&key) == Err(CryptoError::RevokedDevice)
            {
                return Err(ListConflict::RevokedSigner);
            }
            if !continued {
                return Err(ListConflict::Rewritten);
            }
        }
        if continued {
            let missed = newer.list().body().previous != Some(self.hash());
            Ok(ListChange::Extended { missed })
        } else {
            Ok(ListChange::Reset)
        }
    }
}
