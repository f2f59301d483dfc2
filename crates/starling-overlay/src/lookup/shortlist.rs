//! What a lookup knows of the peers near its target: who told of whom, who was asked, who answered.

use alloc::vec::Vec;

use starling_proto::addr::Peer;
use starling_proto::ids::{Distance, NodeId, NodeKey};
use starling_proto::time::Tick;

use crate::group::{AddressGroup, CapCount};

/// Sources remembered for each candidate: enough that a liar among them does not decide.
const SOURCES: usize = 3;
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
    pub(super) peer: Peer,
    distance: Distance,
    pub(super) group: AddressGroup,
    pub(super) standing: Standing,
    sources: [Option<SourceId>; SOURCES],
}

/// Somebody who told of candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SourceId(u16);

impl SourceId {
    /// Our own table: never under suspicion.
    pub(super) const OURSELVES: Self = Self(0);
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
}

/// The closest candidates that can still be, or have become, part of the result.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    /// Indices of candidates, closest first.
    pub(super) members: Vec<usize>,
    /// Whether the caps had to give.
    pub(super) relaxed: bool,
}

impl Shortlist {
    pub(super) fn new(target: NodeId, bound: usize, dead_per_source: u16) -> Self {
        let credits = [Credit::default()].to_vec();
        Self { target, candidates: Vec::new(), credits, bound, dead_per_source }
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
        let distance = key.node_id().distance(&self.target);
        self.candidates.binary_search_by(|candidate| candidate.distance.cmp(&distance)).ok()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Candidate> {
        self.candidates.iter_mut()
    }

    /// Adds what `source` told; peers without an address cannot be asked.
    pub(super) fn add(&mut self, peer: Peer, source: SourceId) {
        let Some(group) = peer.addresses().first().map(AddressGroup::of) else { return };
        let distance = peer.key().node_id().distance(&self.target);
        match self.candidates.binary_search_by(|candidate| candidate.distance.cmp(&distance)) {
            Ok(known) => {
                if let Some(candidate) = self.candidates.get_mut(known) {
                    candidate.named_by(source);
                }
            }
            Err(mut at) => {
                if self.candidates.len() >= self.bound {
                    match self.drop_one() {
                        Some(dropped) if dropped < at => at = at.saturating_sub(1),
                        Some(_) => {}
                        None => return,
                    }
                }
                let mut sources = [None; SOURCES];
                sources[0] = Some(source);
                let standing = Standing::New;
                self.candidates.insert(at, Candidate { peer, distance, group, standing, sources });
            }
        }
    }

    /// Settles the credit of those who named a candidate.
    pub(super) fn credit(&mut self, index: usize, alive: bool) {
        let Some(candidate) = self.candidates.get(index) else { return };
        for source in candidate.sources.iter().flatten() {
            if let Some(credit) = self.credits.get_mut(usize::from(source.0)) {
                let side = if alive { &mut credit.alive } else { &mut credit.dead };
                *side = side.saturating_add(1);
            }
        }
    }

    /// Takes back that a candidate was counted as dead: it was only slow.
    pub(super) fn pardon(&mut self, index: usize) {
        let Some(candidate) = self.candidates.get(index) else { return };
        for source in candidate.sources.iter().flatten() {
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
        let mut window = Window { members: Vec::with_capacity(width), relaxed: false };
        let mut caps = CapCount::new();
        let mut over = Vec::new();
        let mut doubtful = Vec::new();
        for (index, candidate) in self.candidates.iter().enumerate() {
            if window.members.len() >= width {
                return window;
            }
            match candidate.standing {
                standing if !counts(standing) => {}
                Standing::New if self.is_doubtful(candidate) => doubtful.push(index),
                _ if caps.has_room(&candidate.group, 1) => {
                    caps.add(&candidate.group);
                    window.members.push(index);
                }
                _ => over.push(index),
            }
        }
        self.relax(&mut window, &mut caps, over, width);
        let room = width.saturating_sub(window.members.len());
        window.members.extend(doubtful.into_iter().take(room));
        window.members.sort_unstable();
        window
    }

    fn relax(&self, window: &mut Window, caps: &mut CapCount, mut over: Vec<usize>, width: usize) {
        let mut factor = 2;
        while window.members.len() < width && !over.is_empty() && factor <= MAX_FACTOR {
            over.retain(|index| {
                let Some(candidate) = self.candidates.get(*index) else { return false };
                if window.members.len() >= width || !caps.has_room(&candidate.group, factor) {
                    return true;
                }
                caps.add(&candidate.group);
                window.members.push(*index);
                window.relaxed = true;
                false
            });
            factor = factor.saturating_mul(2);
        }
    }

    /// Whether everybody who named it has named more dead peers than their living ones excuse.
    fn is_doubtful(&self, candidate: &Candidate) -> bool {
        candidate.sources.iter().flatten().all(|source| {
            *source != SourceId::OURSELVES
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
    fn named_by(&mut self, source: SourceId) {
        if self.sources.contains(&Some(source)) {
            return;
        }
        if let Some(free) = self.sources.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(source);
        }
    }
}
