//! Who this installation is: account, device and node, three keys that have nothing to do with each other.

use alloc::vec;
use alloc::vec::Vec;

use rand_core::CryptoRng;
use starling_crypto::CryptoError;
use starling_crypto::identity::{Authority, LIST_LIFE, VerifiedDeviceList, accept_cert, issue_cert};
use starling_crypto::keys::{DeviceSecret, NodeSecret, SigningSecret as _};
use starling_crypto::phrase::RecoveryPhrase;
use starling_crypto::secret::Secret;
use starling_crypto::session::{OlmAccount, SessionError};
use starling_crypto::sign::SigningDomain;
use starling_proto::DecodeError;
use starling_proto::identity::{DeviceCert, DeviceCertBody, DeviceList, DeviceRequest, Signer};
use starling_proto::ids::{AccountKey, DeviceKey, MessageId, PublisherKey};
use starling_proto::limits;
use starling_proto::record::{Record, RecordBody, Stamp};
use starling_proto::time::{Now, UnixSeconds};
use zeroize::Zeroizing;

use crate::candidate::Candidate;
use crate::profile::Profile;
use crate::publisher::Due;
use crate::storage::{Slot, SlotStore, StorageError};
use crate::wire;

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// There is one already.
    #[error("this home has an account already")]
    Exists,
    /// There is none yet.
    #[error("this home has no account")]
    Absent,
    /// There is none yet, and a device that waits to be one of somebody's.
    #[error("the device in this home waits to be linked")]
    Waiting,
    /// What was stored is not what was written.
    #[error("the stored identity is damaged: {0}")]
    Damaged(&'static str),
    /// A key or a list could not be made.
    #[error("the keys could not be made")]
    Crypto(#[from] CryptoError),
    /// The Olm account could not be made.
    #[error("the Olm account could not be made")]
    Session(#[from] SessionError),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why a device was not linked, or not revoked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// It asks to be a device of somebody else.
    #[error("this code is for the account {0}")]
    OtherAccount(AccountKey),
    /// It is not what such a device shows.
    #[error("this is no code of a device that waits to be linked")]
    BadRequest,
    /// It was revoked before.
    #[error("this device was revoked, and cannot be linked again")]
    Revoked,
    /// Only a device that the recovery phrase made may link others: this one, if there is one.
    #[error("this device was linked itself, and cannot link others")]
    MayNot(Option<DeviceKey>),
    /// There are as many as there may be.
    #[error(
        "an account has at most {} devices, and at most {} in all its life",
        limits::DEVICES,
        limits::LISTED_DEVICES
    )]
    Full,
    /// It is not an active device of the account.
    #[error("no device of this account has this key")]
    Unknown,
    /// A device is revoked by one that was there before it.
    #[error("that device was there before this one: only the account's first devices can revoke it")]
    Senior,
    /// A device is revoked by another one.
    #[error("this is the device itself")]
    Itself,
    /// The list could not be made.
    #[error("the device list could not be made")]
    Crypto(#[source] CryptoError),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Account, device and node of this installation. The account's secret is not here: it certified the device and was
/// forgotten.
#[derive(Debug)]
pub struct Identity {
    device: DeviceSecret,
    node: NodeSecret,
    list: VerifiedDeviceList,
    created: UnixSeconds,
}

impl Identity {
    /// Makes account, device and node, and writes them down.
    ///
    /// `A` is the Olm implementation. The phrase is the only copy of the account's secret.
    ///
    /// # Errors
    /// [`IdentityError::Exists`] if the storage has an account: it is never overwritten.
    pub fn create<A: OlmAccount>(
        store: &mut dyn SlotStore,
        profile: &Profile,
        now: Now,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Self, RecoveryPhrase), IdentityError> {
        let phrase = RecoveryPhrase::from_entropy(&Secret::random(rng));
        let identity = Self::restore::<A>(store, &phrase, profile, now, rng)?;
        Ok((identity, phrase))
    }

    /// Makes a new device for the account of a phrase, and a new node, and writes them down. The account key begins its
    /// device list anew: whoever knows an older one takes this for a reset, and devices that were listed are no more.
    ///
    /// # Errors
    /// [`IdentityError::Exists`] if the storage has an account: it is never overwritten.
    pub fn restore<A: OlmAccount>(
        store: &mut dyn SlotStore,
        phrase: &RecoveryPhrase,
        profile: &Profile,
        now: Now,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, IdentityError> {
        if store.read_slot(Slot::Identity)?.is_some() {
            return Err(IdentityError::Exists);
        }
        let olm = A::generate(rng);
        let (identity, olm) = (Self::certify(phrase, &olm, now, rng)?, olm.pickle()?);
        store.write_slot(Slot::Identity, &identity.encode())?;
        store.write_slot(Slot::OlmAccount, olm.expose())?;
        store.write_slot(Slot::Profile, &profile.encode())?;
        Ok(identity)
    }

    fn certify<A: OlmAccount>(
        phrase: &RecoveryPhrase,
        olm: &A,
        now: Now,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, CryptoError> {
        let account = phrase.account();
        let device = DeviceSecret::from_seed(&Secret::random(rng));
        let body = DeviceCertBody {
            account: account.public(),
            device: device.public(),
            olm_identity: olm.identity_key(),
            created: now.seconds(),
            can_certify: true,
        };
        let authority = Authority::Account(&account);
        let cert = issue_cert(&body, accept_cert(&body, &device)?, authority)?;
        let list = VerifiedDeviceList::found(&account, vec![cert], None, now.seconds())?;
        let node = NodeSecret::from_seed(Secret::random(rng));
        Ok(Self { device, node, list, created: now.seconds() })
    }

    /// Writes down a device that another one has put on the account's list.
    ///
    /// # Errors
    /// [`IdentityError::Exists`] if the storage has an account.
    pub(crate) fn linked(
        store: &mut dyn SlotStore,
        (device, node): (DeviceSecret, NodeSecret),
        list: VerifiedDeviceList,
        created: UnixSeconds,
    ) -> Result<Self, IdentityError> {
        if store.read_slot(Slot::Identity)?.is_some() {
            return Err(IdentityError::Exists);
        }
        let identity = Self { device, node, list, created };
        store.write_slot(Slot::Identity, &identity.encode())?;
        Ok(identity)
    }

    /// Reads what [`Self::create`] wrote.
    ///
    /// # Errors
    /// [`IdentityError::Absent`] before `init`, [`IdentityError::Waiting`] before the device is linked,
    /// [`IdentityError::Damaged`] if it is not what was written.
    pub fn load(store: &dyn SlotStore) -> Result<Self, IdentityError> {
        match store.read_slot(Slot::Identity)? {
            Some(bytes) => Self::decode(&Zeroizing::new(bytes)),
            None if Candidate::find(store)?.is_some() => Err(IdentityError::Waiting),
            None => Err(IdentityError::Absent),
        }
    }

    /// Reads the content of [`Slot::Identity`].
    ///
    /// # Errors
    /// [`IdentityError::Damaged`] if it is not what was written.
    pub fn decode(bytes: &[u8]) -> Result<Self, IdentityError> {
        let mut stored = <wire::Identity as prost::Message>::decode(bytes)
            .map_err(|_| IdentityError::Damaged("identity"))?;
        let device = DeviceSecret::from_seed(&seed("device seed", &mut stored.device_seed)?);
        let node = NodeSecret::from_seed(seed("node seed", &mut stored.node_seed)?);
        let account =
            AccountKey::from_slice(&stored.account).map_err(|_| IdentityError::Damaged("account"))?;
        let list =
            DeviceList::decode(&stored.device_list).map_err(|_| IdentityError::Damaged("device list"))?;
        let list = VerifiedDeviceList::verify(list, &account)?;
        list.device(&device.public())?;
        Ok(Self { device, node, list, created: UnixSeconds::new(stored.created_s) })
    }

    /// Signs the device list again, with the same devices and a later end, once half of its life is over: readers are
    /// warned about a list that has ended. Says whether there is a new one. Of several devices the first does it, the others
    /// only when three quarters are over: two lists that follow on one would contradict each other.
    ///
    /// # Errors
    /// [`IdentityError::Storage`], and [`IdentityError::Crypto`] if this device may not sign.
    pub fn renew_list(&mut self, store: &mut dyn SlotStore, now: UnixSeconds) -> Result<bool, IdentityError> {
        let end = self.list.list().body().not_after;
        let is_first = self.list.devices().next().is_some_and(|first| first.key() == self.device());
        let half = LIST_LIFE.halved();
        if now < end.before(if is_first { half } else { half.halved() }) {
            return Ok(false);
        }
        self.list = self.list.renew(Authority::Device(&self.device), now)?;
        store.write_slot(Slot::Identity, &self.encode())?;
        Ok(true)
    }

    /// Certifies another device of the account, and puts it on the list. Says whether it was not there before.
    ///
    /// # Errors
    /// [`LinkError`].
    pub fn link(
        &mut self,
        store: &mut dyn SlotStore,
        request: &DeviceRequest,
        now: UnixSeconds,
    ) -> Result<bool, LinkError> {
        let body = &request.body;
        if body.account != self.account() {
            return Err(LinkError::OtherAccount(body.account));
        }
        match self.list.device(&body.device) {
            Ok(known) if known.olm_identity() == body.olm_identity => return Ok(false),
            Ok(_) => return Err(LinkError::BadRequest),
            Err(CryptoError::RevokedDevice) => return Err(LinkError::Revoked),
            Err(_) => {}
        }
        // A device that certified others would make their requests to strangers too long.
        if body.can_certify {
            return Err(LinkError::BadRequest);
        }
        let own = self.list.device(&self.device()).ok();
        if !own.is_some_and(|own| own.can_certify()) {
            let may = self.list.devices().find(|device| device.can_certify());
            return Err(LinkError::MayNot(may.map(|device| device.key())));
        }
        let authority = Authority::Device(&self.device);
        let cert = issue_cert(body, request.accepted, authority).map_err(|_| LinkError::BadRequest)?;
        let list = self.list.add(cert, authority, now).map_err(|error| match error {
            CryptoError::BadChange => LinkError::Full,
            error => LinkError::Crypto(error),
        })?;
        self.set_list(store, list)?;
        Ok(true)
    }

    /// Takes a device off the list.
    ///
    /// # Errors
    /// [`LinkError`].
    pub fn revoke(
        &mut self,
        store: &mut dyn SlotStore,
        device: &DeviceKey,
        now: UnixSeconds,
    ) -> Result<(), LinkError> {
        if *device == self.device() {
            return Err(LinkError::Itself);
        }
        if self.list.device(device).is_err() {
            return Err(LinkError::Unknown);
        }
        let list = self.list.revoke(device, Authority::Device(&self.device), now);
        let list = list.map_err(|error| match error {
            CryptoError::NotARevoker => LinkError::Senior,
            error => LinkError::Crypto(error),
        })?;
        Ok(self.set_list(store, list)?)
    }

    /// Takes a newer list of the account, unless this device is not on it any more: then the old one stays, and `false` is
    /// given.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn adopt(
        &mut self,
        store: &mut dyn SlotStore,
        list: VerifiedDeviceList,
    ) -> Result<bool, StorageError> {
        if list.device(&self.device()).is_err() {
            return Ok(false);
        }
        self.set_list(store, list)?;
        Ok(true)
    }

    fn set_list(&mut self, store: &mut dyn SlotStore, list: VerifiedDeviceList) -> Result<(), StorageError> {
        self.list = list;
        store.write_slot(Slot::Identity, &self.encode())
    }

    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut stored = wire::Identity {
            account: self.account().as_bytes().to_vec(),
            device_seed: self.device.to_seed().expose().to_vec(),
            node_seed: self.node.seed().expose().to_vec(),
            device_list: self.list.list().encode(),
            created_s: self.created.get(),
        };
        let bytes = Zeroizing::new(prost::Message::encode_to_vec(&stored));
        zeroize::Zeroize::zeroize(&mut stored.device_seed);
        zeroize::Zeroize::zeroize(&mut stored.node_seed);
        bytes
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> AccountKey {
        self.list.account()
    }

    /// This installation.
    #[must_use]
    pub fn device(&self) -> DeviceKey {
        self.device.public()
    }

    /// The key under which this device publishes: its own.
    #[must_use]
    pub fn publisher(&self) -> PublisherKey {
        self.device.publisher()
    }

    /// The secret of the network endpoint, for the shell.
    #[must_use]
    pub const fn node(&self) -> &NodeSecret {
        &self.node
    }

    /// The account's devices.
    #[must_use]
    pub const fn list(&self) -> &VerifiedDeviceList {
        &self.list
    }

    /// This device's secret, for proofs and requests.
    #[must_use]
    pub const fn device_secret(&self) -> &DeviceSecret {
        &self.device
    }

    /// The certificates that tie this device to the account, its own first.
    #[must_use]
    pub fn cert_chain(&self) -> Vec<DeviceCert> {
        let devices = &self.list.list().body().devices;
        let find = |key: DeviceKey| devices.iter().find(|listed| listed.key() == key).map(|l| l.cert.clone());
        let mut chain: Vec<DeviceCert> = Vec::new();
        let mut next = find(self.device());
        while let Some(cert) = next.filter(|_| chain.len() < limits::CERT_CHAIN) {
            next = match cert.issuer() {
                Signer::Account => None,
                Signer::Device(key) => find(key),
            };
            chain.push(cert);
        }
        chain
    }

    /// The id of the message that somebody wanted sent under a name of their choice: the same name, the same id. Keyed
    /// with the device's secret, so that nobody else can tell which id a name that they guess will have.
    #[must_use]
    pub fn message_id(&self, request: &str) -> MessageId {
        let mut hasher = blake3::Hasher::new_derive_key("starling/1/message id of a request");
        hasher.update(self.device.to_seed().expose());
        hasher.update(request.as_bytes());
        let mut id = [0; 16];
        hasher.finalize_xof().fill(&mut id);
        MessageId::new(id)
    }

    /// Signs what is due as a record of this device.
    ///
    /// # Errors
    /// [`DecodeError`] if the payload is too long for its kind.
    pub fn sign(&self, due: Due, stamp: Option<Stamp>, now: Now) -> Result<Record, DecodeError> {
        let tombstone = due.payload.is_none();
        let body = RecordBody {
            key: due.key,
            kind: due.kind,
            publisher: self.publisher(),
            sequence: due.sequence,
            issued: now.seconds(),
            expires: due.expires,
            payload: due.payload.unwrap_or_default(),
            tombstone,
        };
        let signed = body.encode();
        let signature = self.device.sign(SigningDomain::Record, &signed);
        Record::new(signed, signature, stamp.filter(|_| due.kind.needs_stamp()), None)
    }
}

pub(crate) fn seed(what: &'static str, bytes: &mut Vec<u8>) -> Result<Secret<32>, IdentityError> {
    let exact = <&[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| IdentityError::Damaged(what))?;
    let secret = Secret::copy_of(exact);
    zeroize::Zeroize::zeroize(bytes);
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng as _;
    use starling_crypto::identity::{ListChange, ListConflict};
    use starling_crypto::session::Vodozemac;
    use starling_proto::identity::Name;
    use starling_proto::time::{Span, Tick, UnixMillis};

    use super::*;
    use crate::memory::MemoryStore;

    const MADE: UnixSeconds = UnixSeconds::new(1_800_000_000);

    fn made() -> (MemoryStore, Identity) {
        let mut store = MemoryStore::default();
        let now = Now { tick: Tick::ZERO, wall: UnixMillis::new(MADE.get() * 1000) };
        let profile = Profile::new(Name::new("Ada").unwrap());
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (identity, _) = Identity::create::<Vodozemac>(&mut store, &profile, now, &mut rng).unwrap();
        (store, identity)
    }

    #[test]
    fn what_was_made_is_loaded_and_never_overwritten() {
        let (mut store, identity) = made();
        let again = Identity::load(&store).unwrap();
        assert_eq!((again.account(), again.device()), (identity.account(), identity.device()));
        assert_eq!(again.cert_chain().len(), 1);
        let profile = Profile::new(Name::new("Eve").unwrap());
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let refused = Identity::create::<Vodozemac>(&mut store, &profile, Now::default(), &mut rng);
        assert!(matches!(refused, Err(IdentityError::Exists)));
    }

    #[test]
    fn a_phrase_gives_the_account_another_device_whose_list_replaces_the_one_before() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let at = |seconds| Now { tick: Tick::ZERO, wall: UnixMillis::new((MADE.get() + seconds) * 1000) };
        let profile = Profile::new(Name::new("Ada").unwrap());
        let (lost, phrase) =
            Identity::create::<Vodozemac>(&mut MemoryStore::default(), &profile, at(0), &mut rng).unwrap();
        let mut store = MemoryStore::default();
        let restored =
            Identity::restore::<Vodozemac>(&mut store, &phrase, &profile, at(60), &mut rng).unwrap();
        assert_eq!(restored.account(), lost.account());
        assert!(restored.device() != lost.device() && restored.node().public() != lost.node().public());
        assert_eq!(lost.list().compare(restored.list()), Ok(ListChange::Reset));
        assert_eq!(restored.list().compare(lost.list()), Err(ListConflict::Rollback));
        let again = Identity::restore::<Vodozemac>(&mut store, &phrase, &profile, at(61), &mut rng);
        assert!(matches!(again, Err(IdentityError::Exists)));
        assert_eq!(Identity::load(&store).unwrap().device(), restored.device());
    }

    #[test]
    fn a_list_is_signed_again_before_it_ends() {
        let (mut store, mut identity) = made();
        let first = identity.list().hash();
        assert!(!identity.renew_list(&mut store, MADE.after(Span::from_days(14))).unwrap());
        assert!(identity.renew_list(&mut store, MADE.after(Span::from_days(16))).unwrap());
        assert!(!identity.renew_list(&mut store, MADE.after(Span::from_days(17))).unwrap());
        let kept = Identity::load(&store).unwrap();
        assert_eq!(kept.list().hash(), identity.list().hash());
        assert!(kept.list().hash() != first && !kept.list().is_overdue(MADE.after(Span::from_days(40))));
    }
}
