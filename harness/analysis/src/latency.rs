//! Percentiles over all operations due: those that did not succeed rank above every success.

use longhaul_experiment::histogram::{Histogram, rank_of};
use longhaul_experiment::record::KindRecord;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The least number of operations that must lie beyond a percentile for it to be compared.
pub const OPERATIONS_BEYOND: u64 = 10;

/// A percentile that summaries state.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Percentile {
    /// The median.
    P50,
    /// The 90th percentile.
    P90,
    /// The 95th percentile.
    P95,
    /// The 99th percentile.
    P99,
    /// The 99.9th percentile.
    P999,
    /// The 99.99th percentile.
    P9999,
}

impl Percentile {
    /// All, ascending.
    pub const ALL: [Percentile; 6] = [
        Percentile::P50,
        Percentile::P90,
        Percentile::P95,
        Percentile::P99,
        Percentile::P999,
        Percentile::P9999,
    ];

    /// Returns the share of operations beyond it, in hundred-thousandths.
    const fn beyond(self) -> u64 {
        match self {
            Percentile::P50 => 50_000,
            Percentile::P90 => 10_000,
            Percentile::P95 => 5_000,
            Percentile::P99 => 1_000,
            Percentile::P999 => 100,
            Percentile::P9999 => 10,
        }
    }

    /// Returns the quantile, 0 to 1.
    pub fn quantile(self) -> f64 {
        (100_000 - self.beyond()) as f64 / 1e5
    }

    /// Returns its name for readers, e.g. `p99.9`.
    pub const fn label(self) -> &'static str {
        match self {
            Percentile::P50 => "p50",
            Percentile::P90 => "p90",
            Percentile::P95 => "p95",
            Percentile::P99 => "p99",
            Percentile::P999 => "p99.9",
            Percentile::P9999 => "p99.99",
        }
    }

    /// Returns how many operations are needed for at least [`OPERATIONS_BEYOND`] beyond it.
    pub const fn operations_needed(self) -> u64 {
        (OPERATIONS_BEYOND * 100_000).div_ceil(self.beyond())
    }

    /// Says whether `due` operations are too few for it: n(1 - p) < 10.
    pub const fn is_unsupported_by(self, due: u64) -> bool {
        due < self.operations_needed()
    }
}

/// Latencies in milliseconds; `null` where the figure falls among operations that did not
/// succeed, or where there were no operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LatencyMs {
    /// The mean; null when any operation did not succeed.
    pub mean: Option<f64>,
    /// The median.
    pub p50: Option<f64>,
    /// The 90th percentile.
    pub p90: Option<f64>,
    /// The 95th percentile.
    pub p95: Option<f64>,
    /// The 99th percentile.
    pub p99: Option<f64>,
    /// The 99.9th percentile.
    pub p999: Option<f64>,
    /// The 99.99th percentile.
    pub p9999: Option<f64>,
    /// The maximum; null when any operation did not succeed.
    pub max: Option<f64>,
}

impl LatencyMs {
    /// Ranks `due` operations of which the histogram holds the successes: the others rank above
    /// every success.
    pub fn ranked(successes: &Histogram, due: u64) -> LatencyMs {
        let at = |percentile: Percentile| {
            successes
                .value_at_rank_ns(rank_of(percentile.quantile(), due))
                .map(milliseconds)
        };
        let all_succeeded = successes.count() >= due;
        LatencyMs {
            mean: successes
                .mean_ns()
                .filter(|_| all_succeeded)
                .map(|mean| milliseconds(mean.round() as u64)),
            p50: at(Percentile::P50),
            p90: at(Percentile::P90),
            p95: at(Percentile::P95),
            p99: at(Percentile::P99),
            p999: at(Percentile::P999),
            p9999: at(Percentile::P9999),
            max: successes
                .maximum_ns()
                .filter(|_| all_succeeded)
                .map(milliseconds),
        }
    }

    /// Ranks the successes alone.
    pub fn of_successes(successes: &Histogram) -> LatencyMs {
        LatencyMs::ranked(successes, successes.count())
    }

    /// Returns one percentile.
    pub const fn at(&self, percentile: Percentile) -> Option<f64> {
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

/// Returns nanoseconds as milliseconds.
pub fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

/// Adds all of one kind's record to another: counts, errors and histograms. The interval log is
/// left out, since logs of several kinds or regions do not merge second by second.
pub fn merge(into: &mut KindRecord, from: &KindRecord) {
    into.due += from.due;
    into.ok += from.ok;
    into.failed += from.failed;
    into.unknown += from.unknown;
    for (error, count) in &from.errors {
        *into.errors.entry(error.clone()).or_default() += count;
    }
    into.latency.merge(&from.latency);
    into.service.merge(&from.service);
}

/// Latency over the whole range of percentiles, for charts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// Operations due.
    pub due: u64,
    /// Those that succeeded; the curve ends where their share does.
    pub ok: u64,
    /// Points of ascending percentile, evenly spaced in log 1/(1-p), the last the maximum when
    /// all succeeded.
    pub points: Vec<CurvePoint>,
    /// The floors that operations of this curve had, ascending.
    pub floors: Vec<FloorStep>,
}

/// A point of a [`Curve`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// The quantile among operations due, 0 to below 1.
    pub quantile: f64,
    /// The latency there in milliseconds.
    pub latency_ms: f64,
}

/// A floor and the share of operations that had this or a lower one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FloorStep {
    /// The cumulated share of operations, up to 1.
    pub share: f64,
    /// The floor in milliseconds.
    pub floor_ms: f64,
}

impl Curve {
    /// Points per doubling of 1/(1-p).
    const POINTS_PER_DOUBLING: f64 = 12.0;

    /// Returns the curve of `due` operations of which the histogram holds the successes. It
    /// passes over the histogram once.
    pub fn new(successes: &Histogram, due: u64) -> Curve {
        let mut curve = Curve {
            due,
            ok: successes.count(),
            ..Curve::default()
        };
        let (Some(minimum), Some(maximum)) = (successes.minimum_ns(), successes.maximum_ns())
        else {
            return curve;
        };
        let mut occupied = successes.occupied();
        let (mut value, mut reached) = (0, 0);
        for quantile in Curve::quantiles(due) {
            let rank = rank_of(quantile, due);
            if rank > curve.ok {
                break;
            }
            while reached < rank
                && let Some((next, count)) = occupied.next()
            {
                (value, reached) = (next, reached + count);
            }
            let exact = match rank {
                1 => minimum,
                _ if rank == curve.ok => maximum,
                _ => value.clamp(minimum, maximum),
            };
            curve.points.push(CurvePoint {
                quantile,
                latency_ms: milliseconds(exact),
            });
        }
        curve
    }

    /// Returns the quantiles of a curve's points: 0, then evenly spaced in log 1/(1-p), then half
    /// an operation before the end of the scale, which is infinite.
    fn quantiles(due: u64) -> Vec<f64> {
        let mut quantiles = vec![0.0];
        for step in 1u32.. {
            let beyond = libm::exp2(-f64::from(step) / Curve::POINTS_PER_DOUBLING);
            if beyond * due as f64 <= 1.0 {
                break;
            }
            quantiles.push(1.0 - beyond);
        }
        if due > 1 {
            quantiles.push(1.0 - 0.5 / due as f64);
        }
        quantiles
    }

    /// Returns the quantile beyond which fewer than 10 operations lie; 0 when there are no more.
    pub fn supported_to(&self) -> f64 {
        (1.0 - OPERATIONS_BEYOND as f64 / self.due.max(1) as f64).max(0.0)
    }

    /// Sets the floors from (operations due, floor in milliseconds) pairs.
    pub fn set_floors(&mut self, mut floors: Vec<(u64, f64)>) {
        floors.sort_by(|a, b| a.1.total_cmp(&b.1));
        let total: u64 = floors.iter().map(|(due, _)| due).sum();
        let mut below = 0;
        self.floors.clear();
        for (due, floor_ms) in floors {
            below += due;
            let share = below as f64 / total.max(1) as f64;
            match self.floors.last_mut() {
                Some(last) if last.floor_ms == floor_ms => last.share = share,
                _ => self.floors.push(FloorStep { share, floor_ms }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn successes(count: u64) -> Histogram {
        let mut histogram = Histogram::new();
        (1..=count).for_each(|millisecond| histogram.record_ns(millisecond * 1_000_000));
        histogram
    }

    #[test]
    fn operations_that_did_not_succeed_rank_above_every_success() {
        // 100 due, successes of 1 to 94 ms: rank 90 is 90 ms, ranks 95 and 99 did not succeed.
        let latency = LatencyMs::ranked(&successes(94), 100);
        assert!((latency.p50.unwrap() - 50.0).abs() < 0.01);
        assert!((latency.p90.unwrap() - 90.0).abs() < 0.01);
        assert_eq!(latency.p95, None);
        assert_eq!(latency.p99, None);
        assert_eq!((latency.mean, latency.max), (None, None));
        // Of the successes alone, rank ceil(0.95 x 94) = 90.
        let alone = LatencyMs::of_successes(&successes(94));
        assert!((alone.p95.unwrap() - 90.0).abs() < 0.01);
        assert_eq!(alone.max, Some(94.0));
        assert_eq!(alone.mean, Some(47.5));
    }

    #[test]
    fn no_operations_have_no_latency() {
        assert_eq!(
            LatencyMs::ranked(&Histogram::new(), 0),
            LatencyMs::default()
        );
        assert_eq!(
            LatencyMs::ranked(&Histogram::new(), 7),
            LatencyMs::default()
        );
        assert!(Curve::new(&Histogram::new(), 7).points.is_empty());
    }

    #[test]
    fn a_percentile_needs_ten_operations_beyond_it() {
        // n(1 - p) >= 10: 20 for the median, 1000 for p99, 100 000 for p99.99.
        assert!(Percentile::P50.is_unsupported_by(19));
        assert!(!Percentile::P50.is_unsupported_by(20));
        assert!(Percentile::P99.is_unsupported_by(999));
        assert!(!Percentile::P99.is_unsupported_by(1000));
        assert_eq!(Percentile::P9999.operations_needed(), 100_000);
    }

    #[test]
    fn merging_two_sources_adds_counts_errors_and_histograms() {
        let source = |ok: u64, failed: u64| KindRecord {
            due: ok + failed,
            ok,
            failed,
            errors: [("timed-out".to_owned(), failed)].into(),
            latency: successes(ok),
            service: successes(ok),
            ..KindRecord::default()
        };
        let mut merged = source(3, 1);
        merge(&mut merged, &source(10, 2));
        assert_eq!((merged.due, merged.ok, merged.failed), (16, 13, 3));
        assert_eq!(merged.errors["timed-out"], 3);
        assert_eq!(merged.latency.count(), 13);
        // (1 + 2 + 3 + 1 + ... + 10) / 13 = 61 / 13 ms.
        assert_eq!(merged.latency.mean_ns(), Some(61e6 / 13.0));
    }

    #[test]
    fn a_curve_ends_where_the_successes_do() {
        let whole = Curve::new(&successes(1000), 1000);
        assert_eq!(whole.points[0].latency_ms, 1.0);
        assert_eq!(whole.points.last().unwrap().latency_ms, 1000.0);
        assert_eq!(whole.supported_to(), 0.99);
        let cut = Curve::new(&successes(900), 1000);
        let last = cut.points.last().unwrap();
        // Rank 900 of 1000 is the last success: no point lies beyond quantile 0.9.
        assert!(last.quantile <= 0.9, "{last:?}");
        assert!(last.latency_ms <= 900.0, "{last:?}");
    }

    #[test]
    fn floors_cumulate_by_the_share_of_operations() {
        let mut curve = Curve::default();
        curve.set_floors(vec![(30, 80.0), (10, 20.0), (10, 20.0)]);
        let step = |share, floor_ms| FloorStep { share, floor_ms };
        assert_eq!(curve.floors, [step(0.4, 20.0), step(1.0, 80.0)]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn more_failures_never_lower_a_percentile(ok in 1u64..40, failed in 0u64..40) {
            let fewer = LatencyMs::ranked(&successes(ok), ok + failed);
            let more = LatencyMs::ranked(&successes(ok), ok + failed + 1);
            for percentile in Percentile::ALL {
                let rank = |value: Option<f64>| value.unwrap_or(f64::INFINITY);
                prop_assert!(rank(fewer.at(percentile)) <= rank(more.at(percentile)));
            }
        }
    }
}
