//! The recovery phrase: 24 words from which the account key can be made again.

use alloc::string::String;
use core::fmt;

use bip39::{Language, Mnemonic};
use zeroize::{Zeroize as _, Zeroizing};

use crate::CryptoError;
use crate::keys::AccountSecret;
use crate::secret::Secret;

/// 24 English words that stand for 256 bits of entropy and 8 of checksum (BIP 39). Wiped when dropped.
pub struct RecoveryPhrase(Mnemonic);

impl RecoveryPhrase {
    /// Words of a phrase.
    pub const WORDS: usize = 24;
    /// BLAKE3 context under which the entropy becomes the account's seed: fixed for ever.
    const CONTEXT: &'static str = "starling/1/account-seed";

    /// The phrase of this entropy.
    #[must_use]
    pub fn from_entropy(entropy: &Secret<32>) -> Self {
        #[expect(clippy::expect_used, reason = "BIP 39 has a phrase for every 32 bytes")]
        Self(Mnemonic::from_entropy(entropy.expose()).expect("32 bytes are 24 words"))
    }

    /// Reads what a person typed: words in any case, any blanks between them.
    ///
    /// # Errors
    /// [`CryptoError::PhraseLength`], [`CryptoError::PhraseWord`] or [`CryptoError::PhraseChecksum`]; none of them
    /// repeats a word.
    pub fn parse(text: &str) -> Result<Self, CryptoError> {
        let got = text.split_whitespace().take(2 * Self::WORDS).count();
        if got != Self::WORDS {
            return Err(CryptoError::PhraseLength { expected: Self::WORDS, got });
        }
        let lower = Zeroizing::new(text.to_lowercase());
        Mnemonic::parse_in_normalized(Language::English, &lower).map(Self).map_err(|error| match error {
            bip39::Error::UnknownWord(index) => CryptoError::PhraseWord { position: index.saturating_add(1) },
            _ => CryptoError::PhraseChecksum,
        })
    }

    /// The words, in order.
    pub fn words(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.words()
    }

    /// The words with single blanks between them, as they are shown once.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(Self::WORDS.saturating_mul(9)));
        for word in self.words() {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(word);
        }
        text
    }

    /// The account: its seed is BLAKE3 in key-derivation mode over the entropy. No stretching is needed, since nobody
    /// chose these words.
    #[must_use]
    pub fn account(&self) -> AccountSecret {
        let (mut entropy, length) = self.0.to_entropy_array();
        let seed = Secret::from_fn(|seed| {
            *seed = blake3::derive_key(Self::CONTEXT, entropy.get(..length).unwrap_or_default());
        });
        entropy.zeroize();
        AccountSecret::from_seed(&seed)
    }
}

impl fmt::Debug for RecoveryPhrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryPhrase(..)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn phrase() -> RecoveryPhrase {
        RecoveryPhrase::from_entropy(&Secret::copy_of(&[0x7f; 32]))
    }

    /// From the test vectors of BIP 39 (github.com/trezor/python-mnemonic, vectors.json).
    const VECTOR: &str = "legal winner thank year wave sausage worth useful legal winner thank year wave sausage \
                          worth useful legal winner thank year wave sausage worth title";

    #[test]
    fn words_are_those_of_bip_39() {
        assert_eq!(&*phrase().to_text(), VECTOR);
    }

    #[test]
    fn case_and_blanks_do_not_matter() {
        let typed = format!("\n  {}\t", VECTOR.to_uppercase().replace(' ', "\n "));
        assert_eq!(RecoveryPhrase::parse(&typed).unwrap().account().public(), phrase().account().public());
    }

    #[test]
    fn the_length_is_named() {
        let refused = |text: &str| RecoveryPhrase::parse(text).unwrap_err();
        assert_eq!(refused(""), CryptoError::PhraseLength { expected: 24, got: 0 });
        assert_eq!(refused("legal winner"), CryptoError::PhraseLength { expected: 24, got: 2 });
        let endless = "zoo ".repeat(1_000_000);
        assert_eq!(refused(&endless), CryptoError::PhraseLength { expected: 24, got: 48 });
        // Twelve words are a phrase of BIP 39 and none of ours.
        let twelve = "legal winner thank year wave sausage worth useful legal winner thank yellow";
        assert_eq!(refused(twelve), CryptoError::PhraseLength { expected: 24, got: 12 });
    }

    #[test]
    fn a_wrong_word_is_named_by_its_place_and_not_repeated() {
        let error = RecoveryPhrase::parse(&VECTOR.replacen("thank", "thanx", 1)).unwrap_err();
        assert_eq!(error, CryptoError::PhraseWord { position: 3 });
        insta::assert_snapshot!(error, @"word 3 of the recovery phrase is not on the word list");
    }

    #[test]
    fn swapped_words_are_noticed() {
        let swapped = VECTOR.replacen("legal winner", "winner legal", 1);
        assert_eq!(RecoveryPhrase::parse(&swapped).unwrap_err(), CryptoError::PhraseChecksum);
    }

    #[test]
    fn debug_tells_nothing() {
        insta::assert_snapshot!(format!("{:?}", phrase()), @"RecoveryPhrase(..)");
    }

    proptest! {
        #[test]
        fn entropy_survives(entropy: [u8; 32]) {
            let phrase = RecoveryPhrase::from_entropy(&Secret::copy_of(&entropy));
            let again = RecoveryPhrase::parse(&phrase.to_text()).unwrap();
            prop_assert_eq!(again.account().public(), phrase.account().public());
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "\\PC{0,200}") {
            prop_assert!(RecoveryPhrase::parse(&text).is_err());
        }
    }
}
