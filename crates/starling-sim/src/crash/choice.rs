//! Which crash points there are, and which to try when they are too many.

use std::collections::BTreeMap;

use super::story::role;
use super::{Batch, CrashPoint, Moment};

/// Every crash point of a run with these batches, each with its kind: whose machine, what it handles, and when.
#[must_use]
pub fn points(batches: &[Batch]) -> Vec<(String, CrashPoint)> {
    let mut points = Vec::new();
    for Batch { node, input, kind, outputs } in batches {
        let moments =
            [("before the commit", Moment::BeforeCommit), ("before any output", Moment::AfterOutputs(0))];
        let after = (1..=*outputs).map(|left| ("after an output", Moment::AfterOutputs(left)));
        for (when, moment) in moments.into_iter().chain(after) {
            let kind = format!("{}, {kind}, {when}", role(*node));
            points.push((kind, CrashPoint { node: *node, input: *input, moment }));
        }
    }
    points
}

/// `count` of these, always the same: of each kind as many as of every other while it has any, and of one kind evenly over
/// the run. All of them, if there are no more.
#[must_use]
pub fn spread(points: &[(String, CrashPoint)], count: usize) -> Vec<CrashPoint> {
    let mut kinds: BTreeMap<&str, Vec<CrashPoint>> = BTreeMap::new();
    for (kind, point) in points {
        kinds.entry(kind).or_default().push(*point);
    }
    // The rarest first: what they leave over is shared by the rest.
    let mut kinds: Vec<Vec<CrashPoint>> = kinds.into_values().collect();
    kinds.sort_by_key(Vec::len);
    let (mut chosen, mut left) = (Vec::new(), count.min(points.len()));
    for (before, of_kind) in kinds.iter().enumerate() {
        let share = left.div_ceil(kinds.len().saturating_sub(before)).min(of_kind.len());
        chosen.extend((0..share).filter_map(|n| of_kind.get(n * of_kind.len() / share)));
        left = left.saturating_sub(share);
    }
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::NodeIndex;

    fn batch(input: u64, kind: &str, outputs: usize) -> Batch {
        Batch { node: NodeIndex(1), input, kind: kind.into(), outputs }
    }

    #[test]
    fn each_batch_has_two_points_and_one_for_each_output() {
        let points = points(&[batch(0, "timer", 0), batch(1, "job", 2)]);
        let written: Vec<String> = points.iter().map(|(_, point)| point.to_string()).collect();
        assert_eq!(written, ["1:0:before", "1:0:0", "1:1:before", "1:1:0", "1:1:1", "1:1:2"]);
    }

    #[test]
    fn a_choice_is_even_over_kinds_and_over_the_run() {
        let batches: Vec<Batch> =
            (0..100).map(|n| batch(n, if n == 50 { "rare" } else { "common" }, 0)).collect();
        let all = points(&batches);
        let chosen = spread(&all, 20);
        assert_eq!(chosen.len(), 20);
        assert_eq!(chosen.iter().filter(|point| point.input == 50).count(), 2, "both of the rare kind");
        let inputs: Vec<u64> = chosen.iter().map(|point| point.input).collect();
        assert!(inputs.windows(2).all(|two| two[1] - two[0] <= 12), "{inputs:?}");
        assert_eq!(spread(&all, 1_000).len(), all.len());
    }
}
