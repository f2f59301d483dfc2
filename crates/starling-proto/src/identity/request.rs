//! What a new device shows to one that the account has already: its keys, and the secret under which it wants its archive.
//!
//! Text form: `starling:device1…`, in either case. It goes from screen to camera, or is typed: whoever has it and the
//! archive can read the archive.

use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use prost::Message as _;

use super::DeviceCertBody;
use crate::ids::Signature;
use crate::{DecodeError, TextError, limits, text, wire};

/// A device that wants to be one of an account.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceRequest {
    /// The certificate that it wants.
    pub body: DeviceCertBody,
    /// Its own half of the certificate, unchecked.
    pub accepted: Signature,
    /// What its archive is to be encrypted with.
    pub secret: [u8; Self::SECRET],
}

impl DeviceRequest {
    /// Bytes of the secret: 128 random bits.
    pub const SECRET: usize = 16;
    /// The prefix of the text form.
    pub const PREFIX: &'static str = "device";

    /// The bytes that are kept while the device waits.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::DeviceRequest {
            body: self.body.encode(),
            accepted: self.accepted.as_bytes().to_vec(),
            secret: self.secret.to_vec(),
        }
        .encode_to_vec()
    }

    /// Reads what [`Self::encode`] gave.
    ///
    /// # Errors
    /// [`DecodeError`] saying which field is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let request =
            wire::DeviceRequest::decode(bytes).map_err(|_| DecodeError::Malformed("device request"))?;
        limits::bytes_at_most("device certificate body", request.body.len(), limits::DEVICE_CERT)?;
        let got = request.secret.len();
        let secret = request.secret.as_slice().try_into();
        Ok(Self {
            body: DeviceCertBody::decode(&request.body)?,
            accepted: Signature::from_slice(&request.accepted)?,
            secret: secret.map_err(|_| DecodeError::WrongLength {
                what: "secret",
                expected: Self::SECRET,
                got,
            })?,
        })
    }
}

/// Without the secret.
impl fmt::Debug for DeviceRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceRequest").field("body", &self.body).finish_non_exhaustive()
    }
}

/// The text form. Holds the secret: for the user's other device, never for a log.
impl fmt::Display for DeviceRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write(Self::PREFIX, &self.encode(), f)
    }
}

impl FromStr for DeviceRequest {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let bytes = text::read(Self::PREFIX, text, TextError::Device)?;
        Self::decode(&bytes).map_err(TextError::Device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{AccountKey, DeviceKey, OlmKey};
    use crate::time::UnixSeconds;

    fn request() -> DeviceRequest {
        let body = DeviceCertBody {
            account: AccountKey::new([1; 32]),
            device: DeviceKey::new([2; 32]),
            olm_identity: OlmKey::new([3; 32]),
            created: UnixSeconds::new(u64::MAX),
            can_certify: true,
        };
        DeviceRequest { body, accepted: Signature::new([4; 64]), secret: [5; 16] }
    }

    #[test]
    fn round_trips_in_either_case_and_without_the_scheme() {
        let text = alloc::format!("{}", request());
        assert!(text.starts_with("starling:device1") && text.len() < 400, "{}", text.len());
        for text in [text.as_str(), &text.to_uppercase(), text.strip_prefix("starling:").unwrap()] {
            assert_eq!(text.parse(), Ok(request()));
        }
    }

    #[test]
    fn other_texts_are_named_for_what_they_are() {
        let account = alloc::format!("{}", AccountKey::new([1; 32]));
        assert!(matches!(account.parse::<DeviceRequest>(), Err(TextError::WrongPrefix { .. })));
        let mut cut = alloc::format!("{}", request());
        cut.pop();
        assert_eq!(cut.parse::<DeviceRequest>(), Err(TextError::Checksum));
        assert!(matches!("x".repeat(5000).parse::<DeviceRequest>(), Err(TextError::Device(_))));
        let mut short = wire::DeviceRequest::decode(request().encode().as_slice()).unwrap();
        short.secret.pop();
        let refused = DeviceRequest::decode(&short.encode_to_vec());
        assert!(matches!(refused, Err(DecodeError::WrongLength { what: "secret", .. })), "{refused:?}");
    }

    #[test]
    fn the_secret_is_not_shown() {
        assert!(!alloc::format!("{:?}", request()).contains("5, 5"));
    }
}
