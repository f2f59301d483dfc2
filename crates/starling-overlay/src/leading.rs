//! Distances as numbers, as far as their first word goes.

use core::cmp::Ordering;

use starling_proto::ids::NodeId;

/// The distance of two places, its first 64 bits.
pub(crate) fn leading(a: &NodeId, b: &NodeId) -> u64 {
    let first = |id: &NodeId| id.as_bytes().first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    first(a) ^ first(b)
}

/// Which of two places is closer to `target`. Most often the first word of their distances decides.
pub(crate) fn closer(a: &NodeId, b: &NodeId, target: &NodeId) -> Ordering {
    let whole = || a.distance(target).cmp(&b.distance(target));
    leading(a, target).cmp(&leading(b, target)).then_with(whole)
}
