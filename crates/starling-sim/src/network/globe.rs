//! Latencies as on Earth: nodes are scattered over a sphere, and what is far takes longer.

use starling_proto::time::Span;

use super::NodeIndex;
use super::wires::scattered;

/// Half a circumference, in kilometres.
const ANTIPODES_KM: f64 = 20_000.0;
/// Light in glass makes 200 km in a millisecond; cables are about twice as long as the straight way.
const KM_PER_MS: f64 = 100.0;
/// The last mile, at both ends together.
const LAST_MILE_MS: f64 = 5.0;

/// One-way latency between two nodes: 5 ms at one place, 205 ms from one side of the Earth to the other.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 5 and 205 milliseconds")]
pub(super) fn latency(seed: u64, a: NodeIndex, b: NodeIndex) -> Span {
    let (a, b) = (place(seed, a), place(seed, b));
    let dot: f64 = a.iter().zip(&b).map(|(x, y)| x * y).sum();
    let km = dot.clamp(-1.0, 1.0).acos() / std::f64::consts::PI * ANTIPODES_KM;
    Span::from_ms((LAST_MILE_MS + km / KM_PER_MS) as u64)
}

/// Uniform on the unit sphere (Archimedes: heights are uniform).
fn place(seed: u64, node: NodeIndex) -> [f64; 3] {
    let first = scattered(seed ^ scattered(node.0 as u64 ^ 0x476c_6f62_6500_0000));
    let share = |bits: u64| (bits >> 11) as f64 / (1_u64 << 53) as f64;
    let (height, turn) = (2.0 * share(first) - 1.0, std::f64::consts::TAU * share(scattered(first)));
    let radius = (1.0 - height * height).sqrt();
    [radius * turn.cos(), radius * turn.sin(), height]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_are_as_long_as_on_earth_and_both_ways_alike() {
        let mut all = Vec::new();
        for (a, b) in (0..60).flat_map(|a| (0..a).map(move |b| (NodeIndex(a), NodeIndex(b)))) {
            assert_eq!(latency(7, a, b), latency(7, b, a));
            all.push(latency(7, a, b).as_ms());
        }
        all.sort_unstable();
        assert!(all[0] >= 5 && all[all.len() - 1] <= 205, "{all:?}");
        assert!((95..115).contains(&all[all.len() / 2]), "half of the Earth is nearer than 10,000 km");
    }
}
