//! OpenMetrics text, which Prometheus and its kin read.

use std::fmt::Write as _;

use longhaul_analysis::{Percentile, Summary};

use crate::figures::{Basis, Row, rows};

/// A family of gauges: name, unit, help, and its samples.
struct Family {
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    samples: Vec<(String, f64)>,
}

/// Renders percentiles, floors, counts, goodput and WAN traffic as OpenMetrics 1.0 gauges in base units (seconds, bytes), with the run's
/// scenario, profile, seed and version in `longhaul_run_info`.
///
/// A percentile that falls among operations that did not succeed is `+Inf`. One with fewer than
/// 10 operations beyond it is left out, for nobody should alert on it.
pub fn openmetrics(summary: &Summary) -> String {
    let rows = rows(summary);
    let mut text = String::new();
    let info = [
        ("scenario", summary.scenario.name.clone()),
        ("profile", summary.scenario.profile.clone()),
        ("backend", summary.backend.name().to_owned()),
        ("seed", summary.seed.to_string()),
        ("version", summary.environment.longhaul_version.clone()),
        ("publishable", summary.publishable.to_string()),
    ];
    let _ = write!(
        text,
        "# TYPE longhaul_run info\n# HELP longhaul_run The run that the figures are of.\n\
         longhaul_run_info{{{}}} 1\n",
        labels(&info)
    );
    for family in [
        latencies(&rows),
        floors(&rows),
        operations(&rows),
        goodput(&rows),
        wan(summary),
    ] {
        family.write(&mut text);
    }
    text.push_str("# EOF\n");
    text
}

impl Family {
    fn write(&self, text: &mut String) {
        let Family {
            name, unit, help, ..
        } = self;
        let _ = writeln!(text, "# TYPE {name} gauge");
        if !unit.is_empty() {
            let _ = writeln!(text, "# UNIT {name} {unit}");
        }
        let _ = writeln!(text, "# HELP {name} {help}");
        for (labels, value) in &self.samples {
            let value = match value {
                value if value.is_infinite() => "+Inf".to_owned(),
                value => value.to_string(),
            };
            let _ = writeln!(text, "{name}{{{labels}}} {value}");
        }
    }
}

fn key(row: &Row<'_>) -> Vec<(&'static str, String)> {
    vec![
        ("mode", row.mode.to_owned()),
        ("region", row.region.to_owned()),
        ("operations", row.operations.to_owned()),
    ]
}

fn latencies(rows: &[Row<'_>]) -> Family {
    let mut samples = Vec::new();
    for row in rows {
        for percentile in Percentile::ALL {
            if row.is_unsupported(percentile) {
                continue;
            }
            let mut labels_of = key(row);
            labels_of.push(("ranked", row.basis.name().to_owned()));
            labels_of.push(("quantile", percentile.quantile().to_string()));
            let value = row.latency().at(percentile);
            samples.push((labels(&labels_of), value.map_or(f64::INFINITY, seconds)));
        }
    }
    Family {
        name: "longhaul_latency_seconds",
        unit: "seconds",
        help: "Latency from the instant due, or service time, by quantile.",
        samples,
    }
}

fn floors(rows: &[Row<'_>]) -> Family {
    let due = rows.iter().filter(|row| row.basis == Basis::Due);
    let sample = |row: &Row<'_>| Some((labels(&key(row)), seconds(row.floor_ms()?)));
    Family {
        name: "longhaul_floor_seconds",
        unit: "seconds",
        help: "The least latency that the message pattern can have.",
        samples: due.filter_map(sample).collect(),
    }
}

fn operations(rows: &[Row<'_>]) -> Family {
    let mut samples = Vec::new();
    for row in rows.iter().filter(|row| row.basis == Basis::Due) {
        let one = row.summary;
        let outcomes = [
            ("ok", one.ok),
            ("failed", one.failed),
            ("unknown", one.unknown),
        ];
        for (outcome, count) in outcomes {
            let mut labels_of = key(row);
            labels_of.push(("outcome", outcome.to_owned()));
            samples.push((labels(&labels_of), count as f64));
        }
    }
    Family {
        name: "longhaul_operations",
        unit: "",
        help: "Operations due in the measured window, by outcome.",
        samples,
    }
}

fn goodput(rows: &[Row<'_>]) -> Family {
    let due = rows.iter().filter(|row| row.basis == Basis::Due);
    Family {
        name: "longhaul_goodput",
        unit: "",
        help: "Operations due in the window that succeeded, per second.",
        samples: due
            .map(|row| (labels(&key(row)), row.summary.goodput_ops))
            .collect(),
    }
}

fn wan(summary: &Summary) -> Family {
    let sample = |mode: &longhaul_analysis::ModeSummary| {
        let label = [("mode", mode.mode.clone())];
        Some((labels(&label), mode.wan.bytes_per_write?))
    };
    Family {
        name: "longhaul_wan_per_write_bytes",
        unit: "bytes",
        help: "Bytes between replicas of different regions per successful write.",
        samples: summary.modes.iter().filter_map(sample).collect(),
    }
}

/// Returns milliseconds as seconds, in whole nanoseconds.
fn seconds(milliseconds: f64) -> f64 {
    (milliseconds * 1e6).round() / 1e9
}

fn labels(pairs: &[(&'static str, String)]) -> String {
    let label = |(name, value): &(&str, String)| {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        format!("{name}=\"{}\"", value.replace(['\n', '\r'], "\\n"))
    };
    pairs.iter().map(label).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{self, Shape};

    #[test]
    fn samples_follow_their_family_and_the_text_ends_as_it_must() {
        let record = synthetic::record(Shape {
            modes: 2,
            regions: 2,
            due: 2000,
            reads: 0.0,
            failures: 300,
        });
        let mut summary = longhaul_analysis::analyse(&record).summary;
        summary.scenario.name = "a\"b\\c\nd".to_owned();
        let text = openmetrics(&summary);
        assert!(text.ends_with("# EOF\n"));
        assert!(text.contains("scenario=\"a\\\"b\\\\c\\nd\""), "{text}");
        let mut family = "";
        for line in text.lines().filter(|line| *line != "# EOF") {
            match line.strip_prefix("# TYPE ") {
                Some(declared) => family = declared.split(' ').next().unwrap(),
                None if line.starts_with('#') => {}
                None => assert!(line.starts_with(family), "{line} in {family}"),
            }
        }
        // 300 of 1000 did not succeed: p50 is a figure, p90 is not; 0.2 of 2000 lie beyond p99.99.
        let row = "{mode=\"leader-follower:async\",region=\"us-west-2\",operations=\"writes\",\
                   ranked=\"all due\",quantile=";
        assert!(text.contains(&format!("longhaul_latency_seconds{row}\"0.9\"}} +Inf")));
        assert!(!text.contains(&format!("{row}\"0.9999\"")));
    }
}
