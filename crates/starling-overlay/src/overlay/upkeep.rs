//! What happens by itself: refreshes, pings, dial-back, sweeps.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use starling_proto::addr::Peer;
use starling_proto::limits;
use starling_proto::message::Request;
use starling_proto::time::{Span, Tick};

use super::calls::Purpose;
use super::tasks::{Task, TaskId, TaskKind};
use super::{Context, Overlay};
use crate::config::Config;
use crate::storage::StorageError;
use crate::table::{Contact, Table};

/// Who has just come to serve looks around once more after this long: by then those who came at the same moment are
/// known to somebody.
const SECOND_LOOK: Span = Span::from_secs(60);
/// Who knows only a few, and of others who are not among them, may be on an island: they look around after this long,
/// then after ever longer pauses, until those are as long as everybody's.
const ISLAND_LOOK: Span = Span::from_secs(8);
/// The shortest pause between two liveness pings.
const PING_PAUSE: Span = Span::from_secs(2);
/// The pause before a contact that failed is pinged again.
const RETRY_PAUSE: Span = Span::from_secs(15);
/// The pause after a sweep that left something over.
const SWEEP_AGAIN: Span = Span::from_secs(1);

/// When what is due.
#[derive(Debug)]
pub(super) struct Upkeep {
    /// When to look again; nothing while nothing will be due.
    at: Option<Tick>,
    neighbourhood: Option<Tick>,
    /// Whether the next look around is to be followed by another soon.
    look_again: bool,
    /// The pause before the next look around, on an island.
    island: Span,
    buckets: VecDeque<usize>,
    ping: Tick,
    sweep: Tick,
    tasks: u64,
}

impl Upkeep {
    pub(super) fn new(now: Tick) -> Self {
        let buckets = VecDeque::new();
        Self {
            at: Some(now),
            neighbourhood: None,
            look_again: false,
            island: ISLAND_LOOK,
            buckets,
            ping: now,
            sweep: now,
            tasks: 0,
        }
    }

    pub(super) const fn next_timeout(&self) -> Option<Tick> {
        self.at
    }

    pub(super) const fn next_task(&mut self) -> u64 {
        self.tasks = self.tasks.wrapping_add(1);
        self.tasks
    }

    /// We are in: fill the buckets that the way in has left open, the nearest first.
    pub(super) fn joined(&mut self, now: Tick, table: &Table, on_island: bool, config: &Config) {
        let open = |(_, size): &(usize, usize)| *size < config.table.bucket;
        self.buckets = table.bucket_sizes().enumerate().filter(open).map(|(index, _)| index).rev().collect();
        self.island = ISLAND_LOOK;
        let first = now.after(if on_island { ISLAND_LOOK } else { config.upkeep.neighbourhood });
        self.neighbourhood = Some(self.neighbourhood.map_or(first, |at| at.min(first)));
    }

    /// The pause until the next look around.
    fn pause(&mut self, on_island: bool, config: &Config) -> Span {
        if core::mem::take(&mut self.look_again) {
            return SECOND_LOOK;
        }
        if !on_island {
            return config.upkeep.neighbourhood;
        }
        self.island = self.island.times(2).min(config.upkeep.neighbourhood);
        self.island
    }

    /// The peers around us are to be looked up now, and once more soon.
    pub(super) const fn look_around(&mut self, now: Tick) {
        self.neighbourhood = Some(now);
        self.look_again = true;
    }
}

impl Overlay {
    pub(super) fn timer(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        let now = context.now.tick;
        let due = |task: &Task| task.next_timeout().is_some_and(|at| at <= now);
        let late: Vec<TaskId> = self.tasks.iter().filter(|(_, task)| due(task)).map(|(id, _)| *id).collect();
        for id in late {
            self.drive(context, id)?;
        }
        if self.upkeep.at.is_some_and(|at| at <= now) { self.keep_up(context) } else { Ok(()) }
    }

    /// Has what is due looked at again at `at`, if not earlier.
    pub(super) fn wake_for_upkeep(&mut self, at: Tick) {
        self.upkeep.at = Some(self.upkeep.at.map_or(at, |before| before.min(at)));
    }

    fn keep_up(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        self.upkeep.at = None;
        self.believe_late(context)?;
        self.join_if_due(context)?;
        self.refresh(context)?;
        self.ping_stalest(context);
        self.check_reach(context);
        self.sweep(context)?;
        self.repair_step(context)?;
        if let Some(at) = self.next_upkeep(context.now.tick) {
            self.wake_for_upkeep(at);
        }
        Ok(())
    }

    /// Looks up what was not for long: one place at a time.
    fn refresh(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        let now = context.now.tick;
        if self.table.is_empty() || self.tasks.values().any(Task::is_background) {
            return Ok(());
        }
        if self.upkeep.neighbourhood.is_some_and(|at| at <= now) {
            let stranger = self.stranger(context)?;
            let pause = self.upkeep.pause(self.is_small() && stranger.is_some(), &self.config);
            self.upkeep.neighbourhood = Some(now.after(pause.jittered(context.random())));
            return self.begin_lookup_with(context, (TaskKind::Refresh, self.id, limits::K), stranger);
        }
        if self.upkeep.buckets.is_empty()
            && let Some((index, since)) = self.table.least_looked_up()
            && now.since(since) >= self.config.upkeep.refresh
        {
            self.upkeep.buckets.push_back(index);
        }
        let Some(index) = self.upkeep.buckets.pop_front() else { return Ok(()) };
        let place = self.table.place_in(index, context.rng);
        self.table.looked_up(&place, now);
        self.begin_lookup(context, TaskKind::Refresh, place, self.config.upkeep.refresh_width)
    }

    /// Whether the network, as far as we know it, is smaller than what a record lies with.
    fn is_small(&self) -> bool {
        self.table.len() < limits::K
    }

    /// Whether those through whom we came in may be the smaller part of a network: we know few, and not all of those whom
    /// we were told of.
    pub(super) fn is_on_island(&self) -> bool {
        self.is_small() && self.join.seeds().iter().any(|seed| !self.table.has(seed.id()))
    }

    /// Somebody whom we were told of or knew before, and who is not among those we know now: asked at each look around,
    /// since two parts of a network that have lost each other know of each other only so.
    fn stranger(&self, context: &mut Context<'_>) -> Result<Option<Peer>, StorageError> {
        let mut known = context.store.known_peers()?;
        known.extend_from_slice(self.join.seeds());
        known.retain(|peer| peer.key() != self.me && !self.table.has(peer.id()));
        let drawn = usize::try_from(context.random()).unwrap_or_default().checked_rem(known.len());
        Ok(drawn.and_then(|index| known.into_iter().nth(index)))
    }

    fn ping_stalest(&mut self, context: &Context<'_>) {
        let now = context.now.tick;
        if now < self.upkeep.ping.after(PING_PAUSE) {
            return; // Looking for the stalest of two hundred is no small part of what a node does.
        }
        let Some(contact) = self.table.stalest() else { return };
        let at = self.ping_due(contact);
        if now < at {
            return;
        }
        let peer = contact.peer();
        self.upkeep.ping = at.max(now);
        if self.calls.may_ping(&peer.key()) {
            self.call(peer, Request::Ping, Purpose::Ping);
        }
    }

    fn check_reach(&mut self, context: &mut Context<'_>) {
        let now = context.now.tick;
        if self.reach.check(now) {
            self.announce(context);
        }
        if !self.table.is_empty() && self.reach.is_due(now, context.random()) {
            self.ask_dial_back(context);
        }
    }

    fn sweep(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        let now = context.now.tick;
        if now < self.upkeep.sweep {
            return Ok(());
        }
        self.limiter.sweep(now);
        let trusted = self.clock.is_trusted(context.now);
        let swept = self.holder.sweep(context.now, context.store, trusted)?;
        let pause =
            if swept.more { SWEEP_AGAIN } else { self.config.upkeep.sweep.jittered(context.random()) };
        self.upkeep.sweep = now.after(pause);
        Ok(())
    }

    /// When something will be due, as things are now; what changes them wakes the upkeep itself.
    fn next_upkeep(&self, now: Tick) -> Option<Tick> {
        let idle = !self.tasks.values().any(Task::is_background) && !self.table.is_empty();
        let queued = (idle && !self.upkeep.buckets.is_empty()).then_some(now);
        let stale = self.table.least_looked_up().map(|(_, since)| since.after(self.config.upkeep.refresh));
        let holds = self.holder.usage().records > 0;
        let times = [
            self.join.next_timeout(),
            queued,
            self.upkeep.neighbourhood.filter(|_| idle),
            stale.filter(|_| idle),
            self.table.stalest().map(|contact| self.ping_due(contact)),
            self.reach.next_timeout().filter(|_| !self.table.is_empty()),
            holds.then_some(self.upkeep.sweep),
            self.repair.next_timeout(),
            self.next_belief(),
        ];
        times.into_iter().flatten().min().map(|at| at.max(now.after(Span::from_ms(1))))
    }

    fn ping_due(&self, contact: &Contact) -> Tick {
        let due = if contact.failures() > 0 {
            self.upkeep.ping.after(RETRY_PAUSE)
        } else {
            contact.last_answered().after(self.config.upkeep.keep_alive)
        };
        due.max(self.upkeep.ping.after(PING_PAUSE))
    }
}
