//! Device lists: which installations speak for an account.

use alloc::boxed::Box;
use alloc::vec::Vec;

use prost::Message as _;

use super::{DeviceCert, Signer};
use crate::ids::{AccountKey, DeviceKey, DeviceListHash, Signature};
use crate::time::UnixSeconds;
use crate::{DecodeError, count, limits, wire};

/// Who took a device off, with the signature over the body of the device's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// Who revoked.
    pub revoker: Signer,
    /// The revoker's signature, unchecked.
    pub signature: Signature,
}

/// A device and whether it is still one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedDevice {
    /// The device's certificate.
    pub cert: DeviceCert,
    /// Set once the device has been revoked. It stays listed, so that certificates which it issued can be checked.
    pub revocation: Option<Revocation>,
}

impl ListedDevice {
    /// The device.
    #[must_use]
    pub const fn key(&self) -> DeviceKey {
        self.cert.body().device
    }

    /// Whether it has not been revoked.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.revocation.is_none()
    }

    fn to_wire(&self, account: &AccountKey) -> wire::ListedDevice {
        let (revoker, revocation) = self.revocation.map_or_else(Default::default, |revocation| {
            (revocation.revoker.key(account).to_vec(), revocation.signature.as_bytes().to_vec())
        });
        wire::ListedDevice { cert: self.cert.encode(), revoker, revocation }
    }

    fn from_wire(device: &wire::ListedDevice, account: &AccountKey) -> Result<Self, DecodeError> {
        let revocation = if device.revoker.is_empty() && device.revocation.is_empty() {
            None
        } else {
            Some(Revocation {
                revoker: Signer::from_slice(&device.revoker, account)?,
                signature: Signature::from_slice(&device.revocation)?,
            })
        };
        Ok(Self { cert: DeviceCert::decode(&device.cert)?, revocation })
    }
}

/// What the signer of a list signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceListBody {
    /// The account.
    pub account: AccountKey,
    /// Grows with every list.
    pub version: u64,
    /// The list before; `None` in the first list and after a recovery.
    pub previous: Option<DeviceListHash>,
    /// In the order of certification: 1 to [`limits::LISTED_DEVICES`], of which at most [`limits::DEVICES`] active,
    /// none of them twice.
    pub devices: Vec<ListedDevice>,
    /// When the list should have been signed again. A list past it is still the newest that there is.
    pub not_after: UnixSeconds,
    /// The newest list that the account key signed; `None` if this is one itself. It has none of its own.
    pub anchor: Option<Box<DeviceList>>,
}

impl DeviceListBody {
    /// The bytes to sign.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::DeviceListBody {
            account: self.account.as_bytes().to_vec(),
            version: self.version,
            previous: self.previous.map_or_else(Vec::new, |hash| hash.as_bytes().to_vec()),
            devices: self.devices.iter().map(|device| device.to_wire(&self.account)).collect(),
            not_after_s: self.not_after.get(),
            anchor: self.anchor.as_ref().map_or_else(Vec::new, |anchor| anchor.encode()),
        }
        .encode_to_vec()
    }

    /// The devices that are not revoked.
    pub fn active(&self) -> impl Iterator<Item = &ListedDevice> {
        self.devices.iter().filter(|device| device.is_active())
    }

    fn decode(bytes: &[u8], anchor: Anchor) -> Result<Self, DecodeError> {
        count::at_most("listed devices", bytes, 4, limits::LISTED_DEVICES)?;
        let body =
            wire::DeviceListBody::decode(bytes).map_err(|_| DecodeError::Malformed("device list body"))?;
        let account = AccountKey::from_slice(&body.account)?;
        let list = Self {
            version: body.version,
            previous: non_empty(&body.previous).map(DeviceListHash::from_slice).transpose()?,
            devices: body
                .devices
                .iter()
                .map(|device| ListedDevice::from_wire(device, &account))
                .collect::<Result<_, _>>()?,
            not_after: UnixSeconds::new(body.not_after_s),
            anchor: non_empty(&body.anchor).map(|bytes| anchor.decode(bytes)).transpose()?,
            account,
        };
        list.check()
    }

    /// What only the whole list can show.
    fn check(self) -> Result<Self, DecodeError> {
        if self.devices.is_empty() {
            return Err(DecodeError::Missing("device"));
        }
        limits::at_most("active devices", self.active().count(), limits::DEVICES)?;
        let mut keys: Vec<_> = self.devices.iter().map(ListedDevice::key).collect();
        keys.sort_unstable();
        keys.dedup();
        if keys.len() == self.devices.len() { Ok(self) } else { Err(DecodeError::Malformed("device list")) }
    }
}

/// Whether the list that is read may carry an anchor: an anchor may not, so that lists never nest deeper.
#[derive(Clone, Copy)]
enum Anchor {
    Allowed,
    Refused,
}

impl Anchor {
    fn decode(self, bytes: &[u8]) -> Result<Box<DeviceList>, DecodeError> {
        match self {
            Self::Allowed => DeviceList::decode_with(bytes, Self::Refused).map(Box::new),
            Self::Refused => Err(DecodeError::Malformed("anchor")),
        }
    }
}

fn non_empty(bytes: &[u8]) -> Option<&[u8]> {
    (!bytes.is_empty()).then_some(bytes)
}

/// A device list whose signatures nobody has checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceList {
    body: DeviceListBody,
    signed: Vec<u8>,
    signer: Signer,
    signature: Signature,
}

impl DeviceList {
    /// Puts a list together from the signed bytes and their signature.
    ///
    /// # Errors
    /// [`DecodeError`] if `signed` is no list body, or too long.
    pub fn new(signed: Vec<u8>, signer: Signer, signature: Signature) -> Result<Self, DecodeError> {
        limits::bytes_at_most("device list body", signed.len(), limits::DEVICE_LIST)?;
        Ok(Self { body: DeviceListBody::decode(&signed, Anchor::Allowed)?, signed, signer, signature })
    }

    /// What was signed, as fields.
    #[must_use]
    pub const fn body(&self) -> &DeviceListBody {
        &self.body
    }

    /// What was signed, as bytes.
    #[must_use]
    pub fn signed(&self) -> &[u8] {
        &self.signed
    }

    /// Who signed.
    #[must_use]
    pub const fn signer(&self) -> Signer {
        self.signer
    }

    /// The signature, unchecked.
    #[must_use]
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// BLAKE3 of the signed bytes: what the next list and every message name.
    #[must_use]
    pub fn hash(&self) -> DeviceListHash {
        DeviceListHash::new(*blake3::hash(&self.signed).as_bytes())
    }

    /// The bytes that travel.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::DeviceList {
            body: self.signed.clone(),
            signer: self.signer.key(&self.body.account).to_vec(),
            signature: self.signature.as_bytes().to_vec(),
        }
        .encode_to_vec()
    }

    /// Reads a list and checks its lengths and counts.
    ///
    /// # Errors
    /// [`DecodeError`] saying which field is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_with(bytes, Anchor::Allowed)
    }

    fn decode_with(bytes: &[u8], anchor: Anchor) -> Result<Self, DecodeError> {
        limits::bytes_at_most("device list", bytes.len(), limits::DEVICE_LIST)?;
        let list = wire::DeviceList::decode(bytes).map_err(|_| DecodeError::Malformed("device list"))?;
        let body = DeviceListBody::decode(&list.body, anchor)?;
        Ok(Self {
            signer: Signer::from_slice(&list.signer, &body.account)?,
            signature: Signature::from_slice(&list.signature)?,
            signed: list.body,
            body,
        })
    }
}
