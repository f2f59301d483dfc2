//! By which law the measures of several runs grow.

use serde::Serialize;
use starling_sim::scale::{Fit, Outcome, fit_logarithm};

/// The laws of one call, each where at least two sizes were run.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Laws {
    pub(super) requests_per_lookup: Option<Law>,
    pub(super) requests_per_join: Option<Law>,
}

/// `a + b * ln(nodes)`, by least squares.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Law {
    a: f64,
    b: f64,
    /// The share of the variance that the law accounts for.
    r2: f64,
    #[serde(skip)]
    fit: Fit,
}

impl Laws {
    pub(super) fn of(outcomes: &[Outcome]) -> Self {
        let law = |measure: fn(&Outcome) -> f64| {
            let points: Vec<_> =
                outcomes.iter().map(|outcome| (outcome.plan.nodes, measure(outcome))).collect();
            fit_logarithm(&points).map(Law::from)
        };
        Self {
            requests_per_lookup: law(|outcome| outcome.requests_per_lookup),
            requests_per_join: law(|outcome| outcome.requests_per_join),
        }
    }
}

impl Law {
    /// What it says for `nodes`.
    pub(super) fn at(&self, nodes: f64) -> f64 {
        self.fit.at(nodes)
    }

    /// The law as people write it.
    pub(super) fn formula(&self) -> String {
        format!("{:.2} {} {:.2} ln n", self.a, if self.b < 0.0 { '-' } else { '+' }, self.b.abs())
    }
}

impl From<Fit> for Law {
    fn from(fit: Fit) -> Self {
        Self { a: rounded(fit.a), b: rounded(fit.b), r2: rounded(fit.r2), fit }
    }
}

/// Four digits after the point, which is more than any of these figures means.
pub(super) fn rounded(figure: f64) -> f64 {
    (figure * 10_000.0).round() / 10_000.0
}
