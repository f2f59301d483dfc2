//! What a scenario says, read strictly: a word that is not known, or a number out of its bounds, is refused.

use std::num::NonZeroU64;

use serde::Deserialize;
use starling_overlay::seats::SeatLimits;
use starling_proto::time::Span;

use crate::checks::sometimes::Sometimes;
use crate::faults::churn::{Churn, Day};
use crate::faults::link::Loss;
use crate::faults::{Chance, LinkFaults, NodeFaults};
use crate::network::{Nat, Terrain};

/// Most nodes of a scenario.
const NODES: usize = 10_000;
/// Longest phase, in seconds: a month.
const SECONDS: u64 = 31 * 24 * 3_600;
/// Most messages of everybody together in a minute.
const RATE: u32 = 60_000;
const MILLION: u32 = 1_000_000;

/// What a network goes through.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// What it is about, in a sentence.
    pub about: String,
    /// Where latencies come from.
    pub terrain: Terrain,
    /// Who takes part.
    pub crowd: Crowd,
    /// What stands between the [`Crowd::clients`] and the network, dealt out in turn; never empty.
    pub routers: Vec<Nat>,
    /// What happens, one after another.
    pub phases: Vec<Phase>,
    /// When all faults have ended, how long it may take until all has arrived.
    pub healing: Span,
    /// Least share of searches that find whom they are for in the end, in percent.
    pub recall_percent: u32,
    /// Nasty paths that a set of seeds must go down.
    pub sometimes: Vec<Sometimes>,
}

/// Who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crowd {
    /// Nodes in the beginning.
    pub nodes: usize,
    /// Of these, how many stand behind a router: every second, from the second on. Friends beside one another in the ring
    /// are never both such.
    pub clients: usize,
    /// How many of them are listed in the directory.
    pub listed: usize,
    /// How many others each of them knows, on either side of them in a ring.
    pub friends: usize,
    /// How many share one /24.
    pub per_street: usize,
    /// Connections that each may have.
    pub seats: SeatLimits,
}

/// What happens for a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// For how long.
    pub length: Span,
    /// What everybody together writes in a minute.
    pub messages_per_minute: u32,
    /// How links are.
    pub links: LinkFaults,
    /// How machines are.
    pub nodes: NodeFaults,
    /// How nodes come and go; all stay if absent.
    pub churn: Option<Churn>,
    /// The day that decides how many are there; all if absent.
    pub day: Option<Day>,
    /// How the network falls apart for this phase.
    pub cut: Option<Cut>,
    /// How many vanish at its beginning, in percent, to be back when the phase is over.
    pub vanish_percent: usize,
    /// Whether everybody is restarted at its beginning, at one moment.
    pub restart_all: bool,
    /// How many join at its beginning.
    pub newcomers: usize,
    /// What befalls somebody now and then.
    pub events: Events,
}

/// How the network falls apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cut {
    /// Two halves.
    Halves,
    /// One node for itself.
    One,
    /// Two halves, and one node that reaches both.
    Bridge,
    /// Everybody reaches two neighbours.
    Ring,
    /// The newcomers of this phase for themselves: they find one another, and not the rest.
    Newcomers,
}

/// What befalls a random node now and then: the mean time between, none for never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "snake_case")]
pub struct Events {
    /// It is killed, and restarted within a minute; every third time at another address.
    pub kill_s: Option<NonZeroU64>,
    /// The network is parted in a random shape, for up to a minute.
    pub part_s: Option<NonZeroU64>,
    /// One of its links is cut one way, until the network is next whole.
    pub cut_s: Option<NonZeroU64>,
    /// Its disk is full, for up to a minute.
    pub fill_s: Option<NonZeroU64>,
    /// Its clock jumps: an hour back, a minute to a day on, a year on, or right again.
    pub clock_s: Option<NonZeroU64>,
    /// A bit of a record that it holds is flipped.
    pub damage_s: Option<NonZeroU64>,
    /// It asks somebody whom it does not know to be a contact.
    pub ask_s: Option<NonZeroU64>,
}

/// Why a text is no scenario.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// It is no TOML, or a word in it is not known.
    #[error("{0}")]
    Syntax(String),
    /// A number is out of its bounds.
    #[error("{what} must be from {least} to {most}, and is {found}")]
    OutOfBounds {
        /// Which.
        what: &'static str,
        /// The least it may be.
        least: u64,
        /// The most it may be.
        most: u64,
        /// What it is.
        found: u64,
    },
    /// There is no churn model of this name.
    #[error("no churn is called {0:?}: there are kad, hours, quarters and minutes")]
    UnknownChurn(String),
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// [`ScenarioError`] if it is none.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let raw: Raw = toml::from_str(text).map_err(|error| ScenarioError::Syntax(error.to_string()))?;
        raw.check()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    about: String,
    nodes: usize,
    #[serde(default)]
    clients: usize,
    #[serde(default = "closed")]
    routers: Vec<Nat>,
    #[serde(default)]
    listed: usize,
    #[serde(default)]
    friends: usize,
    #[serde(default = "one")]
    per_street: usize,
    seats: Option<usize>,
    #[serde(default)]
    terrain: Terrain,
    healing_s: u64,
    #[serde(default = "hundred")]
    recall_percent: u32,
    #[serde(default)]
    sometimes: Vec<Sometimes>,
    phase: Vec<RawPhase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPhase {
    seconds: u64,
    #[serde(default)]
    messages_per_minute: u32,
    #[serde(default)]
    loss_percent: u32,
    burst: Option<RawBurst>,
    #[serde(default)]
    jitter_ms: u64,
    #[serde(default)]
    repeats_per_million: u32,
    bytes_per_second: Option<NonZeroU64>,
    #[serde(default)]
    crash_before_commit_per_million: u32,
    #[serde(default)]
    crash_after_commit_per_million: u32,
    #[serde(default)]
    downtime_s: u64,
    churn: Option<String>,
    day: Option<RawDay>,
    cut: Option<Cut>,
    #[serde(default)]
    vanish_percent: usize,
    #[serde(default)]
    restart_all: bool,
    #[serde(default)]
    newcomers: usize,
    #[serde(default)]
    every: Events,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBurst {
    good_s: u64,
    bad_s: u64,
    loss_percent: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDay {
    noon_percent: u32,
    midnight_percent: u32,
    hours: u64,
}

fn closed() -> Vec<Nat> {
    vec![Nat::Closed]
}

const fn one() -> usize {
    1
}

const fn hundred() -> u32 {
    100
}

impl Raw {
    fn check(self) -> Result<Scenario, ScenarioError> {
        within("nodes", self.nodes as u64, 1, NODES as u64)?;
        within("clients", self.clients as u64, 0, self.nodes as u64 / 2)?;
        within("routers", self.routers.len() as u64, 1, 64)?;
        within("listed", self.listed as u64, 0, self.nodes as u64)?;
        within("friends", self.friends as u64, 0, self.nodes.saturating_sub(1) as u64 / 2)?;
        within("per_street", self.per_street as u64, 1, 250)?;
        within("healing_s", self.healing_s, 1, SECONDS)?;
        within("recall_percent", u64::from(self.recall_percent), 0, 100)?;
        within("phases", self.phase.len() as u64, 1, 64)?;
        let seats = self.seats.map(seats).transpose()?.unwrap_or_default();
        let Self { nodes, clients, listed, friends, per_street, .. } = self;
        Ok(Scenario {
            about: self.about,
            terrain: self.terrain,
            crowd: Crowd { nodes, clients, listed, friends, per_street, seats },
            routers: self.routers,
            phases: self.phase.into_iter().map(RawPhase::check).collect::<Result<_, _>>()?,
            healing: Span::from_secs(self.healing_s),
            recall_percent: self.recall_percent,
            sometimes: self.sometimes,
        })
    }
}

impl RawPhase {
    fn check(self) -> Result<Phase, ScenarioError> {
        within("seconds", self.seconds, 1, SECONDS)?;
        within("messages_per_minute", u64::from(self.messages_per_minute), 0, u64::from(RATE))?;
        within("vanish_percent", self.vanish_percent as u64, 0, 100)?;
        within("newcomers", self.newcomers as u64, 0, NODES as u64)?;
        let churn = self.churn.as_deref().map(churn).transpose()?;
        Ok(Phase {
            length: Span::from_secs(self.seconds),
            messages_per_minute: self.messages_per_minute,
            links: self.links()?,
            nodes: self.machines()?,
            churn,
            day: self.day.map(RawDay::check).transpose()?,
            cut: self.cut,
            vanish_percent: self.vanish_percent,
            restart_all: self.restart_all,
            newcomers: self.newcomers,
            events: self.every,
        })
    }

    fn links(&self) -> Result<LinkFaults, ScenarioError> {
        within("jitter_ms", self.jitter_ms, 0, 60_000)?;
        let background = percent("loss_percent", self.loss_percent, 90)?;
        let loss = match &self.burst {
            Some(burst) => {
                within("good_s", burst.good_s, 1, SECONDS)?;
                within("bad_s", burst.bad_s, 1, SECONDS)?;
                let bad = percent("loss_percent of a burst", burst.loss_percent, 100)?;
                let (good_for, bad_for) = (Span::from_secs(burst.good_s), Span::from_secs(burst.bad_s));
                Loss::Bursty { good: background, bad, good_for, bad_for }
            }
            None if background == Chance::NEVER => Loss::None,
            None => Loss::Random(background),
        };
        let repeats = millionths("repeats_per_million", self.repeats_per_million)?;
        let jitter = Span::from_ms(self.jitter_ms);
        Ok(LinkFaults { loss, jitter, repeats, bytes_per_second: self.bytes_per_second })
    }

    fn machines(&self) -> Result<NodeFaults, ScenarioError> {
        within("downtime_s", self.downtime_s, 0, SECONDS)?;
        let (before, after) = (self.crash_before_commit_per_million, self.crash_after_commit_per_million);
        Ok(NodeFaults {
            crash_before_commit: millionths("crash_before_commit_per_million", before)?,
            crash_after_commit: millionths("crash_after_commit_per_million", after)?,
            downtime: Span::from_secs(self.downtime_s),
        })
    }
}

impl RawDay {
    fn check(self) -> Result<Day, ScenarioError> {
        within("hours", self.hours, 1, 24 * 7)?;
        within("noon_percent", u64::from(self.noon_percent), 0, 100)?;
        within("midnight_percent", u64::from(self.midnight_percent), 0, 100)?;
        let length = Span::from_hours(self.hours);
        Ok(Day { noon: self.noon_percent, midnight: self.midnight_percent, length })
    }
}

fn within(what: &'static str, found: u64, least: u64, most: u64) -> Result<(), ScenarioError> {
    if (least..=most).contains(&found) {
        Ok(())
    } else {
        Err(ScenarioError::OutOfBounds { what, least, most, found })
    }
}

fn percent(what: &'static str, found: u32, most: u32) -> Result<Chance, ScenarioError> {
    within(what, u64::from(found), 0, u64::from(most))?;
    Ok(Chance::percent(found))
}

fn millionths(what: &'static str, found: u32) -> Result<Chance, ScenarioError> {
    within(what, u64::from(found), 0, u64::from(MILLION))?;
    Ok(Chance::per_million(found))
}

/// So many connections, three quarters of them for others' dials, as they are shared out where nothing is said.
fn seats(connections: usize) -> Result<SeatLimits, ScenarioError> {
    let standard = SeatLimits::default();
    within("seats", connections as u64, 4, standard.connections as u64)?;
    let incoming = connections.saturating_sub(connections / 4);
    Ok(SeatLimits { connections, incoming, ..standard })
}

fn churn(name: &str) -> Result<Churn, ScenarioError> {
    match name {
        "kad" => Ok(Churn::KAD),
        "hours" => Ok(Churn::HOURS),
        "quarters" => Ok(Churn::QUARTERS),
        "minutes" => Ok(Churn::MINUTES),
        other => Err(ScenarioError::UnknownChurn(other.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "about = \"least\"\nnodes = 3\nhealing_s = 60\n[[phase]]\nseconds = 5\n";

    #[test]
    fn what_is_not_said_does_not_happen() {
        let scenario = Scenario::parse(LEAST).unwrap();
        let phase = &scenario.phases[0];
        assert_eq!((phase.links, phase.nodes), (LinkFaults::default(), NodeFaults::default()));
        assert_eq!((phase.events, phase.cut, phase.churn), (Events::default(), None, None));
        assert_eq!(scenario.routers, [Nat::Closed]);
        assert_eq!((scenario.recall_percent, scenario.crowd.seats), (100, SeatLimits::default()));
    }

    #[test]
    fn a_quarter_of_few_seats_is_for_ones_own_dials() {
        let scenario = Scenario::parse(&LEAST.replace("nodes = 3", "nodes = 3\nseats = 16")).unwrap();
        let SeatLimits { connections, incoming, .. } = scenario.crowd.seats;
        assert_eq!((connections, incoming), (16, 12));
    }

    #[test]
    fn unknown_words_and_wild_numbers_are_refused() {
        let refused = |from: &str, to: &str| Scenario::parse(&LEAST.replace(from, to)).unwrap_err();
        let unknown = refused("seconds", "hours = 1\nseconds").to_string();
        assert!(unknown.contains("hours"), "{unknown}");
        let out = |what, least, most, found| ScenarioError::OutOfBounds { what, least, most, found };
        assert_eq!(refused("nodes = 3", "nodes = 0"), out("nodes", 1, 10_000, 0));
        assert_eq!(refused("nodes = 3", "nodes = 3\nfriends = 2"), out("friends", 0, 1, 2));
        assert_eq!(refused("nodes = 3", "nodes = 3\nseats = 3"), out("seats", 4, 512, 3));
        assert_eq!(refused("nodes = 3", "nodes = 3\nrouters = []"), out("routers", 1, 64, 0));
        let router = refused("nodes = 3", "nodes = 3\nrouters = [\"conical\"]").to_string();
        assert!(router.contains("port-restricted"), "{router}");
        let lossy = refused("seconds = 5", "seconds = 5\nloss_percent = 91");
        assert_eq!(lossy, out("loss_percent", 0, 90, 91));
        let churn = refused("seconds = 5", "seconds = 5\nchurn = \"cad\"");
        assert_eq!(churn, ScenarioError::UnknownChurn("cad".into()));
    }
}
