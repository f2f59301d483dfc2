//! What a network withstands: `starling lab attack`.
//!
//! A scenario is a network of [bare overlays](crate::overlays), some of which do not behave as written, and a task that
//! honest peers have in it: to find a record that another has stored, a person under a word, their own way out of a
//! poisoned table. Each try goes through the machine that ships; what is counted is how many succeed, and what they cost.

mod catalogue;
mod eclipse;
mod flood;
mod interval;
mod passing;
mod records;
mod stage;
mod takeover;
mod tally;

use std::ops::ControlFlow;

use starling_overlay::config::Config;
use starling_proto::limits;

pub use self::catalogue::catalogue;
pub use self::interval::wilson;
use self::stage::Stage;
use self::tally::Tally;
use crate::adversary::{Band, Conduct};
use crate::faults::churn::Coming;
pub use crate::scale::Interrupted;

/// Fewest nodes of a run: below this, everybody holds everything.
pub const LEAST_NODES: usize = 100;
/// Most nodes of a run.
pub const MOST_NODES: usize = 100_000;
/// Memory that a bare overlay takes with its share of connections and queue, about: 117 KiB at 10,000 nodes.
pub const BYTES_PER_OVERLAY: u64 = 120 << 10;

/// How a network comes to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tables {
    /// Everybody joins through somebody who is there, as in the product.
    Joined,
    /// Everybody is told whom to know: in each bucket as many random peers as find room.
    Filled,
}

/// What a run is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// How many nodes, [`LEAST_NODES`] to [`MOST_NODES`], those that were ground apart.
    pub nodes: usize,
    /// What every die is thrown with.
    pub seed: u64,
    /// How often it is tried, about: tasks that attack a few places try each equally often.
    pub trials: usize,
    /// How the network comes to stand.
    pub tables: Tables,
}

/// The numbers that peers run with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Protocol {
    /// What it is called in a report.
    pub name: &'static str,
    /// Of every overlay.
    pub config: Config,
    /// Peers that an honest answer names at most.
    pub names: usize,
}

impl Protocol {
    /// What ships.
    #[must_use]
    pub fn starling() -> Self {
        Self { name: "starling", config: Config::default(), names: limits::ANSWER_PEERS }
    }

    /// Plain Kademlia: stores at the `k` closest and asks them, with `alpha` requests under way; nothing wider, and
    /// whoever named the dead is believed like everybody.
    #[must_use]
    pub fn kademlia(name: &'static str, k: usize, alpha: usize) -> Self {
        let mut config = Config::default();
        config.records.replicas = k;
        config.records.store_width = k;
        config.records.spread = 0;
        config.records.fetch_width = k;
        config.records.fetch_width_wide = k;
        (config.records.query_width, config.records.query_besides) = (k, 0);
        config.lookup.parallelism_min = alpha;
        config.lookup.parallelism_max = alpha;
        config.lookup.dead_per_source = u16::MAX;
        (config.lookup.entries_at_home, config.lookup.newest) = (0, 0);
        config.table.bucket = k;
        Self { name, config, names: k }
    }
}

/// Identities ground onto what is attacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroundSetup {
    /// How many for each place.
    pub identities: usize,
    /// How many /24s they have among them; nothing if each has a /16 of its own.
    pub streets: Option<usize>,
    /// Where they stand.
    pub stand: Stand,
}

/// Where identities ground onto a place stand. *Usual* is how far away the twentieth peer of a place is where nobody made any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// As close as they come.
    Closest,
    /// As close as they come outside of a third of what is usual, within which twenty would be noticed.
    Outside,
    /// Twenty as close as they come, which is noticed, the others outside of a quarter of what is usual.
    Twofold,
    /// In four equal parts, the first of each ring in which a place that is noticed is looked at: as close as they come, and
    /// outside of a quarter, a half and the whole of what is usual.
    Spread,
}

impl Stand {
    /// The bands in which `count` stand around a place, in a network of so many nodes.
    fn bands(self, count: usize, nodes: usize) -> Vec<Band> {
        let usual = (u64::MAX / nodes.max(1) as u64).saturating_mul(limits::K as u64);
        let part = |from| Band { from, count: count / 4 };
        match self {
            Self::Closest => vec![Band { from: 0, count }],
            Self::Outside => vec![Band { from: usual / 3, count }],
            Self::Twofold => vec![
                Band { from: 0, count: limits::K },
                Band { from: usual / 4, count: count.saturating_sub(limits::K) },
            ],
            Self::Spread => vec![part(0), part(usual / 4), part(usual / 2), part(usual)],
        }
    }

    /// Its name in a report.
    const fn name(self) -> &'static str {
        match self {
            Self::Closest => "closest",
            Self::Outside => "outside",
            Self::Twofold => "twofold",
            Self::Spread => "spread",
        }
    }
}

/// What honest peers try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// To fetch a record that another honest peer has stored.
    Fetch,
    /// To fetch the second version of a record.
    FetchNewest,
    /// To find a directory entry by its word.
    Search,
    /// To find somebody who keeps what lies in one's mailbox.
    Collect,
    /// To fetch a record, from a table of which so much is hostile, in percent; at once, and after ten minutes.
    Recover(usize),
    /// To find a person among many entries of one word that so many sources have published.
    Crowded(usize),
    /// To fetch a record whose holders so many sources have flooded.
    Flooded(usize),
    /// To fetch records while ground identities surround one, and to be found then.
    Surrounded,
    /// To store a record and to fetch another's, through go-betweens or straight, and what that costs.
    Passed(bool),
}

/// One attack.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Its name: what is done, and how much of it.
    pub id: String,
    /// The line of the fault catalogue.
    pub fault: &'static str,
    /// The numbers that peers run with.
    pub protocol: Protocol,
    /// What random nodes do, and how many of them, in percent.
    pub crowd: Option<(Conduct, usize)>,
    /// Identities made for the places that are attacked.
    pub ground: Option<GroundSetup>,
    /// How many of the honest vanish after the records were stored, in percent.
    pub vanish: usize,
    /// How the honest come and go; attackers stay.
    pub coming: Coming,
    /// What is tried.
    pub task: Task,
    /// The share that is to succeed, up to 1,000 nodes and beyond; nothing for comparisons.
    pub target: Option<(f64, f64)>,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What it does, in a few words.
    pub doing: &'static str,
    /// Steps of it that are done.
    pub done: usize,
    /// Steps of it.
    pub all: usize,
}

/// Something beside the success of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Param {
    /// A number.
    Number(f64),
    /// A word.
    Text(String),
}

/// What a run found. All of it follows from scenario and plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The scenario.
    pub id: String,
    /// Nodes, those that were ground apart.
    pub nodes: usize,
    /// The seed.
    pub seed: u64,
    /// What it was made of, and what else was seen.
    pub params: Vec<(&'static str, Param)>,
    /// How often it was tried.
    pub trials: usize,
    /// How often that succeeded.
    pub successes: usize,
    /// The share that was to succeed.
    pub target: Option<f64>,
    /// Requests of a try.
    pub requests_mean: f64,
    /// Bytes of a try, sent and received: frames alone.
    pub bytes_mean: f64,
    /// The hash over everything that was sent.
    pub trace: [u8; 32],
}

impl Outcome {
    /// The share of tries that succeeded.
    #[must_use]
    pub fn success(&self) -> f64 {
        if self.trials == 0 { 0.0 } else { self.successes as f64 / self.trials as f64 }
    }

    /// Its 95 % interval.
    #[must_use]
    pub fn interval(&self) -> (f64, f64) {
        wilson(self.successes, self.trials)
    }

    /// Whether the share that succeeded is what was to be reached; `None` where nothing was.
    #[must_use]
    pub fn is_met(&self) -> Option<bool> {
        self.target.map(|target| self.success() >= target)
    }
}

/// Whoever is told how far a run is, and can end it.
pub type Watch<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

/// Runs a scenario.
///
/// # Errors
/// [`Interrupted`] if `watch` breaks.
///
/// # Panics
/// If an overlay comes to a state from which the simulation cannot go on.
pub fn run(scenario: &Scenario, plan: Plan, watch: Watch<'_>) -> Result<Outcome, Interrupted> {
    let mut stage = Stage::new(scenario.clone(), plan, watch);
    match scenario.task {
        Task::Fetch | Task::FetchNewest | Task::Search | Task::Collect => records::run(&mut stage)?,
        Task::Recover(percent) => takeover::run(&mut stage, percent)?,
        Task::Crowded(sources) => flood::crowd(&mut stage, sources)?,
        Task::Flooded(sources) => flood::disks(&mut stage, sources)?,
        Task::Surrounded => eclipse::run(&mut stage)?,
        Task::Passed(through) => passing::run(&mut stage, through)?,
    }
    Ok(stage.finish())
}
