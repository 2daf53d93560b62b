//! The variance of a ratio from batch means.

use super::student::two_sided_quantile;

/// The most batches: with more each would be too short to be independent of the next.
pub const BATCHES_MAX: usize = 30;
/// The fewest batches that an interval rests on.
pub const BATCHES_MIN: usize = 8;

/// A sum over batches, divided by a count over batches, and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// The sums' total over the counts' total.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Degrees of freedom: batches less one.
    pub degrees: u32,
}

impl Ratio {
    /// Estimates a ratio from (sum, count) of each time slice, in order of time.
    ///
    /// Neighbouring slices are joined to at most [`BATCHES_MAX`] batches, and to half as many
    /// again while neighbouring batches are still correlated (Law and Carson, "A sequential
    /// procedure for determining the length of a steady-state simulation", 1979). `None` with
    /// fewer than [`BATCHES_MIN`] batches, or where even the longest batches depend on each
    /// other.
    pub fn estimate(slices: &[(f64, f64)]) -> Option<Ratio> {
        let mut batches = joined(slices, slices.len().div_ceil(BATCHES_MAX).max(1));
        loop {
            if batches.len() < BATCHES_MIN {
                return None;
            }
            let (sum, count) = total(&batches);
            if count <= 0.0 {
                return None;
            }
            let value = sum / count;
            let residuals: Vec<f64> = batches.iter().map(|(s, n)| s - value * n).collect();
            let squares: f64 = residuals.iter().map(|residual| residual * residual).sum();
            let products: f64 = residuals.windows(2).map(|pair| pair[0] * pair[1]).sum();
            let batch_count = batches.len() as f64;
            // Of independent batches this is about normal with deviation 1: one in 20 exceeds it.
            let correlated = products / squares * batch_count.sqrt() > 1.645;
            let can_join = batches.len() / 2 >= BATCHES_MIN;
            if correlated && can_join {
                batches = joined(&batches, 2);
                continue;
            }
            // One in 100 of independent batches exceeds this.
            if products / squares * batch_count.sqrt() > 2.326 {
                return None;
            }
            let variance = squares * batch_count / (batch_count - 1.0) / (count * count);
            return Some(Ratio {
                value,
                standard_error: variance.sqrt(),
                degrees: batches.len() as u32 - 1,
            });
        }
    }

    /// Returns the half width of the 95% interval in standard errors.
    pub fn coverage_factor(&self) -> f64 {
        two_sided_quantile(0.05, f64::from(self.degrees))
    }
}

/// Joins each `size` neighbours; the last batch takes what is left over.
pub(super) fn joined(parts: &[(f64, f64)], size: usize) -> Vec<(f64, f64)> {
    let mut batches: Vec<(f64, f64)> = parts.chunks_exact(size).map(total).collect();
    let left_over = total(parts.chunks_exact(size).remainder());
    if let Some(last) = batches.last_mut() {
        *last = (last.0 + left_over.0, last.1 + left_over.1);
    }
    batches
}

fn total(parts: &[(f64, f64)]) -> (f64, f64) {
    let add = |so_far: (f64, f64), part: &(f64, f64)| (so_far.0 + part.0, so_far.1 + part.1);
    parts.iter().fold((0.0, 0.0), add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_error_is_that_of_the_batches() {
        // Ten batches of one: five of 0 and five of 2, mixed so that neighbours do not resemble.
        let slices = [0., 2., 0., 2., 2., 0., 2., 0., 0., 2.].map(|sum| (sum, 1.0));
        let ratio = Ratio::estimate(&slices).unwrap();
        // Squares 10, over 9, over 10: a variance of 1/9.
        assert_eq!(ratio.value, 1.0);
        assert!((ratio.standard_error - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(ratio.degrees, 9);
    }

    #[test]
    fn a_trend_and_a_short_window_have_no_interval() {
        let trend: Vec<_> = (0..30).map(|at| (f64::from(at), 1.0)).collect();
        assert_eq!(Ratio::estimate(&trend), None);
        assert_eq!(Ratio::estimate(&trend[..7]), None);
        assert_eq!(Ratio::estimate(&[(0.0, 0.0); 30]), None);
    }

    #[test]
    fn a_constant_has_no_error() {
        let ratio = Ratio::estimate(&[(5.0, 1.0); 20]).unwrap();
        assert_eq!((ratio.value, ratio.standard_error), (5.0, 0.0));
    }
}
