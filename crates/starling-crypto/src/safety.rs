//! What two people compare to know that nobody stands between them: 60 digits; and the tag beside every name.

use alloc::format;
use alloc::string::{String, ToString as _};
use core::fmt;
use core::fmt::Write as _;

use sha2::{Digest as _, Sha512};
use starling_proto::ids::AccountKey;

/// The 60 digits of two accounts: the same on both sides, and unchanged by new devices.
///
/// Signal's numeric fingerprint (libsignal, `fingerprint.rs`): for each side 5,200 rounds of SHA-512 give 30 digits; the
/// smaller half stands first. Its key is the account key and its stable identifier the account's text form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SafetyNumber(String);

impl SafetyNumber {
    /// Digits in all.
    pub const DIGITS: usize = 60;
    /// Rounds of SHA-512 for each half: what makes a search for two keys with like digits dear.
    const ROUNDS: u32 = 5200;
    /// The version of the construction, in two bytes.
    const VERSION: [u8; 2] = [0, 0];

    /// The number of two accounts, in either order.
    #[must_use]
    pub fn of(one: &AccountKey, other: &AccountKey) -> Self {
        let mut halves = [half(one), half(other)];
        halves.sort_unstable();
        Self(halves.concat())
    }

    /// The digits without blanks, as a QR code carries them.
    #[must_use]
    pub fn digits(&self) -> &str {
        &self.0
    }
}

/// Twelve groups of five, as people read them out.
impl fmt::Display for SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, digit) in self.0.chars().enumerate() {
            if at > 0 && at.is_multiple_of(5) {
                f.write_char(' ')?;
            }
            f.write_char(digit)?;
        }
        Ok(())
    }
}

/// The 30 digits of one account.
fn half(account: &AccountKey) -> String {
    let key = account.as_bytes();
    let mut hasher = Sha512::new();
    hasher.update(SafetyNumber::VERSION);
    hasher.update(key);
    hasher.update(account.to_string());
    hasher.update(key);
    let mut hash = hasher.finalize();
    for _ in 1..SafetyNumber::ROUNDS {
        hash = Sha512::new().chain_update(hash).chain_update(key).finalize();
    }
    let mut digits = String::with_capacity(SafetyNumber::DIGITS);
    for group in hash.chunks_exact(5).take(6) {
        let number = group.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte)) % 100_000;
        digits.push_str(&format!("{number:05}"));
    }
    digits
}

/// Eight letters beside a name, so that a namesake cannot pass for a contact: 40 bits of the account key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyTag([u8; 8]);

impl KeyTag {
    /// The letters of Bech32 (BIP 173): none that look alike.
    const LETTERS: &'static [u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    /// BLAKE3 context, so that the tag is no beginning of the account's text form, which is easy to grind.
    const CONTEXT: &'static str = "starling/1/key-tag";

    /// The tag of an account.
    #[must_use]
    pub fn of(account: &AccountKey) -> Self {
        let hash = blake3::derive_key(Self::CONTEXT, account.as_bytes());
        let bits = hash.iter().take(5).fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        let letter = |shift: u32| {
            let index = usize::try_from(bits >> shift & 31).unwrap_or_default();
            Self::LETTERS.get(index).copied().unwrap_or_default()
        };
        Self([35, 30, 25, 20, 15, 10, 5, 0].map(letter))
    }
}

/// Two groups of four: `qpzr-y9x8`.
impl fmt::Display for KeyTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, letter) in self.0.iter().enumerate() {
            if at == 4 {
                f.write_char('-')?;
            }
            f.write_char(char::from(*letter))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_see_the_same_digits() {
        let (ada, bob) = (AccountKey::new([1; 32]), AccountKey::new([2; 32]));
        let number = SafetyNumber::of(&ada, &bob);
        assert_eq!(number, SafetyNumber::of(&bob, &ada));
        assert_eq!(number.digits().len(), SafetyNumber::DIGITS);
        assert!(number.digits().bytes().all(|digit| digit.is_ascii_digit()));
        assert_ne!(number, SafetyNumber::of(&ada, &AccountKey::new([3; 32])));
    }

    #[test]
    fn digits_are_shown_in_twelve_groups() {
        let number = SafetyNumber::of(&AccountKey::new([1; 32]), &AccountKey::new([2; 32]));
        insta::assert_snapshot!(number, @"42308 20106 01392 53829 33985 98553 55422 35300 61239 12928 04063 88767");
    }

    #[test]
    fn a_tag_is_two_groups_of_four() {
        insta::assert_snapshot!(KeyTag::of(&AccountKey::new([1; 32])), @"j09m-p27s");
        assert_ne!(KeyTag::of(&AccountKey::new([1; 32])), KeyTag::of(&AccountKey::new([2; 32])));
    }
}
