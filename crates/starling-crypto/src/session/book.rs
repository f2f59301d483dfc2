//! All sessions with one device.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use rand_core::CryptoRng;
use starling_proto::ids::{DeviceListHash, OlmKey, SessionId};
use starling_proto::limits;
use starling_proto::message::Sealed;
use starling_proto::session::{Parties, Party, SessionPlaintext};

use super::entry::Entry;
use super::window::Place;
use super::{
    BookChanges, Gap, OlmAccount, OlmMessage, OlmSession, Opened, OpenedMessage, Refused, SessionError, Step,
    Tombstone,
};

/// The sessions between one of our devices and one device of somebody else.
///
/// - Sends on the session that last opened a message, or that was started last.
/// - Of two sessions started crosswise the one of the smaller device key wins, on both sides.
/// - Keeps [`limits::SESSIONS`]; the one longest out of use is buried. What has been buried is never opened again.
/// - Opens each message once, in order, and only if it names these two parties.
pub struct SessionBook<S> {
    us: Party,
    peer: Party,
    peer_identity: OlmKey,
    entries: BTreeMap<SessionId, Entry<S>>,
    tombstones: BTreeMap<SessionId, OlmKey>,
    /// The highest rank given out.
    rank: u64,
    dirty: Dirty,
}

/// What changed since the last step.
#[derive(Default)]
struct Dirty {
    sessions: BTreeSet<SessionId>,
    removed: BTreeSet<SessionId>,
    buried: Vec<Tombstone>,
    forgotten: Vec<SessionId>,
    account: bool,
}

impl<S: OlmSession> SessionBook<S> {
    /// Buried sessions that are remembered. A restart every hour for 42 days, about the life of a fallback key;
    /// beyond, the peer's new sessions are refused until a fallback key is destroyed.
    pub const TOMBSTONES: usize = 1024;

    /// An empty book. `peer_identity` is the Olm key that the peer's device certificate names.
    #[must_use]
    pub fn new(us: Party, peer: Party, peer_identity: OlmKey) -> Self {
        Self {
            us,
            peer,
            peer_identity,
            entries: BTreeMap::new(),
            tombstones: BTreeMap::new(),
            rank: 0,
            dirty: Dirty::default(),
        }
    }

    /// Puts stored rows back. Tombstones of a former book with the same device belong here too: a contact who was
    /// removed and comes back must not be able to replay.
    ///
    /// # Errors
    /// [`SessionError::BadPickle`] if a row is none.
    pub fn with_rows<'a>(
        mut self,
        sessions: impl IntoIterator<Item = &'a [u8]>,
        tombstones: impl IntoIterator<Item = Tombstone>,
    ) -> Result<Self, SessionError> {
        for row in sessions {
            let entry = Entry::<S>::from_row(row)?;
            self.rank = self.rank.max(entry.rank);
            self.entries.insert(entry.session.id(), entry);
        }
        self.tombstones.extend(tombstones.into_iter().map(|stone| (stone.session, stone.key)));
        Ok(self)
    }

    /// The session that the next message goes out on.
    #[must_use]
    pub fn current(&self) -> Option<SessionId> {
        let free =
            |entry: &Entry<S>| entry.yields_to.is_none_or(|winner| !self.entries.contains_key(&winner));
        let candidates = self.entries.iter().filter(|(_, entry)| free(entry));
        candidates.max_by_key(|(_, entry)| entry.rank).map(|(id, _)| *id)
    }

    /// The sessions that are kept.
    pub fn sessions(&self) -> impl Iterator<Item = SessionId> {
        self.entries.keys().copied()
    }

    /// Starts a session on the peer's fallback or one-time key; the next message goes out on it.
    ///
    /// # Errors
    /// [`SessionError::WeakKey`] for keys of small order.
    pub fn start<A: OlmAccount<Session = S>>(
        &mut self,
        account: &A,
        key: OlmKey,
        rng: &mut dyn CryptoRng,
    ) -> Result<Step<SessionId>, SessionError> {
        let session = account.start(self.peer_identity, key, rng)?;
        let id = self.insert(Entry::new(session, key, true));
        self.step(id)
    }

    /// Encrypts each of `contents` for the peer, in order.
    ///
    /// # Errors
    /// [`SessionError::NoSession`] before one was started or accepted, [`SessionError::Plaintext`] for content above
    /// [`limits::SESSION_CONTENT`]; nothing has changed then.
    pub fn seal(
        &mut self,
        device_list: DeviceListHash,
        contents: Vec<Vec<u8>>,
        rng: &mut dyn CryptoRng,
    ) -> Result<Step<Vec<Sealed>>, SessionError> {
        let parties = Parties { sender: self.us, recipient: self.peer };
        let id = self.current().ok_or(SessionError::NoSession)?;
        let entry = self.entries.get_mut(&id).ok_or(SessionError::NoSession)?;
        let mut plaintexts = Vec::with_capacity(contents.len());
        for (sequence, content) in (entry.next_send..).zip(contents) {
            let plaintext = SessionPlaintext { parties, device_list, sequence, content };
            plaintexts.push((sequence, plaintext.encode()?));
        }
        let mut sealed = Vec::with_capacity(plaintexts.len());
        for (sequence, plaintext) in plaintexts {
            let OlmMessage { prekey, bytes } = entry.session.encrypt(&plaintext, rng)?;
            entry.next_send = sequence.saturating_add(1);
            sealed.push(Sealed { session: id, sequence, prekey, ciphertext: bytes });
        }
        self.dirty.sessions.insert(id);
        self.step(sealed)
    }

    /// Opens a batch: everything that lies in a mailbox or came in one frame, in any order.
    ///
    /// # Errors
    /// [`SessionError::BadPickle`] if the new state cannot be written down. What is wrong with a message is in the
    /// result.
    pub fn open<A: OlmAccount<Session = S>>(
        &mut self,
        account: &mut A,
        batch: Vec<Sealed>,
    ) -> Result<Step<Opened>, SessionError> {
        let mut opened = Opened::default();
        for (session, messages) in in_order(batch) {
            let mut held = None;
            for message in messages {
                let sequence = message.sequence;
                match self.open_one(account, &message) {
                    Ok(Some(text)) => opened.messages.push(OpenedMessage {
                        session,
                        sequence,
                        device_list: text.device_list,
                        content: text.content,
                    }),
                    Ok(None) => {
                        held = held.max(Some(sequence));
                        opened.held.push(message);
                    }
                    Err(error) => opened.refused.push(Refused { session, sequence, error }),
                }
            }
            opened.gaps.extend(self.gaps(session, held));
        }
        let account = if self.dirty.account { Some(account.pickle()?) } else { None };
        let mut step = self.step(opened)?;
        step.changes.account = account;
        Ok(step)
    }

    /// No longer waits for these messages: the sender has said that their content was sent anew.
    ///
    /// # Errors
    /// [`SessionError::UnknownSession`].
    pub fn give_up(
        &mut self,
        session: SessionId,
        sequences: RangeInclusive<u64>,
    ) -> Result<Step<()>, SessionError> {
        let entry = self.entries.get_mut(&session).ok_or(SessionError::UnknownSession)?;
        entry.window.give_up(sequences);
        self.dirty.sessions.insert(session);
        self.step(())
    }

    /// Drops a session and remembers that it was there: the peer says that it cannot read it, or the contact is
    /// removed.
    ///
    /// # Errors
    /// [`SessionError::UnknownSession`].
    pub fn bury(&mut self, session: SessionId) -> Result<Step<()>, SessionError> {
        if !self.entries.contains_key(&session) {
            return Err(SessionError::UnknownSession);
        }
        self.bury_entry(session);
        self.step(())
    }

    /// Forgets the tombstones of sessions that were started on keys which `account` no longer has as fallback keys:
    /// nobody can start those again. To be called when a fallback key was destroyed.
    ///
    /// # Errors
    /// [`SessionError::BadPickle`] if the new state cannot be written down.
    pub fn forget_tombstones<A: OlmAccount<Session = S>>(
        &mut self,
        account: &A,
    ) -> Result<Step<()>, SessionError> {
        let keys = account.fallback_keys();
        let gone = self.tombstones.iter().filter(|(_, key)| !keys.contains(key));
        let gone: Vec<SessionId> = gone.map(|(session, _)| *session).collect();
        for session in &gone {
            self.tombstones.remove(session);
        }
        self.dirty.forgotten.extend(gone);
        self.step(())
    }

    /// `None` means: held back.
    fn open_one<A: OlmAccount<Session = S>>(
        &mut self,
        account: &mut A,
        message: &Sealed,
    ) -> Result<Option<SessionPlaintext>, SessionError> {
        if self.tombstones.contains_key(&message.session) {
            return Err(SessionError::Buried);
        }
        let Some(entry) = self.entries.get_mut(&message.session) else {
            return self.accept(account, message);
        };
        match entry.window.place(message.sequence) {
            Place::Seen => return Err(SessionError::Replayed),
            Place::TooFar => return Ok(None),
            Place::Open => {}
        }
        let olm = OlmMessage { prekey: message.prekey, bytes: message.ciphertext.clone() };
        let text = entry.session.decrypt(&olm)?;
        // The ratchet has stepped, whatever the text says.
        self.dirty.sessions.insert(message.session);
        let plaintext = self.check(message, &text)?;
        let rank = self.next_rank();
        if let Some(entry) = self.entries.get_mut(&message.session) {
            entry.window.opened(message.sequence);
            entry.rank = rank;
        }
        Ok(Some(plaintext))
    }

    /// Opens a session that is neither known nor buried. If the text is not for us, no session is kept.
    fn accept<A: OlmAccount<Session = S>>(
        &mut self,
        account: &mut A,
        message: &Sealed,
    ) -> Result<Option<SessionPlaintext>, SessionError> {
        if !message.prekey {
            return Err(SessionError::UnknownSession);
        }
        let header = A::inspect(&message.ciphertext)?;
        if header.session != message.session {
            return Err(SessionError::Malformed);
        }
        if header.sender != self.peer_identity {
            return Err(SessionError::WrongKeys);
        }
        if self.tombstones.len() >= Self::TOMBSTONES {
            return Err(SessionError::TooManySessions { limit: Self::TOMBSTONES });
        }
        if message.sequence > limits::SKIPPED as u64 {
            return Ok(None);
        }
        let (session, text) = account.accept(self.peer_identity, &message.ciphertext)?;
        self.dirty.account |= !account.fallback_keys().contains(&header.key);
        let plaintext = self.check(message, &text)?;
        let rival = self.rival();
        let mut entry = Entry::new(session, header.key, false);
        entry.window.opened(message.sequence);
        let id = self.insert(entry);
        if let Some(rival) = rival {
            self.settle_crossed(rival, id);
        }
        Ok(Some(plaintext))
    }

    /// Whether the text says what the session says: from the peer, to us, at this place.
    fn check(&self, message: &Sealed, text: &[u8]) -> Result<SessionPlaintext, SessionError> {
        let plaintext = SessionPlaintext::decode(text)?;
        let parties = Parties { sender: self.peer, recipient: self.us };
        if plaintext.parties != parties || plaintext.sequence != message.sequence {
            return Err(SessionError::WrongParties);
        }
        Ok(plaintext)
    }

    /// A session of ours on which the peer has not yet said anything, so that a start of the peer's crosses it. Each
    /// can win once only: a peer that starts again could not read it.
    fn rival(&self) -> Option<SessionId> {
        let contested: BTreeSet<SessionId> =
            self.entries.values().filter_map(|entry| entry.yields_to).collect();
        let current = self.current().filter(|id| !contested.contains(id));
        current.filter(|id| {
            self.entries.get(id).is_some_and(|entry| entry.ours && !entry.session.has_received_message())
        })
    }

    /// The session that the smaller device key started wins; both sides know both keys.
    fn settle_crossed(&mut self, ours: SessionId, theirs: SessionId) {
        let (winner, loser) = if self.us.device < self.peer.device { (ours, theirs) } else { (theirs, ours) };
        if let Some(entry) = self.entries.get_mut(&loser) {
            entry.yields_to = Some(winner);
            self.dirty.sessions.insert(loser);
        }
    }

    fn insert(&mut self, mut entry: Entry<S>) -> SessionId {
        let id = entry.session.id();
        entry.rank = self.next_rank();
        if self.entries.len() >= limits::SESSIONS {
            let current = self.current();
            let others = self.entries.iter().filter(|(id, _)| Some(**id) != current);
            let victim = others.min_by_key(|(_, entry)| entry.rank).map(|(id, _)| *id);
            victim.into_iter().for_each(|victim| self.bury_entry(victim));
        }
        self.entries.insert(id, entry);
        self.dirty.sessions.insert(id);
        id
    }

    fn bury_entry(&mut self, session: SessionId) {
        let Some(entry) = self.entries.remove(&session) else { return };
        self.dirty.sessions.remove(&session);
        self.dirty.removed.insert(session);
        // A session that we started can be replayed to the peer only.
        if !entry.ours {
            self.tombstones.insert(session, entry.key);
            self.dirty.buried.push(Tombstone { session, key: entry.key });
        }
    }

    fn next_rank(&mut self) -> u64 {
        self.rank = self.rank.saturating_add(1);
        self.rank
    }

    fn gaps(&self, session: SessionId, held: Option<u64>) -> Vec<Gap> {
        let runs = match self.entries.get(&session) {
            Some(entry) => entry.window.gaps(held),
            None => held.and_then(|held| held.checked_sub(1)).map(|last| (0, last)).into_iter().collect(),
        };
        runs.into_iter().map(|(first, last)| Gap { session, first, last }).collect()
    }

    fn step<T>(&mut self, value: T) -> Result<Step<T>, SessionError> {
        let dirty = core::mem::take(&mut self.dirty);
        let mut sessions = Vec::with_capacity(dirty.sessions.len());
        for id in dirty.sessions {
            if let Some(entry) = self.entries.get(&id) {
                sessions.push((id, entry.to_row()?));
            }
        }
        let changes = BookChanges {
            sessions,
            removed: dirty.removed.into_iter().collect(),
            buried: dirty.buried,
            forgotten: dirty.forgotten,
            account: None,
        };
        Ok(Step { value, changes })
    }
}

/// The batch by session, in the order in which each first appears, and by sequence within a session.
fn in_order(batch: Vec<Sealed>) -> Vec<(SessionId, Vec<Sealed>)> {
    let mut places: BTreeMap<SessionId, usize> = BTreeMap::new();
    let mut sessions: Vec<(SessionId, Vec<Sealed>)> = Vec::new();
    for message in batch {
        let place = *places.entry(message.session).or_insert(sessions.len());
        match sessions.get_mut(place) {
            Some((_, messages)) => messages.push(message),
            None => sessions.push((message.session, Vec::from([message]))),
        }
    }
    for (_, messages) in &mut sessions {
        messages.sort_by_key(|message| message.sequence);
    }
    sessions
}
