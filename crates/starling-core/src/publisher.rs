//! Keeps what we publish alive: one machine for the account record, the bundle and every directory entry.
//!
//! A publication says what is to lie under a key. The machine turns it into a record when it is due, notes where the
//! record came to lie, and tries again: soon while too few hold it, else after the refresh period. What is no longer
//! wanted is deleted by a tombstone, which is refreshed like a record until the last copy has ended: by a clock that
//! others confirm, or because the copies' whole life has run before our eyes. A clock that jumps ends nothing.
//!
//! Between two refreshes some holders are asked whether they keep it, and what too few do is placed anew. Who they are is
//! not written to disk: after a restart asking begins with the next refresh.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use rand_core::CryptoRng;
use starling_overlay::io::Placement;
use starling_overlay::sampling::{Sample, Shown};
use starling_proto::ids::{NodeKey, RecordKey};
use starling_proto::limits;
use starling_proto::record::{RecordKind, Stamp};
use starling_proto::time::{Month, Now, Span, Tick, UnixSeconds};

use crate::sampling::{self, AGAIN, AT_ONCE, FIRST, Next, Watch};
use crate::wire;

/// Publications that are placed at the same time. Each is a lookup of its own and costs some thirty requests; four
/// keep a first listing of seventy keys below a minute without a burst.
const IN_FLIGHT: usize = 4;
/// The first wait after a placement that reached too few holders; doubles up to the refresh period.
const FIRST_RETRY: Span = Span::from_secs(20);

/// What is to lie under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Which kind.
    pub kind: RecordKind,
    /// Where.
    pub key: RecordKey,
    /// The content.
    pub payload: Vec<u8>,
}

/// One thing that is published.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Publication {
    /// The content; `None` for a deletion. A publication read from disk has no content before it is wanted again.
    payload: Option<Vec<u8>>,
    payload_hash: Option<[u8; 32]>,
    sequence: u64,
    due: Tick,
    /// When the copies that holders have end.
    expires: UnixSeconds,
    /// Since when this process has watched it in its present form.
    since: Tick,
    retry: Span,
    in_flight: bool,
    /// Whether it changed while a placement was under way.
    overtaken: bool,
    /// Whether a holder has it in its present form.
    placed: bool,
    /// Whether nobody else was there to keep it when that was last tried.
    alone: bool,
    /// Its holders, as long as they are asked whether they keep it.
    watch: Option<Watch>,
    /// Whether it is placed anew because they did not.
    lost: bool,
}

impl Publication {
    fn new(payload_hash: Option<[u8; 32]>, due: Tick) -> Self {
        Self {
            payload: None,
            payload_hash,
            sequence: 0,
            due,
            expires: UnixSeconds::default(),
            since: due,
            retry: FIRST_RETRY,
            in_flight: false,
            overtaken: false,
            placed: false,
            alone: false,
            watch: None,
            lost: false,
        }
    }

    /// The content is another from now on.
    fn renew(&mut self, payload_hash: Option<[u8; 32]>, now: Now) {
        self.payload_hash = payload_hash;
        self.due = now.tick;
        self.since = now.tick;
        self.retry = FIRST_RETRY;
        self.overtaken = self.in_flight;
        self.placed = false;
        self.watch = None;
    }

    /// Too few keep it.
    fn place_again(&mut self, now: Tick) {
        self.due = self.due.min(now);
        self.watch = None;
        self.lost = true;
    }

    /// Whether it is a deletion of which no copy is left that it could delete.
    fn is_over(&self, kind: RecordKind, now: Now, clock_confirmed: bool) -> bool {
        let watched = now.tick.since(self.since) >= deletion_life(kind);
        let over = watched || (clock_confirmed && self.expires <= now.seconds());
        self.payload_hash.is_none() && !self.in_flight && over
    }

    /// Whether it can leave now.
    fn is_due(&self, now: Now) -> bool {
        self.is_known() && !self.in_flight && self.due <= now.tick
    }

    /// Whether there is something to sign: one read from disk waits until its content is wanted again.
    const fn is_known(&self) -> bool {
        self.payload.is_some() == self.payload_hash.is_some()
    }

    fn start(&mut self, kind: RecordKind, key: RecordKey, now: Now) -> Due {
        self.in_flight = true;
        self.overtaken = false;
        self.watch = None;
        self.sequence = self.sequence.saturating_add(1).max(now.seconds().get());
        if self.payload.is_some() {
            self.expires = now.seconds().after(kind.longest_life());
        }
        Due { kind, key, sequence: self.sequence, expires: self.expires, payload: self.payload.clone() }
    }
}

/// Whether it need not be placed again soon. How many keep what was passed on is known from a few that were asked, so
/// that most of them must do.
fn is_enough(placement: &Placement) -> bool {
    match placement.unnamed {
        0 => placement.holders.len() >= placement.wanted.max(limits::K),
        shown => placement.wanted >= limits::K && sampling::is_enough(shown, shown, placement.wanted),
    }
}

/// How often a record is placed anew: often enough that holders which left are replaced long before it ends.
const fn refresh_period(kind: RecordKind) -> Span {
    match kind {
        RecordKind::Directory => Span::from_days(7),
        // Contacts re-read account records daily and look for a locator whenever a device is away.
        _ => Span::from_hours(22),
    }
}

/// After this long no copy of what was published before is believed any more.
const fn deletion_life(kind: RecordKind) -> Span {
    Span::from_secs(kind.longest_life().as_secs().saturating_add(limits::CLOCK_SLACK.as_secs()))
}

fn stamp_from_wire(stamp: &wire::Stamp) -> Option<Stamp> {
    let bits = u8::try_from(stamp.bits).ok()?;
    Some(Stamp { month: Month::new(stamp.month), bits, nonce: stamp.nonce })
}

/// Something to be signed and stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Which kind.
    pub kind: RecordKind,
    /// Where.
    pub key: RecordKey,
    /// The publisher's count.
    pub sequence: u64,
    /// How long holders are to keep it.
    pub expires: UnixSeconds,
    /// The content; `None` for a deletion.
    pub payload: Option<Vec<u8>>,
}

/// How much of what is published lies where it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Things to be published.
    pub wanted: usize,
    /// Those that at least one holder has in their present form.
    pub placed: usize,
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Publisher {
    publications: BTreeMap<(RecordKind, RecordKey), Publication>,
    stamp: Option<Stamp>,
    changed: bool,
    /// Whether stamped kinds were held up when last asked: then time alone brings nothing.
    held_up: bool,
}

impl Publisher {
    /// Takes up what was published before; `bytes` is the slot's content.
    ///
    /// A due time in the past is now; one that is further off than the refresh period was written by a clock that has
    /// been set back since, and counts as the period.
    ///
    /// `None` if the slot holds something else.
    #[must_use]
    pub fn load(bytes: &[u8], now: Now) -> Option<Self> {
        let stored = <wire::Publications as prost::Message>::decode(bytes).ok()?;
        let mut publisher =
            Self { stamp: stored.stamp.as_ref().and_then(stamp_from_wire), ..Self::default() };
        for row in &stored.publications {
            let kind = RecordKind::from_number(row.kind).ok()?;
            let wait = UnixSeconds::new(row.due_s).since(now.seconds()).min(refresh_period(kind));
            let hash = <[u8; 32]>::try_from(row.payload_hash.as_slice()).ok();
            let publication = Publication {
                sequence: row.sequence,
                expires: UnixSeconds::new(row.expires_s),
                placed: row.placed,
                since: now.tick,
                ..Publication::new(hash, now.tick.after(wait))
            };
            publisher.publications.insert((kind, RecordKey::from_slice(&row.key).ok()?), publication);
        }
        Some(publisher)
    }

    /// The slot's content, if it has changed since it was last asked for.
    pub fn take_changed(&mut self, now: Now) -> Option<Vec<u8>> {
        core::mem::take(&mut self.changed).then(|| {
            let publications = self.publications.iter().map(|((kind, key), publication)| wire::Publication {
                kind: kind.number(),
                key: key.as_bytes().to_vec(),
                sequence: publication.sequence,
                payload_hash: publication.payload_hash.map_or_else(Vec::new, |hash| hash.to_vec()),
                due_s: now.seconds().after(publication.due.since(now.tick)).get(),
                expires_s: publication.expires.get(),
                placed: publication.placed,
            });
            let stored = wire::Publications {
                publications: publications.collect(),
                stamp: self.stamp.map(|stamp| wire::Stamp {
                    month: stamp.month.get(),
                    bits: u32::from(stamp.bits),
                    nonce: stamp.nonce,
                }),
            };
            prost::Message::encode_to_vec(&stored)
        })
    }

    /// Says everything that is to be published of `kind`; what was and is not named is deleted.
    pub fn want(&mut self, kind: RecordKind, wanted: impl IntoIterator<Item = Wanted>, now: Now) {
        let mut keep = Vec::new();
        for wish in wanted {
            keep.push(wish.key);
            self.want_one(wish, now);
        }
        let unnamed = |(of, key): &(RecordKind, RecordKey)| *of == kind && !keep.contains(key);
        for (_, publication) in self.publications.iter_mut().filter(|(place, _)| unnamed(place)) {
            if publication.payload_hash.is_some() {
                publication.payload = None;
                // Copies are believed for so long after their date, so the deletion must be as well.
                publication.expires = publication.expires.after(limits::CLOCK_SLACK);
                publication.renew(None, now);
                self.changed = true;
            }
        }
    }

    fn want_one(&mut self, wish: Wanted, now: Now) {
        let hash = *blake3::hash(&wish.payload).as_bytes();
        let publication = self
            .publications
            .entry((wish.kind, wish.key))
            .or_insert_with(|| Publication::new(None, now.tick));
        if publication.payload_hash != Some(hash) {
            publication.renew(Some(hash), now);
            self.changed = true;
        }
        publication.payload = Some(wish.payload);
    }

    /// Publishes nothing of `kind` any more and deletes nothing: what holders have can no longer be signed.
    pub fn abandon(&mut self, kind: RecordKind) {
        self.publications.retain(|(of, _), _| *of != kind);
        self.changed = true;
    }

    /// The stamp that this month's records bear.
    #[must_use]
    pub fn stamp(&self, now: Now) -> Option<Stamp> {
        self.stamp.filter(|stamp| stamp.month == now.month())
    }

    /// Takes a stamp that has been found.
    pub fn set_stamp(&mut self, stamp: Stamp) {
        self.stamp = Some(stamp);
        self.changed = true;
    }

    /// Whether something is due that cannot leave without a stamp.
    #[must_use]
    pub fn lacks_stamp(&self, now: Now) -> bool {
        self.stamp(now).is_none()
            && self.publications.iter().any(|((kind, _), p)| kind.needs_stamp() && p.is_due(now))
    }

    /// Ends deletions of what nobody holds any more; to be asked now and then. `clock_confirmed` says whether other
    /// peers have our wall time: a deletion that is forgotten too soon lets copies come back.
    pub fn forget_ended(&mut self, now: Now, clock_confirmed: bool) {
        let before = self.publications.len();
        self.publications.retain(|(kind, _), publication| !publication.is_over(*kind, now, clock_confirmed));
        self.changed |= self.publications.len() != before;
    }

    /// The next things to sign and store.
    pub fn due(&mut self, now: Now) -> Vec<Due> {
        let stamped = self.stamp(now).is_some();
        self.held_up = !stamped;
        let running = self.publications.values().filter(|p| p.in_flight).count();
        let mut due = Vec::new();
        for (&(kind, key), publication) in &mut self.publications {
            if running.saturating_add(due.len()) >= IN_FLIGHT {
                break;
            }
            if publication.is_due(now) && (stamped || !kind.needs_stamp()) {
                due.push(publication.start(kind, key, now));
            }
        }
        // The sequence is on disk before the record leaves: after a crash it is not used for other content.
        self.changed |= !due.is_empty();
        due
    }

    /// Notes where a record came to lie, for the peer `me`. `placement` is `None` if it could not even be tried.
    pub fn placed(
        &mut self,
        (kind, key): (RecordKind, RecordKey),
        placement: Option<&Placement>,
        me: &NodeKey,
        now: Now,
        rng: &mut dyn CryptoRng,
    ) {
        let Some(publication) = self.publications.get_mut(&(kind, key)) else { return };
        publication.in_flight = false;
        self.changed = true;
        if publication.overtaken {
            return;
        }
        let period = refresh_period(kind);
        // One holder is ourselves, while nobody else is there.
        publication.alone = placement.is_some_and(|p| p.wanted <= 1);
        publication.placed |= placement.is_some_and(|p| p.count() > 0);
        // A network that is small now may be growing: what lies with all of three peers is not where thirty will look.
        let enough = placement.is_some_and(is_enough);
        let wait = if enough { period } else { publication.retry };
        publication.retry = if enough { FIRST_RETRY } else { publication.retry.times(2).min(period) };
        publication.due = now.tick.after(wait.jittered(rng.next_u32()));
        // Where many drop, it is placed anew once a day and not once an hour.
        let first = if core::mem::take(&mut publication.lost) { AGAIN } else { FIRST };
        let kept = placement.filter(|placement| placement.samples.holders() > 0);
        publication.watch = kept.map(|p| Watch::new(p, me, (now.tick, first), rng.next_u32()));
    }

    /// The holders to be asked now whether they keep what was placed.
    pub fn samples(&mut self, now: Now, rng: &mut dyn CryptoRng) -> Vec<((RecordKind, RecordKey), Sample)> {
        let (mut samples, mut lost) = (Vec::new(), false);
        let asked = self.asked();
        for (place, publication) in &mut self.publications {
            if asked.saturating_add(samples.len()) >= AT_ONCE {
                break;
            }
            let due = |watch: &&mut Watch| watch.next_timeout().is_some_and(|at| at <= now.tick);
            let next = publication.watch.as_mut().filter(due).map(|watch| watch.next(now.tick, rng));
            match next {
                Some(Next::Ask(sample)) => samples.push((*place, sample)),
                Some(Next::Nobody(_)) => {
                    publication.place_again(now.tick);
                    lost = true;
                }
                Some(Next::Over) => publication.watch = None,
                None => {}
            }
        }
        self.changed |= lost;
        samples
    }

    /// Some holders have been asked; `shown` holds nothing if none could be. What too few keep is placed anew.
    pub fn sampled(
        &mut self,
        place: (RecordKind, RecordKey),
        shown: &[(NodeKey, Shown)],
        now: Now,
        rng: &mut dyn CryptoRng,
    ) {
        let Some(publication) = self.publications.get_mut(&place) else { return };
        // If it was placed anew meanwhile, the answers are about what is overtaken.
        let Some(watch) = publication.watch.as_mut().filter(|watch| watch.is_asked()) else { return };
        let standing = watch.judge(shown, now.tick, rng.next_u32());
        if standing.is_some_and(|standing| !standing.is_enough) {
            publication.place_again(now.tick);
            self.changed = true;
        }
    }

    fn asked(&self) -> usize {
        let watches = self.publications.values().filter_map(|publication| publication.watch.as_ref());
        watches.filter(|watch| watch.is_asked()).count()
    }

    /// The way in which things are placed is another: what has not been placed as it should be is tried again now.
    pub fn hurry(&mut self, now: Tick) {
        for publication in self.publications.values_mut().filter(|p| p.retry > FIRST_RETRY && !p.in_flight) {
            publication.due = now;
            publication.retry = FIRST_RETRY;
        }
    }

    /// Somebody is there: what found nobody is tried again now. Who leaves soon after the first start has left with
    /// others what they need to write.
    pub fn met_somebody(&mut self, now: Tick) {
        for publication in self.publications.values_mut().filter(|p| p.alone && !p.in_flight) {
            publication.alone = false;
            publication.due = now;
            publication.retry = FIRST_RETRY;
        }
    }

    /// How far publishing has come.
    #[must_use]
    pub fn progress(&self, kind: RecordKind) -> Progress {
        let of_kind = self.publications.iter().filter(|((of, _), p)| *of == kind && p.payload_hash.is_some());
        of_kind.fold(Progress::default(), |sum, (_, publication)| Progress {
            wanted: sum.wanted.saturating_add(1),
            placed: sum.placed.saturating_add(usize::from(publication.placed)),
        })
    }

    /// When something is due next, as far as time alone decides: what waits for a stamp, for its content or for another
    /// placement to end is looked at again when that comes.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Tick> {
        let running = self.publications.values().filter(|p| p.in_flight).count();
        let free = |(kind, _): &(RecordKind, RecordKey), p: &Publication| {
            !p.in_flight && p.is_known() && !(self.held_up && kind.needs_stamp())
        };
        let startable = self.publications.iter().filter(|(place, p)| running < IN_FLIGHT && free(place, p));
        let samples = self.publications.values().filter_map(|p| p.watch.as_ref()?.next_timeout()).min();
        let samples = samples.filter(|_| self.asked() < AT_ONCE);
        startable.map(|(_, p)| p.due).chain(samples).min()
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng as _;
    use starling_proto::time::UnixMillis;

    use super::*;
    use crate::sampling::fixture;

    const KEY: RecordKey = RecordKey::new([1; 32]);
    const OTHER: RecordKey = RecordKey::new([2; 32]);

    fn now(seconds: u64) -> Now {
        Now {
            tick: Tick::ZERO.after(Span::from_secs(seconds)),
            wall: UnixMillis::new((1_000_000 + seconds) * 1000),
        }
    }

    fn wish(key: RecordKey, payload: &[u8]) -> Wanted {
        Wanted { kind: RecordKind::Locator, key, payload: payload.to_vec() }
    }

    const ME: NodeKey = NodeKey::new([0; 32]);

    fn placement(holders: usize) -> Placement {
        let holders: Vec<NodeKey> = (1..=holders).map(|n| fixture::key(n as u8)).collect();
        fixture::placement(&holders, &ME, 20)
    }

    fn place(publisher: &mut Publisher, key: RecordKey, holders: usize, at: Now) {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        publisher.placed((RecordKind::Locator, key), Some(&placement(holders)), &ME, at, &mut rng);
    }

    #[test]
    fn what_is_wanted_is_placed_once_and_again_after_the_period() {
        let mut publisher = Publisher::default();
        publisher.want(RecordKind::Locator, [wish(KEY, b"here")], now(0));
        let due = publisher.due(now(0));
        assert_eq!(due.len(), 1);
        assert!(publisher.due(now(1)).is_empty(), "it is under way");
        place(&mut publisher, KEY, 20, now(2));
        assert!(publisher.due(now(3600)).is_empty());
        let again = publisher.due(now(2 * 24 * 3600));
        assert!(again[0].sequence > due[0].sequence && again[0].payload.as_deref() == Some(b"here"));
    }

    #[test]
    fn too_few_holders_are_tried_again_ever_more_slowly() {
        let mut publisher = Publisher::default();
        publisher.want(RecordKind::Locator, [wish(KEY, b"here")], now(0));
        let (mut at, mut tries) = (0, 0);
        while at < 24 * 3600 {
            if !publisher.due(now(at)).is_empty() {
                tries += 1;
                place(&mut publisher, KEY, 3, now(at));
            }
            at += 10;
        }
        assert!((8..20).contains(&tries), "{tries}");
    }

    #[test]
    fn what_found_nobody_is_tried_again_when_somebody_comes() {
        let mut publisher = Publisher::default();
        publisher.want(RecordKind::Locator, [wish(KEY, b"here"), wish(OTHER, b"there")], now(0));
        publisher.due(now(0));
        let alone = Placement { wanted: 1, ..placement(1) };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        publisher.placed((RecordKind::Locator, KEY), Some(&alone), &ME, now(0), &mut rng);
        place(&mut publisher, OTHER, 0, now(0));
        assert!(publisher.due(now(1)).is_empty(), "it waits");
        publisher.met_somebody(now(1).tick);
        let due = publisher.due(now(1));
        assert_eq!((due.len(), due[0].key), (1, KEY), "who was refused goes on waiting");
        place(&mut publisher, KEY, 1, now(2));
        publisher.met_somebody(now(3).tick);
        assert!(publisher.due(now(3)).is_empty(), "once");
    }

    #[test]
    fn a_change_under_way_is_placed_at_once() {
        let mut publisher = Publisher::default();
        publisher.want(RecordKind::Locator, [wish(KEY, b"old")], now(0));
        publisher.due(now(0));
        publisher.want(RecordKind::Locator, [wish(KEY, b"new")], now(1));
        place(&mut publisher, KEY, 20, now(2));
        assert_eq!(publisher.due(now(2))[0].payload.as_deref(), Some(b"new".as_slice()));
    }

    #[test]
    fn what_is_no_longer_wanted_is_deleted_until_the_last_copy_has_ended() {
        let mut publisher = Publisher::default();
        publisher.want(RecordKind::Locator, [wish(KEY, b"a"), wish(OTHER, b"b")], now(0));
        let first = publisher.due(now(0));
        place(&mut publisher, KEY, 20, now(0));
        place(&mut publisher, OTHER, 20, now(0));
        publisher.want(RecordKind::Locator, [wish(OTHER, b"b")], now(5));
        let due = publisher.due(now(5));
        assert_eq!((due.len(), due[0].key, due[0].payload.as_ref()), (1, KEY, None));
        assert_eq!(due[0].expires, first[0].expires.after(limits::CLOCK_SLACK), "longer than any copy");
        place(&mut publisher, KEY, 20, now(6));
        publisher.forget_ended(now(first[0].expires.get() - 1_000_000), true);
        assert_eq!(publisher.publications.len(), 2, "copies count for another day");
        publisher.forget_ended(now(due[0].expires.get() - 1_000_000), true);
        assert_eq!(publisher.publications.len(), 1);
    }

    /// A deletion that has been placed at second 6.
    fn deleting() -> Publisher {
        let mut publisher = Publisher::default();
        publisher.want(RecordKind::Locator, [wish(KEY, b"a")], now(0));
        publisher.due(now(0));
        place(&mut publisher, KEY, 20, now(1));
        publisher.want(RecordKind::Locator, [], now(5));
        publisher.due(now(5));
        place(&mut publisher, KEY, 20, now(6));
        publisher
    }

    const YEAR: u64 = 365 * 24 * 3600;

    #[test]
    fn clk_02_a_clock_that_jumps_forward_forgets_no_deletion() {
        let mut publisher = deleting();
        let jumped = Now { wall: now(YEAR).wall, ..now(7) };
        publisher.forget_ended(jumped, false);
        assert!(publisher.due(jumped).is_empty(), "running time says when it is due again");
        let corrected = now(24 * 3600 * 2);
        publisher.forget_ended(corrected, true);
        let due = publisher.due(corrected);
        assert_eq!((due.len(), due[0].key, due[0].payload.as_ref()), (1, KEY, None), "still deleted");
    }

    #[test]
    fn clk_02_a_restart_with_a_wrong_clock_forgets_no_deletion() {
        let bytes = deleting().take_changed(now(7)).unwrap();
        let jumped = Now { wall: now(YEAR).wall, ..now(0) };
        let mut again = Publisher::load(&bytes, jumped).unwrap();
        again.forget_ended(jumped, false);
        assert_eq!(again.publications.len(), 1);
        again.forget_ended(now(YEAR), true);
        assert!(again.publications.is_empty() && again.take_changed(now(YEAR)).is_some());
    }

    #[test]
    fn where_nobody_confirms_the_clock_a_deletion_ends_by_running_time() {
        let mut publisher = deleting();
        let life = deletion_life(RecordKind::Locator);
        let wrong = |tick: Tick| Now { tick, wall: UnixMillis::new(0) };
        let watched = now(5).tick.after(life);
        publisher.forget_ended(wrong(Tick::from_ms(watched.as_ms() - 1)), false);
        assert_eq!(publisher.publications.len(), 1);
        publisher.forget_ended(wrong(watched), false);
        assert!(publisher.publications.is_empty());
    }

    #[test]
    fn what_is_wanted_or_under_way_is_never_forgotten() {
        let mut publisher = Publisher::default();
        publisher.want(RecordKind::Locator, [wish(KEY, b"a"), wish(OTHER, b"b")], now(0));
        publisher.due(now(0));
        publisher.want(RecordKind::Locator, [wish(OTHER, b"b")], now(1));
        publisher.forget_ended(now(YEAR), true);
        assert_eq!(publisher.publications.len(), 2);
    }

    #[test]
    fn a_restart_keeps_sequence_and_due_time() {
        let mut publisher = Publisher::default();
        publisher.want(RecordKind::Locator, [wish(KEY, b"here")], now(0));
        let sequence = publisher.due(now(0))[0].sequence;
        place(&mut publisher, KEY, 20, now(0));
        let bytes = publisher.take_changed(now(10)).unwrap();
        assert_eq!(publisher.take_changed(now(10)), None);

        let mut again = Publisher::load(&bytes, now(20)).unwrap();
        assert!(again.due(now(30 * 3600)).is_empty(), "its content is not known yet");
        again.want(RecordKind::Locator, [wish(KEY, b"here")], now(20));
        assert!(again.due(now(20)).is_empty(), "nothing changed");
        assert!(again.due(now(30 * 3600))[0].sequence > sequence);
    }

    /// Asks the holders that are due to be asked at `at`; `shown` says what each shows. Gives how many were asked.
    fn ask(publisher: &mut Publisher, at: Now, shown: impl Fn(u8) -> Shown) -> usize {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut asked = 0;
        for (place, sample) in publisher.samples(at, &mut rng) {
            let keys = sample.questions.iter().map(|(peer, _)| peer.key());
            let shown: Vec<_> = keys.map(|key| (key, shown(key.as_bytes()[0]))).collect();
            publisher.sampled(place, &shown, at, &mut rng);
            asked += shown.len();
        }
        asked
    }

    #[test]
    fn holders_are_asked_after_an_hour_and_what_they_keep_is_left_alone() {
        let mut publisher = Publisher::default();
        publisher.want(RecordKind::Locator, [wish(KEY, b"here")], now(0));
        publisher.due(now(0));
        place(&mut publisher, KEY, 20, now(0));
        assert_eq!(ask(&mut publisher, now(2000), |_| Shown::Kept), 0);
        let at = publisher.next_timeout().unwrap();
        assert!((2700..=4500).contains(&at.since(Tick::ZERO).as_secs()), "an hour, give or take a quarter");
        assert_eq!(ask(&mut publisher, now(4500), |_| Shown::Kept), 8);
        assert_eq!(ask(&mut publisher, now(5 * 3600), |_| Shown::Kept), 0);
        assert!(publisher.due(now(5 * 3600)).is_empty());
    }

    #[test]
    fn what_holders_do_not_keep_is_placed_anew_and_then_once_a_day() {
        let mut publisher = Publisher::default();
        publisher.want(RecordKind::Locator, [wish(KEY, b"here")], now(0));
        publisher.due(now(0));
        place(&mut publisher, KEY, 20, now(0));
        // Whoever is cut off learns nothing of its holders.
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let (place_of, _) = publisher.samples(now(4500), &mut rng).pop().unwrap();
        publisher.sampled(place_of, &[], now(4500), &mut rng);
        assert!(publisher.due(now(4500)).is_empty());
        assert_eq!(ask(&mut publisher, now(9000), |_| Shown::Nothing), 8);
        assert_eq!(publisher.due(now(9000)).len(), 1);
        place(&mut publisher, KEY, 20, now(9000));
        assert_eq!(ask(&mut publisher, now(9000 + 17 * 3600), |_| Shown::Nothing), 0, "no storm");
    }

    #[test]
    fn few_are_asked_at_once() {
        let mut publisher = Publisher::default();
        let many: Vec<RecordKey> = (0..4).map(|n| RecordKey::new([n; 32])).collect();
        publisher.want(RecordKind::Locator, many.iter().map(|key| wish(*key, b"x")), now(0));
        publisher.due(now(0));
        many.iter().for_each(|key| place(&mut publisher, *key, 20, now(0)));
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        assert_eq!(publisher.samples(now(5000), &mut rng).len(), AT_ONCE);
        assert!(publisher.samples(now(5000), &mut rng).is_empty());
        assert!(publisher.next_timeout() > Some(now(5000).tick), "time brings no answers");
    }

    #[test]
    fn stamped_kinds_wait_for_the_stamp() {
        let mut publisher = Publisher::default();
        let wish = Wanted { kind: RecordKind::Bundle, key: KEY, payload: vec![1] };
        publisher.want(RecordKind::Bundle, [wish], now(0));
        assert!(publisher.lacks_stamp(now(0)) && publisher.due(now(0)).is_empty());
        assert_eq!(publisher.next_timeout(), None, "time brings no stamp");
        publisher.set_stamp(Stamp { month: now(0).month(), bits: 1, nonce: 2 });
        assert!(!publisher.lacks_stamp(now(0)));
        assert_eq!(publisher.due(now(0)).len(), 1);
    }

    #[test]
    fn few_are_under_way_at_once() {
        let mut publisher = Publisher::default();
        let many = (0..50).map(|n| wish(RecordKey::new([n; 32]), b"x"));
        publisher.want(RecordKind::Locator, many, now(0));
        assert_eq!(publisher.due(now(0)).len(), IN_FLIGHT);
        assert!(publisher.due(now(0)).is_empty());
        assert_eq!(publisher.progress(RecordKind::Locator), Progress { wanted: 50, placed: 0 });
    }
}
