//! Percentiles of successive spans of a run, from a record's interval logs.

use std::collections::BTreeMap;
use std::time::Duration;

use longhaul_analysis::Percentile;
use longhaul_experiment::histogram::rank_of;
use longhaul_experiment::record::ModeRecord;

use crate::chart::Shown;
use crate::figures;

/// The least length of a span: shorter ones show chance rather than change.
const SPAN_MIN: Duration = Duration::from_secs(1);

/// Some time of the measured window and what became of the operations due in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Its beginning, in seconds after the window's.
    pub start_s: f64,
    /// Its end.
    pub end_s: f64,
    /// Operations due in it.
    pub due: u64,
    /// Those that succeeded.
    pub ok: u64,
    /// The [`SHOWN`] percentiles in milliseconds; `None` where one falls among those that did not
    /// succeed.
    pub latencies_ms: [Option<f64>; 3],
}

/// The percentiles of a span.
const SHOWN: [Percentile; 3] = [Percentile::P50, Percentile::P90, Percentile::P99];

impl Span {
    /// Returns one of the percentiles that spans have, in milliseconds.
    pub fn at(&self, percentile: Percentile) -> Option<f64> {
        let place = SHOWN.iter().position(|shown| *shown == percentile);
        place.and_then(|place| self.latencies_ms[place])
    }

    /// Says whether fewer than 10 operations lie beyond a percentile.
    pub const fn is_unsupported(&self, percentile: Percentile) -> bool {
        percentile.is_unsupported_by(self.due)
    }

    /// Says all of it; an asterisk marks percentiles with fewer than 10 operations beyond them.
    pub fn describe(&self, mode: &str) -> String {
        let figures = SHOWN.map(|percentile| {
            let mark = if self.is_unsupported(percentile) {
                "*"
            } else {
                ""
            };
            let latency = figures::latency(self.at(percentile), 2);
            format!("{} {latency}{mark}", percentile.label())
        });
        let lost = match self.due - self.ok {
            0 => String::new(),
            lost => format!(", {lost} of them did not succeed"),
        };
        format!(
            "{mode}, {:.1} to {:.1} s: {}; {} due{lost}",
            self.start_s,
            self.end_s,
            figures.join(", "),
            self.due,
        )
    }
}

/// Returns a mode's spans over all client regions: as many of the log's intervals each as last a
/// second and make at most `most` spans. Intervals whose histogram cannot be read are left out.
pub fn spans(mode: &ModeRecord, shown: Shown, most: usize) -> Vec<Span> {
    let kinds = mode.regions.iter().flat_map(|region| &region.kinds);
    let shown_kinds = kinds.filter(|(kind, _)| shown.includes(**kind));
    let intervals: Vec<_> = shown_kinds.flat_map(|(_, kind)| &kind.intervals).collect();
    let length = intervals.iter().map(|one| one.length).max();
    let last = intervals.iter().map(|one| one.start).max();
    let (Some(length), Some(last)) = (length.filter(|one| !one.is_zero()), last) else {
        return Vec::new();
    };
    let logged = (last.as_nanos() / length.as_nanos()) as usize + 1;
    let long_enough = SPAN_MIN.as_nanos().div_ceil(length.as_nanos()) as usize;
    let width = length * logged.div_ceil(most.max(1)).max(long_enough) as u32;
    let mut groups = BTreeMap::<u128, (u64, Duration, BTreeMap<u64, u64>)>::new();
    for interval in intervals {
        let Ok(occupied) = interval.latency.occupied() else {
            continue;
        };
        let number = interval.start.as_nanos() / width.as_nanos();
        let (due, end, counts) = groups.entry(number).or_default();
        *due += interval.due;
        *end = (*end).max((interval.start + interval.length).min(mode.window));
        for (value, count) in occupied {
            *counts.entry(value).or_default() += count;
        }
    }
    let span = |(number, (due, end, counts)): (u128, (u64, Duration, BTreeMap<u64, u64>))| {
        let start_s = width.as_secs_f64() * number as f64;
        Span {
            start_s,
            end_s: end.as_secs_f64().max(start_s),
            due,
            ok: counts.values().sum::<u64>().min(due),
            latencies_ms: SHOWN.map(|one| at_rank(&counts, rank_of(one.quantile(), due))),
        }
    };
    groups
        .into_iter()
        .filter(|(_, (due, ..))| *due > 0)
        .map(span)
        .collect()
}

/// Returns the `rank`-th smallest value in milliseconds; `None` when there are fewer.
fn at_rank(counts: &BTreeMap<u64, u64>, rank: u64) -> Option<f64> {
    let mut reached = 0;
    let found = counts.iter().find(|(_, count)| {
        reached += **count;
        reached >= rank
    });
    found.map(|(value, _)| *value as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use longhaul_experiment::OperationKind;
    use longhaul_experiment::histogram::{EncodedHistogram, Histogram};
    use longhaul_experiment::record::{Interval, KindRecord};

    use super::*;
    use crate::synthetic::{self, Shape};

    fn interval(second: u64, due: u64, milliseconds: &[u64]) -> Interval {
        let mut histogram = Histogram::new();
        let values = milliseconds.iter();
        values.for_each(|value| histogram.record_ns(value * 1_000_000));
        Interval {
            start: Duration::from_secs(second),
            length: Duration::from_secs(1),
            due,
            latency: EncodedHistogram::encode(&histogram),
        }
    }

    fn mode(intervals: &[Vec<Interval>]) -> ModeRecord {
        let record = synthetic::record(Shape {
            modes: 1,
            regions: intervals.len(),
            due: 1,
            reads: 0.0,
            failures: 0,
        });
        let mut mode = record.modes.into_iter().next().unwrap();
        for (region, intervals) in mode.regions.iter_mut().zip(intervals) {
            let kind = KindRecord {
                intervals: intervals.clone(),
                ..KindRecord::default()
            };
            region.kinds = [(OperationKind::Write, kind)].into();
        }
        mode
    }

    #[test]
    fn two_regions_merge_second_by_second_and_what_did_not_succeed_ranks_last() {
        let mode = mode(&[
            vec![interval(0, 2, &[10, 20]), interval(1, 2, &[10])],
            vec![interval(0, 2, &[30, 40])],
        ]);
        let spans = spans(&mode, Shown::Writes, 120);
        assert_eq!(spans.len(), 2);
        // The 2nd of 10, 20, 30, 40 is the median; p99 is the 4th.
        let near = |value: Option<f64>, wanted: f64| (value.unwrap() - wanted).abs() < 0.01;
        assert!(
            near(spans[0].at(Percentile::P50), 20.0) && near(spans[0].at(Percentile::P99), 40.0),
            "{spans:?}"
        );
        assert!(near(spans[1].at(Percentile::P50), 10.0));
        assert_eq!(
            (spans[1].due, spans[1].ok, spans[1].at(Percentile::P99)),
            (2, 1, None)
        );
    }

    #[test]
    fn shorter_intervals_are_grouped_to_a_second_and_more() {
        // A window of 8 s is logged in 60 intervals of 134 ms: 8 of them are the first to last 1 s.
        let intervals = (0..60u64).map(|number| Interval {
            start: Duration::from_millis(134 * number),
            length: Duration::from_millis(134),
            ..interval(0, 1, &[number + 1])
        });
        let mut mode = mode(&[intervals.collect()]);
        mode.window = Duration::from_secs(8);
        let spans = spans(&mode, Shown::Writes, 120);
        assert_eq!(spans.len(), 8);
        assert_eq!((spans[0].start_s, spans[0].end_s), (0.0, 1.072));
        // The last interval would end at 8.04 s: nothing is due beyond the window.
        assert_eq!((spans[7].due, spans[7].end_s), (4, 8.0));
        assert!(
            spans[0]
                .describe("a")
                .starts_with("a, 0.0 to 1.1 s: p50 4.00 ms*, p90 8.00 ms*")
        );
    }

    #[test]
    fn long_runs_have_longer_spans() {
        let seconds = (0..10).map(|second| interval(second, 1, &[second + 1]));
        let spans = spans(&mode(&[seconds.collect()]), Shown::Writes, 4);
        // 10 seconds in at most 4 spans: 3 each, the last of 1.
        let ends: Vec<_> = spans
            .iter()
            .map(|span| (span.start_s, span.end_s))
            .collect();
        assert_eq!(ends, [(0.0, 3.0), (3.0, 6.0), (6.0, 9.0), (9.0, 10.0)]);
    }
}
