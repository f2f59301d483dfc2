//! A key under a passphrase: Argon2id makes a key of the passphrase, XChaCha20-Poly1305 wraps the key with it.
//!
//! Layout of a wrapped key, 121 bytes, numbers big-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 5 | `SKEY` and the version, 1 |
//! | 4, 4, 4 | memory in KiB, passes, lanes |
//! | 16 | salt |
//! | 24 | nonce |
//! | 48 | the key, encrypted, and the tag, which covers all before it too |
//! | 16 | the beginning of BLAKE3 of all before: it tells a damaged file from a wrong passphrase |

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::CryptoError;
use crate::secret::Secret;

/// What a person typed to open the database. Wiped when dropped.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes the text as it was typed; blanks count.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// How much Argon2id spends on one guess at the passphrase. Kept beside the wrapped key, so that the cost can be
/// raised later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KdfParams {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl KdfParams {
    /// Most memory: 1 GiB. A file that asks for more was made to exhaust the machine.
    pub const MAX_MEMORY_KIB: u32 = 1024 * 1024;
    /// Most passes: with [`Self::MAX_MEMORY_KIB`] some ten seconds.
    pub const MAX_PASSES: u32 = 16;
    /// Most lanes.
    pub const MAX_LANES: u32 = 16;

    /// `memory_kib` KiB, gone over `passes` times in `lanes` lanes.
    ///
    /// # Errors
    /// [`CryptoError::KdfParams`] above the bounds, for a zero, or under 8 KiB a lane.
    pub const fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, CryptoError> {
        let in_bounds = memory_kib <= Self::MAX_MEMORY_KIB
            && passes >= 1
            && passes <= Self::MAX_PASSES
            && lanes >= 1
            && lanes <= Self::MAX_LANES
            && memory_kib >= lanes.saturating_mul(8);
        if in_bounds { Ok(Self { memory_kib, passes, lanes }) } else { Err(CryptoError::KdfParams) }
    }

    fn derive(self, passphrase: &Passphrase, salt: &[u8]) -> Result<Secret<32>, CryptoError> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32))
            .map_err(|_| CryptoError::KdfParams)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut result = Ok(());
        let key =
            Secret::from_fn(|key| result = argon2.hash_password_into(passphrase.0.as_bytes(), salt, key));
        match result {
            Ok(()) => Ok(key),
            Err(argon2::Error::OutOfMemory) => Err(CryptoError::OutOfMemory),
            Err(_) => Err(CryptoError::KdfParams),
        }
    }
}

/// 64 MiB, three passes, four lanes: the second choice of RFC 9106, 0.13 s on one core.
impl Default for KdfParams {
    fn default() -> Self {
        Self { memory_kib: 64 * 1024, passes: 3, lanes: 4 }
    }
}

/// A key that only the passphrase opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey {
    params: KdfParams,
    salt: [u8; 16],
    nonce: [u8; 24],
    sealed: [u8; 48],
}

impl WrappedKey {
    /// Length in bytes.
    pub const LEN: usize = 121;
    const MAGIC: &'static [u8; 4] = b"SKEY";
    const VERSION: u8 = 1;

    /// Wraps `key`. Takes as long as `params` say.
    ///
    /// # Errors
    /// [`CryptoError::OutOfMemory`] where there is not as much memory as `params` ask for.
    pub fn wrap(
        key: &Secret<32>,
        passphrase: &Passphrase,
        params: KdfParams,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, CryptoError> {
        let mut wrapped = Self { params, salt: [0; 16], nonce: [0; 24], sealed: [0; 48] };
        rng.fill_bytes(&mut wrapped.salt);
        rng.fill_bytes(&mut wrapped.nonce);
        let sealed = wrapped
            .cipher(passphrase)?
            .encrypt(&XNonce::from(wrapped.nonce), Payload { msg: key.expose(), aad: &wrapped.header() });
        #[expect(clippy::expect_used, reason = "32 bytes are within the cipher's bound and gain a tag of 16")]
        let sealed = sealed.ok().and_then(|sealed| sealed.try_into().ok()).expect("48 bytes");
        Ok(Self { sealed, ..wrapped })
    }

    /// Unwraps the key. Takes as long as it took to wrap it.
    ///
    /// # Errors
    /// [`CryptoError::WrongPassphrase`]; [`CryptoError::OutOfMemory`] as for [`Self::wrap`].
    pub fn unwrap(&self, passphrase: &Passphrase) -> Result<Secret<32>, CryptoError> {
        let payload = Payload { msg: &self.sealed, aad: &self.header() };
        let opened = self
            .cipher(passphrase)?
            .decrypt(&XNonce::from(self.nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| CryptoError::WrongPassphrase)?;
        let key: &[u8; 32] = opened.as_slice().try_into().map_err(|_| CryptoError::DamagedKey)?;
        Ok(Secret::copy_of(key))
    }

    /// The bytes to keep.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.header();
        bytes.extend_from_slice(&self.sealed);
        bytes.extend_from_slice(&checksum(&bytes));
        bytes
    }

    /// Reads what was kept. Nothing in it is believed: memory and passes are bounded before they are spent.
    ///
    /// # Errors
    /// [`CryptoError::DamagedKey`] for a cut or changed file, [`CryptoError::UnknownVersion`],
    /// [`CryptoError::KdfParams`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CryptoError> {
        let damaged = CryptoError::DamagedKey;
        let mut rest = bytes;
        let [magic @ .., version] = take::<5>(&mut rest)?;
        if magic != *Self::MAGIC {
            return Err(damaged);
        }
        if version != Self::VERSION {
            return Err(CryptoError::UnknownVersion { known: Self::VERSION, got: version });
        }
        let (memory_kib, passes, lanes) = (take(&mut rest)?, take(&mut rest)?, take(&mut rest)?);
        let (salt, nonce, sealed) = (take(&mut rest)?, take(&mut rest)?, take(&mut rest)?);
        let covered = bytes.len().checked_sub(rest.len()).and_then(|end| bytes.get(..end));
        if covered.map(checksum).as_ref().map(<[u8; 16]>::as_slice) != Some(rest) {
            return Err(damaged);
        }
        let number = u32::from_be_bytes;
        let params = KdfParams::new(number(memory_kib), number(passes), number(lanes))?;
        Ok(Self { params, salt, nonce, sealed })
    }

    /// What stands before the sealed key and is authenticated with it.
    fn header(&self) -> Vec<u8> {
        let KdfParams { memory_kib, passes, lanes } = self.params;
        let mut bytes = Vec::with_capacity(Self::LEN);
        bytes.extend_from_slice(Self::MAGIC);
        bytes.push(Self::VERSION);
        for number in [memory_kib, passes, lanes] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&self.salt);
        bytes.extend_from_slice(&self.nonce);
        bytes
    }

    fn cipher(&self, passphrase: &Passphrase) -> Result<XChaCha20Poly1305, CryptoError> {
        let key = self.params.derive(passphrase, &self.salt)?;
        Ok(XChaCha20Poly1305::new(key.expose().into()))
    }
}

/// Takes the next `N` bytes.
fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], CryptoError> {
    let (taken, after) = rest.split_first_chunk::<N>().ok_or(CryptoError::DamagedKey)?;
    *rest = after;
    Ok(*taken)
}

fn checksum(bytes: &[u8]) -> [u8; 16] {
    let mut sum = [0; 16];
    blake3::Hasher::new().update(bytes).finalize_xof().fill(&mut sum);
    sum
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    use super::*;

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::new(text.to_owned())
    }

    /// The least that Argon2 allows, so that tests are quick.
    fn wrapped() -> WrappedKey {
        let params = KdfParams::new(8, 1, 1).unwrap();
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        WrappedKey::wrap(&Secret::copy_of(&[2; 32]), &passphrase("sesame"), params, &mut rng).unwrap()
    }

    #[test]
    fn the_passphrase_opens_the_key() {
        let read = WrappedKey::decode(&wrapped().encode()).unwrap();
        assert_eq!(read.unwrap(&passphrase("sesame")), Ok(Secret::copy_of(&[2; 32])));
        assert_eq!(wrapped().encode().len(), WrappedKey::LEN);
    }

    #[test]
    fn ida_13_a_wrong_passphrase_is_told_from_a_damaged_file() {
        for wrong in ["", "Sesame", "sesame "] {
            assert_eq!(wrapped().unwrap(&passphrase(wrong)), Err(CryptoError::WrongPassphrase));
        }
        let whole = wrapped().encode();
        for cut in 0..whole.len() {
            assert_eq!(WrappedKey::decode(&whole[..cut]), Err(CryptoError::DamagedKey), "cut at {cut}");
        }
        let mut longer = whole;
        longer.push(0);
        assert_eq!(WrappedKey::decode(&longer), Err(CryptoError::DamagedKey));
    }

    #[test]
    fn dsk_03_every_flipped_bit_is_noticed() {
        let whole = wrapped().encode();
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let expected = match bit / 8 {
                4 => CryptoError::UnknownVersion { known: 1, got: flipped[4] },
                _ => CryptoError::DamagedKey,
            };
            assert_eq!(WrappedKey::decode(&flipped), Err(expected), "bit {bit}");
        }
    }

    #[test]
    fn a_hostile_file_cannot_ask_for_the_machine() {
        for (at, number) in [(5, u32::MAX), (5, 1024 * 1024 + 1), (5, 7), (9, 17), (9, 0), (13, 17), (13, 0)]
        {
            let mut bytes = wrapped().encode();
            bytes[at..at + 4].copy_from_slice(&number.to_be_bytes());
            bytes.truncate(WrappedKey::LEN - 16);
            bytes.extend_from_slice(&checksum(&bytes));
            assert_eq!(WrappedKey::decode(&bytes), Err(CryptoError::KdfParams), "{number} at {at}");
        }
    }

    #[test]
    fn ida_13_the_default_is_slow() {
        // RFC 9106, section 4, second recommendation.
        assert_eq!(KdfParams::default(), KdfParams::new(64 * 1024, 3, 4).unwrap());
    }

    #[test]
    fn weaker_parameters_cannot_be_slipped_in() {
        // Parameters are authenticated: a file with other ones, and a good checksum, opens under no passphrase.
        let mut changed = wrapped();
        changed.params = KdfParams::new(16, 1, 1).unwrap();
        let read = WrappedKey::decode(&changed.encode()).unwrap();
        assert_eq!(read.unwrap(&passphrase("sesame")), Err(CryptoError::WrongPassphrase));
    }

    #[test]
    fn two_wraps_of_one_key_differ() {
        let mut rng = ChaCha20Rng::from_seed([9; 32]);
        let params = KdfParams::new(8, 1, 1).unwrap();
        let other =
            WrappedKey::wrap(&Secret::copy_of(&[2; 32]), &passphrase("sesame"), params, &mut rng).unwrap();
        assert_ne!(other.salt, wrapped().salt);
        assert_ne!(other.nonce, wrapped().nonce);
    }

    #[test]
    fn debug_tells_nothing() {
        insta::assert_snapshot!(format!("{:?}", passphrase("sesame")), @"Passphrase(..)");
    }
}
