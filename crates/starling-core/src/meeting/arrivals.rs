//! Requests that have come and been opened, while the account record of whoever asks is being read.
//!
//! A request shows that its device belongs to an account. That the device is still active only the account record
//! says, and before it has spoken the user sees nothing.

use alloc::collections::BTreeMap;

use rand_core::CryptoRng;
use starling_crypto::envelope::VerifiedRequest;
use starling_proto::ids::{AccountKey, MailboxAddress, RecordId, RecordKey};
use starling_proto::limits;
use starling_proto::record::RecordKind;
use starling_proto::time::{Span, Tick, UnixSeconds};

use super::approach::PATIENCE;
use super::errands::{Errand, Errands};
use crate::wish::Wish;

/// Requests that are checked at once; others are read again with the mailbox.
const AT_ONCE: usize = 32;
/// Before an account record that was not found is looked for again.
const RETRY: Span = Span::from_secs(5);
/// Looked for this often, each time twice as long after the last: five minutes in all.
const TRIES: u32 = 6;
/// How long a request is known again: until the last copy of it has ended.
pub(super) const REMEMBERED: Span = Span::from_days(90);

/// A request that has been opened.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) request: VerifiedRequest,
    /// Zero bits of the work behind it.
    pub(super) work_bits: u8,
    /// Where it lay.
    pub(super) mailbox: MailboxAddress,
    /// As which record.
    pub(super) record: RecordId,
    tries: u32,
    due: Option<Tick>,
}

impl Arrival {
    pub(super) const fn new(
        request: VerifiedRequest,
        work_bits: u8,
        mailbox: MailboxAddress,
        record: RecordId,
    ) -> Self {
        Self { request, work_bits, mailbox, record, tries: 0, due: None }
    }

    fn account(&self) -> AccountKey {
        self.request.body().account
    }
}

/// Whether a request's date will do: neither from the future nor older than anybody repeats one.
pub(super) fn is_timely(request: &VerifiedRequest, now: UnixSeconds) -> bool {
    let issued = request.body().issued;
    issued <= now.after(limits::CLOCK_SLACK) && now <= issued.after(PATIENCE)
}

/// What a request is known by: the same for every copy and repetition of it.
pub(super) fn identity(request: &VerifiedRequest) -> [u8; 32] {
    let body = request.body();
    let mut hasher = blake3::Hasher::new_derive_key("starling/1/seen/contact-request");
    hasher.update(request.device().key().as_bytes());
    hasher.update(body.recipient.as_bytes()).update(body.one_time_key.as_bytes());
    *hasher.finalize().as_bytes()
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    waiting: BTreeMap<AccountKey, Arrival>,
}

impl Arrivals {
    /// Takes a request in. Of several from one account the first that is being checked goes first.
    pub(super) fn take_in(&mut self, arrival: Arrival, errands: &mut Errands) {
        let account = arrival.account();
        if self.waiting.contains_key(&account) || self.waiting.len() >= AT_ONCE {
            return;
        }
        self.waiting.insert(account, arrival);
        look_up(account, errands);
    }

    /// Takes out the request whose account record has been found.
    pub(super) fn take(&mut self, account: &AccountKey) -> Option<Arrival> {
        self.waiting.remove(account)
    }

    /// The account record has not been found: tried again, or given up until the mailbox is read again.
    pub(super) fn not_found(&mut self, account: &AccountKey, now: Tick, rng: &mut dyn CryptoRng) {
        let Some(arrival) = self.waiting.get_mut(account) else { return };
        arrival.tries = arrival.tries.saturating_add(1);
        if arrival.tries >= TRIES {
            self.waiting.remove(account);
            return;
        }
        let wait = RETRY.times(1 << arrival.tries);
        arrival.due = Some(now.after(wait.jittered(rng.next_u32())));
    }

    /// When something is due.
    pub(super) fn next_timeout(&self) -> Option<Tick> {
        self.waiting.values().filter_map(|arrival| arrival.due).min()
    }

    /// Looks again for what is due.
    pub(super) fn tick(&mut self, now: Tick, errands: &mut Errands) {
        for (account, arrival) in &mut self.waiting {
            if arrival.due.is_some_and(|due| due <= now) {
                arrival.due = None;
                look_up(*account, errands);
            }
        }
    }
}

fn look_up(account: AccountKey, errands: &mut Errands) {
    let (key, kind) = (RecordKey::for_account(&account), RecordKind::Account);
    errands.send(Errand::Requester(account), |tag| Wish::Fetch { tag, key, kind });
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng as _;

    use super::*;
    use crate::meeting::fixture::request_of;

    const MAILBOX: MailboxAddress = MailboxAddress::new([1; 32]);

    fn arrival(n: u8) -> Arrival {
        Arrival::new(request_of(n), 4, MAILBOX, RecordId::new([n; 32]))
    }

    #[test]
    fn of_several_copies_one_is_checked() {
        let (mut arrivals, mut errands) = (Arrivals::default(), Errands::default());
        arrivals.take_in(arrival(1), &mut errands);
        arrivals.take_in(arrival(1), &mut errands);
        assert!(errands.poll().is_some() && errands.poll().is_none());
        let account = request_of(1).body().account;
        assert!(arrivals.take(&account).is_some() && arrivals.take(&account).is_none());
    }

    #[test]
    fn an_account_that_cannot_be_found_is_given_up() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (mut arrivals, mut errands) = (Arrivals::default(), Errands::default());
        arrivals.take_in(arrival(1), &mut errands);
        let account = request_of(1).body().account;
        let (mut now, mut tries) = (Tick::ZERO, 0);
        while errands.poll().is_some() {
            tries += 1;
            arrivals.not_found(&account, now, &mut rng);
            let Some(due) = arrivals.next_timeout() else { break };
            assert!(due > now);
            now = due;
            arrivals.tick(now, &mut errands);
        }
        assert_eq!(tries, TRIES);
        assert!(arrivals.take(&account).is_none());
    }

    #[test]
    fn rpl_01_a_request_is_known_again_by_its_key_and_old_ones_do_not_count() {
        let request = request_of(1);
        assert_eq!(identity(&request), identity(&request.clone()));
        assert_ne!(identity(&request), identity(&request_of(2)));
        let issued = request.body().issued;
        assert!(is_timely(&request, issued) && is_timely(&request, issued.after(PATIENCE)));
        assert!(!is_timely(&request, issued.after(PATIENCE).after(Span::from_secs(1))));
        assert!(!is_timely(&request, issued.before(Span::from_hours(25))));
    }
}
