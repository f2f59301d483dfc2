//! When holders are asked whether they keep what was placed with them, and what follows: for letters and for what is
//! published alike.
//!
//! An hour after a placement, then daily, some of those that said "stored" are asked to prove it. So somebody who
//! writes down what they can be asked for need not believe them. It is not written to disk: what was placed before a
//! restart is placed anew some time later, and watched from then on.

use rand_core::CryptoRng;
use starling_overlay::io::Placement;
use starling_overlay::sampling::{Sample, Samples, Shown};
use starling_proto::ids::{NodeKey, RecordId};
use starling_proto::time::{Span, Tick};

/// The first check: whoever drops what it was given has done so by then, and whoever only passed by has gone.
pub(crate) const FIRST: Span = Span::from_hours(1);
/// The pause between two checks.
pub(crate) const AGAIN: Span = Span::from_hours(24);
/// Checks under way at once, of letters and of what is published each.
pub(crate) const AT_ONCE: usize = 2;
/// Enough is this many in a hundred of those who should keep something: 24 of 40.
const ENOUGH_PERCENT: usize = 60;

/// A placement whose holders are asked now and then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Watch {
    record: RecordId,
    samples: Samples,
    /// How many should keep it.
    wanted: usize,
    /// Whether we do, and need not ask.
    ourselves: bool,
    due: Tick,
    is_asked: bool,
    /// Whether somebody said that it was deleted.
    is_deleted: bool,
}

/// What is to be done about a placement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// Ask these.
    Ask(Sample),
    /// Nobody is left to be asked.
    Nobody(Standing),
    /// All questions have been asked: it ends soon.
    Over,
}

/// How a placement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// How many keep it, as far as those that were asked speak for all.
    pub(crate) holders: usize,
    /// Whether that is enough.
    pub(crate) is_enough: bool,
}

impl Watch {
    /// Watches a placement of `me`; the first check is due about `wait` from now.
    pub(crate) fn new(placement: &Placement, me: &NodeKey, (now, wait): (Tick, Span), random: u32) -> Self {
        Self {
            record: placement.id,
            samples: placement.samples.clone(),
            wanted: placement.wanted,
            ourselves: placement.holders.contains(me),
            due: now.after(wait.jittered(random)),
            is_asked: false,
            is_deleted: false,
        }
    }

    /// When the next check is due, if none is under way.
    pub(crate) fn next_timeout(&self) -> Option<Tick> {
        (!self.is_asked).then_some(self.due)
    }

    /// Whether a check is under way.
    pub(crate) const fn is_asked(&self) -> bool {
        self.is_asked
    }

    /// What a check begins with.
    pub(crate) fn next(&mut self, now: Tick, rng: &mut dyn CryptoRng) -> Next {
        if self.samples.holders() == 0 {
            self.due = now.after(AGAIN.jittered(rng.next_u32()));
            return Next::Nobody(self.standing(0));
        }
        match self.samples.draw(self.record, rng) {
            Some(sample) => {
                self.is_asked = true;
                Next::Ask(sample)
            }
            None => Next::Over,
        }
    }

    /// What a check has shown; `None` if nobody could be asked: then it is made an hour later.
    ///
    /// Whoever says that its owner has deleted it is believed once: the owner confirms what it takes within minutes, so
    /// a day later that is no answer any more.
    pub(crate) fn judge(&mut self, shown: &[(NodeKey, Shown)], now: Tick, random: u32) -> Option<Standing> {
        self.is_asked = false;
        if shown.is_empty() {
            self.due = now.after(FIRST.jittered(random));
            return None;
        }
        self.due = now.after(AGAIN.jittered(random));
        let believed = !self.is_deleted;
        self.is_deleted |= shown.iter().any(|(_, shown)| *shown == Shown::Deleted);
        let others = self.samples.judge(shown, believed);
        Some(self.standing(others))
    }

    /// The next check is due at `at`, if not earlier.
    pub(crate) fn hurry(&mut self, at: Tick) {
        self.due = self.due.min(at);
    }

    fn standing(&self, others: usize) -> Standing {
        let holders = others.saturating_add(usize::from(self.ourselves));
        Standing { holders, is_enough: is_enough(others, holders, self.wanted) }
    }
}

/// Whether so many `holders` are what is called stored: most of those who should be, and `others` besides us.
pub(crate) const fn is_enough(others: usize, holders: usize, wanted: usize) -> bool {
    others > 0 && holders.saturating_mul(100) >= wanted.saturating_mul(ENOUGH_PERCENT)
}

/// Placements for the tests.
#[cfg(test)]
pub(crate) mod fixture {
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng as _;
    use starling_proto::addr::Peer;
    use starling_proto::ids::{MailboxAddress, PublisherKey, RecordKey, Signature};
    use starling_proto::record::{Capability, CapabilityBody, Record, RecordBody, RecordKind};
    use starling_proto::time::UnixSeconds;

    use super::*;

    pub(crate) fn key(n: u8) -> NodeKey {
        NodeKey::new([n; 32])
    }

    /// Where a letter came to lie that `wanted` should keep.
    pub(crate) fn placement(holders: &[NodeKey], me: &NodeKey, wanted: usize) -> Placement {
        let publisher = PublisherKey::new([2; 32]);
        let body = RecordBody {
            key: RecordKey::new([1; 32]),
            kind: RecordKind::Deposit,
            publisher,
            sequence: 1,
            issued: UnixSeconds::new(1),
            expires: UnixSeconds::new(2),
            payload: vec![1],
            tombstone: false,
        };
        let expires = UnixSeconds::new(3);
        let address = MailboxAddress::new([3; 32]);
        let leave = CapabilityBody { address, depositor: publisher, expires, quota_kib: 1 };
        let leave = Capability::new(leave.encode(), Signature::new([5; 64])).unwrap();
        let record = Record::new(body.encode(), Signature::new([4; 64]), None, Some(leave)).unwrap();
        placement_of(&record, holders, me, wanted)
    }

    /// Where a record came to lie.
    pub(crate) fn placement_of(
        record: &Record,
        holders: &[NodeKey],
        me: &NodeKey,
        wanted: usize,
    ) -> Placement {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let others = holders.iter().filter(|holder| *holder != me).map(|holder| Peer::new(*holder, []));
        Placement {
            id: record.id(),
            holders: holders.to_vec(),
            unnamed: 0,
            wanted,
            refused: Vec::new(),
            caps_relaxed: false,
            requests: 1,
            samples: Samples::new(record, others.collect(), &mut rng),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng as _;
    use starling_proto::addr::Peer;

    use super::fixture::{key, placement};
    use super::*;

    const ME: NodeKey = NodeKey::new([255; 32]);

    fn rng() -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(1)
    }

    /// Ourselves and `others` more keep a letter.
    fn watch(others: u8) -> Watch {
        let holders: Vec<NodeKey> = (1..=others).map(key).chain([ME]).collect();
        let wanted = holders.len();
        Watch::new(&placement(&holders, &ME, wanted), &ME, (Tick::ZERO, FIRST), 0)
    }

    fn check(watch: &mut Watch, shown: impl Fn(u8) -> Shown) -> Option<Standing> {
        let now = watch.next_timeout().unwrap();
        let Next::Ask(sample) = watch.next(now, &mut rng()) else { panic!("nobody to ask") };
        assert_eq!(watch.next_timeout(), None, "it is under way");
        let shown = |(peer, _): &(Peer, _)| (peer.key(), shown(peer.key().as_bytes()[0]));
        watch.judge(&sample.questions.iter().map(shown).collect::<Vec<_>>(), now, 0)
    }

    #[test]
    fn who_fails_counts_no_more_until_nobody_is_left() {
        let mut watch = watch(4);
        let kept = |most: u8| move |n| if n <= most { Shown::Kept } else { Shown::Nothing };
        assert_eq!(check(&mut watch, kept(4)), Some(Standing { holders: 5, is_enough: true }));
        assert_eq!(check(&mut watch, kept(2)), Some(Standing { holders: 3, is_enough: true }));
        assert_eq!(check(&mut watch, kept(1)), Some(Standing { holders: 2, is_enough: false }));
        assert_eq!(check(&mut watch, kept(0)), Some(Standing { holders: 1, is_enough: false }));
        let alone = Standing { holders: 1, is_enough: false };
        let now = watch.next_timeout().unwrap();
        assert_eq!(watch.next(now, &mut rng()), Next::Nobody(alone));
        assert!(watch.next_timeout() > Some(now));
    }

    #[test]
    fn that_it_was_deleted_is_believed_once() {
        let mut watch = watch(8);
        assert!(check(&mut watch, |_| Shown::Deleted).unwrap().is_enough);
        assert!(!check(&mut watch, |_| Shown::Deleted).unwrap().is_enough);
    }

    #[test]
    fn an_hour_after_and_then_daily_and_later_where_nobody_can_be_asked() {
        let mut watch = watch(8);
        let pause = |watch: &mut Watch, shown: &[(NodeKey, Shown)]| {
            let now = watch.next_timeout().unwrap();
            watch.next(now, &mut rng());
            watch.judge(shown, now, u32::MAX / 2);
            watch.next_timeout().unwrap().since(now).as_secs().div_ceil(3600)
        };
        assert_eq!(watch.next_timeout().unwrap(), Tick::ZERO.after(FIRST.jittered(0)));
        assert_eq!(pause(&mut watch, &[(key(1), Shown::Kept)]), 24);
        assert_eq!(pause(&mut watch, &[]), 1);
    }

    #[test]
    fn questions_come_to_an_end() {
        let mut watch = watch(8);
        for _ in 0..14 {
            check(&mut watch, |_| Shown::Kept);
        }
        assert_eq!(watch.next(Tick::ZERO, &mut rng()), Next::Over);
    }
}
