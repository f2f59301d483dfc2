//! This device's own mailboxes, one for every four weeks, and the leave to deposit there that each contact's device has.
//!
//! All of it follows from one secret: the key of each mailbox, and the key with which each device of a contact signs what
//! it leaves there. So nothing is kept of what was handed over, and who left a deposit is known by its publisher. When
//! somebody is blocked the secret is replaced; what was handed over before is read for a while longer, since contacts who
//! are away go on using it until they hear of the new one.

use alloc::vec::Vec;
use core::iter;

use rand_core::CryptoRng;
use starling_crypto::CryptoError;
use starling_crypto::capability::issue_capability;
use starling_crypto::keys::{DepositorSecret, MailboxSecret, SigningSecret as _};
use starling_crypto::secret::Secret;
use starling_proto::content::{MailboxEpoch, MailboxGrant};
use starling_proto::ids::{AccountKey, DeviceKey, MailboxAddress, PublisherKey};
use starling_proto::limits;
use starling_proto::time::{Span, UnixSeconds};

use crate::wire;

/// What one device of a contact may keep at one mailbox, in KiB: ten thousand short messages.
const QUOTA_KIB: u32 = 6 * 1024;
/// Epochs after its own in which a leave still counts: clocks differ, and mail lives on.
const LEAVE_BEYOND: u32 = 2;
/// How long a replaced secret's mailboxes are read: what was put into an outbox before can be deposited for 30 days, and
/// then lives for 14.
const RETIRED_LIFE: Span = Span::from_days(44);
/// Replaced secrets that are read. Beyond, the oldest is forgotten: what still comes there is sent again when its sender
/// hears of the new one.
const RETIRED: usize = 4;
/// Epochs that are handed over, and read in turns if they are far ahead: almost two years.
const FAR: u64 = limits::MAILBOX_GRANTS as u64;
/// How long each of them has its turn.
const TURN: Span = Span::from_hours(1);
/// A contact is told anew when fewer epochs than this are left of what it was told: about a year.
const LOW: u32 = 12;

/// The BLAKE3 contexts that tell the keys of a mailbox secret from one another; fixed for ever.
const MAILBOX_CONTEXT: &str = "starling/1/mailbox/epoch";
const DEPOSITOR_CONTEXT: &str = "starling/1/mailbox/depositor";

/// What all mailboxes of a while follow from.
#[derive(Debug)]
struct Root(Secret<32>);

/// A secret that has been replaced.
#[derive(Debug)]
struct Retired {
    root: Root,
    /// When its mailboxes are forgotten.
    until: UnixSeconds,
}

/// How often a mailbox is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pace {
    /// Holders tell us what comes.
    Told,
    /// Now and then.
    Seldom,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Mailboxes {
    root: Root,
    retired: Vec<Retired>,
}

impl Mailboxes {
    pub(super) fn new(rng: &mut dyn CryptoRng) -> Self {
        Self { root: Root(Secret::random(rng)), retired: Vec::new() }
    }

    /// Takes a new secret, which whoever knows the old mailboxes cannot follow.
    pub(super) fn replace(&mut self, now: UnixSeconds, rng: &mut dyn CryptoRng) {
        let root = core::mem::replace(&mut self.root, Root(Secret::random(rng)));
        self.retired.insert(0, Retired { root, until: now.after(RETIRED_LIFE) });
        self.retired.truncate(RETIRED);
    }

    /// Forgets replaced secrets whose time is over; says whether there were any. Only by a clock that others confirm.
    pub(super) fn forget_ended(&mut self, now: UnixSeconds) -> bool {
        let before = self.retired.len();
        self.retired.retain(|retired| retired.until > now);
        self.retired.len() != before
    }

    /// The mailboxes that are read at this time, and how often. Besides that of the current epoch: its neighbours while
    /// mail may lie there, and in turns, one each hour, those that only a very wrong clock fills.
    pub(super) fn to_read(&self, now: UnixSeconds) -> impl Iterator<Item = (MailboxSecret, Pace)> {
        let current = MailboxEpoch::of(now);
        let lately = now < current.begin().after(limits::MAIL_LIFE).after(limits::CLOCK_SLACK);
        let soon = now.after(limits::CLOCK_SLACK) >= current.later(1).begin();
        let near: Vec<(MailboxEpoch, Pace)> = [
            Some((current, Pace::Told)),
            lately.then_some((current.earlier(1), Pace::Seldom)),
            soon.then_some((current.later(1), Pace::Seldom)),
        ]
        .into_iter()
        .flatten()
        .collect();
        let hours = now.get().checked_div(TURN.as_secs());
        let turn = hours.and_then(|hours| hours.checked_rem(FAR.saturating_sub(1))).unwrap_or_default();
        let far = current.later(u32::try_from(turn).unwrap_or_default().saturating_add(1));
        let own = near.clone().into_iter().chain([(far, Pace::Seldom)]);
        let own = own.map(move |(epoch, pace)| (self.root.mailbox(epoch), pace));
        let retired = self.retired.iter().flat_map(move |retired| {
            let near = near.clone().into_iter();
            near.map(move |(epoch, pace)| (retired.root.mailbox(epoch), pace))
        });
        own.chain(retired)
    }

    /// What a contact's device is handed over at this time, the current epoch first. Signing cannot fail.
    pub(super) fn grants(
        &self,
        (account, device): (&AccountKey, &DeviceKey),
        now: UnixSeconds,
    ) -> Result<Vec<MailboxGrant>, CryptoError> {
        let current = MailboxEpoch::of(now);
        let epochs = iter::successors(Some(current), |epoch| Some(epoch.later(1)));
        let grant = |epoch: MailboxEpoch| {
            let depositor = self.root.depositor(epoch, account, device);
            let ends = epoch.later(LEAVE_BEYOND).begin();
            let mailbox = self.root.mailbox(epoch);
            let capability = issue_capability(&mailbox, depositor.publisher(), ends, QUOTA_KIB)?;
            Ok(MailboxGrant { epoch, capability, depositor_seed: *depositor.to_seed().expose() })
        };
        epochs.take(limits::MAILBOX_GRANTS).map(grant).collect()
    }

    /// Whose deposits these are, of those who were handed over the mailbox: `None` for the publisher of none.
    pub(super) fn depositors<'a>(
        &self,
        mailbox: &MailboxAddress,
        devices: impl Iterator<Item = (AccountKey, DeviceKey)> + 'a,
        now: UnixSeconds,
    ) -> Option<Vec<(PublisherKey, DeviceKey)>> {
        let (root, epoch) = self.place_of(mailbox, now)?;
        let key = |(account, device): (AccountKey, DeviceKey)| {
            (root.depositor(epoch, &account, &device).publisher(), device)
        };
        Some(devices.map(key).collect())
    }

    /// Whether a device that was told of the mailboxes from one epoch on is to be told anew.
    pub(super) fn is_low(told: MailboxEpoch, now: UnixSeconds) -> bool {
        let current = MailboxEpoch::of(now);
        let ends = told.later(u32::try_from(FAR).unwrap_or(u32::MAX));
        current < told || ends < current.later(LOW)
    }

    fn place_of(&self, mailbox: &MailboxAddress, now: UnixSeconds) -> Option<(&Root, MailboxEpoch)> {
        let current = MailboxEpoch::of(now);
        let roots = iter::once(&self.root).chain(self.retired.iter().map(|retired| &retired.root));
        // The current epoch first: almost all mail lies there.
        let near = [current, current.earlier(1), current.later(1)];
        let far = (2..u32::try_from(FAR).unwrap_or(u32::MAX)).map(move |n| current.later(n));
        let epochs: Vec<MailboxEpoch> = near.into_iter().chain(far).collect();
        let mut places = roots.flat_map(|root| epochs.iter().map(move |epoch| (root, *epoch)));
        places.find(|(root, epoch)| root.mailbox(*epoch).public() == *mailbox)
    }

    pub(super) fn to_wire(&self) -> wire::Mailboxes {
        let retired = self.retired.iter().map(|retired| wire::RetiredMailboxes {
            root: retired.root.0.expose().to_vec(),
            until_s: retired.until.get(),
        });
        wire::Mailboxes { root: self.root.0.expose().to_vec(), retired: retired.collect() }
    }

    pub(super) fn from_wire(stored: &wire::Mailboxes) -> Option<Self> {
        let root = |bytes: &[u8]| Some(Root(Secret::copy_of(bytes.try_into().ok()?)));
        let retired = stored.retired.iter().map(|retired| {
            Some(Retired { root: root(&retired.root)?, until: UnixSeconds::new(retired.until_s) })
        });
        Some(Self { root: root(&stored.root)?, retired: retired.collect::<Option<_>>()? })
    }
}

impl Root {
    fn mailbox(&self, epoch: MailboxEpoch) -> MailboxSecret {
        MailboxSecret::from_seed(&self.derived(MAILBOX_CONTEXT, &[&epoch.get().to_be_bytes()]))
    }

    fn depositor(&self, epoch: MailboxEpoch, account: &AccountKey, device: &DeviceKey) -> DepositorSecret {
        let of = [&epoch.get().to_be_bytes()[..], account.as_bytes(), device.as_bytes()];
        DepositorSecret::from_seed(&self.derived(DEPOSITOR_CONTEXT, &of))
    }

    /// The parts have fixed lengths, so that no two lists of them are the same bytes.
    fn derived(&self, context: &str, parts: &[&[u8]]) -> Secret<32> {
        let mut hasher = blake3::Hasher::new_derive_key(context);
        hasher.update(self.0.expose());
        parts.iter().for_each(|part| {
            hasher.update(part);
        });
        Secret::from_fn(|bytes| *bytes = *hasher.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng as _;
    use starling_crypto::capability::verify_capability;

    use super::*;

    const NOW: UnixSeconds = UnixSeconds::new(1_767_225_600);
    const ADA: (AccountKey, DeviceKey) = (AccountKey::new([1; 32]), DeviceKey::new([2; 32]));
    const BOB: (AccountKey, DeviceKey) = (AccountKey::new([3; 32]), DeviceKey::new([4; 32]));

    fn mailboxes() -> Mailboxes {
        Mailboxes::new(&mut ChaCha8Rng::seed_from_u64(1))
    }

    fn grants(mailboxes: &Mailboxes, of: (AccountKey, DeviceKey)) -> Vec<MailboxGrant> {
        mailboxes.grants((&of.0, &of.1), NOW).unwrap()
    }

    fn addresses(mailboxes: &Mailboxes, pace: Pace) -> Vec<MailboxAddress> {
        let of = mailboxes.to_read(NOW).filter(|(_, of)| *of == pace);
        of.map(|(secret, _)| secret.public()).collect()
    }

    #[test]
    fn what_is_handed_over_is_what_is_read() {
        let mailboxes = mailboxes();
        let grants = grants(&mailboxes, ADA);
        assert_eq!(grants.len(), limits::MAILBOX_GRANTS);
        let day = (0..24).map(|hour| NOW.after(Span::from_hours(hour)));
        let read =
            day.flat_map(|at| mailboxes.to_read(at).map(|(secret, _)| secret.public()).collect::<Vec<_>>());
        let read: BTreeSet<_> = read.collect();
        for grant in &grants {
            let address = verify_capability(&grant.capability).unwrap();
            assert!(read.contains(&address), "all within a day");
            let depositor = DepositorSecret::from_seed(&Secret::copy_of(&grant.depositor_seed));
            assert_eq!(grant.capability.body().depositor, depositor.publisher());
            assert!(grant.capability.body().expires >= grant.epoch.later(1).begin());
        }
        assert_eq!(addresses(&mailboxes, Pace::Told), [grants[0].capability.body().address]);
    }

    #[test]
    fn the_epoch_before_is_read_while_its_mail_lives() {
        let mailboxes = mailboxes();
        let begin = MailboxEpoch::of(NOW).later(1).begin();
        let before = mailboxes.root.mailbox(MailboxEpoch::of(NOW)).public();
        let read = |days| {
            let at = begin.after(Span::from_days(days));
            mailboxes.to_read(at).any(|(secret, _)| secret.public() == before)
        };
        assert!(read(0) && read(14) && !read(16));
        let next = mailboxes.root.mailbox(MailboxEpoch::of(begin)).public();
        let mut early = mailboxes.to_read(begin.before(Span::from_hours(20)));
        assert!(early.any(|(secret, _)| secret.public() == next), "other clocks are ahead");
    }

    #[test]
    fn a_depositor_is_known_by_its_key() {
        let mailboxes = mailboxes();
        let (ada, bob) = (grants(&mailboxes, ADA), grants(&mailboxes, BOB));
        let publisher = |grant: &MailboxGrant| grant.capability.body().depositor;
        for n in [0, 1, 24] {
            let address = ada[n].capability.body().address;
            assert_eq!(address, bob[n].capability.body().address, "one mailbox for all contacts");
            let known = mailboxes.depositors(&address, [ADA, BOB].into_iter(), NOW).unwrap();
            assert_eq!(known, [(publisher(&ada[n]), ADA.1), (publisher(&bob[n]), BOB.1)]);
        }
        assert_ne!(publisher(&ada[0]), publisher(&ada[1]), "no holder sees that they are one contact's");
        assert_eq!(mailboxes.depositors(&MailboxAddress::new([9; 32]), [ADA].into_iter(), NOW), None);
    }

    #[test]
    fn a_replaced_secret_is_read_for_a_while() {
        let mut mailboxes = mailboxes();
        let before = grants(&mailboxes, ADA)[0].capability.body().address;
        mailboxes.replace(NOW, &mut ChaCha8Rng::seed_from_u64(2));
        let after = grants(&mailboxes, ADA)[0].capability.body().address;
        assert_ne!(before, after);
        assert_eq!(addresses(&mailboxes, Pace::Told), [after, before]);
        assert!(mailboxes.depositors(&before, [ADA].into_iter(), NOW).is_some());
        assert!(!mailboxes.forget_ended(NOW.after(Span::from_days(43))));
        assert!(mailboxes.forget_ended(NOW.after(Span::from_days(45))));
        assert_eq!(addresses(&mailboxes, Pace::Told), [after]);
        for seed in 0..10 {
            mailboxes.replace(NOW, &mut ChaCha8Rng::seed_from_u64(seed));
        }
        assert_eq!(addresses(&mailboxes, Pace::Told).len(), 1 + RETIRED);
    }

    #[test]
    fn contacts_are_told_anew_before_they_run_out() {
        let at = |days| NOW.after(Span::from_days(days));
        let told = MailboxEpoch::of(NOW);
        assert!(!Mailboxes::is_low(told, at(0)) && !Mailboxes::is_low(told, at(340)));
        assert!(Mailboxes::is_low(told, at(400)) && Mailboxes::is_low(told, at(4_000)));
        assert!(Mailboxes::is_low(told.later(13), NOW), "told while our clock was a year ahead");
    }

    #[test]
    fn a_restart_keeps_them() {
        let mut mailboxes = mailboxes();
        mailboxes.replace(NOW, &mut ChaCha8Rng::seed_from_u64(2));
        let again = Mailboxes::from_wire(&mailboxes.to_wire()).unwrap();
        assert_eq!(addresses(&again, Pace::Told), addresses(&mailboxes, Pace::Told));
        assert!(Mailboxes::from_wire(&wire::Mailboxes::default()).is_none());
    }
}
