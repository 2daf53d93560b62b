//! Percentile distributions as HdrHistogram prints them, one file a mode and client region.

use std::fmt::Write as _;

use longhaul_experiment::RunRecord;
use longhaul_experiment::histogram::{Histogram, rank_of};

use crate::chart::Shown;
use crate::overall::of_region;

/// One percentile distribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PercentileFile {
    /// Its name, fit for a file name without extension.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Reported points per halving of the distance to 100%, as HdrHistogram's tools have it.
const TICKS_PER_HALF_DISTANCE: u32 = 5;

/// Renders the latencies of the successes in milliseconds as HdrHistogram's percentile text, which
/// its plotter reads: one text a mode, client region, and writes or reads.
///
/// The text has no place for operations that did not succeed: they are not in it.
pub fn percentiles(record: &RunRecord) -> Vec<PercentileFile> {
    let mut files = Vec::new();
    let topology = &record.scenario.topology;
    for mode in &record.modes {
        for region in &mode.regions {
            for shown in [Shown::Writes, Shown::Reads] {
                let whole = of_region(region, shown);
                if let Some(whole) = whole.filter(|whole| whole.latency.count() > 0) {
                    let name = topology.region_name(region.region);
                    files.push(PercentileFile {
                        name: stem(&format!("{}-{name}-{}s", mode.mode, shown.name())),
                        text: text(&whole.latency),
                    });
                }
            }
        }
    }
    files
}

/// Replaces what is no letter, digit, `.` or `_` by `-`.
fn stem(name: &str) -> String {
    let plain = |character: char| match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' => character,
        _ => '-',
    };
    name.chars().map(plain).collect()
}

fn text(histogram: &Histogram) -> String {
    let count = histogram.count();
    let milliseconds = |nanoseconds: u64| nanoseconds as f64 / 1e6;
    let mut text = String::from("       Value     Percentile TotalCount 1/(1-Percentile)\n\n");
    for quantile in quantiles(count) {
        let rank = rank_of(quantile, count);
        let Some(value) = histogram.value_at_rank_ns(rank) else {
            continue;
        };
        let _ = write!(
            text,
            "{:12.3} {quantile:14.12} {rank:10}",
            milliseconds(value)
        );
        if quantile < 1.0 {
            let _ = write!(text, " {:14.2}", 1.0 / (1.0 - quantile));
        }
        text.push('\n');
    }
    let mean = histogram.mean_ns().unwrap_or(0.0);
    let squares = histogram.occupied().map(|(value, count)| {
        let distance = value as f64 - mean;
        distance * distance * count as f64
    });
    let deviation = (squares.sum::<f64>() / count.max(1) as f64).sqrt();
    let maximum = histogram.maximum_ns().unwrap_or(0);
    let _ = write!(
        text,
        "#[Mean    = {:12.3}, StdDeviation   = {:12.3}]\n\
         #[Max     = {:12.3}, Total count    = {count:12}]\n\
         #[Buckets = {:12}, SubBuckets     = {:12}]\n",
        mean / 1e6,
        deviation / 1e6,
        milliseconds(maximum),
        // How the histogram is laid out is not part of the distribution; the tools only skip it.
        0,
        0,
    );
    text
}

/// Returns 0, then a fixed number of quantiles per halving of the distance to 1 until less than
/// one operation lies beyond, then 1.
fn quantiles(count: u64) -> Vec<f64> {
    let mut quantiles = Vec::new();
    for halving in 0..64u32 {
        let distance = 0.5f64.powi(halving as i32);
        if distance * (count as f64) < 1.0 {
            break;
        }
        for tick in 0..TICKS_PER_HALF_DISTANCE {
            let step = f64::from(tick) / f64::from(2 * TICKS_PER_HALF_DISTANCE);
            quantiles.push(1.0 - distance + distance * step);
        }
    }
    quantiles.push(1.0);
    quantiles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_the_columns_that_the_plotter_reads() {
        let mut histogram = Histogram::new();
        (1..=1000).for_each(|value: u64| histogram.record_ns(value * 1_000_000));
        let text = text(&histogram);
        let mut lines = text.lines();
        assert_eq!(
            lines.next().unwrap().split_whitespace().collect::<Vec<_>>(),
            ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
        );
        let rows: Vec<Vec<f64>> = lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| {
                line.split_whitespace()
                    .map(|one| one.parse().unwrap())
                    .collect()
            })
            .collect();
        let median = rows.iter().find(|row| row[1] == 0.5).unwrap();
        // The 500th of 1 to 1000 ms, and 1 / (1 - 0.5) = 2.
        assert_eq!((median[2], median[3]), (500.0, 2.0));
        assert!((median[0] - 500.0).abs() < 0.05);
        assert!(
            rows.windows(2)
                .all(|pair| pair[0][1] < pair[1][1] && pair[0][0] <= pair[1][0])
        );
        assert_eq!(rows.last().unwrap(), &[1000.0, 1.0, 1000.0]);
        assert!(text.contains("Total count    =         1000]"));
    }
}
