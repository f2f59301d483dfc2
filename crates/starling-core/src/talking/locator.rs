//! Where we can be reached, told to contacts alone; and where they can be.

use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;

use rand_core::CryptoRng;
use starling_crypto::CryptoError;
use starling_crypto::keys::{LocatorSigner, SigningSecret as _};
use starling_crypto::locator::{locator_epoch, open_locator, seal_locator, sign_locator, verify_locator};
use starling_crypto::record::sign_record;
use starling_crypto::secret::Secret;
use starling_proto::addr::Peer;
use starling_proto::contact::ReadKey;
use starling_proto::identity::LocatorBody;
use starling_proto::ids::{DeviceKey, LocatorKey, RecordKey};
use starling_proto::record::{Record, RecordBody, RecordKind};
use starling_proto::time::{Now, UnixSeconds};
use zeroize::{Zeroize as _, Zeroizing};

use super::acquaintance::Reach;
use crate::identity::Identity;
use crate::publisher::{Due, Wanted};
use crate::storage::{Slot, SlotStore, StorageError};
use crate::wire;

/// Our locator: its keys, and what it last said.
#[derive(Debug)]
pub struct OwnLocator {
    signer: LocatorSigner,
    read_key: ReadKey,
    addresses: Vec<SocketAddr>,
    said: Option<(u32, Vec<SocketAddr>)>,
}

impl OwnLocator {
    /// Reads the keys, or makes them.
    ///
    /// # Errors
    /// [`StorageError`] from beneath, or [`StorageError::Corrupt`].
    pub fn load<S: SlotStore + ?Sized>(store: &mut S, rng: &mut dyn CryptoRng) -> Result<Self, StorageError> {
        match store.read_slot(Slot::Locator)? {
            Some(bytes) => Self::decode(bytes).ok_or(StorageError::Corrupt("locator keys")),
            None => Self::replace(store, rng),
        }
    }

    /// Makes new keys, which whoever has the old ones cannot follow: somebody was blocked, and the others are to be
    /// told.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn replace<S: SlotStore + ?Sized>(
        store: &mut S,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, StorageError> {
        let seed = Secret::random(rng);
        let read_key = Secret::<32>::random(rng);
        let mut stored =
            wire::LocatorKeys { signer_seed: seed.expose().to_vec(), read_key: read_key.expose().to_vec() };
        let bytes = Zeroizing::new(prost::Message::encode_to_vec(&stored));
        stored.signer_seed.zeroize();
        stored.read_key.zeroize();
        store.write_slot(Slot::Locator, &bytes)?;
        Ok(Self::new(&seed, ReadKey::new(*read_key.expose())))
    }

    const fn with(signer: LocatorSigner, read_key: ReadKey) -> Self {
        Self { signer, read_key, addresses: Vec::new(), said: None }
    }

    fn new(seed: &Secret<32>, read_key: ReadKey) -> Self {
        Self::with(LocatorSigner::from_seed(seed), read_key)
    }

    fn decode(bytes: Vec<u8>) -> Option<Self> {
        let bytes = Zeroizing::new(bytes);
        let mut stored = <wire::LocatorKeys as prost::Message>::decode(bytes.as_slice()).ok()?;
        let seed = Secret::copy_of(stored.signer_seed.as_slice().try_into().ok()?);
        let read_key = ReadKey::new(stored.read_key.as_slice().try_into().ok()?);
        stored.signer_seed.zeroize();
        stored.read_key.zeroize();
        Some(Self::new(&seed, read_key))
    }

    /// Where contacts find it; goes into requests and hand-overs.
    #[must_use]
    pub fn key(&self) -> LocatorKey {
        self.signer.public()
    }

    /// What opens it; goes into requests and hand-overs.
    #[must_use]
    pub const fn read_key(&self) -> &ReadKey {
        &self.read_key
    }

    /// What was last set by [`Self::set_addresses`].
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where we believe that we can be dialled.
    pub fn set_addresses(&mut self, addresses: Vec<SocketAddr>) {
        self.addresses = addresses;
    }

    /// What the publisher is to keep published from now on, if that is another thing than before: the day has changed,
    /// or the addresses. Nothing before an address is known.
    ///
    /// # Errors
    /// [`CryptoError`] if the locator cannot be signed.
    pub fn take_wanted(
        &mut self,
        identity: &Identity,
        now: Now,
        rng: &mut dyn CryptoRng,
    ) -> Result<Option<Vec<Wanted>>, CryptoError> {
        let epoch = locator_epoch(now.seconds());
        let unchanged =
            self.said.as_ref().is_some_and(|(day, said)| *day == epoch && *said == self.addresses);
        if unchanged || self.addresses.is_empty() {
            return Ok(None);
        }
        let peer = Peer::new(identity.node().public(), self.addresses.iter().copied());
        let body = LocatorBody { device: identity.device(), peer, issued: now.seconds() };
        let locator = sign_locator(&body, identity.device_secret())?;
        let key = RecordKey::for_locator(&self.key(), epoch);
        let payload = seal_locator(&locator, &self.read_key, &key, rng)?;
        self.said = Some((epoch, self.addresses.clone()));
        Ok(Some(vec![Wanted { kind: RecordKind::Locator, key, payload }]))
    }

    /// Signs what the publisher says is due: a locator's publisher is its own key, not the device.
    ///
    /// # Errors
    /// [`CryptoError::Decode`] if the payload is too long.
    pub fn sign(&self, due: Due, now: Now) -> Result<Record, CryptoError> {
        let tombstone = due.payload.is_none();
        let body = RecordBody {
            key: due.key,
            kind: due.kind,
            publisher: self.signer.publisher(),
            sequence: due.sequence,
            issued: now.seconds(),
            expires: due.expires,
            payload: due.payload.unwrap_or_default(),
            tombstone,
        };
        sign_record(&body, &self.signer, None, None)
    }
}

/// Where a locator is looked for, one place after the other: today, yesterday, tomorrow. Days differ where clocks do.
#[must_use]
pub fn places(reach: &Reach, now: UnixSeconds) -> [RecordKey; 3] {
    let today = locator_epoch(now);
    let place = |epoch| RecordKey::for_locator(&reach.locator, epoch);
    [place(today), place(today.saturating_sub(1)), place(today.saturating_add(1))]
}

/// The newest address of `device` among fetched records, whose signatures the overlay has checked. What others wrote
/// under the same key, or cannot be read, is passed over.
#[must_use]
pub fn read(records: &[Record], device: &DeviceKey, reach: &Reach) -> Option<Peer> {
    let of_contact = |record: &&Record| {
        let body = record.body();
        body.kind == RecordKind::Locator
            && body.publisher.as_bytes() == reach.locator.as_bytes()
            && !body.tombstone
    };
    let newest = records.iter().filter(of_contact).max_by_key(|record| record.body().sequence)?;
    let locator = open_locator(&newest.body().payload, &reach.read_key, &newest.body().key).ok()?;
    let body = verify_locator(&locator).ok()?;
    (body.device == *device).then(|| body.peer.clone())
}

#[cfg(test)]
mod tests {
    use core::slice;

    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng as _;
    use starling_proto::time::{Span, UnixMillis};

    use super::*;
    use crate::memory::MemoryStore;
    use crate::talking::fixture;

    fn now(hours: u64) -> Now {
        Now { wall: UnixMillis::new(Span::from_hours(24 * 20_000 + hours).as_ms()), ..Now::default() }
    }

    fn due(wanted: &Wanted, sequence: u64) -> Due {
        let payload = Some(wanted.payload.clone());
        let expires = now(0).seconds().after(Span::from_days(30));
        Due { kind: wanted.kind, key: wanted.key, sequence, expires, payload }
    }

    #[test]
    fn contacts_read_it_and_nobody_else() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut store = MemoryStore::default();
        let identity = fixture::identity(&mut store, 1);
        let mut own = OwnLocator::load(&mut store, &mut rng).unwrap();
        assert_eq!(own.take_wanted(&identity, now(0), &mut rng).unwrap(), None, "no address is known");
        own.set_addresses(vec!["10.0.0.1:7".parse().unwrap()]);
        let wanted = own.take_wanted(&identity, now(0), &mut rng).unwrap().unwrap();
        let record = own.sign(due(&wanted[0], 1), now(0)).unwrap();
        let reach = Reach {
            locator: own.key(),
            read_key: own.read_key().clone(),
            one_time_keys: Vec::new(),
            mailboxes: Vec::new(),
        };
        assert_eq!(record.body().key, places(&reach, now(0).seconds())[0]);
        let found = read(slice::from_ref(&record), &identity.device(), &reach).unwrap();
        assert_eq!((found.key(), found.addresses().len()), (identity.node().public(), 1));
        let blind = Reach { read_key: ReadKey::new([9; 32]), ..reach.clone() };
        assert_eq!(read(slice::from_ref(&record), &identity.device(), &blind), None);
        assert_eq!(read(&[record], &DeviceKey::new([9; 32]), &reach), None, "another device's");
    }

    #[test]
    fn the_day_and_the_addresses_change_it() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut store = MemoryStore::default();
        let identity = fixture::identity(&mut store, 1);
        let mut own = OwnLocator::load(&mut store, &mut rng).unwrap();
        own.set_addresses(vec!["10.0.0.1:7".parse().unwrap()]);
        let today = own.take_wanted(&identity, now(0), &mut rng).unwrap().unwrap();
        assert_eq!(own.take_wanted(&identity, now(23), &mut rng).unwrap(), None);
        let tomorrow = own.take_wanted(&identity, now(24), &mut rng).unwrap().unwrap();
        assert_ne!(today[0].key, tomorrow[0].key);
        own.set_addresses(vec!["10.0.0.2:7".parse().unwrap()]);
        assert_eq!(own.take_wanted(&identity, now(24), &mut rng).unwrap().unwrap()[0].key, tomorrow[0].key);
        let again = OwnLocator::load(&mut store, &mut rng).unwrap();
        assert_eq!(again.key(), own.key());
        assert_ne!(OwnLocator::replace(&mut store, &mut rng).unwrap().key(), own.key());
    }
}
