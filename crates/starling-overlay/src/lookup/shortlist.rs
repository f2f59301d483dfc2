//! What a lookup knows of the peers near its target: who told of whom, who was asked, who answered.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;

use starling_proto::addr::Peer;
use starling_proto::ids::{NodeId, NodeKey};
use starling_proto::limits;
use starling_proto::time::Tick;

use super::hearsay::{Hearsay, SourceId};
use super::rings::{RINGS, Rings};
use crate::group::{AddressGroup, CapCount};
use crate::leading::{closer, leading};

/// How often a candidate that is silent is asked once more at addresses that others named meanwhile.
const RETRIES: u8 = 2;
/// The caps are doubled up to this factor where there are too few groups; at 16 they no longer bind a set of 80.
const MAX_FACTOR: usize = 64;

/// Where a candidate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Told of, not asked.
    New,
    /// Asked at that time, no answer yet.
    Asked(Tick),
    /// Asked too long ago to wait for it; its answer would still count.
    Slow,
    /// Answered.
    Answered,
    /// Gave no answer, or does not serve.
    Failed,
}

/// A peer that may be among the closest.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// The first 64 bits of its distance.
    leading: u64,
    pub(super) standing: Standing,
    /// Where it is asked.
    said: Hearsay,
    /// Where it is said to be besides, by those who spoke when it had been asked.
    elsewhere: Option<Box<Hearsay>>,
    /// Where it answered from.
    proven: Option<SocketAddr>,
    /// Requests to it that have not ended.
    calls: u8,
    retries: u8,
}

/// How those whom one source named turned out.
#[derive(Debug, Clone, Copy, Default)]
struct Credit {
    alive: u16,
    dead: u16,
}

/// The candidates, closest first.
#[derive(Debug, Clone)]
pub(super) struct Shortlist {
    target: NodeId,
    candidates: Vec<Candidate>,
    credits: Vec<Credit>,
    bound: usize,
    dead_per_source: u16,
    /// Where a crowd stands that was made to be there.
    rings: Option<Rings>,
}

/// The closest candidates that can still be, or have become, part of the result.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    /// Indices of candidates, closest first.
    pub(super) members: Vec<usize>,
    /// Those of them for whom the caps had to give, in no order.
    pub(super) beyond_caps: Vec<usize>,
    /// Whether some that only doubtful sources named fill up the rest.
    pub(super) doubtful: bool,
}

impl Shortlist {
    pub(super) fn new(target: NodeId, bound: usize, dead_per_source: u16) -> Self {
        let credits = [Credit::default()].to_vec();
        Self { target, candidates: Vec::new(), credits, bound, dead_per_source, rings: None }
    }

    /// Of those in each of these rings so many as may be there count from now on.
    pub(super) const fn look_in_rings(&mut self, rings: Rings) {
        self.rings = Some(rings);
    }

    /// Whether it does that.
    pub(super) const fn is_crowded(&self) -> bool {
        self.rings.is_some()
    }

    pub(super) fn raise_bound(&mut self, bound: usize) {
        self.bound = self.bound.max(bound);
    }

    pub(super) fn source(&mut self) -> SourceId {
        let id = SourceId(u16::try_from(self.credits.len()).unwrap_or(u16::MAX));
        self.credits.push(Credit::default());
        id
    }

    pub(super) fn get(&self, index: usize) -> Option<&Candidate> {
        self.candidates.get(index)
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Candidate> {
        self.candidates.get_mut(index)
    }

    pub(super) fn position(&self, key: &NodeKey) -> Option<usize> {
        self.place(&key.node_id()).ok()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Candidate> {
        self.candidates.iter_mut()
    }

    /// Adds what `source` told; peers without an address cannot be asked.
    pub(super) fn add(&mut self, peer: Peer, source: SourceId) {
        if peer.addresses().is_empty() {
            return;
        }
        match self.place(peer.id()) {
            Ok(known) => {
                if let Some(candidate) = self.candidates.get_mut(known) {
                    candidate.named(peer, source);
                }
            }
            Err(at) => {
                let leading = leading(peer.id(), &self.target);
                self.insert(at, Candidate::new(leading, Hearsay::new(peer, source)));
            }
        }
    }

    /// Where it stands, or would.
    fn place(&self, id: &NodeId) -> Result<usize, usize> {
        let first = leading(id, &self.target);
        self.candidates.binary_search_by(|candidate| {
            let whole = || closer(candidate.said.peer().id(), id, &self.target);
            candidate.leading.cmp(&first).then_with(whole)
        })
    }

    fn insert(&mut self, mut at: usize, candidate: Candidate) {
        if self.candidates.len() >= self.bound {
            match self.drop_one() {
                Some(dropped) if dropped < at => at = at.saturating_sub(1),
                Some(_) => {}
                None => return,
            }
        }
        self.candidates.insert(at, candidate);
    }

    /// The closest of those that we knew ourselves, that are not silent, and not in a crowd.
    pub(super) fn own(&self, count: usize) -> Vec<usize> {
        let silent = |candidate: &Candidate| matches!(candidate.standing, Standing::Slow | Standing::Failed);
        let own = |candidate: &Candidate| {
            candidate.said.sources().any(|source| source == SourceId::OURSELVES)
                && !silent(candidate)
                && self.ring(candidate).is_none()
        };
        let places = self.candidates.iter().enumerate().filter(|(_, candidate)| own(candidate));
        places.map(|(index, _)| index).take(count).collect()
    }

    /// Settles the credit of those who named a candidate.
    pub(super) fn credit(&mut self, index: usize, alive: bool) {
        let Some(candidate) = self.candidates.get(index) else { return };
        for source in candidate.said.sources() {
            if let Some(credit) = self.credits.get_mut(usize::from(source.0)) {
                let side = if alive { &mut credit.alive } else { &mut credit.dead };
                *side = side.saturating_add(1);
            }
        }
    }

    /// Has a silent candidate asked once more, if there is another address for it. What it was blamed for stays with those
    /// who named the first.
    pub(super) fn retry(&mut self, index: usize) {
        if let Some(candidate) = self.candidates.get_mut(index) {
            candidate.retry();
        }
    }

    /// Takes back that a candidate was counted as dead: it was only slow.
    pub(super) fn pardon(&mut self, index: usize) {
        let Some(candidate) = self.candidates.get(index) else { return };
        for source in candidate.said.sources() {
            if let Some(credit) = self.credits.get_mut(usize::from(source.0)) {
                credit.dead = credit.dead.saturating_sub(1);
            }
        }
    }

    /// The `width` closest that are not known to be out: first within the address caps and named by sources in good
    /// standing; where those are too few, with the caps doubled step by step; last, those that only doubtful sources named.
    pub(super) fn window(&self, width: usize) -> Window {
        self.window_of(width, |standing| !matches!(standing, Standing::Failed | Standing::Slow))
    }

    /// The `width` closest that answered, within the caps as far as possible.
    pub(super) fn answered(&self, width: usize) -> Window {
        self.window_of(width, |standing| standing == Standing::Answered)
    }

    fn window_of(&self, width: usize, counts: impl Fn(Standing) -> bool) -> Window {
        match &self.rings {
            None => self.fill(width, 0..self.candidates.len(), counts),
            Some(rings) => self.fill(width, rings.order(&self.candidates).into_iter(), counts),
        }
    }

    fn fill(
        &self,
        width: usize,
        order: impl Iterator<Item = usize>,
        counts: impl Fn(Standing) -> bool,
    ) -> Window {
        let mut window = Window { members: Vec::with_capacity(width), ..Window::default() };
        let mut caps = CapCount::new();
        let mut in_ring = [0_usize; RINGS.len()];
        let mut over = Vec::new();
        let mut doubtful = Vec::new();
        for index in order {
            if window.members.len() >= width {
                break;
            }
            let Some(candidate) = self.candidates.get(index) else { continue };
            let ring = self.ring(candidate).and_then(|ring| in_ring.get_mut(ring));
            match candidate.standing {
                standing if !counts(standing) || ring.as_ref().is_some_and(|count| **count >= limits::K) => {}
                Standing::New if self.is_doubtful(candidate) => doubtful.push(index),
                _ => match candidate.group_within(&caps, 1) {
                    Some(group) => {
                        caps.add(&group);
                        window.members.push(index);
                        ring.into_iter().for_each(|count| *count = count.saturating_add(1));
                    }
                    None => over.push(index),
                },
            }
        }
        self.relax(&mut window, &mut caps, over, width);
        let room = width.saturating_sub(window.members.len());
        window.doubtful = room > 0 && !doubtful.is_empty();
        window.members.extend(doubtful.into_iter().take(room));
        window.members.sort_unstable();
        window
    }

    fn relax(&self, window: &mut Window, caps: &mut CapCount, mut over: Vec<usize>, width: usize) {
        let mut factor = 2;
        while window.members.len() < width && !over.is_empty() && factor <= MAX_FACTOR {
            over.retain(|index| {
                let Some(candidate) = self.candidates.get(*index) else { return false };
                if window.members.len() >= width {
                    return true;
                }
                let Some(group) = candidate.group_within(caps, factor) else { return true };
                caps.add(&group);
                window.members.push(*index);
                window.beyond_caps.push(*index);
                false
            });
            factor = factor.saturating_mul(2);
        }
    }

    fn ring(&self, candidate: &Candidate) -> Option<usize> {
        self.rings.as_ref()?.of(candidate.leading)
    }

    /// Whether everybody who named it has named more dead peers than their living ones excuse.
    fn is_doubtful(&self, candidate: &Candidate) -> bool {
        candidate.said.sources().all(|source| {
            source != SourceId::OURSELVES
                && self
                    .credits
                    .get(usize::from(source.0))
                    .is_some_and(|credit| credit.dead >= credit.alive.saturating_add(self.dead_per_source))
        })
    }

    /// Makes room: the farthest candidate that has not been asked, a doubtful one before others.
    fn drop_one(&mut self) -> Option<usize> {
        let new = |candidate: &Candidate| candidate.standing == Standing::New;
        let doubtful = self.candidates.iter().rposition(|c| new(c) && self.is_doubtful(c));
        let index = doubtful.or_else(|| self.candidates.iter().rposition(new))?;
        self.candidates.remove(index);
        Some(index)
    }
}

impl Candidate {
    const fn new(leading: u64, said: Hearsay) -> Self {
        let standing = Standing::New;
        Self { leading, standing, said, elsewhere: None, proven: None, calls: 0, retries: 0 }
    }

    pub(super) const fn key(&self) -> NodeKey {
        self.said.peer().key()
    }

    /// The first 64 bits of its distance.
    pub(super) const fn leading(&self) -> u64 {
        self.leading
    }

    /// The peer: where it answered from before where it is said to be.
    pub(super) fn peer(&self) -> Peer {
        let said = self.said.peer();
        said.at(self.proven.iter().chain(said.addresses()).copied())
    }

    /// The group of the address it answered from, or that it was first said to have.
    pub(super) fn group(&self) -> Option<AddressGroup> {
        self.groups().next()
    }

    /// It is asked now; true if it was before, elsewhere.
    pub(super) const fn asked(&mut self, now: Tick) -> bool {
        self.standing = Standing::Asked(now);
        self.calls = self.calls.saturating_add(1);
        self.retries > 0
    }

    /// It has answered, if that was due.
    pub(super) fn answered(&mut self, address: Option<SocketAddr>, serves: bool) -> bool {
        let due = self.calls > 0 && self.standing != Standing::Answered;
        self.calls = self.calls.saturating_sub(1);
        if due {
            self.standing = if serves { Standing::Answered } else { Standing::Failed };
            self.proven = address.or_else(|| self.said.peer().addresses().first().copied());
        }
        due
    }

    /// A request to it has failed. True if that was the last, and it had not answered another.
    pub(super) fn failed(&mut self) -> bool {
        self.calls = self.calls.saturating_sub(1);
        let silent = self.calls == 0 && matches!(self.standing, Standing::Asked(_) | Standing::Slow);
        if silent {
            self.standing = Standing::Failed;
        }
        silent
    }

    /// Has it asked once more, if somebody has named another address for it.
    pub(super) fn retry(&mut self) {
        let silent = matches!(self.standing, Standing::Slow | Standing::Failed) && self.proven.is_none();
        if !silent || self.retries >= RETRIES {
            return;
        }
        if let Some(elsewhere) = self.elsewhere.take() {
            self.said = *elsewhere;
            self.retries = self.retries.saturating_add(1);
            self.standing = Standing::New;
        }
    }

    /// Somebody says where it is. Who was asked first does not decide where it is asked: one that lies may name a real
    /// peer at a dead address.
    fn named(&mut self, peer: Peer, source: SourceId) {
        let asked = self.standing != Standing::New;
        let known = |address: &SocketAddr| self.said.peer().addresses().contains(address);
        if (!asked || peer.addresses().iter().all(known)) && self.said.merge(&peer, source) {
            return;
        }
        match &mut self.elsewhere {
            Some(elsewhere) => {
                elsewhere.merge(&peer, source);
            }
            None => self.elsewhere = Some(Box::new(Hearsay::new(peer, source))),
        }
        self.retry();
    }

    fn groups(&self) -> impl Iterator<Item = AddressGroup> {
        let said = self.said.peer().addresses().iter().filter(|_| self.proven.is_none());
        self.proven.iter().chain(said).map(AddressGroup::of)
    }

    /// The first of its groups that has room. As long as it has not answered, each could be the true one: otherwise who
    /// names real peers in one group would have them left out.
    fn group_within(&self, caps: &CapCount, factor: usize) -> Option<AddressGroup> {
        self.groups().find(|group| caps.has_room(group, factor))
    }
}
