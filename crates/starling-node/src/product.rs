//! The product's machine and disk behind the shell's two traits.

use rand::CryptoRng;
use starling_core::Core;
use starling_core::config::Config;
use starling_core::identity::IdentityError;
use starling_core::io::{Input, Output};
use starling_core::storage::{CoreStore, StorageError};
use starling_crypto::session::Vodozemac;
use starling_proto::time::{Now, Tick};
use starling_store::Database;

use crate::driver::{Disk, Machine};

impl Machine for Core<Vodozemac> {
    type Config = Config;
    type LoadError = IdentityError;

    fn load(
        config: &Config,
        now: Now,
        rng: &mut dyn CryptoRng,
        store: &mut dyn CoreStore,
    ) -> Result<Self, IdentityError> {
        Self::load(config.clone(), now, rng, store)
    }

    fn handle(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        store: &mut dyn CoreStore,
        input: Input,
    ) -> Result<(), StorageError> {
        self.handle(now, rng, store, input)
    }

    fn disk_full(&mut self, full: bool) {
        self.set_disk_full(full);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.poll_output()
    }

    fn next_timeout(&self) -> Option<Tick> {
        self.next_timeout()
    }
}

impl Disk for Database {
    fn store(&mut self) -> &mut dyn CoreStore {
        self
    }

    fn begin(&mut self) -> Result<(), StorageError> {
        Ok(self.begin()?)
    }

    fn commit(&mut self) -> Result<(), StorageError> {
        Ok(self.commit()?)
    }

    fn rollback(&mut self) -> Result<(), StorageError> {
        Ok(self.rollback()?)
    }

    fn has_room(&mut self) -> Result<bool, StorageError> {
        Ok(self.has_room()?)
    }
}
