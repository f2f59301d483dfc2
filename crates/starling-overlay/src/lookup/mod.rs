//! One iterative lookup: who, of all peers, is closest to a place?
//!
//! The machine knows nothing of requests on the wire: it says whom to ask, and is told what came back. It ends when
//! the closest peers it knows of, as many as were wanted, have all answered. A peer counts when it has answered, never
//! because somebody named it.
//!
//! What a hostile answer can do is bounded: peers of one address group take only so many places, contacts that turn
//! out to be invented spoil the credit of whoever named them, and requests and time have budgets.

mod hearsay;
mod rings;
mod shortlist;
mod thinning;

use alloc::vec::Vec;
use core::net::SocketAddr;

use starling_proto::addr::Peer;
use starling_proto::ids::{NodeId, NodeKey};
use starling_proto::limits;
use starling_proto::time::Tick;

use self::hearsay::SourceId;
pub use self::rings::Rings;
use self::shortlist::{Candidate, Shortlist, Standing, Window};
pub use self::thinning::Thinning;
use crate::config::LookupConfig;
use crate::group::AddressGroup;

/// Candidates kept for each peer wanted: room for what sixteen answers can add.
const CANDIDATES_PER_PLACE: usize = 16;

/// Something that a lookup is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupInput {
    /// A peer answered.
    Answered {
        /// Which one.
        from: NodeKey,
        /// Where the connection ends, if that is known: it replaces the address by hearsay.
        address: Option<SocketAddr>,
        /// Whether it serves: a client may know servers but is none.
        serves: bool,
        /// Whom it named, at most as many as were asked for.
        peers: Vec<Peer>,
    },
    /// A peer did not answer, or does not serve.
    Failed(NodeKey),
}

/// Something that a lookup wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupOutput {
    /// Ask this peer for those closest to the target.
    Ask(Peer),
    /// Ask this one, which is silent, at other addresses than before, on a connection of its own: a dial to the first
    /// ones may still be under way.
    AskElsewhere(Peer),
    /// It has ended.
    Done(Found),
}

/// What a lookup found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// The closest peers that answered, closest first, with the group of the address they answered from.
    pub peers: Vec<(Peer, AddressGroup)>,
    /// Peers within the width that were only named: a thinned lookup asks some of them.
    pub named: Vec<(Peer, AddressGroup)>,
    /// How many of the closest the farthest of those that answered stands for: a thinned lookup has asked some of them.
    pub stand_for: usize,
    /// Whether they were counted in [`Rings`].
    pub crowded: bool,
    /// Requests it took.
    pub requests: u32,
    /// Whether too few address groups exist for the caps.
    pub caps_relaxed: bool,
    /// Whether a budget ended it, so that closer peers may exist.
    pub cut_short: bool,
}

/// A lookup under way.
#[derive(Debug, Clone)]
pub struct Lookup {
    target: NodeId,
    me: NodeKey,
    width: usize,
    thinning: Option<Thinning>,
    config: LookupConfig,
    shortlist: Shortlist,
    /// Whom to ask, as long as nothing has happened that changes it.
    window: Option<Window>,
    parallelism: usize,
    /// How many of the peers that we know ourselves are asked, whoever else is named; with none, the newest are not either.
    entries: usize,
    newest: Vec<NodeKey>,
    /// Who is asked in any case.
    besides: Vec<NodeKey>,
    widened: bool,
    requests: u32,
    began: Tick,
    timeout: Tick,
    ended: bool,
}

impl Lookup {
    /// A lookup by `me` of the `width` peers closest to `target` (at most [`limits::ANSWER_PEERS`]), beginning with
    /// `known` peers.
    #[must_use]
    pub fn new(
        me: NodeKey,
        target: NodeId,
        width: usize,
        known: Vec<Peer>,
        begin: (LookupConfig, Tick),
    ) -> Self {
        let (config, now) = begin;
        let width = width.clamp(1, limits::ANSWER_PEERS);
        let bound = width.max(limits::K).saturating_mul(CANDIDATES_PER_PLACE);
        let mut shortlist = Shortlist::new(target, bound, config.dead_per_source);
        known.into_iter().for_each(|peer| shortlist.add(peer, SourceId::OURSELVES));
        let wide = width > limits::K;
        Self {
            target,
            me,
            width,
            thinning: None,
            config,
            shortlist,
            window: None,
            // A wide one has its entries to ask anyway.
            parallelism: if wide { config.parallelism_max } else { config.parallelism_min },
            entries: if wide { config.entries } else { 0 },
            newest: Vec::new(),
            besides: Vec::new(),
            widened: false,
            requests: 0,
            began: now,
            timeout: now,
            ended: false,
        }
    }

    /// The same, but beyond the closest it asks only a few within its width.
    #[must_use]
    pub fn thinned(self, thinning: Thinning) -> Self {
        Self { thinning: Some(thinning), ..self }
    }

    /// Tells it of peers that we have just met: they are asked as the closest that we know ourselves are.
    pub fn meet(&mut self, newest: Vec<Peer>) {
        self.newest = newest.iter().map(Peer::key).collect();
        newest.into_iter().for_each(|peer| self.shortlist.add(peer, SourceId::OURSELVES));
    }

    /// These contacts of ours are asked, whoever else is named.
    pub fn ask_besides(&mut self, contacts: Vec<Peer>) {
        self.besides = contacts.iter().map(Peer::key).collect();
        contacts.into_iter().for_each(|peer| self.shortlist.add(peer, SourceId::OURSELVES));
    }

    /// It is a lookup of our own place: on it depends who knows us, and whom we know.
    pub const fn is_at_home(&mut self) {
        self.entries = self.config.entries_at_home;
    }

    /// The place.
    #[must_use]
    pub const fn target(&self) -> &NodeId {
        &self.target
    }

    /// How many peers are wanted.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// How many peers to ask each peer for: 1 to [`limits::ANSWER_PEERS`].
    #[must_use]
    pub fn answer_size(&self) -> u8 {
        // Fewer would not cost fewer requests, and a narrow lookup is as easily led astray.
        u8::try_from(self.width.max(limits::K)).unwrap_or(u8::MAX)
    }

    /// Requests so far.
    #[must_use]
    pub const fn requests(&self) -> u32 {
        self.requests
    }

    /// Whether it has been made wider.
    #[must_use]
    pub const fn is_widened(&self) -> bool {
        self.widened
    }

    /// Goes on as a wider lookup, with what it knows and fresh budgets.
    pub fn widen(&mut self, width: usize, now: Tick) {
        self.widened = true;
        self.width = width.clamp(self.width, limits::ANSWER_PEERS);
        self.shortlist.raise_bound(self.width.saturating_mul(CANDIDATES_PER_PLACE));
        self.parallelism = self.config.parallelism_max;
        self.entries = self.entries.max(self.config.entries);
        self.began = now;
        self.window = None;
        self.ended = false;
    }

    /// In each of these rings so many as may be there count from now on, and all within the width are asked; so are these
    /// `contacts` of ours, whoever else is named.
    pub fn look_in_rings(&mut self, rings: Rings, contacts: Vec<Peer>) {
        self.thinning = None;
        self.shortlist.look_in_rings(rings);
        self.ask_besides(contacts);
    }

    /// Takes what happened; worth a [`Self::poll`] afterwards.
    pub fn handle(&mut self, input: LookupInput) {
        self.window = None;
        match input {
            LookupInput::Answered { from, address, serves, peers } => {
                if self.answered(from, address, serves) && !self.take_in(peers) {
                    // Nothing new to ask first: what is left must be asked anyway, so several at once waste nothing.
                    self.widen_parallelism();
                }
            }
            LookupInput::Failed(key) => self.failed(&key),
        }
    }

    /// What to do next; worth calling until it gives nothing, after every input and at [`Self::next_timeout`].
    pub fn poll(&mut self, now: Tick) -> Option<LookupOutput> {
        if self.ended {
            return None;
        }
        self.mark_slow(now);
        let window = self.window.take().unwrap_or_else(|| self.whom_to_ask());
        let step = self.step(&window, now);
        if step.is_none() {
            self.timeout = self.next_slow();
        }
        // Whoever is asked stays in the window, unless it was there only for want of others.
        self.window = Some(window).filter(|window| !window.doubtful);
        step
    }

    /// When [`Self::poll`] is worth calling although nothing happened; after a poll that gave nothing.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Tick> {
        (!self.ended).then_some(self.timeout)
    }

    fn step(&mut self, window: &Window, now: Tick) -> Option<LookupOutput> {
        let standing = |index: &usize| self.shortlist.get(*index).map(|candidate| candidate.standing);
        let entries = self.entries();
        let is_new = |index: &usize| standing(index) == Some(Standing::New);
        let next = entries.iter().chain(&window.members).copied().find(is_new);
        let waiting = self.under_way();
        let spent = self.requests >= self.budget();
        if now.since(self.began) >= self.config.time_budget {
            return Some(self.finish(true));
        }
        if let Some(next) = next.filter(|_| !spent) {
            return (waiting < self.parallelism).then(|| self.ask(next, now)).flatten();
        }
        let due = |index: &usize| matches!(standing(index), Some(Standing::Asked(_)));
        let answers_due = window.members.iter().chain(&entries).any(due);
        // With fewer than wanted, whoever is slow still matters; with enough, nobody waits for them.
        let slow_matters = window.members.len() < self.wanted()
            && self.shortlist.iter().any(|candidate| candidate.standing == Standing::Slow);
        if answers_due || slow_matters { None } else { Some(self.finish(next.is_some())) }
    }

    /// Peers that are asked whoever else is named.
    fn entries(&self) -> Vec<usize> {
        let mut entries = self.shortlist.own(self.entries);
        let newest = self.newest.iter().filter(|_| self.entries > 0);
        entries.extend(newest.chain(&self.besides).filter_map(|key| self.shortlist.position(key)));
        entries
    }

    /// Peers that are to answer.
    fn wanted(&self) -> usize {
        self.thinning.map_or(self.width, |thinning| thinning.wanted().min(self.width))
    }

    fn whom_to_ask(&self) -> Window {
        let mut window = self.shortlist.window(self.width);
        if let Some(thinning) = &self.thinning {
            thinning.thin(&mut window, self.width, |index| self.shortlist.get(index));
        }
        window
    }

    fn next_slow(&self) -> Tick {
        let asked = self.shortlist.iter().filter_map(|candidate| match candidate.standing {
            Standing::Asked(at) => Some(at.after(self.config.slow_after)),
            _ => None,
        });
        let end = self.began.after(self.config.time_budget);
        asked.fold(end, Tick::min)
    }

    /// Notes an answer; false if none was due.
    fn answered(&mut self, from: NodeKey, address: Option<SocketAddr>, serves: bool) -> bool {
        let Some(index) = self.shortlist.position(&from) else { return false };
        let Some(candidate) = self.shortlist.get_mut(index) else { return false };
        let before = candidate.standing;
        if !candidate.answered(address, serves) {
            return false;
        }
        if before == Standing::Slow {
            self.shortlist.pardon(index);
        }
        self.shortlist.credit(index, true);
        true
    }

    /// Adds named peers; true if one of them is now the closest that is left to ask.
    fn take_in(&mut self, peers: Vec<Peer>) -> bool {
        let closest = |list: &Shortlist| {
            let mut left = list.iter().filter(|candidate| candidate.standing == Standing::New);
            left.next().map(Candidate::key)
        };
        let before = closest(&self.shortlist);
        let source = self.shortlist.source();
        let me = self.me;
        let most = usize::from(self.answer_size());
        for peer in peers.into_iter().take(most).filter(|peer| peer.key() != me) {
            self.shortlist.add(peer, source);
        }
        closest(&self.shortlist) != before
    }

    fn failed(&mut self, key: &NodeKey) {
        let Some(index) = self.shortlist.position(key) else { return };
        let Some(candidate) = self.shortlist.get_mut(index) else { return };
        let before = candidate.standing;
        if !candidate.failed() {
            return;
        }
        if let Standing::Asked(_) = before {
            self.shortlist.credit(index, false);
            self.widen_parallelism();
        }
        self.shortlist.retry(index);
    }

    fn mark_slow(&mut self, now: Tick) {
        let slow_after = self.config.slow_after;
        let mut slow = Vec::new();
        for (index, candidate) in self.shortlist.iter_mut().enumerate() {
            if let Standing::Asked(at) = candidate.standing
                && now.since(at) >= slow_after
            {
                candidate.standing = Standing::Slow;
                slow.push(index);
            }
        }
        if !slow.is_empty() {
            self.window = None;
        }
        for index in slow {
            self.shortlist.credit(index, false);
            self.shortlist.retry(index);
            self.widen_parallelism();
        }
    }

    fn ask(&mut self, index: usize, now: Tick) -> Option<LookupOutput> {
        let candidate = self.shortlist.get_mut(index)?;
        let again = candidate.asked(now);
        self.requests = self.requests.saturating_add(1);
        let peer = candidate.peer();
        Some(if again { LookupOutput::AskElsewhere(peer) } else { LookupOutput::Ask(peer) })
    }

    fn finish(&mut self, cut_short: bool) -> LookupOutput {
        self.ended = true;
        // A thinned lookup has found whom it wanted to ask: others that answered on the way may be far outside.
        let window = match &self.thinning {
            Some(_) => self.whom_to_ask(),
            None => self.shortlist.answered(self.width),
        };
        let of = |index: &usize, standing| {
            let candidate = self.shortlist.get(*index).filter(|candidate| candidate.standing == standing)?;
            Some((candidate.peer(), candidate.group()?))
        };
        let peers: Vec<_> = window.members.iter().filter_map(|index| of(index, Standing::Answered)).collect();
        let region = self.thinning.map(|_| self.shortlist.window(self.width).members).unwrap_or_default();
        let named = region.iter().filter_map(|index| of(index, Standing::New)).collect();
        let stand_for = region.len().max(peers.len());
        let (caps_relaxed, crowded) = (!window.beyond_caps.is_empty(), self.shortlist.is_crowded());
        let requests = self.requests;
        LookupOutput::Done(Found { peers, named, stand_for, crowded, requests, caps_relaxed, cut_short })
    }

    fn under_way(&self) -> usize {
        let asked = |candidate: &&Candidate| matches!(candidate.standing, Standing::Asked(_));
        self.shortlist.iter().filter(asked).count()
    }

    fn budget(&self) -> u32 {
        let requests = self.width.saturating_mul(3).saturating_add(self.config.extra_requests);
        u32::try_from(requests).unwrap_or(u32::MAX)
    }

    fn widen_parallelism(&mut self) {
        self.parallelism = self.parallelism.saturating_add(1).min(self.config.parallelism_max);
    }
}

#[cfg(test)]
mod tests;
