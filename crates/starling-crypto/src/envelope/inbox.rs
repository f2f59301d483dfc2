//! A device's inbox keys: a new one each week, each kept until nothing can come for it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use prost::Message as _;
use rand_core::CryptoRng;
use starling_proto::identity::{Envelope, InboxEpoch, InboxKey};
use starling_proto::ids::{DeviceKey, MailboxAddress};
use starling_proto::time::UnixSeconds;
use zeroize::{Zeroize as _, Zeroizing};

use super::{Publication, WallClock, inbox_key, open, outlived};
use crate::CryptoError;
use crate::secret::Secret;

/// The inbox keys of one device: a machine over [`InboxEvent`]s.
///
/// Keys are made by the clock and destroyed by what happened: a wrong clock costs a needless key, never mail.
#[derive(Debug, PartialEq, Eq)]
pub struct InboxKeys {
    epoch: InboxEpoch,
    current: Kept,
    older: BTreeMap<InboxEpoch, Kept>,
    fetched: Option<UnixSeconds>,
}

#[derive(Debug, PartialEq, Eq)]
struct Kept {
    seed: Secret<32>,
    /// Orders keys by when they became current: a clock that was set back makes weeks come in another order.
    turn: u64,
    publication: Publication,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InboxEvent {
    /// Time went by.
    Tick,
    /// The bundle with the key of this week is on its holders.
    Published(InboxEpoch),
    /// Every mailbox was read to the end.
    Fetched,
}

/// What changed. If anything did, the state is to be stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct InboxChange {
    /// A new key to publish.
    pub publish: Option<(InboxEpoch, InboxKey)>,
    /// Weeks whose keys are gone.
    pub destroyed: Vec<InboxEpoch>,
    /// Whether the state differs from the one before.
    pub changed: bool,
}

impl InboxKeys {
    /// Keys that are kept. Eight are enough for the overlap; the rest is two years offline or without a confirmed
    /// clock. At the bound the current key stays current: destroying one would lose mail.
    pub const LIMIT: usize = 112;
    const VERSION: u32 = 1;

    /// A first key, for the week that the clock shows. To be published.
    pub fn new(clock: WallClock, rng: &mut dyn CryptoRng) -> Self {
        let current = Kept { seed: Secret::random(rng), turn: 0, publication: Publication::No };
        Self { epoch: InboxEpoch::of(clock.now), current, older: BTreeMap::new(), fetched: None }
    }

    /// The key to publish, and its week.
    #[must_use]
    pub fn current(&self) -> (InboxEpoch, InboxKey) {
        (self.epoch, inbox_key(&self.current.seed))
    }

    /// Weeks whose keys are held, the current one first.
    pub fn held(&self) -> impl Iterator<Item = InboxEpoch> {
        self.all().map(|(epoch, _)| epoch)
    }

    /// Opens an envelope that lay at `mailbox` for `device`.
    ///
    /// # Errors
    /// [`CryptoError::NoInboxKey`] if the key of its week is not or no longer held, and what [`open`] gives.
    pub fn open(
        &self,
        device: &DeviceKey,
        mailbox: &MailboxAddress,
        envelope: &Envelope,
    ) -> Result<Vec<u8>, CryptoError> {
        let mut keys = self.all();
        let (_, kept) =
            keys.find(|(epoch, _)| *epoch == envelope.inbox_epoch).ok_or(CryptoError::NoInboxKey)?;
        open(&kept.seed, device, mailbox, envelope)
    }

    /// Takes in what happened: makes a key when a week begins, destroys those that have been outlived.
    pub fn handle(&mut self, event: InboxEvent, clock: WallClock, rng: &mut dyn CryptoRng) -> InboxChange {
        let before = self.dates();
        match event {
            InboxEvent::Tick => {}
            InboxEvent::Published(epoch) => {
                if let Some((_, kept)) = self.all_mut().find(|(held, _)| *held == epoch) {
                    kept.publication.note(clock);
                }
            }
            InboxEvent::Fetched if clock.confirmed => self.fetched = Some(clock.now),
            InboxEvent::Fetched => {}
        }
        self.all_mut().for_each(|(_, kept)| kept.publication.settle(clock));
        let dated = self.dates() != before;
        let publish = self.rotate(clock, rng);
        let destroyed = self.destroy(clock);
        InboxChange { changed: dated || publish.is_some() || !destroyed.is_empty(), publish, destroyed }
    }

    fn all(&self) -> impl Iterator<Item = (InboxEpoch, &Kept)> {
        let older = self.older.iter().map(|(epoch, kept)| (*epoch, kept));
        core::iter::once((self.epoch, &self.current)).chain(older)
    }

    fn all_mut(&mut self) -> impl Iterator<Item = (InboxEpoch, &mut Kept)> {
        let older = self.older.iter_mut().map(|(epoch, kept)| (*epoch, kept));
        core::iter::once((self.epoch, &mut self.current)).chain(older)
    }

    /// Everything that an event can change without making or destroying a key.
    fn dates(&self) -> (Option<UnixSeconds>, Vec<Publication>) {
        (self.fetched, self.all().map(|(_, kept)| kept.publication).collect())
    }

    fn rotate(&mut self, clock: WallClock, rng: &mut dyn CryptoRng) -> Option<(InboxEpoch, InboxKey)> {
        let epoch = InboxEpoch::of(clock.now);
        if epoch == self.epoch {
            return None;
        }
        // A week that comes again, because the clock was set back, has its key again: envelopes name the week only.
        let seed = match self.older.remove(&epoch) {
            Some(kept) => kept.seed,
            None if self.older.len().saturating_add(1) >= Self::LIMIT => return None,
            None => Secret::random(rng),
        };
        let turn = self.current.turn.saturating_add(1);
        let next = Kept { seed, turn, publication: Publication::No };
        let replaced = core::mem::replace(&mut self.current, next);
        self.older.insert(core::mem::replace(&mut self.epoch, epoch), replaced);
        Some(self.current())
    }

    fn destroy(&mut self, clock: WallClock) -> Vec<InboxEpoch> {
        let outliving = self.all().filter(|(_, kept)| outlived(kept.publication, self.fetched, clock));
        let Some(newest) = outliving.map(|(_, kept)| kept.turn).max() else { return Vec::new() };
        self.older.extract_if(.., |_, kept| kept.turn < newest).map(|(epoch, _)| epoch).collect()
    }

    /// The state to keep inside the encrypted database.
    #[must_use]
    pub fn to_row(&self) -> Zeroizing<Vec<u8>> {
        let keys = self.all().map(|(epoch, kept)| {
            let (publication, published_s) = kept.publication.parts();
            let seed = kept.seed.expose().to_vec();
            StoredKey { epoch: epoch.get(), seed, turn: kept.turn, publication, published_s }
        });
        let mut stored = StoredKeys {
            version: Self::VERSION,
            keys: keys.collect(),
            current: self.epoch.get(),
            fetched_s: self.fetched.map(UnixSeconds::get),
        };
        let row = Zeroizing::new(stored.encode_to_vec());
        stored.keys.iter_mut().for_each(|key| key.seed.zeroize());
        row
    }

    /// Restores what [`Self::to_row`] gave.
    ///
    /// # Errors
    /// [`CryptoError::BadState`] if it did not.
    pub fn from_row(row: &[u8]) -> Result<Self, CryptoError> {
        let mut stored = StoredKeys::decode(row).map_err(|_| CryptoError::BadState)?;
        let keys = stored.keys.iter().map(|key| {
            let seed = key.seed.as_slice().try_into().map_err(|_| CryptoError::BadState)?;
            let publication =
                Publication::from_parts(key.publication, key.published_s).ok_or(CryptoError::BadState)?;
            let kept = Kept { seed: Secret::copy_of(seed), turn: key.turn, publication };
            Ok((InboxEpoch::new(key.epoch), kept))
        });
        let keys = keys.collect::<Result<BTreeMap<_, _>, CryptoError>>();
        stored.keys.iter_mut().for_each(|key| key.seed.zeroize());
        let mut older = keys?;
        let epoch = InboxEpoch::new(stored.current);
        let current = older.remove(&epoch).filter(|_| stored.version == Self::VERSION);
        let current = current.ok_or(CryptoError::BadState)?;
        Ok(Self { epoch, current, older, fetched: stored.fetched_s.map(UnixSeconds::new) })
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct StoredKeys {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(message, repeated, tag = "2")]
    keys: Vec<StoredKey>,
    #[prost(uint32, tag = "3")]
    current: u32,
    #[prost(uint64, optional, tag = "4")]
    fetched_s: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StoredKey {
    #[prost(uint32, tag = "1")]
    epoch: u32,
    #[prost(bytes = "vec", tag = "2")]
    seed: Vec<u8>,
    #[prost(uint64, tag = "3")]
    turn: u64,
    #[prost(uint32, tag = "4")]
    publication: u32,
    #[prost(uint64, tag = "5")]
    published_s: u64,
}

#[cfg(test)]
mod tests;
