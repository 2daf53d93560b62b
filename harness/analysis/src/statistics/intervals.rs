//! 95% intervals of mean, percentiles and goodput.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use longhaul_experiment::histogram::rank_of;

use super::batches::Ratio;
use super::slices::{Slice, Slices};
use crate::latency::{Percentile, milliseconds};

/// The fewest effective operations that must lie beyond a percentile, and on its other side, for
/// it to have an interval.
pub const EFFECTIVE_BEYOND_MIN: f64 = 5.0;
/// The fewest effective operations for a mean to have an interval.
pub const EFFECTIVE_MIN: f64 = 20.0;

/// A 95% interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bounds {
    /// Its lower end.
    pub low: f64,
    /// Its upper end; null where that falls among operations that did not succeed.
    pub high: Option<f64>,
    /// The effective sample size: as many independent operations would leave the figure as
    /// unsure. At most the operations due.
    pub effective: f64,
    /// Degrees of freedom of the interval: batches of time less one.
    pub degrees: u32,
}

/// The 95% intervals of an operation's figures; each null where the effective sample is too
/// small, where batches of time depend on each other, or where the figure itself is null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Intervals {
    /// Of the mean, in milliseconds.
    pub mean: Option<Bounds>,
    /// Of the median, in milliseconds.
    pub p50: Option<Bounds>,
    /// Of the 90th percentile, in milliseconds.
    pub p90: Option<Bounds>,
    /// Of the 95th percentile, in milliseconds.
    pub p95: Option<Bounds>,
    /// Of the 99th percentile, in milliseconds.
    pub p99: Option<Bounds>,
    /// Of the 99.9th percentile, in milliseconds.
    pub p999: Option<Bounds>,
    /// Of the 99.99th percentile, in milliseconds.
    pub p9999: Option<Bounds>,
    /// Of the goodput, in operations per second.
    pub goodput: Option<Bounds>,
}

impl Intervals {
    /// Returns the intervals of operations in time slices.
    pub fn new(slices: &Slices) -> Intervals {
        let at = |percentile: Percentile| percentile_interval(slices, percentile);
        Intervals {
            mean: mean_interval(slices),
            p50: at(Percentile::P50),
            p90: at(Percentile::P90),
            p95: at(Percentile::P95),
            p99: at(Percentile::P99),
            p999: at(Percentile::P999),
            p9999: at(Percentile::P9999),
            goodput: goodput_interval(slices),
        }
    }

    /// Returns the interval of one percentile.
    pub const fn at(&self, percentile: Percentile) -> Option<Bounds> {
        match percentile {
            Percentile::P50 => self.p50,
            Percentile::P90 => self.p90,
            Percentile::P95 => self.p95,
            Percentile::P99 => self.p99,
            Percentile::P999 => self.p999,
            Percentile::P9999 => self.p9999,
        }
    }
}

/// Returns the interval of the mean in milliseconds: batch means with Student's t.
pub fn mean_interval(slices: &Slices) -> Option<Bounds> {
    // A mean over operations that did not all succeed is not stated.
    if slices.ok() < slices.due() {
        return None;
    }
    let parts = parts(slices, |slice| slice.sum_ns(), |slice| slice.ok() as f64);
    let ratio = Ratio::estimate(&parts)?;
    let squares: f64 = slices
        .slices()
        .iter()
        .flat_map(|slice| &slice.latencies_ns)
        .map(|&(latency, count)| {
            let distance = latency as f64 - ratio.value;
            distance * distance * count as f64
        })
        .sum();
    let count = slices.ok() as f64;
    let effective = effective(squares / count, &ratio, count);
    let half = ratio.coverage_factor() * ratio.standard_error;
    (effective >= EFFECTIVE_MIN).then_some(Bounds {
        low: (ratio.value - half) / 1e6,
        high: Some((ratio.value + half) / 1e6),
        effective: effective.min(count),
        degrees: ratio.degrees,
    })
}

/// Returns the interval of a percentile in milliseconds.
///
/// The share of operations within the percentile is a mean of zeros and ones; batch means say how
/// sure it is. The latencies whose shares that error cannot tell from the percentile's own are
/// the interval (Woodruff, "Confidence intervals for medians and other position measures",
/// 1952).
pub fn percentile_interval(slices: &Slices, percentile: Percentile) -> Option<Bounds> {
    let (quantile, due) = (percentile.quantile(), slices.due());
    if percentile.is_unsupported_by(due) {
        return None;
    }
    let value = slices.at_rank(rank_of(quantile, due))?;
    let within = parts(
        slices,
        |slice| slice.within(value) as f64,
        |slice| slice.due as f64,
    );
    let share = Ratio::estimate(&within)?;
    let count = due as f64;
    let effective = effective(share.value * (1.0 - share.value), &share, count);
    let rarer_side = quantile.min(1.0 - quantile);
    if effective * rarer_side < EFFECTIVE_BEYOND_MIN {
        return None;
    }
    let half = share.coverage_factor() * (quantile * (1.0 - quantile) / effective).sqrt();
    let low_rank = (((quantile - half) * count).floor() as u64).max(1);
    let high_rank = (((quantile + half) * count).ceil() as u64 + 1).min(due);
    Some(Bounds {
        low: milliseconds(slices.at_rank(low_rank)?),
        high: slices.at_rank(high_rank).map(milliseconds),
        effective: effective.min(count),
        degrees: share.degrees,
    })
}

fn goodput_interval(slices: &Slices) -> Option<Bounds> {
    let parts = parts(
        slices,
        |slice| slice.ok() as f64,
        |slice| slice.length.as_secs_f64(),
    );
    let ratio = Ratio::estimate(&parts)?;
    let half = ratio.coverage_factor() * ratio.standard_error;
    // Independent arrivals would leave a count of n as unsure as its root.
    let seconds: f64 = parts.iter().map(|(_, seconds)| seconds).sum();
    let count = slices.ok() as f64;
    let effective = effective(ratio.value * count / seconds, &ratio, count);
    Some(Bounds {
        low: (ratio.value - half).max(0.0),
        high: Some(ratio.value + half),
        effective: effective.min(count),
        degrees: ratio.degrees,
    })
}

fn parts(
    slices: &Slices,
    sum: impl Fn(&Slice) -> f64,
    count: impl Fn(&Slice) -> f64,
) -> Vec<(f64, f64)> {
    let slices = slices.slices().iter();
    slices.map(|slice| (sum(slice), count(slice))).collect()
}

/// The effective sample size from the variance of one operation; `count` where nothing varies.
fn effective(variance: f64, ratio: &Ratio, count: f64) -> f64 {
    let squared_error = ratio.standard_error * ratio.standard_error;
    if squared_error > 0.0 && variance > 0.0 {
        variance / squared_error
    } else {
        count
    }
}
