//! Contact requests: signed by the requesting device, sealed to the device that is asked.

use alloc::vec::Vec;

use rand_core::CryptoRng;
use starling_proto::contact::{ContactRequest, ContactRequestBody};
use starling_proto::identity::{DeviceCert, Envelope};
use starling_proto::ids::{DeviceKey, MailboxAddress};
use starling_proto::padding::Buckets;

use super::{Destination, InboxKeys, seal};
use crate::CryptoError;
use crate::identity::{VerifiedDevice, verify_chain};
use crate::keys::{DeviceSecret, SigningSecret as _};
use crate::sign::{SigningDomain, verify};

/// A request whose signature, certificates and recipient have been checked. That the requesting device is active is
/// for the account record to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRequest {
    body: ContactRequestBody,
    device: VerifiedDevice,
}

impl VerifiedRequest {
    /// What the device said.
    #[must_use]
    pub const fn body(&self) -> &ContactRequestBody {
        &self.body
    }

    /// The device that said it.
    #[must_use]
    pub const fn device(&self) -> &VerifiedDevice {
        &self.device
    }
}

/// Signs a request and seals it to the device it names.
///
/// # Errors
/// [`CryptoError::WrongRecipient`] if `to` is another device, [`CryptoError::UnknownDevice`] if `device` is not the
/// certified one, [`CryptoError::Decode`] if the request is too long, and what [`seal`] gives.
pub fn seal_request(
    body: &ContactRequestBody,
    device: &DeviceSecret,
    to: Destination<'_>,
    rng: &mut dyn CryptoRng,
) -> Result<Envelope, CryptoError> {
    if body.recipient != to.device {
        return Err(CryptoError::WrongRecipient);
    }
    let signed = body.encode();
    let signature = device.sign(SigningDomain::ContactRequest, &signed);
    let request = ContactRequest::new(signed, signature)?;
    check(&request)?;
    // Padded like what a session says, so that all requests have one length.
    seal(to, Buckets::SESSION.pad(request.encode())?, rng)
}

/// Opens a request that lay at `mailbox` for `device`, and checks it.
///
/// # Errors
/// What [`InboxKeys::open`] gives, [`CryptoError::Decode`] if it is no request, [`CryptoError::WrongRecipient`] if it
/// was written to another device and sent on, [`CryptoError`] saying which certificate or signature is wrong.
pub fn open_request(
    keys: &InboxKeys,
    device: &DeviceKey,
    mailbox: &MailboxAddress,
    envelope: &Envelope,
) -> Result<VerifiedRequest, CryptoError> {
    let padded = keys.open(device, mailbox, envelope)?;
    let request = ContactRequest::decode(Buckets::SESSION.unpad(&padded)?)?;
    if request.body().recipient != *device {
        return Err(CryptoError::WrongRecipient);
    }
    let requester = check(&request)?;
    Ok(VerifiedRequest { body: request.body().clone(), device: requester })
}

fn check(request: &ContactRequest) -> Result<VerifiedDevice, CryptoError> {
    let body = request.body();
    let certs = body.device_certs.iter().map(|cert| DeviceCert::decode(cert));
    let certs = certs.collect::<Result<Vec<_>, _>>()?;
    let device = verify_chain(&body.account, &certs)?;
    let key = device.key();
    verify(SigningDomain::ContactRequest, key.as_bytes(), request.signed(), request.signature())?;
    Ok(device)
}

#[cfg(test)]
mod tests;
