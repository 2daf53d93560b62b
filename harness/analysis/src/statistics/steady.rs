//! Whether the latency still moved while it was measured.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use longhaul_experiment::histogram::rank_of;

use super::slices::Slices;
use super::student::two_sided_probability;

/// The least drift over a window that is named, as a share of the median.
pub const DRIFT_MIN: f64 = 0.05;
/// How improbable a drift must be by chance to be named, over all figures of a run together.
pub const DRIFT_PROBABILITY: f64 = 0.005;
/// The fewest time slices that a trend is judged from.
pub const SLICES_MIN: usize = 8;
/// The most stretches of time whose means a trend is judged from: longer ones than slices, for
/// what differs by chance between the operations of neighbouring slices hides how much the slices
/// resemble each other.
const STRETCHES_MAX: usize = 20;
/// The share of the window that the latency's own ups and downs are taken to last at most: what
/// swings more slowly is a drift of this window.
const CORRELATION_MAX: f64 = 1.0 / 5.0;

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
    /// Jitter and queues last, so that a steady latency swings, and a short window shows but a few
    /// swings. Both tests therefore take neighbours to resemble each other as much as they may by the
    /// upper 97.5% bound of their correlation. The one finds what rises or falls all along, the
    /// other a step.
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
        let stretches = stretches(&medians);
        let (trend, trend_probability) = line(&stretches);
        let (last_third, last_third_probability) = thirds(&stretches);
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

/// The means of equally many values each, as nearly as that goes.
fn stretches(values: &[f64]) -> Vec<f64> {
    let count = values.len().min(STRETCHES_MAX);
    let bound = |stretch: usize| stretch * values.len() / count;
    let stretches = (0..count).map(|stretch| &values[bound(stretch)..bound(stretch + 1)]);
    stretches.map(mean).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Fits a straight line; returns its rise from the first to the last end and the probability of as
/// steep a line where there is none.
fn line(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let middle = (count - 1.0) / 2.0;
    let level = mean(values);
    let at = |index: usize| index as f64 - middle;
    let spread: f64 = (0..values.len()).map(|index| at(index) * at(index)).sum();
    let products = values.iter().enumerate();
    let product: f64 = products.map(|(i, value)| at(i) * (value - level)).sum();
    let slope = product / spread;
    let residuals = values.iter().enumerate();
    let residuals: Vec<f64> = residuals
        .map(|(i, value)| value - level - slope * at(i))
        .collect();
    let (variance, degrees) = long_run_variance(&[&residuals], 2.0, values.len());
    let error = (variance / spread).sqrt();
    (slope * (count - 1.0), probability(slope, error, degrees))
}

/// Compares the means of the first and the last third; returns how much higher the last is and the
/// probability of such a difference where there is none.
fn thirds(values: &[f64]) -> (f64, f64) {
    let third = values.len() / 3;
    let ends = [&values[..third], &values[values.len() - third..]];
    let [first, last] = ends.map(mean);
    let residuals = ends.map(|end| {
        let level = mean(end);
        end.iter().map(|value| value - level).collect::<Vec<f64>>()
    });
    let [first_residuals, last_residuals] = &residuals;
    let parts = [first_residuals.as_slice(), last_residuals.as_slice()];
    let (variance, degrees) = long_run_variance(&parts, 2.0, values.len());
    let error = (variance * 2.0 / third as f64).sqrt();
    (last - first, probability(last - first, error, degrees))
}

/// The variance of independent values whose mean over a long time varies as that of these does, and
/// its degrees of freedom: from the residuals, in parts that follow each other, of `fitted`
/// parameters, in a window of `window` values.
///
/// Where each residual is c times the one before it and something new, of variance v, it is
/// v / (1 - c)^2.
fn long_run_variance(parts: &[&[f64]], fitted: f64, window: usize) -> (f64, f64) {
    let correlation = correlation_at_most(parts, window);
    let pairs = || parts.iter().flat_map(|part| part.windows(2));
    let new = pairs().map(|pair| pair[1] - correlation * pair[0]);
    let squares: f64 = new.map(|new| new * new).sum();
    // The correlation is fitted too.
    let degrees = (pairs().count() as f64 - fitted).max(1.0);
    let remaining = 1.0 - correlation;
    (squares / degrees / (remaining * remaining), degrees)
}

/// The most that neighbours are correlated, given residuals: the upper 97.5% bound of an
/// autoregression's parameter, whose estimate varies by (1 - c^2) / n and, with two parameters
/// fitted, is too small by (2 + 4 c) / n (Kendall, "Note on bias in the estimation of
/// autocorrelation", 1954, and Marriott and Pope in the same volume of Biometrika).
fn correlation_at_most(parts: &[&[f64]], window: usize) -> f64 {
    let residuals = || parts.iter().copied().flatten();
    let pairs = parts.iter().flat_map(|part| part.windows(2));
    let count = residuals().count() as f64;
    let squares: f64 = residuals().map(|residual| residual * residual).sum();
    let products: f64 = pairs.map(|pair| pair[0] * pair[1]).sum();
    let estimate = if squares > 0.0 {
        products / squares
    } else {
        0.0
    };
    let bias = (2.0 + 4.0 * estimate) / count;
    let deviation = ((1.0 - estimate * estimate).max(0.0) / count).sqrt();
    let longest = libm::exp(-1.0 / (CORRELATION_MAX * window as f64));
    (estimate + bias + 1.96 * deviation).clamp(0.0, longest)
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

    use longhaul_experiment::random::{Generator, Seed, Stream, open_unit};

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
        assert!((drift.last_third - 0.063).abs() < 0.01, "{drift:?}");
        assert!(drift.is_unsettled(228), "{drift:?}");
        let steady = with_medians((0..60).map(|at| 100_000 + ripple(at)));
        assert!(!Drift::judge(&steady).unwrap().is_unsettled(1));
    }

    #[test]
    fn a_step_is_unsettled_and_constants_are_settled() {
        let step = with_medians((0..60).map(|at| if at < 30 { 100 } else { 110 }));
        assert!(Drift::judge(&step).unwrap().is_unsettled(1));
        let constant = with_medians((0..60).map(|_| 100));
        assert!(!Drift::judge(&constant).unwrap().is_unsettled(1));
        assert_eq!(Drift::judge(&with_medians(0..7)), None);
        assert_eq!(Drift::judge(&Slices::default()), None);
    }

    /// The medians of 60 slices of an 8 s window about 100 ms: a jitter of this deviation in
    /// milliseconds that is correlated over a second, half as much that differs from slice to
    /// slice, and a drift of this many milliseconds from the window's beginning to its end.
    fn swinging(generator: &mut Generator, deviation_ms: f64, drift_ms: f64) -> Slices {
        let mut normal = || {
            // Box and Muller.
            let radius = libm::sqrt(-2.0 * libm::log(open_unit(generator)));
            radius * libm::cos(2.0 * std::f64::consts::PI * open_unit(generator))
        };
        let correlation = libm::exp(-8.0 / 60.0);
        let mut state = normal();
        with_medians((0..60).map(|at| {
            let jitter = deviation_ms * (state + 0.5 * normal());
            let fresh = libm::sqrt(1.0 - correlation * correlation);
            state = correlation * state + fresh * normal();
            ((100.0 + jitter + drift_ms * f64::from(at) / 59.0) * 1e6) as u64
        }))
    }

    #[test]
    fn jitter_that_lasts_a_second_of_eight_is_no_drift_and_a_drift_under_it_is_found() {
        let mut generator = Seed(4).stream(Stream::MonteCarlo, 0);
        let mut unsettled = |(deviation_ms, drift_ms), figures| {
            let trials = (0..1000).filter(|_| {
                let slices = swinging(&mut generator, deviation_ms, drift_ms);
                Drift::judge(&slices).unwrap().is_unsettled(figures)
            });
            trials.count()
        };
        // A deviation of 15 ms moves the ends by far more than the 5 ms that are named. 2% of 1000
        // are 20. Of a run with 35 figures each may be wrong in 2% / 35, 0.6 of 1000, and by chance
        // up to 4.
        let alone = unsettled((15.0, 0.0), 1);
        assert!(alone <= 20, "{alone}");
        let of_a_run = unsettled((15.0, 0.0), 35);
        assert!(of_a_run <= 4, "{of_a_run}");
        // A drift of 20% under swings of 1% is found among 35 figures in at least 98%.
        let found = unsettled((1.0, 20.0), 35);
        assert!(found >= 980, "{found}");
    }
}
