//! Who said it and who can read it: accounts, device certificates, sessions, sealed envelopes, stamps.
//!
//! Not for: deciding what to do about it. Nothing here is stored, sent or shown; there is no clock and no generator of
//! random numbers, both are arguments (vodozemac's own draws, fenced in [`session`], apart). What is checked is a type:
//! who holds a [`identity::VerifiedDeviceList`] need not ask whether its signatures are good.
//!
//! The main types:
//!
//! - [`secret::Secret`]: bytes that are wiped, not shown, and compared in constant time;
//! - [`keys`]: secret keys, one type for each kind of public key; [`phrase::RecoveryPhrase`]: where the account's comes
//!   from;
//! - [`sign`]: Ed25519 over a domain string and the bytes, strictly verified;
//! - [`identity`]: certificates, device lists, and what one list may become;
//! - [`record`], [`capability`], [`owner`], [`proof`], [`locator`]: what is signed for holders and contacts;
//! - [`stamp`]: proof of work, made in steps and checked by one hash;
//! - [`safety`]: what two people compare;
//! - [`kdf`]: a key under a passphrase;
//! - [`session`] and [`envelope`]: what only the recipient can read.
//!
//! ```
//! use starling_crypto::identity::{Authority, VerifiedDeviceList, accept_cert, issue_cert};
//! use starling_crypto::keys::DeviceSecret;
//! use starling_crypto::phrase::RecoveryPhrase;
//! use starling_crypto::secret::Secret;
//! use starling_proto::identity::DeviceCertBody;
//! use starling_proto::ids::OlmKey;
//! use starling_proto::time::UnixSeconds;
//!
//! // Real seeds come from the operating system's generator, through the shell.
//! let phrase = RecoveryPhrase::from_entropy(&Secret::copy_of(&[1; 32]));
//! let account = phrase.account();
//! let device = DeviceSecret::from_seed(&Secret::copy_of(&[2; 32]));
//! let now = UnixSeconds::new(1_767_225_600);
//!
//! let body = DeviceCertBody {
//!     account: account.public(),
//!     device: device.public(),
//!     olm_identity: OlmKey::new([3; 32]),
//!     created: now,
//!     can_certify: true,
//! };
//! let cert = issue_cert(&body, accept_cert(&body, &device)?, Authority::Account(&account))?;
//! let list = VerifiedDeviceList::found(&account, vec![cert], None, now)?;
//!
//! // Anybody who knows the account key can check the list that was published.
//! let read = VerifiedDeviceList::verify(list.list().clone(), &account.public())?;
//! assert!(read.device(&device.public()).is_ok());
//! # Ok::<(), starling_crypto::CryptoError>(())
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        reason = "tests compute small known numbers"
    )
)]

extern crate alloc;

pub mod capability;
pub mod envelope;
mod error;
#[cfg(test)]
mod fixture;
pub mod fuzz;
pub mod identity;
pub mod kdf;
pub mod keys;
pub mod locator;
pub mod owner;
pub mod phrase;
pub mod proof;
pub mod record;
pub mod safety;
pub mod secret;
pub mod session;
pub mod sign;
pub mod stamp;
#[cfg(test)]
mod vectors;

pub use error::CryptoError;
