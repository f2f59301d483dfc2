//! Keys and ids: one newtype for each, so that no two can be confused.
//!
//! Text forms are Bech32m (BIP 350): a human prefix, `1`, the bytes in base 32, and a checksum that finds any four
//! wrong letters. Lower case is written; either case is read, mixed case is refused.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use bech32::{Bech32m, Hrp};

use crate::{DecodeError, TextError};

/// Writes `bytes` as Bech32m under `prefix`.
fn to_text(prefix: &'static str, bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let hrp = Hrp::parse(prefix).map_err(|_| fmt::Error)?;
    let text = bech32::encode::<Bech32m>(hrp, bytes).map_err(|_| fmt::Error)?;
    f.pad(&text)
}

/// Reads a Bech32m text that must carry `prefix` and `N` bytes.
fn from_text<const N: usize>(prefix: &'static str, text: &str) -> Result<[u8; N], TextError> {
    let checked = bech32::primitives::decode::CheckedHrpstring::new::<Bech32m>(text)
        .map_err(|_| TextError::Checksum)?;
    let hrp = checked.hrp().to_lowercase();
    if hrp != prefix {
        return Err(TextError::WrongPrefix { expected: prefix, got: hrp });
    }
    let mut bytes = [0; N];
    let mut found: usize = 0;
    for byte in checked.byte_iter() {
        if let Some(slot) = bytes.get_mut(found) {
            *slot = byte;
        }
        found = found.saturating_add(1);
    }
    if found == N { Ok(bytes) } else { Err(TextError::WrongLength { expected: N, got: found }) }
}

/// Defines an id: `$n` bytes with the Bech32m prefix `$prefix`.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $n:literal, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $n]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $n;
            /// The human prefix of the text form.
            pub const PREFIX: &'static str = $prefix;

            /// Wraps the bytes. Nothing is checked: whether a key is a point of its curve is for the verifier.
            #[must_use]
            pub const fn new(bytes: [u8; $n]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $n] {
                &self.0
            }

            /// Reads exactly [`Self::LEN`] bytes.
            ///
            /// # Errors
            /// [`DecodeError::WrongLength`] for any other number.
            pub fn from_slice(bytes: &[u8]) -> Result<Self, DecodeError> {
                bytes.try_into().map(Self).map_err(|_| DecodeError::WrongLength {
                    what: stringify!($name),
                    expected: $n,
                    got: bytes.len(),
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                to_text($prefix, &self.0, f)
            }
        }

        /// The first four bytes: enough to tell two apart in a failing test, too little to trace anybody by a log.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let [a, b, c, d, ..] = self.0;
                write!(f, concat!(stringify!($name), "({:02x}{:02x}{:02x}{:02x})"), a, b, c, d)
            }
        }

        impl FromStr for $name {
            type Err = TextError;

            fn from_str(text: &str) -> Result<Self, TextError> {
                from_text($prefix, text).map(Self)
            }
        }
    };
}

id! {
    /// A user's identity: an Ed25519 public key, from the recovery phrase. Never a routing id.
    AccountKey, 32, "starling"
}
id! {
    /// One installation of a user: an Ed25519 public key that the account certifies.
    DeviceKey, 32, "stardev"
}
id! {
    /// A peer on the network: an Ed25519 public key, unrelated to account and device, replaceable at will.
    NodeKey, 32, "starnode"
}
id! {
    /// A peer's place in the overlay: BLAKE3 of its node key.
    NodeId, 32, "starid"
}
id! {
    /// A place in the overlay where records are kept, in the same space as [`NodeId`].
    RecordKey, 32, "starkey"
}
id! {
    /// One version of one record: BLAKE3 of its body.
    RecordId, 32, "starrec"
}
id! {
    /// The Ed25519 public key that signed a record; which key that must be depends on the kind.
    PublisherKey, 32, "starpub"
}
id! {
    /// A mailbox: the Ed25519 public key whose owner may list and delete what is deposited.
    MailboxAddress, 32, "starbox"
}
id! {
    /// The key pair under which contacts find a device's addresses.
    LocatorKey, 32, "starloc"
}
id! {
    /// An Olm key (Curve25519): identity, fallback or one-time.
    OlmKey, 32, "starolm"
}
id! {
    /// BLAKE3 of a device list's body.
    DeviceListHash, 32, "starlist"
}
id! {
    /// An Olm session.
    SessionId, 32, "starsess"
}
id! {
    /// A message: 128 random bits, chosen by the sender.
    MessageId, 16, "starmsg"
}

impl NodeKey {
    /// The peer's place in the overlay, as every peer computes it.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        NodeId(*blake3::hash(&self.0).as_bytes())
    }
}

impl RecordKey {
    /// The same place, as a target of a node lookup.
    #[must_use]
    pub const fn as_node_id(&self) -> NodeId {
        NodeId(self.0)
    }

    /// `BLAKE3` in key-derivation mode over `material`; the domain keeps kinds of keys apart.
    #[must_use]
    pub fn derive(domain: KeyDomain, material: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(domain.context());
        for part in material {
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// Where the account record of `account` is kept.
    #[must_use]
    pub fn for_account(account: &AccountKey) -> Self {
        Self::derive(KeyDomain::AccountRecord, &[account.as_bytes()])
    }

    /// Where the bundle of `device` is kept.
    #[must_use]
    pub fn for_bundle(device: &DeviceKey) -> Self {
        Self::derive(KeyDomain::Bundle, &[device.as_bytes()])
    }

    /// Where entries are kept whose words have the indexed beginning `token`.
    #[must_use]
    pub fn for_token(token: &str) -> Self {
        Self::derive(KeyDomain::Directory, &[token.as_bytes()])
    }

    /// Where the locator record of `locator` is kept in `epoch`.
    #[must_use]
    pub fn for_locator(locator: &LocatorKey, epoch: u32) -> Self {
        Self::derive(KeyDomain::Locator, &[locator.as_bytes(), &epoch.to_be_bytes()])
    }

    /// Where deposits for `address` are kept.
    #[must_use]
    pub fn for_mailbox(address: &MailboxAddress) -> Self {
        Self::derive(KeyDomain::Mailbox, &[address.as_bytes()])
    }
}

/// Which kind of thing a record key is derived from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyDomain {
    /// Account records.
    AccountRecord,
    /// Bundles.
    Bundle,
    /// Directory entries.
    Directory,
    /// Locators.
    Locator,
    /// Deposits.
    Mailbox,
}

impl KeyDomain {
    /// The BLAKE3 context string: fixed for ever, or old records cannot be found.
    const fn context(self) -> &'static str {
        match self {
            Self::AccountRecord => "starling/1/key/account-record",
            Self::Bundle => "starling/1/key/bundle",
            Self::Directory => "starling/1/key/directory",
            Self::Locator => "starling/1/key/locator",
            Self::Mailbox => "starling/1/key/mailbox",
        }
    }
}

/// XOR distance between two places; orders like the number it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Distance([u8; 32]);

impl Distance {
    /// The greatest distance there is.
    pub const MAX: Self = Self([0xff; 32]);

    /// Number of leading bits that the two places share: 0 to 256.
    #[must_use]
    pub fn shared_bits(&self) -> u32 {
        let mut bits: u32 = 0;
        for byte in self.0 {
            bits = bits.saturating_add(byte.leading_zeros());
            if byte != 0 {
                break;
            }
        }
        bits
    }
}

impl NodeId {
    /// XOR distance to `other` (Maymounkov and Mazières, 2002).
    #[must_use]
    pub fn distance(&self, other: &Self) -> Distance {
        let mut xor = self.0;
        for (byte, with) in xor.iter_mut().zip(other.0) {
            *byte ^= with;
        }
        Distance(xor)
    }
}

/// A signature: 64 bytes of Ed25519, unchecked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl Signature {
    /// Length in bytes.
    pub const LEN: usize = 64;

    /// Wraps the bytes; only a verifier can say what they are worth.
    #[must_use]
    pub const fn new(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }

    /// Reads exactly 64 bytes.
    ///
    /// # Errors
    /// [`DecodeError::WrongLength`] for any other number.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, DecodeError> {
        bytes.try_into().map(Self).map_err(|_| DecodeError::WrongLength {
            what: "Signature",
            expected: Self::LEN,
            got: bytes.len(),
        })
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(..)")
    }
}

/// An unambiguous beginning of an id's text form, for people who will not type sixty letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdPrefix(String);

impl IdPrefix {
    /// Fewest letters after the human prefix that count: 8, that is 40 bits, so that a clash is an attack.
    pub const MIN_LETTERS: usize = 8;

    /// Reads a beginning of an account's text form, with or without `starling1`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let letters = lower.strip_prefix("starling1").unwrap_or(&lower);
        let plausible = letters.len() >= Self::MIN_LETTERS
            && letters.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
        plausible.then(|| Self(letters.to_string()))
    }

    /// Whether `account` begins like this.
    #[must_use]
    pub fn matches(&self, account: &AccountKey) -> bool {
        let text = account.to_string();
        text.strip_prefix("starling1").is_some_and(|letters| letters.starts_with(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_form_is_stable() {
        assert_eq!(
            AccountKey::new([0x11; 32]).to_string(),
            "starling1zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygsrmn690"
        );
    }

    #[test]
    fn node_id_is_blake3_of_the_key() {
        let key = NodeKey::new([3; 32]);
        assert_eq!(key.node_id().as_bytes(), blake3::hash(&[3; 32]).as_bytes());
    }

    #[test]
    fn an_id_of_another_kind_is_named() {
        let text = DeviceKey::new([9; 32]).to_string();
        let error = AccountKey::from_str(&text).unwrap_err();
        assert_eq!(error, TextError::WrongPrefix { expected: "starling", got: "stardev".into() });
    }

    #[test]
    fn a_short_payload_is_refused() {
        let text = bech32::encode::<Bech32m>(Hrp::parse("starling").unwrap(), &[1; 31]).unwrap();
        assert_eq!(AccountKey::from_str(&text), Err(TextError::WrongLength { expected: 32, got: 31 }));
    }

    #[test]
    fn debug_shows_only_four_bytes() {
        assert_eq!(format!("{:?}", AccountKey::new([0xab; 32])), "AccountKey(abababab)");
    }

    #[test]
    fn domains_keep_keys_apart() {
        let account = RecordKey::derive(KeyDomain::AccountRecord, &[&[1; 32]]);
        let bundle = RecordKey::derive(KeyDomain::Bundle, &[&[1; 32]]);
        assert_ne!(account, bundle);
    }

    #[test]
    fn a_prefix_needs_eight_letters() {
        let account = AccountKey::new([0x11; 32]);
        assert_eq!(IdPrefix::parse("zyg3zyg"), None);
        assert!(IdPrefix::parse("zyg3zyg3").unwrap().matches(&account));
        assert!(IdPrefix::parse("STARLING1ZYG3ZYG3Z").unwrap().matches(&account));
        assert!(!IdPrefix::parse("qqqqqqqq").unwrap().matches(&account));
        assert_eq!(IdPrefix::parse("zyg3 yg3z"), None);
    }

    proptest! {
        #[test]
        fn text_round_trips(bytes: [u8; 32]) {
            let key = AccountKey::new(bytes);
            prop_assert_eq!(AccountKey::from_str(&key.to_string()), Ok(key));
        }

        #[test]
        fn one_wrong_letter_is_found(bytes: [u8; 32], at in 9usize..67, letter in 0usize..32) {
            let text = AccountKey::new(bytes).to_string();
            let new = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l"[letter] as char;
            let changed: String = text.chars().enumerate().map(|(i, c)| if i == at { new } else { c }).collect();
            prop_assume!(changed != text);
            prop_assert_eq!(AccountKey::from_str(&changed), Err(TextError::Checksum));
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "\\PC{0,100}") {
            let _ = AccountKey::from_str(&text);
        }

        #[test]
        fn distance_is_a_metric(a: [u8; 32], b: [u8; 32]) {
            let (a, b) = (NodeId::new(a), NodeId::new(b));
            prop_assert_eq!(a.distance(&b), b.distance(&a));
            prop_assert_eq!(a.distance(&a).shared_bits(), 256);
        }
    }
}
