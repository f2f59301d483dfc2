//! Requests that have come and been opened, while the account record of whoever asks is being read.
//!
//! A request shows that its device belongs to an account. That the device is still active only the account record
//! says, and before it has spoken the user sees nothing.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use rand_core::CryptoRng;
use starling_crypto::envelope::VerifiedRequest;
use starling_crypto::identity::VerifiedDeviceList;
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
/// How long a request that was given up goes behind the others, where a holder still serves it.
const LATELY: Span = Span::from_hours(24);
/// Requests of which that is remembered; of more the oldest are forgotten.
const GIVEN_UP: usize = 256;
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
    /// Whether anybody has answered that the account is not to be found, or not with this device.
    denied: bool,
    /// Whether it was given up lately.
    stale: bool,
}

/// Who goes first: requests that were not given up lately, and of those the invited, then those with the most work.
type Rank = (bool, bool, u8);

impl Arrival {
    pub(super) const fn new(
        request: VerifiedRequest,
        work_bits: u8,
        mailbox: MailboxAddress,
        record: RecordId,
    ) -> Self {
        Self { request, work_bits, mailbox, record, tries: 0, due: None, denied: false, stale: false }
    }

    fn account(&self) -> AccountKey {
        self.request.body().account
    }

    fn rank(&self, request_inbox: &MailboxAddress) -> Rank {
        (!self.stale, self.mailbox != *request_inbox, self.work_bits)
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
    /// What was given up, and when.
    given_up: BTreeMap<RecordId, Tick>,
}

impl Arrivals {
    /// Takes requests in. Of several from one account the first that is being checked goes first; where there is no room
    /// for all, those that rank higher go first, and displace others. Who is left out comes up at the next reading.
    pub(super) fn take_in(
        &mut self,
        arrivals: Vec<Arrival>,
        request_inbox: &MailboxAddress,
        now: Tick,
        errands: &mut Errands,
    ) {
        self.given_up.retain(|_, at| now < at.after(LATELY));
        let mut new = BTreeSet::new();
        for mut arrival in arrivals {
            let account = arrival.account();
            if self.waiting.contains_key(&account) {
                continue;
            }
            arrival.stale = self.given_up.contains_key(&arrival.record);
            if self.waiting.len() >= AT_ONCE {
                let rank = arrival.rank(request_inbox);
                let Some((least, _)) = self.lowest(request_inbox).filter(|(_, lowest)| *lowest < rank) else {
                    continue;
                };
                self.waiting.remove(&least);
                new.remove(&least);
            }
            self.waiting.insert(account, arrival);
            new.insert(account);
        }
        new.into_iter().for_each(|account| look_up(account, errands));
    }

    fn lowest(&self, request_inbox: &MailboxAddress) -> Option<(AccountKey, Rank)> {
        let ranks = self.waiting.iter().map(|(account, arrival)| (*account, arrival.rank(request_inbox)));
        ranks.min_by_key(|(_, rank)| *rank)
    }

    /// Whether the device that asks for this account is active on its list.
    pub(super) fn is_active(&self, account: &AccountKey, list: &VerifiedDeviceList) -> bool {
        self.waiting.get(account).is_some_and(|arrival| {
            let device = arrival.request.device();
            list.device(&device.key()).is_ok_and(|listed| listed.olm_identity() == device.olm_identity())
        })
    }

    /// Takes out the request whose account record has been found.
    pub(super) fn take(&mut self, account: &AccountKey) -> Option<Arrival> {
        self.waiting.remove(account)
    }

    /// The account record has not been found, or the device is not on it: tried again, or given up. Gives what was given
    /// up, if its holders can let it go; `answered` says whether any holder of the record was there to be asked.
    pub(super) fn not_found(
        &mut self,
        account: &AccountKey,
        answered: bool,
        now: Tick,
        rng: &mut dyn CryptoRng,
    ) -> Option<Arrival> {
        let arrival = self.waiting.get_mut(account)?;
        arrival.denied |= answered;
        arrival.tries = arrival.tries.saturating_add(1);
        if arrival.tries < TRIES {
            let wait = RETRY.times(1 << arrival.tries);
            arrival.due = Some(now.after(wait.jittered(rng.next_u32())));
            return None;
        }
        let arrival = self.waiting.remove(account)?;
        self.given_up.insert(arrival.record, now);
        if self.given_up.len() > GIVEN_UP {
            let oldest = self.given_up.iter().min_by_key(|(_, at)| **at).map(|(record, _)| *record);
            oldest.and_then(|record| self.given_up.remove(&record));
        }
        Some(arrival).filter(|arrival| arrival.denied)
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
    use crate::meeting::fixture::{request_and_list_of, request_of};

    const MAILBOX: MailboxAddress = MailboxAddress::new([1; 32]);

    fn arrival(n: u8, work_bits: u8) -> Arrival {
        Arrival::new(request_of(n), work_bits, MAILBOX, RecordId::new([n; 32]))
    }

    fn take_in(arrivals: &mut Arrivals, which: Vec<Arrival>, now: Tick, errands: &mut Errands) {
        arrivals.take_in(which, &MAILBOX, now, errands);
    }

    fn account(n: u8) -> AccountKey {
        request_of(n).body().account
    }

    /// Lets every try for a request find nothing; gives how many there were, what can go, and when.
    fn try_in_vain(
        arrivals: &mut Arrivals,
        n: u8,
        answered: bool,
        errands: &mut Errands,
    ) -> (u32, Option<Arrival>, Tick) {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (mut now, mut tries, mut gone) = (Tick::ZERO, 0, None);
        while errands.poll().is_some() {
            tries += 1;
            gone = arrivals.not_found(&account(n), answered, now, &mut rng);
            let Some(due) = arrivals.next_timeout() else { break };
            assert!(due > now);
            now = due;
            arrivals.tick(now, errands);
        }
        (tries, gone, now)
    }

    #[test]
    fn of_several_copies_one_is_checked() {
        let (mut arrivals, mut errands) = (Arrivals::default(), Errands::default());
        take_in(&mut arrivals, vec![arrival(1, 4), arrival(1, 4)], Tick::ZERO, &mut errands);
        take_in(&mut arrivals, vec![arrival(1, 4)], Tick::ZERO, &mut errands);
        assert!(errands.poll().is_some() && errands.poll().is_none());
        assert!(arrivals.take(&account(1)).is_some() && arrivals.take(&account(1)).is_none());
    }

    #[test]
    fn the_request_of_an_account_that_cannot_be_found_can_go() {
        let (mut arrivals, mut errands) = (Arrivals::default(), Errands::default());
        take_in(&mut arrivals, vec![arrival(1, 4)], Tick::ZERO, &mut errands);
        let (tries, gone, _) = try_in_vain(&mut arrivals, 1, true, &mut errands);
        assert_eq!((tries, gone.map(|gone| gone.record)), (TRIES, Some(RecordId::new([1; 32]))));
        assert!(arrivals.take(&account(1)).is_none());
    }

    #[test]
    fn where_nobody_answers_the_request_is_left_where_it_lies() {
        let (mut arrivals, mut errands) = (Arrivals::default(), Errands::default());
        take_in(&mut arrivals, vec![arrival(1, 4)], Tick::ZERO, &mut errands);
        let (tries, gone, _) = try_in_vain(&mut arrivals, 1, false, &mut errands);
        assert_eq!((tries, gone.is_none()), (TRIES, true));
        assert!(arrivals.take(&account(1)).is_none(), "and does not hold its place");
    }

    #[test]
    fn where_there_is_no_room_more_work_goes_first_and_what_was_given_up_last() {
        let (mut arrivals, mut errands) = (Arrivals::default(), Errands::default());
        take_in(&mut arrivals, vec![arrival(100, 9)], Tick::ZERO, &mut errands);
        let (.., now) = try_in_vain(&mut arrivals, 100, true, &mut errands);
        let many = |n: u8| (n..n + 32).map(|n| arrival(n, 4)).collect::<Vec<_>>();
        take_in(&mut arrivals, vec![arrival(100, 9)], now, &mut errands);
        take_in(&mut arrivals, many(0), now, &mut errands);
        assert_eq!(arrivals.waiting.len(), AT_ONCE);
        assert!(!arrivals.waiting.contains_key(&account(100)), "it gives way to what was not tried yet");
        take_in(&mut arrivals, many(40), now, &mut errands);
        assert!(!arrivals.waiting.contains_key(&account(40)), "no better than those there are");
        take_in(&mut arrivals, vec![arrival(90, 5)], now, &mut errands);
        assert!(arrivals.waiting.contains_key(&account(90)));
        let invited = Arrival::new(request_of(91), 0, MailboxAddress::new([2; 32]), RecordId::new([91; 32]));
        take_in(&mut arrivals, vec![invited], now, &mut errands);
        assert!(arrivals.waiting.contains_key(&account(91)), "an invite replaces the work");
        assert_eq!(arrivals.waiting.len(), AT_ONCE);
    }

    #[test]
    fn a_device_that_is_not_on_the_list_is_not_active() {
        let (mut arrivals, mut errands) = (Arrivals::default(), Errands::default());
        let (request, list) = request_and_list_of(1);
        let arrival = Arrival::new(request, 4, MAILBOX, RecordId::new([1; 32]));
        take_in(&mut arrivals, vec![arrival], Tick::ZERO, &mut errands);
        assert!(arrivals.is_active(&account(1), &list));
        assert!(!arrivals.is_active(&account(1), &request_and_list_of(2).1));
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
