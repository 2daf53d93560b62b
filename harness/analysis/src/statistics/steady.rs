//! Whether the latency still moved while it was measured.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use longhaul_experiment::histogram::rank_of;

use super::slices::Slices;
use super::student::two_sided_probability;

/// The least drift that is named, as a share of the median.
pub const DRIFT_MIN: f64 = 0.02;
/// How improbable a drift must be by chance to be named, over all figures of a run together.
pub const DRIFT_PROBABILITY: f64 = 0.01;
/// The fewest time slices that a trend is judged from.
pub const SLICES_MIN: usize = 8;

/// How the median moved over the measured window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Drift {
    /// How much the median changed from the window's beginning to its end along a straight line,
    /// as a share of the whole window's median.
    pub trend: f64,
    /// The probability that a steady run shows such a trend.
    pub trend_probability: f64,
    /// How much the medians of the last third of the window lie above those of the first, as a
    /// share of the whole window's median.
    pub last_third: f64,
    /// The probability that a steady run shows such a difference of the thirds.
    pub last_third_probability: f64,
}

impl Drift {
    /// Judges a window from the medians of its time slices; `None` with fewer than
    /// [`SLICES_MIN`], and where the median of one falls among operations that did not succeed.
    ///
    /// Both tests count neighbouring slices that resemble each other as fewer: degrees of freedom
    /// shrink by (1 - r) / (1 + r) with the residuals' lag-one correlation r.
    pub fn judge(slices: &Slices) -> Option<Drift> {
        let occupied = slices.slices().iter().filter(|slice| slice.due > 0);
        let medians: Option<Vec<f64>> = occupied
            .map(|slice| {
                let rank = rank_of(0.5, slice.due);
                let mut reached = 0;
                let found = slice.latencies_ns.iter().find(|(_, count)| {
                    reached += count;
                    reached >= rank
                });
                found.map(|&(latency, _)| latency as f64)
            })
            .collect();
        let whole = slices.at_rank(rank_of(0.5, slices.due()))? as f64;
        let medians = medians.filter(|medians| medians.len() >= SLICES_MIN && whole > 0.0)?;
        let (trend, trend_probability) = line(&medians);
        let (last_third, last_third_probability) = thirds(&medians);
        Some(Drift {
            trend: trend / whole,
            trend_probability,
            last_third: last_third / whole,
            last_third_probability,
        })
    }

    /// Says whether the run had not settled, when this is one of `figures` judged together: a
    /// difference worth naming that chance does not explain.
    pub fn is_unsettled(&self, figures: usize) -> bool {
        // Two tests for each figure.
        let limit = DRIFT_PROBABILITY / (2 * figures.max(1)) as f64;
        let named = |drift: f64, probability: f64| drift.abs() > DRIFT_MIN && probability < limit;
        named(self.trend, self.trend_probability)
            || named(self.last_third, self.last_third_probability)
    }
}

/// Fits a straight line; returns its rise over the whole length and the probability of it.
fn line(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let middle = (count - 1.0) / 2.0;
    let mean = values.iter().sum::<f64>() / count;
    let at = |index: usize| index as f64 - middle;
    let spread: f64 = (0..values.len()).map(|index| at(index) * at(index)).sum();
    let product: f64 = values
        .iter()
        .enumerate()
        .map(|(i, y)| at(i) * (y - mean))
        .sum();
    let slope = product / spread;
    let residuals = values.iter().enumerate();
    let residuals: Vec<f64> = residuals.map(|(i, y)| y - mean - slope * at(i)).collect();
    let (squares, degrees) = effective_residuals(&residuals, 2.0);
    // With n slices worth m independent ones, a slice's variance v and the spread s of their times:
    // the slope varies by v (n / m) / s. Each of the two fitted parameters takes v n / m out of the
    // residuals' squares, which leaves v n (1 - 2 / m). So v is squares m / (n (m - 2)), and the
    // slope varies by squares / (m - 2) / s: n itself cancels out.
    let error = (squares / degrees / spread).sqrt();
    let rise = slope * (count - 1.0);
    (rise, probability(slope, error, degrees))
}

/// Compares the means of the first and the last third.
fn thirds(values: &[f64]) -> (f64, f64) {
    let third = values.len() / 3;
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (first, last) = (&values[..third], &values[values.len() - third..]);
    let (first_mean, last_mean) = (mean(first), mean(last));
    let residuals = first.iter().map(|value| value - first_mean);
    let residuals: Vec<f64> = residuals
        .chain(last.iter().map(|value| value - last_mean))
        .collect();
    let (squares, degrees) = effective_residuals(&residuals, 2.0);
    let error = (squares / degrees * 2.0 / third as f64).sqrt();
    let difference = last_mean - first_mean;
    (difference, probability(difference, error, degrees))
}

/// The sum of squares and the effective degrees of freedom of residuals after `fitted`
/// parameters, at least 1.
fn effective_residuals(residuals: &[f64], fitted: f64) -> (f64, f64) {
    let squares: f64 = residuals.iter().map(|residual| residual * residual).sum();
    let products: f64 = residuals.windows(2).map(|pair| pair[0] * pair[1]).sum();
    let correlation = if squares > 0.0 {
        products / squares
    } else {
        0.0
    };
    let correlation = correlation.clamp(0.0, 0.95);
    let count = residuals.len() as f64 * (1.0 - correlation) / (1.0 + correlation);
    (squares, (count - fitted).max(1.0))
}

fn probability(difference: f64, error: f64, degrees: f64) -> f64 {
    if error > 0.0 {
        two_sided_probability(difference / error, degrees)
    } else if difference == 0.0 {
        1.0
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::slices::Slice;
    use super::*;

    fn with_medians(medians: impl Iterator<Item = u64>) -> Slices {
        let slices = medians.map(|median| Slice {
            length: Duration::from_secs(1),
            due: 1,
            latencies_ns: vec![(median, 1)],
        });
        Slices::new(slices.collect())
    }

    #[test]
    fn a_rising_median_is_unsettled_and_a_rippling_one_is_not() {
        // A rise of 10% over 60 slices under a ripple of 1%.
        let ripple = |at: u64| (at * 7 % 10) * 100;
        let rising = with_medians((0..60).map(|at| 100_000 + at * 170 + ripple(at)));
        let drift = Drift::judge(&rising).unwrap();
        assert!((drift.trend - 0.095).abs() < 0.01, "{drift:?}");
        assert!(drift.is_unsettled(228), "{drift:?}");
        let steady = with_medians((0..60).map(|at| 100_000 + ripple(at)));
        assert!(!Drift::judge(&steady).unwrap().is_unsettled(1));
    }

    #[test]
    fn a_step_between_the_thirds_is_unsettled_and_constants_are_settled() {
        let step = with_medians((0..60).map(|at| if at < 30 { 100 } else { 110 }));
        assert!(Drift::judge(&step).unwrap().is_unsettled(1));
        let constant = with_medians((0..60).map(|_| 100));
        assert!(!Drift::judge(&constant).unwrap().is_unsettled(1));
        assert_eq!(Drift::judge(&with_medians(0..7)), None);
        assert_eq!(Drift::judge(&Slices::default()), None);
    }
}
