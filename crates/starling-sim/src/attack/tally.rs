//! What was tried, and what came of it.

use starling_proto::frame::FrameKind;

use super::{Outcome, Param, Plan, Scenario, Tables};
use crate::adversary::Conduct;
use crate::faults::churn::Coming;
use crate::overlays::Overlays;

/// Counts of one run.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) trials: usize,
    pub(super) successes: usize,
    /// Requests of all tries.
    pub(super) requests: u64,
    /// Records that were stored.
    pub(super) stores: usize,
    pub(super) store_requests: u64,
    /// Peers that said that they keep one.
    pub(super) acknowledged: usize,
    /// Honest ones among them.
    pub(super) copies: usize,
    /// Records that nobody honest keeps.
    pub(super) lost: usize,
    /// Whatever else is worth saying.
    pub(super) notes: Vec<(&'static str, Param)>,
}

impl Tally {
    /// Notes a try.
    pub(super) fn tried(&mut self, success: bool, requests: u32) {
        self.trials += 1;
        self.successes += usize::from(success);
        self.requests += u64::from(requests);
    }

    pub(super) fn note(&mut self, name: &'static str, number: f64) {
        self.notes.push((name, Param::Number(number)));
    }

    pub(super) fn outcome(self, scenario: &Scenario, plan: Plan, net: &Overlays) -> Outcome {
        let bytes = |kinds: &[FrameKind]| -> u64 {
            kinds.iter().map(|kind| net.traffic(*kind)).map(|t| t.bytes_sent + t.bytes_received).sum()
        };
        let each = |sum: u64, count: usize| if count == 0 { 0.0 } else { sum as f64 / count as f64 };
        let mut params = made_of(scenario, plan);
        if self.stores > 0 {
            let number = |name, number| (name, Param::Number(number));
            params.push(number("stored", self.stores as f64));
            params.push(number("store_requests_mean", each(self.store_requests, self.stores)));
            params.push(number("store_bytes_mean", each(bytes(&[FrameKind::Store]), self.stores)));
            params.push(number("acknowledged_mean", each(self.acknowledged as u64, self.stores)));
            params.push(number("honest_copies_mean", each(self.copies as u64, self.stores)));
            params.push(number("stored_nowhere", self.lost as f64));
        }
        params.extend(self.notes);
        let large = plan.nodes > 1000;
        let target = scenario.target.map(|(small, big)| if large { big } else { small });
        let tried = bytes(&[FrameKind::Fetch, FrameKind::Query]);
        Outcome {
            id: scenario.id.clone(),
            nodes: plan.nodes,
            seed: plan.seed,
            params,
            trials: self.trials,
            successes: self.successes,
            target,
            requests_mean: each(self.requests, self.trials),
            bytes_mean: each(tried, self.trials),
            trace: net.trace(),
        }
    }
}

/// What a scenario is made of.
fn made_of(scenario: &Scenario, plan: Plan) -> Vec<(&'static str, Param)> {
    let text = |text: &str| Param::Text(text.to_owned());
    let number = |number: usize| Param::Number(number as f64);
    let tables = match plan.tables {
        Tables::Joined => "joined",
        Tables::Filled => "filled",
    };
    let mut params = vec![
        ("fault", text(scenario.fault)),
        ("protocol", text(scenario.protocol.name)),
        ("tables", text(tables)),
    ];
    if let Some((conduct, percent)) = scenario.crowd {
        params.push(("conduct", text(name_of(conduct))));
        params.push(("attackers_percent", number(percent)));
    }
    if let Some(ground) = scenario.ground {
        params.push(("ground_per_key", number(ground.identities)));
        params.push(("ground_stand", text(ground.stand.name())));
        params.push(("ground_streets", ground.streets.map_or_else(|| text("one each"), number)));
    }
    if scenario.vanish > 0 {
        params.push(("vanished_percent", number(scenario.vanish)));
    }
    if scenario.coming != Coming::Steady {
        params.push(("churn", text(scenario.coming.name())));
    }
    params
}

const fn name_of(conduct: Conduct) -> &'static str {
    match conduct {
        Conduct::Silent => "silent",
        Conduct::Empty => "empty",
        Conduct::Colluding => "colluding",
        Conduct::Freezing => "freezing",
        Conduct::Inventing => "inventing",
        Conduct::Foreign => "foreign",
        Conduct::Cutting => "cutting",
    }
}
