//! The law by which a measure grows.

/// `a + b * ln n`, by least squares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// The measure of one node.
    pub a: f64,
    /// What it grows by while the network grows e-fold.
    pub b: f64,
    /// The share of the measure's variance that the law accounts for.
    pub r2: f64,
}

impl Fit {
    /// What the law says for `nodes`.
    #[must_use]
    pub fn at(&self, nodes: f64) -> f64 {
        self.a + self.b * nodes.ln()
    }
}

/// The law through points of nodes and measure. `None` for fewer than two different sizes: nothing grows there.
#[must_use]
pub fn fit_logarithm(points: &[(usize, f64)]) -> Option<Fit> {
    let count = points.len() as f64;
    let logs: Vec<f64> = points.iter().map(|&(nodes, _)| (nodes as f64).ln()).collect();
    let mean_x = logs.iter().sum::<f64>() / count;
    let mean_y = points.iter().map(|&(_, y)| y).sum::<f64>() / count;
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for (x, &(_, y)) in logs.iter().zip(points) {
        xx += (x - mean_x).powi(2);
        xy += (x - mean_x) * (y - mean_y);
        yy += (y - mean_y).powi(2);
    }
    if points.len() < 2 || xx <= 0.0 {
        return None;
    }
    let b = xy / xx;
    let r2 = if yy > 0.0 { xy * xy / (xx * yy) } else { 1.0 };
    Some(Fit { a: mean_y - b * mean_x, b, r2 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logarithm_is_found_again() {
        let points: Vec<(usize, f64)> = [10, 100, 1000].map(|n| (n, 4.0 + 2.5 * (n as f64).ln())).into();
        let fit = fit_logarithm(&points).unwrap();
        assert!((fit.a - 4.0).abs() < 1e-9 && (fit.b - 2.5).abs() < 1e-9 && fit.r2 > 0.999_999);
        assert!((fit.at(10_000.0) - (4.0 + 2.5 * 10_000_f64.ln())).abs() < 1e-9);
    }

    #[test]
    fn one_size_has_no_law() {
        assert_eq!(fit_logarithm(&[]), None);
        assert_eq!(fit_logarithm(&[(10, 3.0), (10, 4.0)]), None);
    }
}
