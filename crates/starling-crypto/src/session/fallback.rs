//! When the Olm fallback key may be replaced.

use alloc::vec::Vec;

use prost::Message as _;
use starling_proto::time::UnixSeconds;

use super::stored::StoredSchedule;
use super::{OlmAccount, SessionError};
use crate::envelope::{Publication, WallClock, outlived};

/// Says when to rotate the fallback key.
///
/// An account holds the current and the previous key, and rotating destroys the previous one. So it may happen only
/// when the current key, the previous one's successor, has been published long enough for the last message that was
/// started on the previous one to have been fetched: [`outlived`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FallbackSchedule {
    publication: Publication,
    fetched: Option<UnixSeconds>,
}

impl FallbackSchedule {
    /// Notes that the bundle with the current fallback key is on its holders.
    pub fn published(&mut self, clock: WallClock) {
        self.publication.note(clock);
    }

    /// Notes that every mailbox has been read to the end.
    pub fn fetched(&mut self, clock: WallClock) {
        if clock.confirmed {
            self.fetched = Some(clock.now);
        }
    }

    /// Rotates if it is time; says whether it did. The new key is to be published, the account to be stored, and the
    /// books are to forget their tombstones.
    pub fn rotate_if_due<A: OlmAccount>(
        &mut self,
        account: &mut A,
        clock: WallClock,
        rng: &mut dyn rand_core::CryptoRng,
    ) -> bool {
        self.publication.settle(clock);
        let first = account.fallback_keys().current.is_none();
        if !first && !outlived(self.publication, self.fetched, clock) {
            return false;
        }
        account.rotate_fallback(rng);
        self.publication = Publication::default();
        true
    }

    /// The state to keep.
    #[must_use]
    pub fn to_row(&self) -> Vec<u8> {
        let (publication, published_s) = self.publication.parts();
        StoredSchedule {
            version: StoredSchedule::VERSION,
            publication,
            published_s,
            fetched_s: self.fetched.map(UnixSeconds::get),
        }
        .encode_to_vec()
    }

    /// Restores what [`Self::to_row`] gave.
    ///
    /// # Errors
    /// [`SessionError::BadPickle`] if it did not.
    pub fn from_row(row: &[u8]) -> Result<Self, SessionError> {
        let stored = StoredSchedule::decode(row).map_err(|_| SessionError::BadPickle)?;
        if stored.version != StoredSchedule::VERSION {
            return Err(SessionError::BadPickle);
        }
        Ok(Self {
            publication: Publication::from_parts(stored.publication, stored.published_s)
                .ok_or(SessionError::BadPickle)?,
            fetched: stored.fetched_s.map(UnixSeconds::new),
        })
    }
}
