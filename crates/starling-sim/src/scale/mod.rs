//! How the costs of a network grow with it: `starling lab scale`.
//!
//! A run lets a network grow to its size in doublings, each within [`WAVE`], lets everybody list themselves, looks up
//! places, searches people, and then watches an hour in which nobody does anything. What was found is held against a
//! truth that comes from nothing but the list of nodes and what their users said.

mod cast;
mod fit;
mod phases;
mod truth;

use std::ops::ControlFlow;
use std::time::Duration;

use starling_proto::time::Span;

pub use self::fit::{Fit, fit_logarithm};
use self::phases::Stage;

/// Most nodes of one run.
pub const NODES: usize = 20_000;
/// Memory that a full core takes here, its disk included, about: 0.6 MiB at 100 nodes, 0.9 at 1,000, 1.2 at 10,000.
pub const BYTES_PER_NODE: u64 = 5 << 18;
/// In each of these the network doubles.
pub const WAVE: Span = Span::from_secs(30);
/// Then everybody has this long to publish what they are.
pub const SETTLING: Span = Span::from_secs(120);
/// The quiet time of a whole run. Whatever nodes do by themselves comes at least once an hour.
pub const QUIET: Span = Span::from_hours(1);
/// Lookups of a run, from and to random places, all under way at once.
pub const LOOKUPS: usize = 200;
/// Peers that a lookup wants: a bucket, and the holders of a record.
pub const WIDTH: usize = 20;
/// Searches of a whole run.
pub const SEARCHES: usize = 100;

/// What a run is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// How many nodes, 2 to [`NODES`].
    pub nodes: usize,
    /// What every die is thrown with.
    pub seed: u64,
    /// Searches for random people by three words, all under way at once. With none, nobody lists themselves.
    pub searches: usize,
    /// How long nobody does anything at the end, which shows what a network costs by itself.
    pub quiet: Span,
}

impl Plan {
    /// A whole run: [`SEARCHES`] searches, and an hour in which nobody does anything.
    #[must_use]
    pub const fn new(nodes: usize, seed: u64) -> Self {
        Self { nodes, seed, searches: SEARCHES, quiet: QUIET }
    }
}

/// What the simulation itself uses, as whoever runs it can tell: it has no clock.
pub trait Meter {
    /// Processor time of this process so far.
    fn cpu(&self) -> Duration;
    /// Time since some moment.
    fn wall(&self) -> Duration;
    /// Bytes of memory that this process holds; `None` where the system does not say.
    fn memory(&self) -> Option<u64>;
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What it does, in a few words.
    pub doing: &'static str,
    /// Virtual time that has passed.
    pub passed: Span,
    /// Virtual time that the run takes, about.
    pub all: Span,
}

/// Whoever ran it wanted it to end early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupted;

/// What a run found. Times and memory differ from run to run, everything else follows from the plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What was run.
    pub plan: Plan,
    /// Processor time until everybody had joined and was listed, of all nodes together.
    pub join_cpu: Duration,
    /// Requests of a node until it was in the network, on average. What it publishes meanwhile is among them.
    pub requests_per_join: f64,
    /// Connections that a node dialled until then, on average.
    pub handshakes_per_join: f64,
    /// Requests of a node until everybody had joined and was listed, on average.
    pub requests_per_listing: f64,
    /// Dials of a node until then that were refused, since the other side had no seat left; on average.
    pub refused_per_listing: f64,
    /// Requests of a lookup, on average.
    pub requests_per_lookup: f64,
    /// Processor time of a lookup, of all nodes together, on average.
    pub lookup_cpu: Duration,
    /// Share of lookups whose first peer was the closest.
    pub top1: f64,
    /// Share of the [`WIDTH`] closest peers that lookups found, on average.
    pub topk: f64,
    /// Bytes that a node sent in an hour of the quiet time, on average; as many reached it.
    pub bytes_per_node_hour: f64,
    /// The same, in requests.
    pub requests_per_node_hour: f64,
    /// Memory of a node after the quiet time, its disk and its share of everything else in it.
    pub memory_per_node: Option<u64>,
    /// Share of those who match all words of a search whom it found, on average; `None` without searches.
    pub search_recall: Option<f64>,
    /// Virtual time.
    pub virtual_time: Span,
    /// Real time.
    pub wall: Duration,
    /// The hash over everything that happened.
    pub trace: [u8; 32],
}

/// Runs a plan. `watch` is told how far it is, some times in a real second, and can end it.
///
/// `memory_before` is what this process held before its first run.
///
/// # Errors
/// [`Interrupted`] if `watch` breaks.
///
/// # Panics
/// If a node comes to a state from which the simulation cannot go on.
pub fn run(
    plan: Plan,
    meter: &dyn Meter,
    memory_before: Option<u64>,
    watch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Outcome, Interrupted> {
    let (began, cpu) = (meter.wall(), meter.cpu());
    let mut stage = Stage::new(plan, watch);
    stage.join()?;
    let join_cpu = meter.cpu().saturating_sub(cpu);
    let (joined, listing) = (stage.joined(), stage.traffic());
    let cpu = meter.cpu();
    let looked_up = stage.look_up()?;
    let lookup_cpu = meter.cpu().saturating_sub(cpu);
    let search_recall = stage.search()?;
    let quiet = stage.stay_quiet()?;
    let held = meter.memory().zip(memory_before).map(|(now, before)| now.saturating_sub(before));
    let per_node = |count: u64| count as f64 / plan.nodes as f64;
    let hours = plan.quiet.as_ms() as f64 / QUIET.as_ms() as f64;
    let per_hour = |count: u64| if hours > 0.0 { per_node(count) / hours } else { 0.0 };
    Ok(Outcome {
        plan,
        join_cpu,
        requests_per_join: per_node(joined.requests),
        handshakes_per_join: per_node(joined.handshakes),
        requests_per_listing: per_node(listing.requests),
        refused_per_listing: per_node(listing.refused),
        requests_per_lookup: looked_up.requests,
        lookup_cpu: lookup_cpu.div_f64(LOOKUPS as f64),
        top1: looked_up.top1,
        topk: looked_up.topk,
        bytes_per_node_hour: per_hour(quiet.bytes_sent),
        requests_per_node_hour: per_hour(quiet.requests),
        memory_per_node: held.map(|held| held / plan.nodes as u64),
        search_recall,
        virtual_time: stage.passed(),
        wall: meter.wall().saturating_sub(began),
        trace: stage.trace(),
    })
}
