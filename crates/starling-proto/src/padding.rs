//! Padding: what is encrypted has one of a few lengths, so that its length says little about it.
//!
//! A text of `n` bytes becomes the text, one byte `0x80`, and zeros up to the smallest bucket that holds them
//! (ISO/IEC 7816-4). The end is found from behind, so no length field is needed.

use alloc::vec::Vec;

use crate::DecodeError;

/// The lengths that a padded text may have, in bytes, ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buckets(&'static [usize]);

impl Buckets {
    /// What a session encrypts.
    pub const SESSION: Self = Self(&[256, 512, 1024, 2048, 4096, 8192, 16_384]);
    /// What an envelope seals: for each bucket of [`Self::SESSION`] the one that holds its message with what the
    /// ratchet and the frame add, 130 to 238 bytes. With the session's own buckets each message would take the next
    /// larger one: 5,243 bytes for a text of 1,000 instead of 3,451.
    pub const ENVELOPE: Self = Self(&[512, 768, 1280, 2304, 4352, 8448, 16_640]);

    const MARK: u8 = 0x80;

    /// The lengths.
    #[must_use]
    pub const fn lengths(self) -> &'static [usize] {
        self.0
    }

    /// The longest text that can be padded, in bytes.
    #[must_use]
    pub fn longest(self) -> usize {
        self.0.last().map_or(0, |bucket| bucket.saturating_sub(1))
    }

    /// Fills `text` up to its bucket.
    ///
    /// # Errors
    /// [`DecodeError::TooLong`] above [`Self::longest`].
    pub fn pad(self, mut text: Vec<u8>) -> Result<Vec<u8>, DecodeError> {
        let bucket = self.0.iter().copied().find(|bucket| *bucket > text.len());
        let bucket = bucket.ok_or(DecodeError::TooLong {
            what: "text to pad",
            limit: self.longest() as u64,
            got: text.len() as u64,
        })?;
        text.reserve_exact(bucket.saturating_sub(text.len()));
        text.push(Self::MARK);
        text.resize(bucket, 0);
        Ok(text)
    }

    /// The text before the padding. A bucket larger than needed is accepted: a later version may hide more.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] for a length that is no bucket, or without a mark.
    pub fn unpad(self, padded: &[u8]) -> Result<&[u8], DecodeError> {
        let bad = DecodeError::Malformed("padding");
        if !self.0.contains(&padded.len()) {
            return Err(bad);
        }
        let mark = padded.iter().rposition(|byte| *byte != 0).ok_or(bad.clone())?;
        match padded.split_at_checked(mark) {
            Some((text, [Self::MARK, ..])) => Ok(text),
            _ => Err(bad),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prv_01_sizes_are_buckets_and_nothing_else() {
        for length in 0..=Buckets::SESSION.longest() {
            let padded = Buckets::SESSION.pad(vec![0x80; length]).unwrap();
            assert!(Buckets::SESSION.lengths().contains(&padded.len()), "{length}");
            assert_eq!(Buckets::SESSION.unpad(&padded).unwrap().len(), length);
        }
        let longest = Buckets::SESSION.longest();
        assert!(matches!(Buckets::SESSION.pad(vec![0; longest + 1]), Err(DecodeError::TooLong { .. })));
    }

    #[test]
    fn what_nobody_padded_is_refused() {
        for bad in [vec![0; 256], vec![1; 256], vec![0x80; 255], vec![], vec![0x80; 18_432]] {
            assert_eq!(Buckets::SESSION.unpad(&bad), Err(DecodeError::Malformed("padding")));
        }
    }

    proptest! {
        #[test]
        fn padding_round_trips(text in proptest::collection::vec(any::<u8>(), 0..3000)) {
            let padded = Buckets::ENVELOPE.pad(text.clone()).unwrap();
            prop_assert_eq!(Buckets::ENVELOPE.unpad(&padded), Ok(&*text));
        }
    }
}
