//! Quotas: whether a newcomer may stay, and who goes for it.

use alloc::vec::Vec;

use rand_core::CryptoRng;
use starling_proto::ids::RecordId;
use starling_proto::record::RecordKind;

use super::index::{Index, Pool, charge};
use super::tally::Tally;
use super::{chance, limits};
use crate::group::AddressGroup;
use crate::storage::HeldRecord;

/// A record that asks for a place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Newcomer<'a> {
    /// Its row.
    pub(super) held: &'a HeldRecord,
    /// The version that it replaces.
    pub(super) replaces: Option<&'a HeldRecord>,
    /// What its owner's leave allows, in bytes.
    pub(super) leave: Option<u64>,
}

/// The bounds in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Of each pool.
    pub(super) pool: u64,
    /// Of the deposits with leave at one mailbox.
    pub(super) mailbox: u64,
}

/// What the quotas say of a newcomer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may come; nobody under its key has to go.
    Fits,
    /// It may come in the place of this one.
    Displaces(RecordId),
    /// It may not come.
    Full,
}

impl Bounds {
    /// Halves the disk between the pools.
    pub(super) const fn of_disk(disk: u64) -> Self {
        Self { pool: disk / 2, mailbox: disk / limits::MAILBOX_PART }
    }

    /// What can be said before the signature is checked: changes nothing.
    pub(super) fn admit(&self, index: &Index, newcomer: &Newcomer, rng: &mut dyn CryptoRng) -> Verdict {
        if !self.shares_allow(index, newcomer) {
            return Verdict::Full;
        }
        let verdict = crowd(index, newcomer, rng);
        let displaced = match verdict {
            Verdict::Fits => None,
            Verdict::Displaces(id) => Some(id),
            Verdict::Full => return Verdict::Full,
        };
        let tally = index.tally(Pool::of(newcomer.held));
        let amount = charge(newcomer.held);
        let freed = freed(index, newcomer, displaced);
        let fits = tally.total().saturating_sub(freed).saturating_add(amount) <= self.may_hold(tally);
        let may_evict = !self.is_over(tally) && tally.yields_to(&newcomer.held.group, amount);
        if fits || may_evict { verdict } else { Verdict::Full }
    }

    /// Who has to go so that the newcomer fits into its pool; `None` if its own group would become the largest.
    pub(super) fn clear(
        &self,
        index: &Index,
        newcomer: &Newcomer,
        displaced: Option<RecordId>,
        rng: &mut dyn CryptoRng,
    ) -> Option<Vec<RecordId>> {
        let mut gone: Vec<RecordId> = displaced.into_iter().collect();
        let pool = Pool::of(newcomer.held);
        let (amount, group) = (charge(newcomer.held), &newcomer.held.group);
        let freed = freed(index, newcomer, displaced);
        let wanted = index.tally(pool).total().saturating_sub(freed).saturating_add(amount);
        let missing = wanted.saturating_sub(self.may_hold(index.tally(pool)));
        if missing == 0 {
            return Some(gone);
        }
        if self.is_over(index.tally(pool)) {
            return None;
        }
        let mut tally = index.tally(pool).clone();
        for held in leaving(index, newcomer, displaced) {
            tally.take(&held.group, charge(held));
        }
        let goal = tally.total().saturating_sub(missing.max(self.pool / limits::BATCH_PART));
        while tally.total().saturating_add(amount) > self.pool {
            if !tally.yields_to(group, amount) {
                return None;
            }
            let largest = tally.largest(rng)?;
            for victim in victims(index, pool, &largest, rng) {
                let enough = tally.total() <= goal;
                let level = tally.of(&largest) <= tally.of(group).saturating_add(amount);
                if enough || level {
                    break;
                }
                let stays = newcomer.replaces.is_some_and(|old| old.id == victim.id);
                if !stays && !gone.contains(&victim.id) {
                    tally.take(&largest, charge(victim));
                    gone.push(victim.id);
                }
            }
        }
        Some(gone)
    }

    /// Whether a pool holds more than its bound: the user has lowered that since.
    const fn is_over(&self, tally: &Tally) -> bool {
        tally.total() > self.pool
    }

    /// What a pool may come to. Where the user has lowered the bound below what is held, nobody is evicted for it (what
    /// was taken was promised), and a version may still replace another that is no smaller.
    fn may_hold(&self, tally: &Tally) -> u64 {
        self.pool.max(tally.total())
    }

    /// The shares of the publisher and of the mailbox.
    fn shares_allow(&self, index: &Index, newcomer: &Newcomer) -> bool {
        let held = newcomer.held;
        let amount = charge(held);
        let old = newcomer.replaces.map_or(0, charge);
        let has = index.of_publisher(&held.publisher).saturating_sub(old);
        let may = newcomer.leave.unwrap_or(limits::PUBLISHER);
        let mailbox = if held.welcome { index.of_mailbox(&held.key).saturating_add(amount) } else { 0 };
        has.saturating_add(amount) <= may && mailbox <= self.mailbox
    }
}

/// The rows that go when the newcomer comes, eviction apart.
fn leaving<'a>(
    index: &'a Index,
    newcomer: &Newcomer<'a>,
    displaced: Option<RecordId>,
) -> impl Iterator<Item = &'a HeldRecord> {
    let displaced = displaced.and_then(|id| index.get(&id)).map(|entry| &entry.held);
    newcomer.replaces.into_iter().chain(displaced)
}

fn freed(index: &Index, newcomer: &Newcomer, displaced: Option<RecordId>) -> u64 {
    leaving(index, newcomer, displaced).map(charge).fold(0, u64::saturating_add)
}

/// Rows of one group in a pool, those first that go first: least work, then soonest over, then by chance.
fn victims<'a>(
    index: &'a Index,
    pool: Pool,
    group: &AddressGroup,
    rng: &mut dyn CryptoRng,
) -> Vec<&'a HeldRecord> {
    let rows = index.rows().map(|entry| &entry.held);
    let mut rows: Vec<_> = rows.filter(|held| Pool::of(held) == pool && held.group == *group).collect();
    let all = rows.len();
    chance::draw(rng, &mut rows, all);
    rows.sort_by_key(|held| (held.work, held.keep_until));
    rows
}

/// The bound on how many there may be under one key.
fn crowd(index: &Index, newcomer: &Newcomer, rng: &mut dyn CryptoRng) -> Verdict {
    let held = newcomer.held;
    let bound = match held.kind {
        RecordKind::Deposit if !held.welcome => limits::REQUESTS,
        RecordKind::Directory => limits::DIRECTORY,
        _ => return Verdict::Fits,
    };
    if newcomer.replaces.is_some() || index.count_strangers(held.key, held.kind) < bound {
        return Verdict::Fits;
    }
    let mut rows: Vec<&HeldRecord> = index.strangers_at(held.key, held.kind).collect();
    let mut outbid = false;
    if held.kind == RecordKind::Deposit {
        let least = rows.iter().map(|row| row.work).min().unwrap_or(0);
        if held.work < least {
            return Verdict::Full;
        }
        outbid = held.work > least;
        rows.retain(|row| row.work == least);
    }
    displace(&mut rows, held, outbid, rng).map_or(Verdict::Full, Verdict::Displaces)
}

/// Picks from the group with the most rows; unless outbid, only for the sake of a group with fewer.
fn displace(
    rows: &mut Vec<&HeldRecord>,
    newcomer: &HeldRecord,
    outbid: bool,
    rng: &mut dyn CryptoRng,
) -> Option<RecordId> {
    let mut tally = Tally::default();
    for row in rows.iter() {
        tally.add(row.group, 1);
    }
    if !outbid && !tally.yields_to(&newcomer.group, 1) {
        return None;
    }
    let largest = tally.largest(rng)?;
    rows.retain(|row| row.group == largest);
    let all = rows.len();
    chance::draw(rng, rows, all);
    rows.iter().min_by_key(|row| (row.work, row.keep_until)).map(|row| row.id)
}
