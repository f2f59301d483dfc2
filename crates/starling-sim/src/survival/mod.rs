//! How long mail lives: `starling lab mail`.
//!
//! People who know each other write to somebody who is away and leave for good. Their letters lie with whoever is close
//! to the mailbox, who come and go, and some of whom may say that they keep what they drop. When the mail's life is
//! nearly over the recipients come back, elsewhere, and read. What was kept in between is read from the disks of the
//! nodes, not from what anybody says.

mod stage;

use std::ops::ControlFlow;

use starling_proto::time::Span;

use self::stage::Stage;
use crate::attack::wilson;
pub use crate::faults::churn::Coming;
use crate::scale::{Interrupted, Progress};

/// Most nodes of a run, people not counted: they take about 2 MiB each.
pub const NODES: usize = 5_000;
/// Most pairs of a run.
pub const PAIRS: usize = 1_000;
/// Most texts of a writer.
pub const TEXTS: usize = 500;
/// How often the disks are looked at in the life of the mail.
pub const SAMPLES: u32 = 28;

/// What befalls all nodes together, beside their coming and going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mishap {
    /// Nothing.
    #[default]
    None,
    /// In the middle of the absence all fail at one moment, and those who were there start again an hour later.
    Restart,
    /// When the writers write the network falls into halves, they in one and their recipients in the other; in the
    /// middle of the absence it is whole again.
    Halves,
    /// In the middle of the absence sixty of a hundred nodes are gone for good.
    Vanish,
}

impl Mishap {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::None, Self::Restart, Self::Halves, Self::Vanish];

    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Restart => "restart",
            Self::Halves => "halves",
            Self::Vanish => "vanish",
        }
    }
}

/// What a run is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Nodes that keep mail, 3 to [`NODES`]; the people come to them.
    pub nodes: usize,
    /// Pairs of writer and recipient, 1 to [`PAIRS`].
    pub pairs: usize,
    /// Texts of each writer, 1 to [`TEXTS`].
    pub texts: usize,
    /// How nodes come and go.
    pub coming: Coming,
    /// Of a hundred nodes, how many drop what they say they keep.
    pub droppers_percent: usize,
    /// What befalls all together.
    pub mishap: Mishap,
    /// How long the recipients are away.
    pub away: Span,
    /// What every die is thrown with.
    pub seed: u64,
}

/// How the letters stood at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Since the writers had left.
    pub at: Span,
    /// Share of letters that some disk had.
    pub kept: f64,
    /// Share of letters that a running node had.
    pub within_reach: f64,
    /// Running nodes that had a letter, on average.
    pub copies: f64,
    /// Running nodes.
    pub running: usize,
    /// Bytes of letters on the disk of a node, on average over all nodes.
    pub letter_bytes: f64,
    /// Bytes of all records that it held for others, likewise.
    pub held_bytes: f64,
}

/// What a run found. All of it follows from the plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What was run.
    pub plan: Plan,
    /// Texts that were written.
    pub written: usize,
    /// Of these, how many their writer was told are stored before they left. The others are not counted any further.
    pub stored: usize,
    /// Holders of such a text, as its writer was told, on average.
    pub holders: f64,
    /// Envelopes that they lay in.
    pub letters: usize,
    /// Of the stored texts, how many their recipient was shown.
    pub delivered: usize,
    /// Recipients for whom a text was stored: the trials, since what one letter carries is read together or not at all.
    pub mailboxes: usize,
    /// Of these, how many were shown all that was stored for them.
    pub whole: usize,
    /// Texts that a recipient was shown again.
    pub twice: usize,
    /// Recipients who were shown texts in another order than they were written in.
    pub disordered: usize,
    /// Between a recipient's return and their last text: for half of them it was no longer.
    pub median_wait: Option<Span>,
    /// And for nineteen of twenty.
    pub p95_wait: Option<Span>,
    /// How the letters stood.
    pub samples: Vec<Sample>,
    /// Bytes that a running node sent in an hour while all were away, on average.
    pub bytes_per_node_hour: f64,
    /// Requests, likewise.
    pub requests_per_node_hour: f64,
    /// Bytes of letters on the disk of a node, on average over the samples.
    pub letter_bytes_per_node: f64,
    /// Bytes of all records that a node held for others, likewise.
    pub held_bytes_per_node: f64,
    /// Virtual time.
    pub virtual_time: Span,
    /// The hash over everything that happened.
    pub trace: [u8; 32],
}

impl Plan {
    /// The share of stored texts that is to be read, in percent, where one is promised: less where some drop what they
    /// take, and none where stays are shorter than an hour or more than half drop.
    #[must_use]
    pub const fn target_percent(&self) -> Option<f64> {
        match (self.coming, self.droppers_percent) {
            (Coming::Quarters | Coming::Minutes, _) | (_, 51..) => None,
            (_, 0) => Some(99.99),
            _ => Some(99.9),
        }
    }
}

impl Outcome {
    /// Share of stored texts that were read.
    #[must_use]
    pub fn share(&self) -> f64 {
        if self.stored == 0 { 0.0 } else { self.delivered as f64 / self.stored as f64 }
    }

    /// The 95 % interval of the share of mailboxes that were read whole.
    #[must_use]
    pub fn interval(&self) -> (f64, f64) {
        wilson(self.whole, self.mailboxes)
    }
}

/// Runs a plan. `watch` is told how far it is, some times in a real second, and can end it.
///
/// # Errors
/// [`Interrupted`] if `watch` breaks.
///
/// # Panics
/// If a core panics, spins, or breaks its contract with the shell.
pub fn run(plan: Plan, watch: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<Outcome, Interrupted> {
    let mut stage = Stage::new(plan, watch);
    stage.gather()?;
    stage.meet()?;
    stage.write()?;
    stage.wait()?;
    stage.read()?;
    Ok(stage.conclude())
}
