//! Distances as numbers, as far as their first word goes.

use starling_proto::ids::NodeId;

/// The distance of two places, its first 64 bits.
pub(crate) fn leading(a: &NodeId, b: &NodeId) -> u64 {
    let first = |id: &NodeId| id.as_bytes().first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    first(a) ^ first(b)
}
