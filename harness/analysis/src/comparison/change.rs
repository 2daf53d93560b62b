//! The change of one figure with its interval.

use serde::Serialize;

use super::REPEATS_MIN;
use super::figures::{Figure, NotJudged, Samples};
use super::rule::{Limit, Metric};
use crate::statistics::student::{two_sided_probability, two_sided_quantile, upper_probability};

/// The error that histograms of 4 digits leave in a figure, as a share of it: no spread between
/// runs is taken to be smaller.
const RESOLUTION: f64 = 1e-4;
/// The normal deviate of a 95% interval.
const NORMAL_95: f64 = 1.96;

/// An estimate with its 95% interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The estimate.
    pub estimate: f64,
    /// The interval's lower end; null where it is unbounded or unknown.
    pub low: Option<f64>,
    /// The interval's upper end; null where it is unbounded or unknown.
    pub high: Option<f64>,
}

/// How one figure changed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The first side's figure in the metric's unit; of several runs the mean.
    pub base: f64,
    /// The other's.
    pub other: f64,
    /// The difference in the metric's unit.
    pub absolute: Interval,
    /// The difference as a share of the first side's figure (0.1 is 10% more), of several runs
    /// between geometric means; null where a figure is zero.
    pub relative: Option<Interval>,
    /// The two-sided probability of such a difference where there is no change, uncorrected;
    /// null without an interval.
    pub probability: Option<f64>,
}

/// Returns the change between repeated runs: Welch's t test of the runs' figures, and of their
/// logarithms for the relative change.
///
/// # Errors
///
/// Says why the figures are not compared.
pub fn between_runs(samples: &Samples) -> Result<Change, NotJudged> {
    let (base, other) = (known(&samples.base)?, known(&samples.other)?);
    let floor = resolution(samples.cell.metric);
    let absolute = Difference::welch(&base, &other, floor * mean(&base).abs());
    let relative = logarithms(&base).zip(logarithms(&other));
    let relative = relative.map(|(base, other)| Difference::welch(&base, &other, floor));
    // One test for one figure: that of the relative change where there is one.
    let tested = relative.as_ref().unwrap_or(&absolute);
    Ok(Change {
        base: mean(&base),
        other: mean(&other),
        absolute: absolute.interval(|value| value),
        relative: relative
            .as_ref()
            .map(|one| one.interval(|log| libm::exp(log) - 1.0)),
        probability: Some(tested.two_sided()),
    })
}

/// Returns the change between the first run of each side. Its interval joins those within the
/// runs, which may be lopsided (Zou and Donner, "Construction of confidence limits about effect
/// measures", 2008).
///
/// # Errors
///
/// Says why the figures are not compared.
pub fn between_single_runs(samples: &Samples) -> Result<Change, NotJudged> {
    let first = |figures: &[Figure]| {
        let figure = figures.first().ok_or(NotJudged::TooFewRepeats)?;
        figure.known()
    };
    let ((base, base_bounds), (other, other_bounds)) =
        (first(&samples.base)?, first(&samples.other)?);
    let limits = |transform: fn(f64) -> f64| {
        let (base_bounds, other_bounds) = (base_bounds?, other_bounds?);
        let arm = |from: f64, to: f64| transform(to) - transform(from);
        let difference = transform(other) - transform(base);
        let base_high = base_bounds.high.map(|high| arm(base, high));
        let other_high = other_bounds.high.map(|high| arm(other, high));
        let base_low = arm(base_bounds.low, base);
        let other_low = arm(other_bounds.low, other);
        let low = base_high.map(|high| difference - libm::hypot(high, other_low));
        let high = other_high.map(|high| difference + libm::hypot(high, base_low));
        Some((low, high))
    };
    let absolute = limits(|value| value);
    let positive = base > 0.0
        && other > 0.0
        && [base_bounds, other_bounds]
            .iter()
            .flatten()
            .all(|bounds| bounds.low > 0.0);
    let ratio = if positive { limits(libm::log) } else { None };
    let as_share = |log: f64| libm::exp(log) - 1.0;
    let relative = (base > 0.0).then(|| Interval {
        estimate: other / base - 1.0,
        low: ratio.and_then(|(low, _)| low).map(as_share),
        high: ratio.and_then(|(_, high)| high).map(as_share),
    });
    let absolute = Interval {
        estimate: other - base,
        low: absolute.and_then(|(low, _)| low),
        high: absolute.and_then(|(_, high)| high),
    };
    Ok(Change {
        base,
        other,
        absolute,
        relative,
        probability: probability_of(&absolute),
    })
}

/// The probability of no change, from the arm of the interval that points to zero.
fn probability_of(interval: &Interval) -> Option<f64> {
    let towards_zero = if interval.estimate > 0.0 {
        interval.low?
    } else {
        interval.high?
    };
    let arm = (interval.estimate - towards_zero).abs();
    if interval.estimate == 0.0 {
        return Some(1.0);
    }
    if arm == 0.0 {
        return Some(0.0);
    }
    let deviate = interval.estimate.abs() / arm * NORMAL_95;
    Some(libm::erfc(deviate / std::f64::consts::SQRT_2))
}

/// Returns the probability, where the true change is the limit, that repeated runs show as large
/// a change for the worse as these: small means that the limit is exceeded.
///
/// Of a percentile beyond the time-out nothing is known but that it is above every latency.
///
/// - Where every run of the first side has it there, it cannot get worse: 1.
/// - Where every run of the other side has it there and none of the first side does, it is worse by
///   more than any limit, unless chance shared the runs out so. With a chance q for each run, alike
///   on both sides, that has the probability (1-q)^m q^n, at most m^m n^n / (m+n)^(m+n), whatever q
///   is: 1/64 for three repeats, 1/1024 for five.
/// - Where only some runs have it there, a number of the change cannot be told.
///
/// # Errors
///
/// Says why it cannot be told.
pub fn beyond_limit(samples: &Samples, limit: Limit) -> Result<f64, NotJudged> {
    let (base, other) = (&samples.base, &samples.other);
    if base.len().min(other.len()) < REPEATS_MIN {
        return Err(NotJudged::TooFewRepeats);
    }
    let all_beyond = |figures: &[Figure]| figures.iter().all(|one| *one == Figure::BeyondTimeout);
    if all_beyond(base) && !other.contains(&Figure::TooFew) {
        return Ok(1.0);
    }
    if all_beyond(other) && known(base).is_ok() {
        return Ok(all_lost_by_chance(base.len(), other.len()));
    }
    let (base, other) = (known(base)?, known(other)?);
    let floor = resolution(samples.cell.metric);
    let more_is_better = samples.cell.metric.more_is_better();
    let (difference, threshold) = match limit {
        Limit::Absolute(amount) => {
            let difference = Difference::welch(&base, &other, floor * mean(&base).abs());
            (difference, if more_is_better { -amount } else { amount })
        }
        Limit::Relative(share) => {
            // Goodput of zero on the other side alone is a loss of everything.
            if more_is_better && mean(&base) > 0.0 && other.iter().all(|value| *value == 0.0) {
                return Ok(all_lost_by_chance(base.len(), other.len()));
            }
            let logs = logarithms(&base).zip(logarithms(&other));
            let (base, other) = logs.ok_or(NotJudged::Zero)?;
            let share = if more_is_better { -share } else { share };
            let difference = Difference::welch(&base, &other, floor);
            (difference, libm::log1p(share))
        }
    };
    let excess = difference.estimate - threshold;
    let excess = if more_is_better { -excess } else { excess };
    Ok(difference.upper(excess))
}

/// The figures of repeated runs when all are numbers.
fn known(figures: &[Figure]) -> Result<Vec<f64>, NotJudged> {
    if figures.len() < REPEATS_MIN {
        return Err(NotJudged::TooFewRepeats);
    }
    let values = figures.iter().map(|figure| figure.known());
    values.map(|figure| Ok(figure?.0)).collect()
}

/// The most that the probability can be that something happens in all of `second` runs and in
/// none of `first` alike ones.
fn all_lost_by_chance(first: usize, second: usize) -> f64 {
    let (first, second) = (first as f64, second as f64);
    let all = first + second;
    libm::pow(first / all, first) * libm::pow(second / all, second)
}

fn resolution(metric: Metric) -> f64 {
    match metric {
        Metric::Mean | Metric::Percentile(_) => RESOLUTION,
        Metric::Goodput | Metric::Errors => 0.0,
    }
}

fn logarithms(values: &[f64]) -> Option<Vec<f64>> {
    let all_positive = values.iter().all(|value| *value > 0.0);
    all_positive.then(|| values.iter().map(|value| libm::log(*value)).collect())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// A difference of means with Welch's error.
struct Difference {
    estimate: f64,
    standard_error: f64,
    degrees: f64,
}

impl Difference {
    /// Welch, "The generalization of Student's problem when several different population variances
    /// are involved", 1947, with Satterthwaite's degrees of freedom.
    fn welch(base: &[f64], other: &[f64], error_min: f64) -> Difference {
        let squared_error = |values: &[f64]| {
            let (count, middle) = (values.len() as f64, mean(values));
            let squares = values
                .iter()
                .map(|value| (value - middle) * (value - middle));
            squares.sum::<f64>() / (count - 1.0) / count
        };
        let (first, second) = (squared_error(base), squared_error(other));
        let spread = |error: f64, values: &[f64]| error * error / (values.len() - 1) as f64;
        let parts = spread(first, base) + spread(second, other);
        let degrees = if parts > 0.0 {
            (first + second) * (first + second) / parts
        } else {
            (base.len() + other.len() - 2) as f64
        };
        Difference {
            estimate: mean(other) - mean(base),
            standard_error: (first + second).sqrt().max(error_min),
            degrees,
        }
    }

    fn interval(&self, transform: impl Fn(f64) -> f64) -> Interval {
        let half = two_sided_quantile(0.05, self.degrees) * self.standard_error;
        Interval {
            estimate: transform(self.estimate),
            low: Some(transform(self.estimate - half)),
            high: Some(transform(self.estimate + half)),
        }
    }

    fn two_sided(&self) -> f64 {
        if self.estimate == 0.0 {
            return 1.0;
        }
        two_sided_probability(self.estimate.abs() / self.standard_error, self.degrees)
    }

    /// The probability of at least this excess where there is none.
    fn upper(&self, excess: f64) -> f64 {
        if excess == 0.0 {
            return 0.5;
        }
        upper_probability(excess / self.standard_error, self.degrees)
    }
}
