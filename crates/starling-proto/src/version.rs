//! Versions of the protocol, and the names of networks.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use crate::{DecodeError, TextError, limits};

/// A version of the protocol. A peer of a later version speaks the highest that both know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ProtocolVersion {
    /// The first version.
    V1,
}

impl ProtocolVersion {
    /// The version this code speaks.
    pub const CURRENT: Self = Self::V1;

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::V1 => 1,
        }
    }

    /// Reads a peer's number: a later version is answered in ours.
    ///
    /// # Errors
    /// [`DecodeError::OutOfRange`] for 0, which no version has.
    pub const fn from_number(number: u32) -> Result<Self, DecodeError> {
        match number {
            0 => Err(DecodeError::OutOfRange { what: "version", got: 0 }),
            _ => Ok(Self::V1),
        }
    }
}

/// The name of a network. Peers of different networks do not speak to each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NetworkName(String);

impl NetworkName {
    /// The network that everybody is on who did not choose another.
    #[must_use]
    pub fn main() -> Self {
        Self("main".to_owned())
    }

    /// Whether this is the main network, whose stamps nobody may make cheaper.
    #[must_use]
    pub fn is_main(&self) -> bool {
        self.0 == "main"
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The ALPN of this network's connections: `starling/1/<network>`.
    #[must_use]
    pub fn alpn(&self) -> Vec<u8> {
        let mut alpn = b"starling/1/".to_vec();
        alpn.extend_from_slice(self.0.as_bytes());
        alpn
    }
}

impl FromStr for NetworkName {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if text.is_empty() || text.len() > limits::NETWORK_NAME || !text.bytes().all(allowed) {
            return Err(TextError::NetworkName);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for NetworkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_shape() {
        assert!("village-7".parse::<NetworkName>().is_ok());
        for bad in ["", "Main", "a b", "ä", &"x".repeat(33), "a/b"] {
            assert_eq!(bad.parse::<NetworkName>(), Err(TextError::NetworkName), "{bad}");
        }
    }

    #[test]
    fn the_alpn_names_version_and_network() {
        assert_eq!(NetworkName::main().alpn(), b"starling/1/main");
    }

    #[test]
    fn a_later_version_is_answered_in_ours() {
        assert_eq!(ProtocolVersion::from_number(7), Ok(ProtocolVersion::V1));
        assert!(ProtocolVersion::from_number(0).is_err());
    }
}
