//! How much each address group may ask of us: a token bucket each, in bounded memory.

use alloc::collections::BTreeMap;

use starling_proto::message::{PassOn, Request};
use starling_proto::time::Tick;

use crate::config::ServiceConfig;
use crate::group::AddressGroup;
use crate::holder::Work;

/// Token buckets by address group. A group that has used nothing lately needs no entry.
#[derive(Debug, Clone)]
pub struct Limiter {
    config: ServiceConfig,
    used: BTreeMap<AddressGroup, Used>,
}

#[derive(Debug, Clone, Copy)]
struct Used {
    units: u32,
    at: Tick,
}

impl Limiter {
    /// Everybody with a full bucket.
    #[must_use]
    pub const fn new(config: ServiceConfig) -> Self {
        Self { config, used: BTreeMap::new() }
    }

    /// Whether `group` may use `cost` units now; they are used if so.
    pub fn allow(&mut self, group: AddressGroup, cost: u32, now: Tick) -> bool {
        if self.used.len() >= self.config.groups && !self.used.contains_key(&group) {
            self.sweep(now);
            if self.used.len() >= self.config.groups {
                return false;
            }
        }
        let entry = self.used.entry(group).or_insert(Used { units: 0, at: now });
        let still = still_used(*entry, self.config.refill_per_s, now);
        let after = still.saturating_add(cost);
        if after > self.config.burst {
            return false;
        }
        *entry = Used { units: after, at: now };
        true
    }

    /// Charges `group` for work that showed its size only when it was done. It may owe more than its bucket holds, and is
    /// served again when that has come back.
    pub fn charge(&mut self, group: AddressGroup, cost: u32, now: Tick) {
        let refill = self.config.refill_per_s;
        if let Some(used) = self.used.get_mut(&group) {
            *used = Used { units: still_used(*used, refill, now).saturating_add(cost), at: now };
        }
    }

    /// Forgets groups whose buckets are full again.
    pub fn sweep(&mut self, now: Tick) {
        let refill = self.config.refill_per_s;
        self.used.retain(|_, used| still_used(*used, refill, now) > 0);
    }
}

/// Rows of the index looked at for one unit: a row takes a quarter of a microsecond (1.06 ms for 4,096).
const ROWS: u64 = 400;
/// Entries compared for one unit: 15 ms for the 1,024 of the fullest query.
const COMPARED: u64 = 7;
/// Deletions written for one unit: an owner may delete 256 read deposits a dozen times at once, and three times a second.
const DELETED: u64 = 4;

/// What a request costs at least: about its work in tenths of a millisecond, and for what is done in another's place what
/// it makes us send.
#[must_use]
pub const fn cost(request: &Request) -> u32 {
    match request {
        Request::FindNode(_) | Request::Prove(_) => 2,
        Request::Fetch(_) | Request::Owner(_) => 4,
        Request::Store(_) | Request::Query(_) => 8,
        Request::DialBack(_) => 50,
        Request::PassOn(PassOn::Store(_)) => 200,
        Request::PassOn(_) => 60,
        _ => 1,
    }
}

/// What work cost beyond that, in the same units.
#[must_use]
pub fn cost_of_work(work: Work) -> u32 {
    let units = [work.rows / ROWS, work.compared / COMPARED, work.deleted / DELETED];
    u32::try_from(units.into_iter().fold(0, u64::saturating_add)).unwrap_or(u32::MAX)
}

fn still_used(used: Used, refill_per_s: u32, now: Tick) -> u32 {
    let back = now.since(used.at).as_ms().saturating_mul(u64::from(refill_per_s)) / 1000;
    used.units.saturating_sub(u32::try_from(back).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use starling_proto::time::Span;

    use super::*;

    fn group(n: u32) -> AddressGroup {
        AddressGroup::of(&format!("{}.{}.1.1:1", 11 + n / 256, n % 256).parse().unwrap())
    }

    #[test]
    fn a_burst_is_served_and_then_the_rate() {
        let config = ServiceConfig { burst: 10, refill_per_s: 5, ..ServiceConfig::default() };
        let mut limiter = Limiter::new(config);
        let served = (0..30).filter(|_| limiter.allow(group(1), 1, Tick::ZERO)).count();
        assert_eq!(served, 10);
        assert!(limiter.allow(group(2), 1, Tick::ZERO), "one group does not starve another");
        let later = Tick::ZERO.after(Span::from_secs(1));
        assert_eq!((0..30).filter(|_| limiter.allow(group(1), 1, later)).count(), 5);
    }

    #[test]
    fn work_is_paid_for_afterwards() {
        let config = ServiceConfig { burst: 100, refill_per_s: 10, ..ServiceConfig::default() };
        let mut limiter = Limiter::new(config);
        assert!(limiter.allow(group(1), 8, Tick::ZERO));
        limiter.charge(group(1), 142, Tick::ZERO);
        let at = |s| Tick::ZERO.after(Span::from_secs(s));
        assert!(!limiter.allow(group(1), 1, at(5)), "it owes as much as its whole bucket still");
        assert!(limiter.allow(group(2), 1, at(5)));
        assert!(limiter.allow(group(1), 1, at(6)));
    }

    #[test]
    fn units_are_tenths_of_a_millisecond_whatever_is_asked() {
        let full = Work { rows: 4096, compared: 1024, deleted: 0 };
        assert_eq!(cost_of_work(full), 156, "15.6 ms in tenths");
        assert_eq!(cost_of_work(Work { deleted: 256, ..Work::default() }), 64);
        assert_eq!(cost_of_work(Work { rows: 40, compared: 6, deleted: 3 }), 0);
    }

    #[test]
    fn memory_is_bounded_and_comes_back() {
        let config = ServiceConfig { groups: 100, ..ServiceConfig::default() };
        let mut limiter = Limiter::new(config);
        let served = (0..1000).filter(|n| limiter.allow(group(*n), 1, Tick::ZERO)).count();
        assert_eq!((served, limiter.used.len()), (100, 100));
        assert!(limiter.allow(group(5000), 1, Tick::ZERO.after(Span::from_secs(1))));
        assert!(limiter.used.len() <= 2);
    }
}
