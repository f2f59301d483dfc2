//! What a stranger needs to reach this device, and the secrets behind it.

use alloc::vec::Vec;

use rand_core::CryptoRng;
use starling_crypto::envelope::{InboxEvent, InboxKeys, WallClock};
use starling_crypto::keys::MailboxSecret;
use starling_crypto::secret::Secret;
use starling_crypto::session::{FallbackSchedule, OlmAccount};
use starling_proto::identity::{Bundle, InboxEpoch};
use starling_proto::ids::{DeviceKey, MailboxAddress, OlmKey, RecordKey};
use starling_proto::invite::InviteSecret;
use starling_proto::record::RecordKind;
use starling_proto::time::UnixSeconds;
use zeroize::{Zeroize as _, Zeroizing};

use super::invite::OwnInvite;
use super::mailboxes::{Mailboxes, Pace};
use crate::publisher::Wanted;
use crate::storage::{Slot, SlotStore, StorageError, TalkStore};
use crate::wire;

/// The inbox keys, the request inbox, the fallback key's schedule, and the invites that wait for an answer.
#[derive(Debug)]
pub(super) struct InboxSecrets {
    pub(super) keys: InboxKeys,
    request: MailboxSecret,
    /// Where contacts leave mail.
    pub(super) boxes: Mailboxes,
    schedule: FallbackSchedule,
    invites: Vec<OwnInvite>,
    fallback: OlmKey,
    changed: bool,
}

impl InboxSecrets {
    /// Reads them; writes only where it makes them the first time, since the disk may be full. [`Self::tick`] is due at
    /// once.
    pub(super) fn load<A: OlmAccount>(
        store: &mut dyn TalkStore,
        clock: WallClock,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, StorageError> {
        if let Some(bytes) = store.read_slot(Slot::InboxKeys)? {
            let mut secrets = Self::decode(bytes, rng).ok_or(StorageError::Corrupt("inbox keys"))?;
            secrets.fallback = fallback_of(&load_account::<A>(store)?)?;
            return Ok(secrets);
        }
        let mut secrets = Self {
            keys: InboxKeys::new(clock, rng),
            request: MailboxSecret::from_seed(&Secret::random(rng)),
            boxes: Mailboxes::new(rng),
            schedule: FallbackSchedule::default(),
            invites: Vec::new(),
            fallback: OlmKey::new([0; 32]),
            changed: true,
        };
        secrets.tick::<A>(store, clock, rng)?;
        Ok(secrets)
    }

    fn decode(bytes: Vec<u8>, rng: &mut dyn CryptoRng) -> Option<Self> {
        let bytes = Zeroizing::new(bytes);
        let mut stored = <wire::Inbox as prost::Message>::decode(bytes.as_slice()).ok()?;
        // A home of before there were mailboxes gets them now. They are written with the first change: until then
        // nobody is told of them.
        let boxes = match &stored.mailboxes {
            Some(mailboxes) => Mailboxes::from_wire(mailboxes)?,
            None => Mailboxes::new(rng),
        };
        let secrets = Self {
            keys: InboxKeys::from_row(&stored.keys).ok()?,
            request: MailboxSecret::from_seed(&Secret::copy_of(
                stored.request_seed.as_slice().try_into().ok()?,
            )),
            boxes,
            schedule: FallbackSchedule::from_row(&stored.fallback_schedule).ok()?,
            invites: stored.invites.iter().map(OwnInvite::from_wire).collect::<Option<_>>()?,
            fallback: OlmKey::new([0; 32]),
            changed: stored.mailboxes.is_none(),
        };
        stored.keys.zeroize();
        stored.request_seed.zeroize();
        stored.mailboxes.iter_mut().for_each(|mailboxes| mailboxes.root.zeroize());
        Some(secrets)
    }

    /// Writes what has changed.
    pub(super) fn save<S: SlotStore + ?Sized>(&mut self, store: &mut S) -> Result<(), StorageError> {
        if !core::mem::take(&mut self.changed) {
            return Ok(());
        }
        let mut stored = wire::Inbox {
            keys: self.keys.to_row().to_vec(),
            request_seed: self.request.to_seed().expose().to_vec(),
            fallback_schedule: self.schedule.to_row(),
            invites: self.invites.iter().map(OwnInvite::to_wire).collect(),
            mailboxes: Some(self.boxes.to_wire()),
        };
        let bytes = Zeroizing::new(prost::Message::encode_to_vec(&stored));
        stored.keys.zeroize();
        stored.request_seed.zeroize();
        stored.mailboxes.iter_mut().for_each(|mailboxes| mailboxes.root.zeroize());
        store.write_slot(Slot::InboxKeys, &bytes)
    }

    /// Lets time go by: weekly inbox keys, the fallback key, invites that have ended, unless the clock may be wrong.
    /// Writes what has changed; says whether the bundle is to be published anew.
    pub(super) fn tick<A: OlmAccount>(
        &mut self,
        store: &mut dyn TalkStore,
        clock: WallClock,
        rng: &mut dyn CryptoRng,
    ) -> Result<bool, StorageError> {
        let change = self.keys.handle(InboxEvent::Tick, clock, rng);
        let before = self.invites.len();
        self.invites.retain(|invite| !clock.confirmed || invite.expires > clock.now);
        self.changed |= change.changed || self.invites.len() != before;
        self.changed |= clock.confirmed && self.boxes.forget_ended(clock.now);
        let mut account = load_account::<A>(store)?;
        let rotated = self.schedule.rotate_if_due(&mut account, clock, rng);
        if rotated {
            save_account(store, &account)?;
            self.changed = true;
        }
        self.fallback = fallback_of(&account)?;
        self.save(store)?;
        Ok(rotated || change.publish.is_some())
    }

    /// Notes that the bundle with the key of this week is on its holders.
    pub(super) fn published(&mut self, epoch: InboxEpoch, clock: WallClock, rng: &mut dyn CryptoRng) {
        let before = self.schedule.clone();
        self.schedule.published(clock);
        let change = self.keys.handle(InboxEvent::Published(epoch), clock, rng);
        self.changed |= change.changed || before != self.schedule;
    }

    /// Notes that every mailbox has been read to the end.
    pub(super) fn fetched(&mut self, clock: WallClock, rng: &mut dyn CryptoRng) {
        self.schedule.fetched(clock);
        let change = self.keys.handle(InboxEvent::Fetched, clock, rng);
        self.changed |= change.changed || clock.confirmed;
    }

    /// The bundle, as it is to be published.
    pub(super) fn bundle(&self, device: DeviceKey) -> Wanted {
        let (inbox_epoch, inbox_key) = self.keys.current();
        let request_inbox = self.request.public();
        let bundle = Bundle { device, fallback_key: self.fallback, inbox_key, inbox_epoch, request_inbox };
        Wanted { kind: RecordKind::Bundle, key: RecordKey::for_bundle(&device), payload: bundle.encode() }
    }

    /// Where strangers ask.
    pub(super) fn request_inbox(&self) -> MailboxAddress {
        self.request.public()
    }

    /// The owner's key of each mailbox that is read: the request inbox, one for each invite, and those of contacts.
    pub(super) fn mailboxes(&self, now: UnixSeconds) -> impl Iterator<Item = (MailboxSecret, Pace)> + '_ {
        let request = MailboxSecret::from_seed(&self.request.to_seed());
        let strangers = core::iter::once(request).chain(self.invites.iter().map(OwnInvite::mailbox));
        strangers.map(|mailbox| (mailbox, Pace::Told)).chain(self.boxes.to_read(now))
    }

    /// Takes new mailboxes for contacts; the old ones are read for a while.
    pub(super) fn replace_mailboxes(&mut self, now: UnixSeconds, rng: &mut dyn CryptoRng) {
        self.boxes.replace(now, rng);
        self.changed = true;
    }

    /// Keeps an invite until it is answered or ends.
    pub(super) fn add_invite(&mut self, secret: InviteSecret, expires: UnixSeconds) {
        self.invites.push(OwnInvite::new(secret, expires));
        self.changed = true;
    }

    /// How many invites wait for an answer.
    pub(super) fn invites(&self) -> usize {
        self.invites.len()
    }

    /// Whether an invite is answered at this mailbox.
    pub(super) fn is_invite(&self, mailbox: &MailboxAddress) -> bool {
        self.invites.iter().any(|invite| invite.mailbox().public() == *mailbox)
    }

    /// Uses an invite up.
    pub(super) fn use_invite(&mut self, mailbox: &MailboxAddress) {
        self.invites.retain(|invite| invite.mailbox().public() != *mailbox);
        self.changed = true;
    }
}

/// Makes one-time keys, each for one recipient, and writes the account down.
pub(super) fn make_one_time_keys<A: OlmAccount>(
    store: &mut dyn TalkStore,
    count: usize,
    rng: &mut dyn CryptoRng,
) -> Result<Vec<OlmKey>, StorageError> {
    let mut account = load_account::<A>(store)?;
    let keys = account.generate_one_time_keys(count, rng);
    save_account(store, &account)?;
    Ok(keys)
}

fn fallback_of<A: OlmAccount>(account: &A) -> Result<OlmKey, StorageError> {
    account.fallback_keys().current.ok_or(StorageError::Corrupt("olm account"))
}

fn load_account<A: OlmAccount>(store: &dyn TalkStore) -> Result<A, StorageError> {
    let bytes = store.read_slot(Slot::OlmAccount)?.ok_or(StorageError::Corrupt("olm account"))?;
    A::from_pickle(&Zeroizing::new(bytes)).map_err(|_| StorageError::Corrupt("olm account"))
}

fn save_account<A: OlmAccount>(store: &mut dyn TalkStore, account: &A) -> Result<(), StorageError> {
    let pickle = account.pickle().map_err(|_| StorageError::Corrupt("olm account"))?;
    store.write_slot(Slot::OlmAccount, pickle.expose())
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng as _;
    use starling_crypto::session::Vodozemac;
    use starling_proto::time::Span;

    use super::*;
    use crate::memory::MemoryStore;

    const START: UnixSeconds = UnixSeconds::new(1_767_225_600);

    fn clock(days: u64) -> WallClock {
        WallClock { now: START.after(Span::from_days(days)), confirmed: true }
    }

    fn store(rng: &mut ChaCha8Rng) -> MemoryStore {
        let mut store = MemoryStore::default();
        save_account(&mut store, &Vodozemac::generate(rng)).unwrap();
        store
    }

    /// Mailboxes for those who are no contacts yet.
    fn strangers(secrets: &InboxSecrets) -> usize {
        secrets.mailboxes(START).count() - secrets.boxes.to_read(START).count()
    }

    #[test]
    fn a_restart_keeps_inbox_bundle_and_invites() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut store = store(&mut rng);
        let mut secrets = InboxSecrets::load::<Vodozemac>(&mut store, clock(0), &mut rng).unwrap();
        secrets.add_invite(InviteSecret::new([1; 16]), clock(7).now);
        secrets.save(&mut store).unwrap();
        let again = InboxSecrets::load::<Vodozemac>(&mut store, clock(0), &mut rng).unwrap();
        let device = DeviceKey::new([3; 32]);
        assert_eq!(again.bundle(device), secrets.bundle(device));
        assert_eq!(strangers(&again), 2);
        let read =
            |secrets: &InboxSecrets| secrets.mailboxes(START).map(|(m, _)| m.public()).collect::<Vec<_>>();
        assert_eq!(read(&again), read(&secrets));
    }

    #[test]
    fn a_restart_writes_nothing_and_the_first_tick_makes_up_for_it() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut store = store(&mut rng);
        let mut secrets = InboxSecrets::load::<Vodozemac>(&mut store, clock(0), &mut rng).unwrap();
        secrets.add_invite(InviteSecret::new([1; 16]), clock(7).now);
        secrets.save(&mut store).unwrap();
        let slots = [Slot::InboxKeys, Slot::OlmAccount];
        let before = slots.map(|slot| store.read_slot(slot).unwrap());
        let mut later = InboxSecrets::load::<Vodozemac>(&mut store, clock(8), &mut rng).unwrap();
        assert_eq!(slots.map(|slot| store.read_slot(slot).unwrap()), before, "the disk may be full");
        assert!(later.tick::<Vodozemac>(&mut store, clock(8), &mut rng).unwrap(), "a week has begun");
        assert_eq!(strangers(&later), 1, "the invite has ended");
    }

    #[test]
    fn clk_02_a_clock_that_nobody_confirms_ends_no_invite() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut store = store(&mut rng);
        let mut secrets = InboxSecrets::load::<Vodozemac>(&mut store, clock(0), &mut rng).unwrap();
        secrets.add_invite(InviteSecret::new([1; 16]), clock(7).now);
        let wrong = WallClock { confirmed: false, ..clock(800) };
        secrets.tick::<Vodozemac>(&mut store, wrong, &mut rng).unwrap();
        assert_eq!(strangers(&secrets), 2);
    }

    #[test]
    fn each_week_the_bundle_changes() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut store = store(&mut rng);
        let mut secrets = InboxSecrets::load::<Vodozemac>(&mut store, clock(0), &mut rng).unwrap();
        assert!(!secrets.tick::<Vodozemac>(&mut store, clock(0), &mut rng).unwrap());
        assert!(secrets.tick::<Vodozemac>(&mut store, clock(7), &mut rng).unwrap());
    }

    #[test]
    fn the_fallback_key_is_replaced_when_nothing_can_come_for_the_one_before() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut store = store(&mut rng);
        let mut secrets = InboxSecrets::load::<Vodozemac>(&mut store, clock(0), &mut rng).unwrap();
        let first = secrets.fallback;
        secrets.published(secrets.keys.current().0, clock(0), &mut rng);
        secrets.fetched(clock(43), &mut rng);
        secrets.tick::<Vodozemac>(&mut store, clock(43), &mut rng).unwrap();
        assert_eq!(secrets.fallback, first);
        secrets.fetched(clock(45), &mut rng);
        assert!(secrets.tick::<Vodozemac>(&mut store, clock(45), &mut rng).unwrap());
        assert_ne!(secrets.fallback, first);
    }
}
