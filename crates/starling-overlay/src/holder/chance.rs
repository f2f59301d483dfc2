//! Random choices from the generator that is handed in.

use rand_core::CryptoRng;

/// A uniform number below `bound`; 0 if that is 0. The bias is below `bound` in 2^64.
pub(crate) fn below(rng: &mut dyn CryptoRng, bound: usize) -> usize {
    let wide = u128::from(rng.next_u64()).saturating_mul(bound as u128) >> 64;
    usize::try_from(wide).unwrap_or(0)
}

/// Brings the first `count` places of `items` into random order, drawn from all of them (Fisher and Yates).
pub(crate) fn draw<T>(rng: &mut dyn CryptoRng, items: &mut [T], count: usize) {
    for at in 0..count.min(items.len()) {
        let left = items.len().saturating_sub(at);
        items.swap(at, at.saturating_add(below(rng, left)));
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;

    #[test]
    fn every_item_can_come_first() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut first = [0; 4];
        for _ in 0..400 {
            let mut items = [0, 1, 2, 3];
            draw(&mut rng, &mut items, 1);
            first[items[0]] += 1;
        }
        assert!(first.iter().all(|&count| count > 50), "{first:?}");
    }

    #[test]
    fn a_draw_keeps_every_item() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut items: Vec<usize> = (0..50).collect();
        draw(&mut rng, &mut items, 99);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
        assert_eq!(below(&mut rng, 0), 0);
    }
}
