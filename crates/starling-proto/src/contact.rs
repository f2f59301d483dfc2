//! A contact request: what a stranger says of themselves to one device, signed and then sealed.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use prost::Message as _;

use crate::ids::{AccountKey, DeviceKey, DeviceListHash, LocatorKey, MailboxAddress, OlmKey, Signature};
use crate::time::UnixSeconds;
use crate::{DecodeError, limits, wire};

/// The secret with which contacts read a locator.
#[derive(Clone, PartialEq, Eq)]
pub struct ReadKey([u8; 32]);

impl ReadKey {
    /// Wraps the bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes; never for a log.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for ReadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadKey(..)")
    }
}

/// What the requesting device signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactRequestBody {
    /// The device that the request is for.
    pub recipient: DeviceKey,
    /// Who asks.
    pub account: AccountKey,
    /// The requesting device's certificate, then that of the device which certified it, if the account did not:
    /// encoded and unchecked, 1 to [`limits::REQUEST_CERTS`].
    pub device_certs: Vec<Vec<u8>>,
    /// The requester's device list.
    pub device_list: DeviceListHash,
    /// Where the answer may be left.
    pub reply_inbox: MailboxAddress,
    /// Where the requester's addresses are found.
    pub locator: LocatorKey,
    /// What reads them.
    pub read_key: ReadKey,
    /// The requester's name: at most [`limits::NAME`] bytes.
    pub name: String,
    /// A few words: at most [`limits::CONTACT_NOTE`] bytes.
    pub note: String,
    /// Olm one-time key, made for this recipient alone.
    pub one_time_key: OlmKey,
    /// When it was made, by the requester's clock.
    pub issued: UnixSeconds,
}

impl ContactRequestBody {
    /// The bytes to sign.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::ContactRequestBody {
            recipient_device: self.recipient.as_bytes().to_vec(),
            account: self.account.as_bytes().to_vec(),
            device_certs: self.device_certs.clone(),
            device_list_hash: self.device_list.as_bytes().to_vec(),
            reply_inbox: self.reply_inbox.as_bytes().to_vec(),
            locator_key: self.locator.as_bytes().to_vec(),
            read_key: self.read_key.as_bytes().to_vec(),
            name: self.name.clone(),
            note: self.note.clone(),
            one_time_key: self.one_time_key.as_bytes().to_vec(),
            issued_s: self.issued.get(),
        }
        .encode_to_vec()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let body =
            wire::ContactRequestBody::decode(bytes).map_err(|_| DecodeError::Malformed("contact request"))?;
        limits::at_most("device certificates", body.device_certs.len(), limits::REQUEST_CERTS)?;
        if body.device_certs.is_empty() {
            return Err(DecodeError::Missing("device certificate"));
        }
        for cert in &body.device_certs {
            limits::bytes_at_most("device certificate", cert.len(), limits::DEVICE_CERT)?;
        }
        limits::bytes_at_most("name", body.name.len(), limits::NAME)?;
        limits::bytes_at_most("note", body.note.len(), limits::CONTACT_NOTE)?;
        let read_key = body.read_key.as_slice().try_into().map_err(|_| DecodeError::WrongLength {
            what: "ReadKey",
            expected: 32,
            got: body.read_key.len(),
        })?;
        Ok(Self {
            recipient: DeviceKey::from_slice(&body.recipient_device)?,
            account: AccountKey::from_slice(&body.account)?,
            device_list: DeviceListHash::from_slice(&body.device_list_hash)?,
            reply_inbox: MailboxAddress::from_slice(&body.reply_inbox)?,
            locator: LocatorKey::from_slice(&body.locator_key)?,
            read_key: ReadKey::new(read_key),
            one_time_key: OlmKey::from_slice(&body.one_time_key)?,
            issued: UnixSeconds::new(body.issued_s),
            device_certs: body.device_certs,
            name: body.name,
            note: body.note,
        })
    }
}

/// A well-formed request whose signature nobody has checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactRequest {
    body: ContactRequestBody,
    signed: Vec<u8>,
    signature: Signature,
}

impl ContactRequest {
    /// Puts a request together from the signed bytes and their signature.
    ///
    /// # Errors
    /// [`DecodeError`] if `signed` is no request, or the whole is longer than [`limits::CONTACT_REQUEST`].
    pub fn new(signed: Vec<u8>, signature: Signature) -> Result<Self, DecodeError> {
        let request = Self { body: ContactRequestBody::decode(&signed)?, signed, signature };
        limits::bytes_at_most("contact request", request.encode().len(), limits::CONTACT_REQUEST)?;
        Ok(request)
    }

    /// What was signed, as fields.
    #[must_use]
    pub const fn body(&self) -> &ContactRequestBody {
        &self.body
    }

    /// What was signed, as bytes.
    #[must_use]
    pub fn signed(&self) -> &[u8] {
        &self.signed
    }

    /// The signature, unchecked.
    #[must_use]
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The bytes to seal.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::ContactRequest { body: self.signed.clone(), signature: self.signature.as_bytes().to_vec() }
            .encode_to_vec()
    }

    /// Reads an opened request and checks its lengths.
    ///
    /// # Errors
    /// [`DecodeError`] saying which field is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        limits::bytes_at_most("contact request", bytes.len(), limits::CONTACT_REQUEST)?;
        let outer =
            wire::ContactRequest::decode(bytes).map_err(|_| DecodeError::Malformed("contact request"))?;
        Self::new(outer.body, Signature::from_slice(&outer.signature)?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn body() -> ContactRequestBody {
        ContactRequestBody {
            recipient: DeviceKey::new([1; 32]),
            account: AccountKey::new([2; 32]),
            device_certs: vec![vec![3; 280]],
            device_list: DeviceListHash::new([4; 32]),
            reply_inbox: MailboxAddress::new([5; 32]),
            locator: LocatorKey::new([6; 32]),
            read_key: ReadKey::new([7; 32]),
            name: "n".repeat(limits::NAME),
            note: "o".repeat(200),
            one_time_key: OlmKey::new([8; 32]),
            issued: UnixSeconds::new(1_800_000_000),
        }
    }

    fn request(body: &ContactRequestBody) -> Result<ContactRequest, DecodeError> {
        ContactRequest::new(body.encode(), Signature::new([9; 64]))
    }

    #[test]
    fn round_trips_within_a_kibibyte() {
        let request = request(&body()).unwrap();
        assert!(request.encode().len() <= limits::CONTACT_REQUEST, "{}", request.encode().len());
        assert_eq!(ContactRequest::decode(&request.encode()), Ok(request));
    }

    #[test]
    fn bounds_hold() {
        let long_note = ContactRequestBody { note: "x".repeat(257), name: String::new(), ..body() };
        let too_much = ContactRequestBody { device_certs: vec![vec![3; 280]; 2], ..body() };
        let many = ContactRequestBody { device_certs: vec![vec![]; 3], ..body() };
        let none = ContactRequestBody { device_certs: vec![], ..body() };
        assert!(matches!(request(&long_note), Err(DecodeError::TooLong { what: "note", .. })));
        assert!(matches!(request(&too_much), Err(DecodeError::TooLong { what: "contact request", .. })));
        assert!(matches!(request(&many), Err(DecodeError::TooMany { .. })));
        assert!(matches!(request(&none), Err(DecodeError::Missing(_))));
    }

    #[test]
    fn the_read_key_is_not_shown() {
        assert!(format!("{:?}", body()).contains("read_key: ReadKey(..)"));
    }

    proptest! {
        #[test]
        fn wir_03_truncation_is_refused_or_another_request(cut in 0usize..700) {
            let bytes = request(&body()).unwrap().encode();
            prop_assert_ne!(ContactRequest::decode(&bytes[..cut.min(bytes.len() - 1)]), request(&body()));
        }

        #[test]
        fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>) {
            if let Ok(request) = ContactRequest::decode(&bytes) {
                prop_assert_eq!(ContactRequest::decode(&request.encode()), Ok(request));
            }
        }
    }
}
