//! A device that waits to be one of an account: it has its keys, and shows them to a device that the account has already.

use alloc::vec::Vec;

use rand_core::CryptoRng;
use starling_crypto::identity::{VerifiedDeviceList, accept_cert};
use starling_crypto::keys::{DeviceSecret, NodeSecret};
use starling_crypto::secret::Secret;
use starling_crypto::session::OlmAccount;
use starling_proto::identity::{DeviceCertBody, DeviceList, DeviceRequest};
use starling_proto::ids::AccountKey;
use starling_proto::time::Now;
use zeroize::Zeroizing;

use crate::identity::{Identity, IdentityError, seed};
use crate::profile::Profile;
use crate::storage::{Slot, SlotStore};
use crate::wire;

/// See the module's text.
#[derive(Debug)]
pub struct Candidate {
    device: DeviceSecret,
    node: NodeSecret,
    request: DeviceRequest,
}

impl Candidate {
    /// Makes the keys of a device that is to be one of `account`'s, and writes them down.
    ///
    /// # Errors
    /// [`IdentityError::Exists`] if the storage has an account, or a device that waits for one.
    pub fn create<A: OlmAccount>(
        store: &mut dyn SlotStore,
        account: AccountKey,
        now: Now,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, IdentityError> {
        if store.read_slot(Slot::Identity)?.is_some() || Self::find(store)?.is_some() {
            return Err(IdentityError::Exists);
        }
        let olm = A::generate(rng);
        let device = DeviceSecret::from_seed(&Secret::random(rng));
        let node = NodeSecret::from_seed(Secret::random(rng));
        let body = DeviceCertBody {
            account,
            device: device.public(),
            olm_identity: olm.identity_key(),
            created: now.seconds(),
            can_certify: false,
        };
        let accepted = accept_cert(&body, &device)?;
        let secret = *Secret::<{ DeviceRequest::SECRET }>::random(rng).expose();
        let candidate = Self { device, node, request: DeviceRequest { body, accepted, secret } };
        store.write_slot(Slot::Candidate, &candidate.encode())?;
        store.write_slot(Slot::OlmAccount, olm.pickle()?.expose())?;
        Ok(candidate)
    }

    /// The device that waits, if one does.
    ///
    /// # Errors
    /// [`IdentityError::Damaged`] if it is not what was written.
    pub fn find(store: &dyn SlotStore) -> Result<Option<Self>, IdentityError> {
        match store.read_slot(Slot::Candidate)?.map(Zeroizing::new) {
            Some(bytes) if !bytes.is_empty() => Self::decode(&bytes).map(Some),
            _ => Ok(None),
        }
    }

    /// What it shows to the other device.
    #[must_use]
    pub const fn request(&self) -> &DeviceRequest {
        &self.request
    }

    /// Makes the device one of the account, whose list names it now.
    ///
    /// # Errors
    /// [`IdentityError::Crypto`] if the list is not the account's, or does not name this device.
    pub fn join(
        self,
        store: &mut dyn SlotStore,
        list: DeviceList,
        profile: &Profile,
        now: Now,
    ) -> Result<Identity, IdentityError> {
        let list = VerifiedDeviceList::verify(list, &self.request.body.account)?;
        list.device(&self.request.body.device)?;
        let identity = Identity::linked(store, (self.device, self.node), list, now.seconds())?;
        store.write_slot(Slot::Profile, &profile.encode())?;
        store.write_slot(Slot::Candidate, &[])?;
        Ok(identity)
    }

    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut stored = wire::Candidate {
            device_seed: self.device.to_seed().expose().to_vec(),
            node_seed: self.node.seed().expose().to_vec(),
            request: self.request.encode(),
        };
        let bytes = Zeroizing::new(prost::Message::encode_to_vec(&stored));
        zeroize::Zeroize::zeroize(&mut stored.device_seed);
        zeroize::Zeroize::zeroize(&mut stored.node_seed);
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, IdentityError> {
        let damaged = || IdentityError::Damaged("device that waits");
        let mut stored = <wire::Candidate as prost::Message>::decode(bytes).map_err(|_| damaged())?;
        Ok(Self {
            device: DeviceSecret::from_seed(&seed("device seed", &mut stored.device_seed)?),
            node: NodeSecret::from_seed(seed("node seed", &mut stored.node_seed)?),
            request: DeviceRequest::decode(&stored.request).map_err(|_| damaged())?,
        })
    }
}
