//! Bytes that must not be seen, copied by accident, compared in variable time or left behind.

use alloc::boxed::Box;
use core::fmt;

use rand_core::CryptoRng;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;

/// `N` secret bytes: on the heap, so that moving the value leaves no copy; wiped when dropped; compared in constant
/// time; without `Clone`, `Display` and a telling `Debug`.
pub struct Secret<const N: usize>(Box<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// Lets `fill` write the bytes where they will stay.
    pub fn from_fn(fill: impl FnOnce(&mut [u8; N])) -> Self {
        let mut secret = Self(Box::new([0; N]));
        fill(&mut secret.0);
        secret
    }

    /// Draws the bytes.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        Self::from_fn(|bytes| rng.fill_bytes(bytes))
    }

    /// Copies the bytes; the caller wipes the original.
    #[must_use]
    pub fn copy_of(bytes: &[u8; N]) -> Self {
        Self::from_fn(|own| own.copy_from_slice(bytes))
    }

    /// The bytes, for as short as possible.
    #[must_use]
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const N: usize> PartialEq for Secret<N> {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&*other.0).into()
    }
}

impl<const N: usize> Eq for Secret<N> {}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret<{N}>(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_tells_nothing() {
        insta::assert_snapshot!(format!("{:?}", Secret::copy_of(b"sixteen letters!")), @"Secret<16>(..)");
    }

    #[test]
    fn equal_bytes_are_equal_secrets() {
        assert_eq!(Secret::copy_of(&[7; 32]), Secret::copy_of(&[7; 32]));
        let mut other = [7; 32];
        other[31] = 8;
        assert_ne!(Secret::copy_of(&[7; 32]), Secret::copy_of(&other));
    }
}
