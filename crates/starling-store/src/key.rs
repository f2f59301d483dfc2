//! The data key and the file that keeps it.
//!
//! ```text
//! starling-key 1
//! passphrase 0001…        the wrapped key, in hexadecimal; or: none 6f5c… , the key itself
//! check 9d3b…             BLAKE3 of the lines above, 16 bytes
//! ```
//!
//! The check tells a damaged file from a wrong passphrase. It proves nothing against an attacker, who can compute it.

use std::sync::Arc;

use rand_core::CryptoRng;
use starling_crypto::CryptoError;
use starling_crypto::kdf::{KdfParams, Passphrase, WrappedKey};
use starling_crypto::secret::Secret;
use zeroize::Zeroizing;

use crate::home::{Home, HomeLock};
use crate::{StoreError, files, hex};

/// The version of the key file that this program writes.
const VERSION: u32 = 1;
/// Bytes of a key file, many times what one needs.
const FILE_LIMIT: u64 = 4096;
/// Bytes of the check.
const CHECK_LEN: usize = 16;

/// What encrypts the database: 32 random bytes, kept once in memory and wiped with the last copy of this handle.
#[derive(Debug, Clone)]
pub struct DataKey(Arc<Secret<32>>);

impl DataKey {
    /// Draws a key.
    #[must_use]
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        Self(Arc::new(Secret::random(rng)))
    }

    pub(crate) fn new(secret: Secret<32>) -> Self {
        Self(Arc::new(secret))
    }

    pub(crate) fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

/// How the data key is kept.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Protection<'a> {
    /// Wrapped under a passphrase.
    Passphrase {
        /// The passphrase, as the user typed it. Whether it is good enough, or empty, is for the caller to judge.
        passphrase: &'a Passphrase,
        /// What Argon2id may cost.
        params: KdfParams,
    },
    /// As it is: whoever can read the file can read the database.
    None,
}

impl Home {
    /// Whether [`Home::unlock`] will want a passphrase.
    ///
    /// # Errors
    /// [`StoreError::NoAccount`], [`StoreError::KeyMissing`], [`StoreError::KeyDamaged`], [`StoreError::KeyTooNew`].
    pub fn needs_passphrase(&self) -> Result<bool, StoreError> {
        Ok(matches!(self.read_key_file()?, KeyFile::Wrapped(_)))
    }

    /// Reads the data key. The key file is only ever read here, so failing any number of times changes nothing, and each
    /// failure costs a full run of Argon2id.
    ///
    /// # Errors
    /// As [`Home::needs_passphrase`]; [`StoreError::PassphraseNeeded`] without one, [`StoreError::PassphraseWrong`] with
    /// another, [`StoreError::KeyDerivation`].
    pub fn unlock(&self, passphrase: Option<&Passphrase>) -> Result<DataKey, StoreError> {
        match (self.read_key_file()?, passphrase) {
            (KeyFile::Plain(key), _) => Ok(DataKey::new(key)),
            (KeyFile::Wrapped(_), None) => Err(StoreError::PassphraseNeeded),
            (KeyFile::Wrapped(wrapped), Some(passphrase)) => {
                wrapped.unwrap(passphrase).map(DataKey::new).map_err(key_error)
            }
        }
    }

    /// Keeps the key in another way from now on: a new passphrase, costlier parameters, or none at all. A crash leaves
    /// the old file or the new one.
    ///
    /// # Errors
    /// [`StoreError::KeyDerivation`], [`StoreError::Full`], [`StoreError::Io`]; the old file then stays.
    pub fn protect(
        lock: &HomeLock,
        key: &DataKey,
        protection: &Protection<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), StoreError> {
        files::write_whole(&lock.home().key_file(), &encode(key, protection, rng)?)
    }

    fn read_key_file(&self) -> Result<KeyFile, StoreError> {
        match files::read(&self.key_file(), FILE_LIMIT)? {
            Some(bytes) => KeyFile::decode(&bytes),
            None if self.database_file().exists() && !self.setup_unfinished() => {
                Err(StoreError::KeyMissing(self.key_file()))
            }
            None => Err(StoreError::NoAccount),
        }
    }
}

/// The key file's bytes.
pub(crate) fn encode(
    key: &DataKey,
    protection: &Protection<'_>,
    rng: &mut dyn CryptoRng,
) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let (word, content) = match protection {
        Protection::None => ("none", hex::encode(key.expose())),
        Protection::Passphrase { passphrase, params } => {
            let wrapped = WrappedKey::wrap(&key.0, passphrase, *params, rng).map_err(key_error)?;
            ("passphrase", hex::encode(&wrapped.encode()))
        }
    };
    let mut text = Zeroizing::new(Vec::with_capacity(content.len().saturating_add(128)));
    for part in ["starling-key ", &VERSION.to_string(), "\n", word, " ", &content, "\n"] {
        text.extend_from_slice(part.as_bytes());
    }
    let check = check(&text);
    for part in ["check ", &hex::encode(&check), "\n"] {
        text.extend_from_slice(part.as_bytes());
    }
    Ok(text)
}

/// A key file that is whole.
enum KeyFile {
    Plain(Secret<32>),
    Wrapped(WrappedKey),
}

impl KeyFile {
    fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let text = std::str::from_utf8(bytes).map_err(|_| StoreError::KeyDamaged("it is no text"))?;
        let cut = || StoreError::KeyDamaged("it is cut off");
        let (head, rest) = text.split_once('\n').ok_or_else(cut)?;
        check_version(head)?;
        let (line, rest) = rest.split_once('\n').ok_or_else(cut)?;
        let claimed = rest.strip_suffix('\n').ok_or_else(cut)?;
        let checked = head.len().saturating_add(line.len()).saturating_add(2);
        let sum = check(bytes.get(..checked).unwrap_or_default());
        if claimed.strip_prefix("check ") != Some(hex::encode(&sum).as_str()) {
            return Err(StoreError::KeyDamaged("its check does not fit"));
        }
        let (word, content) = line.split_once(' ').ok_or_else(cut)?;
        let content = hex::decode(content).ok_or(StoreError::KeyDamaged("it is no hexadecimal"))?;
        match word {
            "none" => plain(&content).map(Self::Plain),
            "passphrase" => WrappedKey::decode(&content).map(Self::Wrapped).map_err(key_error),
            _ => Err(StoreError::KeyDamaged("it keeps the key in an unknown way")),
        }
    }
}

fn check_version(head: &str) -> Result<(), StoreError> {
    let version = head.strip_prefix("starling-key ").and_then(|version| version.parse().ok());
    match version {
        Some(VERSION) => Ok(()),
        Some(found) if found > VERSION => Err(StoreError::KeyTooNew { found, known: VERSION }),
        _ => Err(StoreError::KeyDamaged("its first line does not fit")),
    }
}

fn plain(content: &[u8]) -> Result<Secret<32>, StoreError> {
    let bytes = content.try_into().map_err(|_| StoreError::KeyDamaged("the key has another length"))?;
    Ok(Secret::copy_of(bytes))
}

fn check(bytes: &[u8]) -> [u8; CHECK_LEN] {
    let mut check = [0; CHECK_LEN];
    blake3::Hasher::new_derive_key("starling/1/key-file-check").update(bytes).finalize_xof().fill(&mut check);
    check
}

fn key_error(error: CryptoError) -> StoreError {
    match error {
        CryptoError::WrongPassphrase => StoreError::PassphraseWrong,
        CryptoError::DamagedKey => StoreError::KeyDamaged("the wrapped key does not fit"),
        CryptoError::UnknownVersion { known, got } => {
            StoreError::KeyTooNew { found: u32::from(got), known: u32::from(known) }
        }
        other => StoreError::KeyDerivation(other.to_string()),
    }
}
