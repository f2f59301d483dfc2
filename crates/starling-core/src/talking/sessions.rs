//! The Olm sessions with peer devices, loaded when they are needed and written with what they gave.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use rand_core::CryptoRng;
use starling_crypto::identity::VerifiedDevice;
use starling_crypto::session::{BookChanges, OlmAccount, Opened, SessionBook, SessionError};
use starling_proto::ids::{DeviceKey, DeviceListHash, OlmKey, SessionId};
use starling_proto::message::Sealed;
use starling_proto::session::Party;
use zeroize::Zeroizing;

use crate::storage::{Slot, StorageError, TalkStore};

/// Books that are kept in memory: the devices one writes with in an hour. A book of a few sessions is some 20 KiB.
const BOOKS: usize = 64;

/// What a batch gave.
#[derive(Debug)]
pub struct Heard {
    /// What could be opened, and what could not.
    pub opened: Opened,
    /// How many of the batch, from its first, were opened.
    pub on_disk: usize,
}

struct Cached<S> {
    book: SessionBook<S>,
    used: u64,
}

/// Our account as it was read last, beside the bytes that it was read from: making it anew takes a multiplication on the
/// curve for each of its keys, and almost no batch needs it.
struct KnownAccount<A> {
    bytes: Zeroizing<Vec<u8>>,
    account: A,
}

/// See the module's text.
pub struct Sessions<A: OlmAccount> {
    us: Party,
    account: Option<KnownAccount<A>>,
    books: BTreeMap<DeviceKey, Cached<A::Session>>,
    uses: u64,
}

impl<A: OlmAccount> Sessions<A> {
    /// Nothing loaded yet.
    #[must_use]
    pub const fn new(us: Party) -> Self {
        Self { us, account: None, books: BTreeMap::new(), uses: 0 }
    }

    /// Whether there is a session to send on.
    ///
    /// # Errors
    /// [`StorageError`] from beneath, or [`StorageError::Corrupt`].
    pub fn is_open(&mut self, store: &dyn TalkStore, peer: VerifiedDevice) -> Result<bool, StorageError> {
        Ok(self.book(store, peer)?.current().is_some())
    }

    /// Starts a session on a one-time or fallback key of the peer. `false` if the key is a weak one.
    ///
    /// # Errors
    /// [`StorageError`] from beneath, or [`StorageError::Corrupt`].
    pub fn start(
        &mut self,
        store: &mut dyn TalkStore,
        rng: &mut dyn CryptoRng,
        peer: VerifiedDevice,
        key: OlmKey,
    ) -> Result<bool, StorageError> {
        let known = self.take_account(store)?;
        let started = self.book(store, peer)?.start(&known.account, key, rng);
        self.account = Some(known);
        match started {
            Ok(step) => write(store, &peer.key(), &step.changes).map(|()| true),
            Err(SessionError::BadPickle) => Err(damaged(&SessionError::BadPickle)),
            Err(_) => Ok(false),
        }
    }

    /// Encrypts each of `contents` for the peer. `None` without a session, or if the peer's keys are weak.
    ///
    /// # Errors
    /// [`StorageError`] from beneath, or [`StorageError::Corrupt`].
    pub fn seal(
        &mut self,
        store: &mut dyn TalkStore,
        rng: &mut dyn CryptoRng,
        (peer, device_list): (VerifiedDevice, DeviceListHash),
        contents: Vec<Vec<u8>>,
    ) -> Result<Option<Vec<Sealed>>, StorageError> {
        match self.book(store, peer)?.seal(device_list, contents, rng) {
            Ok(step) => {
                write(store, &peer.key(), &step.changes)?;
                Ok(Some(step.value))
            }
            Err(SessionError::BadPickle) => Err(damaged(&SessionError::BadPickle)),
            Err(_) => Ok(None),
        }
    }

    /// Opens a batch that came straight from the peer, in the order in which it was written.
    ///
    /// Whatever is missing before it was lost with an earlier connection: the peer seals it anew under later numbers,
    /// since its outbox keeps it until our receipt. So the lost numbers are given up and nothing is held back.
    ///
    /// # Errors
    /// [`StorageError`] from beneath, or [`StorageError::Corrupt`].
    pub fn open(
        &mut self,
        store: &mut dyn TalkStore,
        peer: VerifiedDevice,
        batch: Vec<Sealed>,
    ) -> Result<Heard, StorageError> {
        let places: Vec<_> = batch.iter().map(|sealed| (sealed.session, sealed.sequence)).collect();
        let opened = self.open_mail(store, peer, batch, true)?;
        let is_ours = |place: &&(_, _)| {
            opened.messages.iter().any(|message| (message.session, message.sequence) == **place)
        };
        let on_disk = places.iter().take_while(is_ours).count();
        Ok(Heard { opened, on_disk })
    }

    /// Opens a batch that lay at a mailbox, in any order. `complete`: what is missing before it will not come any more, so
    /// nothing is held back for it.
    ///
    /// # Errors
    /// [`StorageError`] from beneath, or [`StorageError::Corrupt`].
    pub fn open_mail(
        &mut self,
        store: &mut dyn TalkStore,
        peer: VerifiedDevice,
        batch: Vec<Sealed>,
        complete: bool,
    ) -> Result<Opened, StorageError> {
        let mut known = self.take_account(store)?;
        let account = &mut known.account;
        let device = peer.key();
        let book = self.book(store, peer)?;
        let step = book.open(account, batch).map_err(|error| damaged(&error))?;
        write(store, &device, &step.changes)?;
        let mut opened = step.value;
        if complete && !opened.held.is_empty() {
            for (session, first) in first_held(&opened.held) {
                // A session that does not exist yet has nothing to give up: its first messages must come.
                if let Some(Ok(step)) = first.checked_sub(1).map(|last| book.give_up(session, 0..=last)) {
                    write(store, &device, &step.changes)?;
                }
            }
            let held = core::mem::take(&mut opened.held);
            let step = book.open(account, held).map_err(|error| damaged(&error))?;
            write(store, &device, &step.changes)?;
            opened.messages.extend(step.value.messages);
            opened.refused.extend(step.value.refused);
            opened.held = step.value.held;
            opened.gaps = step.value.gaps;
        }
        // What has changed in it has been written: the bytes tell when it is wanted next.
        self.account = Some(known);
        Ok(opened)
    }

    /// Our account as it is stored. Others write it too, so its bytes are compared each time.
    fn take_account(&mut self, store: &dyn TalkStore) -> Result<KnownAccount<A>, StorageError> {
        let bytes = store.read_slot(Slot::OlmAccount)?.ok_or(StorageError::Corrupt("olm account"))?;
        let bytes = Zeroizing::new(bytes);
        if let Some(known) = self.account.take().filter(|known| known.bytes == bytes) {
            return Ok(known);
        }
        let account = A::from_pickle(&bytes).map_err(|_| StorageError::Corrupt("olm account"))?;
        Ok(KnownAccount { bytes, account })
    }

    fn book(
        &mut self,
        store: &dyn TalkStore,
        peer: VerifiedDevice,
    ) -> Result<&mut SessionBook<A::Session>, StorageError> {
        let device = peer.key();
        if !self.books.contains_key(&device) {
            let rows = store.sessions(&device)?;
            let party = Party { account: peer.account(), device };
            let book = SessionBook::new(self.us, party, peer.olm_identity())
                .with_rows(rows.iter().map(Vec::as_slice), store.tombstones(&device)?)
                .map_err(|error| damaged(&error))?;
            self.make_room();
            self.books.insert(device, Cached { book, used: 0 });
        }
        self.uses = self.uses.saturating_add(1);
        let cached = self.books.get_mut(&device).ok_or(StorageError::Corrupt("session"))?;
        cached.used = self.uses;
        Ok(&mut cached.book)
    }

    fn make_room(&mut self) {
        if self.books.len() >= BOOKS {
            let longest_unused = self.books.iter().min_by_key(|(_, cached)| cached.used).map(|(key, _)| *key);
            longest_unused.and_then(|key| self.books.remove(&key));
        }
    }
}

/// The first message of each session that is held back.
fn first_held(held: &[Sealed]) -> BTreeMap<SessionId, u64> {
    let mut first: BTreeMap<SessionId, u64> = BTreeMap::new();
    for sealed in held {
        let lowest = first.entry(sealed.session).or_insert(sealed.sequence);
        *lowest = sealed.sequence.min(*lowest);
    }
    first
}

fn write(store: &mut dyn TalkStore, device: &DeviceKey, changes: &BookChanges) -> Result<(), StorageError> {
    for (session, pickle) in &changes.sessions {
        store.write_session(device, session, pickle.expose())?;
    }
    for session in &changes.removed {
        store.remove_session(device, session)?;
    }
    for tombstone in &changes.buried {
        store.write_tombstone(device, tombstone)?;
    }
    for session in &changes.forgotten {
        store.remove_tombstone(device, session)?;
    }
    match &changes.account {
        Some(account) => store.write_slot(Slot::OlmAccount, account.expose()),
        None => Ok(()),
    }
}

const fn damaged(_: &SessionError) -> StorageError {
    StorageError::Corrupt("session")
}
