//! What must survive: the encrypted SQLite database behind the core's storage trait.
//!
//! Not for: deciding what is kept or for how long (the overlay and the core do), threads, async, random numbers of its
//! own. It keeps what it is given, and says honestly when it could not.
//!
//! The main types:
//!
//! - [`Home`]: the directory of one installation, closed to other users; [`HomeLock`] is the right to write in it;
//! - [`DataKey`]: what encrypts the database, wrapped under a passphrase ([`Protection`]);
//! - [`Database`]: the one writer, with explicit transactions; it is the core's
//!   [`CoreStore`](starling_core::storage::CoreStore) and [`TalkStore`](starling_core::storage::TalkStore);
//! - [`Readers`] and [`Reader`]: read-only connections for other threads;
//! - [`StoreError`]: everything that can go wrong.
//!
//! ```
//! use rand_core::SeedableRng as _;
//! use starling_core::storage::{Slot, SlotStore as _};
//! use starling_store::{Database, Home, Protection, StoreError};
//!
//! # let dir = tempfile::tempdir()?;
//! # let mut rng = rand_chacha::ChaCha20Rng::from_seed([7; 32]);
//! let home = Home::create(dir.path())?;
//! let lock = home.lock()?;
//! let mut database = Home::set_up(&lock, &Protection::None, &mut rng, |_| Ok::<_, StoreError>(()))?;
//!
//! database.begin()?;
//! database.write_slot(Slot::Profile, b"Ada")?;
//! database.commit()?;
//! database.close()?;
//!
//! let key = home.unlock(None)?;
//! let database = Database::open(&lock, &key)?;
//! assert_eq!(database.read_slot(Slot::Profile)?.as_deref(), Some(b"Ada".as_slice()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        reason = "tests compute small known numbers"
    )
)]

mod backup;
mod columns;
mod connection;
mod contacts;
mod database;
mod error;
mod files;
mod hex;
mod home;
mod integrity;
mod key;
mod messages;
mod outbox;
mod peers;
mod reader;
mod records;
mod schema;
mod seen;
mod sessions;
mod setup;
mod slots;
mod trace;
mod wal;

pub use backup::Backup;
pub use database::Database;
pub use error::StoreError;
pub use home::{Home, HomeFile, HomeLock};
pub use integrity::Integrity;
pub use key::{DataKey, Protection};
pub use reader::{DatabaseSize, Reader, Readers, Summary};
pub use schema::SCHEMA_VERSION;
