//! What casts doubt on a run, each saying what to do, and whether the run may be published.

use std::collections::BTreeMap;

use longhaul_experiment::RunRecord;
use longhaul_experiment::record::{BackendKind, ModeRecord};
use longhaul_experiment::time::nanos;

use crate::analyse::kind_floor;
use crate::latency::{Percentile, milliseconds};
use crate::statistics::Drift;
use crate::summary::{ModeSummary, OperationSummary, Summary};

/// The lateness at p99 beyond which a run cannot carry its figures, in microseconds.
pub const LATENESS_P99_US: f64 = 500.0;
/// The share of the machine beyond which a run cannot carry its figures.
pub const MACHINE_BUSY: f64 = 0.8;
/// The share of the machine's time that its hypervisor may take without being named.
pub const MACHINE_STOLEN: f64 = 0.02;
/// The share of the machine that other programs may use before a run.
pub const BUSY_BEFORE: f64 = 0.1;
/// How far below its floor a measurement may be, in nanoseconds: clocks are read this exactly.
pub const BELOW_FLOOR_NS: u64 = 50_000;

/// One doubt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// What was found, with its figures.
    pub what: String,
    /// What the reader can do.
    pub advice: String,
    /// Whether the run must not be published.
    pub forbids_publication: bool,
}

impl Doubt {
    fn new(what: String, advice: &str) -> Doubt {
        Doubt {
            what,
            advice: advice.to_owned(),
            forbids_publication: false,
        }
    }

    fn forbidding(what: String, advice: &str) -> Doubt {
        Doubt {
            forbids_publication: true,
            ..Doubt::new(what, advice)
        }
    }

    /// Returns the warning that terminals and reports print.
    pub fn warning(&self) -> String {
        format!("{}: {}", self.what, self.advice)
    }
}

/// Sets a summary's warnings and whether it may be published, from the record and the modes'
/// summaries.
pub fn judge(record: &RunRecord, summary: &mut Summary) {
    let doubts = of_run(record, summary);
    let mut reasons: Vec<String> = doubts
        .iter()
        .filter(|doubt| doubt.forbids_publication)
        .map(|doubt| doubt.what.clone())
        .collect();
    for (mode, mode_summary) in record.modes.iter().zip(&summary.modes) {
        let forbidding = of_mode(record, mode, mode_summary);
        let forbidding = forbidding.iter().filter(|doubt| doubt.forbids_publication);
        reasons.extend(forbidding.map(|doubt| format!("{}: {}", mode.mode, doubt.what)));
    }
    summary.warnings = doubts.iter().map(Doubt::warning).collect();
    summary.publishable = reasons.is_empty();
    summary.unpublishable_because = reasons;
}

/// Returns the doubts that concern the run as a whole.
pub fn of_run(record: &RunRecord, summary: &Summary) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    for failure in &record.failures {
        doubts.push(Doubt::forbidding(
            format!("mode {} failed: {}", failure.mode, failure.why),
            "run it again; the figures of the other modes stand",
        ));
    }
    if !record.complete && record.failures.is_empty() {
        doubts.push(Doubt::forbidding(
            "the run was interrupted".to_owned(),
            "the last mode's window is shorter than asked and later modes are missing; run it again to its end",
        ));
    }
    // Virtual time does not feel other programs, and its figures must not depend on them.
    if record.backend != BackendKind::Sim
        && let Some(busy) = record.environment.busy_before
        && busy > BUSY_BEFORE
    {
        doubts.push(Doubt::new(
            format!(
                "{:.0}% of the machine was busy before the run",
                100.0 * busy
            ),
            "stop other programs and run again",
        ));
    }
    if record.backend != BackendKind::Sim && record.calibration.links.is_empty() {
        doubts.push(Doubt::forbidding(
            "the links were not calibrated".to_owned(),
            "run with calibration, or take the delays on trust",
        ));
    }
    doubts.extend(too_few(summary));
    doubts
}

/// Returns the doubts that concern one mode's figures.
pub fn of_mode(record: &RunRecord, mode: &ModeRecord, summary: &ModeSummary) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    if record.backend != BackendKind::Sim {
        doubts.extend(load(mode));
    }
    doubts.extend(below_floor(record, mode));
    let capped: u64 = mode.regions.iter().map(|region| region.capped).sum();
    if capped > 0 {
        doubts.push(Doubt::new(
            format!("{capped} operations waited because the cap on operations in flight was reached"),
            "their wait is in the latency; the system did not keep up, so lower the rate, or raise the cap if it is below rate x latency",
        ));
    }
    doubts.extend(errors(summary));
    // What breaks on purpose is not expected to be steady.
    if record.scenario.faults.is_empty() {
        doubts.extend(unsettled(record, summary));
    }
    doubts
}

/// Names the figure that moved most while it was measured.
fn unsettled(record: &RunRecord, summary: &ModeSummary) -> Option<Doubt> {
    let figures = record.modes.len() * operations(summary).count();
    let mut moved: Vec<(&str, &str, Drift)> = Vec::new();
    for region in &summary.regions {
        for (kind, operations) in region.operations() {
            let drift = operations.drift.filter(|drift| drift.is_unsettled(figures));
            moved.extend(drift.map(|drift| (kind, region.region.as_str(), drift)));
        }
    }
    let size = |drift: &Drift| drift.trend.abs().max(drift.last_third.abs());
    let (kind, region, drift) = moved
        .iter()
        .max_by(|a, b| size(&a.2).total_cmp(&size(&b.2)))?;
    Some(Doubt::new(
        format!(
            "has not settled: the median of {kind}s from {region} changed by {:+.1}% over the \
             window, and its last third lies {:+.1}% from its first{}",
            100.0 * drift.trend,
            100.0 * drift.last_third,
            match moved.len() {
                1 => String::new(),
                count => format!("; so did {} other figures", count - 1),
            }
        ),
        "lengthen the warm-up until this warning goes; if it stays, a queue grows, so lower the rate",
    ))
}

/// Says whether the machine carried a mode's figures: links and schedule were measured under load
/// and on time, and the machine had room. It looks at no latency of any operation.
pub fn machine_carried(mode: &ModeRecord) -> bool {
    !load(mode).iter().any(|doubt| doubt.forbids_publication)
}

fn load(mode: &ModeRecord) -> Vec<Doubt> {
    let Some(load) = &mode.load else {
        return vec![Doubt::forbidding(
            "lateness under load was not measured".to_owned(),
            "run again with the calibration under load",
        )];
    };
    let mut doubts = Vec::new();
    if let Some(cpu) = &load.cpu
        && cpu.machine_busy > MACHINE_BUSY
    {
        doubts.push(Doubt::forbidding(
            format!("the machine was {:.0}% busy", 100.0 * cpu.machine_busy),
            "its queues are in the latency; lower the rate, place fewer regions, or use a larger machine",
        ));
    }
    if let Some(cpu) = &load.cpu
        && cpu.machine_stolen > MACHINE_STOLEN
    {
        doubts.push(Doubt::new(
            format!(
                "the hypervisor took {:.0}% of the machine's time",
                100.0 * cpu.machine_stolen
            ),
            "the tails are partly its; run at a quieter hour or on a machine of your own",
        ));
    }
    if load.pacing.p99_us > LATENESS_P99_US {
        doubts.push(Doubt::forbidding(
            format!("operations were sent {:.0} us late at p99", load.pacing.p99_us),
            "the generator did not keep its schedule; lower the rate, stop other programs, or permit SCHED_FIFO",
        ));
    }
    if load.release.p99_us > LATENESS_P99_US {
        doubts.push(Doubt::forbidding(
            format!("frames were released {:.0} us late at p99", load.release.p99_us),
            "the links were slower than asked; lower the rate, stop other programs, or permit SCHED_FIFO",
        ));
    }
    doubts
}

fn below_floor(record: &RunRecord, mode: &ModeRecord) -> Vec<Doubt> {
    let topology = &record.scenario.topology;
    let mut doubts = Vec::new();
    for region in &mode.regions {
        for (&kind, kind_record) in &region.kinds {
            let floor = kind_floor(mode, topology, region.region, kind);
            let (Some(minimum), Some(floor)) = (kind_record.latency.minimum_ns(), floor) else {
                continue;
            };
            if minimum + BELOW_FLOOR_NS < nanos(floor) {
                doubts.push(Doubt::forbidding(
                    format!(
                        "an error: a {} from {} took {:.3} ms, less than its floor of {:.3} ms",
                        kind.name(),
                        topology.region_name(region.region),
                        milliseconds(minimum),
                        milliseconds(nanos(floor)),
                    ),
                    "delays were not applied or the mode's stated path is wrong; do not use these figures and report it",
                ));
            }
        }
    }
    doubts
}

fn errors(summary: &ModeSummary) -> Option<Doubt> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut due, mut ok) = (0, 0);
    for operations in operations(summary) {
        due += operations.due;
        ok += operations.ok;
        for (error, count) in &operations.errors {
            *counts.entry(error).or_default() += count;
        }
    }
    if due == ok {
        return None;
    }
    let kinds: Vec<String> = counts
        .iter()
        .map(|(error, count)| format!("{error} {count}"))
        .collect();
    let commonest = counts.iter().max_by_key(|(_, count)| **count);
    let advice = match commonest.map(|(error, _)| *error) {
        Some("not-supported") => {
            "take the kinds that this mode does not support out of the mix, or the mode out of the run"
        }
        Some("overloaded") => "lower the rate until nothing is refused",
        Some("wrong-type") => "keep integer operations and plain writes on different keys",
        Some("unfinished") => "lengthen the drain, or lower the rate if a queue built up",
        _ => {
            "they rank above every success; expected with faults, else lower the rate or raise the time-out"
        }
    };
    Some(Doubt::new(
        format!(
            "{} of {due} operations did not succeed ({})",
            due - ok,
            kinds.join(", ")
        ),
        advice,
    ))
}

/// Says which percentiles have too few operations beyond them, and how long a run supports them.
fn too_few(summary: &Summary) -> Option<Doubt> {
    let fewest = summary
        .modes
        .iter()
        .flat_map(operations)
        .min_by_key(|operations| operations.due)?;
    let (first, last) = (fewest.too_few.first()?, fewest.too_few.last()?);
    let names = if first == last {
        first.label().to_owned()
    } else {
        format!("{} to {}", first.label(), last.label())
    };
    let window_s = summary.scenario.measured_s;
    let rate = fewest.due as f64 / window_s;
    let needs = |percentile: &Percentile| {
        let seconds = percentile.operations_needed() as f64 / rate;
        format!("{:.0} s for {}", seconds.ceil(), percentile.label())
    };
    let measure = if first == last {
        needs(first)
    } else {
        format!("{}, {}", needs(first), needs(last))
    };
    Some(Doubt {
        what: format!(
            "{names} rest on fewer than 10 operations beyond them where a region had {}, and are marked",
            fewest.due
        ),
        advice: format!("do not compare them; at this rate measure {measure}"),
        forbids_publication: false,
    })
}

fn operations(mode: &ModeSummary) -> impl Iterator<Item = &OperationSummary> {
    let operations = mode.regions.iter().flat_map(|region| region.operations());
    operations.map(|(_, operations)| operations)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use longhaul_experiment::OperationKind;
    use longhaul_experiment::histogram::{EncodedHistogram, Histogram};
    use longhaul_experiment::record::{BackendKind, CpuUse, Interval};

    use crate::{analyse, synthetic};

    const WRITE: OperationKind = OperationKind::Write;

    fn healthy() -> longhaul_experiment::RunRecord {
        let kinds = [(WRITE, synthetic::kind(&[30; 2000], 0, 0))];
        synthetic::record(vec![synthetic::mode("quorum:raft", &[&kinds])])
    }

    #[test]
    fn a_healthy_run_is_publishable_and_warns_only_of_marked_percentiles() {
        let summary = analyse(&healthy()).summary;
        assert!(summary.publishable, "{:?}", summary.unpublishable_because);
        assert!(summary.modes[0].warnings.is_empty());
        // 2000 in 10 s are 200/s: p99.9 needs 10 000 operations, 50 s; p99.99 ten times that.
        assert_eq!(
            summary.warnings,
            [
                "p99.9 to p99.99 rest on fewer than 10 operations beyond them where a region had \
                 2000, and are marked: do not compare them; at this rate measure 50 s for p99.9, \
                 500 s for p99.99"
            ]
        );
    }

    #[test]
    fn what_a_run_cannot_carry_forbids_its_publication() {
        type Spoil = fn(&mut longhaul_experiment::RunRecord);
        let cases: [(&str, Spoil); 7] = [
            ("interrupted", |record| record.complete = false),
            ("not calibrated", |record| record.calibration.links.clear()),
            ("not measured", |record| record.modes[0].load = None),
            ("sent 501 us late", |record| {
                record.modes[0].load.as_mut().unwrap().pacing.p99_us = 501.0;
            }),
            ("released 900 us late", |record| {
                record.modes[0].load.as_mut().unwrap().release.p99_us = 900.0;
            }),
            ("81% busy", |record| {
                record.modes[0].load.as_mut().unwrap().cpu = Some(CpuUse {
                    machine_busy: 0.81,
                    ..CpuUse::default()
                });
            }),
            // The floor is 20.5 ms and 20 ms is 500 us below it.
            ("less than its floor", |record| {
                record.modes[0].regions[0]
                    .kinds
                    .insert(WRITE, synthetic::kind(&[20; 2000], 0, 0));
            }),
        ];
        for (expected, spoil) in cases {
            let mut record = healthy();
            spoil(&mut record);
            let summary = analyse(&record).summary;
            assert!(!summary.publishable, "{expected}");
            assert_eq!(summary.unpublishable_because.len(), 1, "{expected}");
            assert!(
                summary.unpublishable_because[0].contains(expected),
                "{:?}",
                summary.unpublishable_because
            );
            let modes = summary.modes.iter().flat_map(|mode| &mode.warnings);
            assert!(
                summary
                    .warnings
                    .iter()
                    .chain(modes)
                    .any(|warning| warning.contains(expected)),
                "{expected}"
            );
        }
    }

    #[test]
    fn virtual_time_needs_no_calibration() {
        let mut record = healthy();
        record.backend = longhaul_experiment::record::BackendKind::Sim;
        record.calibration.links.clear();
        record.modes[0].load = None;
        assert!(analyse(&record).summary.publishable);
    }

    #[test]
    fn errors_the_cap_and_a_busy_machine_warn_but_do_not_forbid() {
        let mut record = healthy();
        record.environment.busy_before = Some(0.25);
        record.modes[0].regions[0].capped = 7;
        record.modes[0].regions[0]
            .kinds
            .insert(WRITE, synthetic::kind(&[30; 1990], 4, 6));
        let summary = analyse(&record).summary;
        assert!(summary.publishable);
        assert!(summary.warnings[0].starts_with("25% of the machine was busy"));
        let warnings = &summary.modes[0].warnings;
        assert!(
            warnings[0].starts_with("7 operations waited"),
            "{warnings:?}"
        );
        assert!(
            warnings[1]
                .starts_with("10 of 2000 operations did not succeed (overloaded 4, timed-out 6):"),
            "{warnings:?}"
        );
    }

    #[test]
    fn a_median_that_rises_is_named() {
        let mut record = healthy();
        let kind = record.modes[0].regions[0].kinds.get_mut(&WRITE).unwrap();
        // From 30 to 36 ms in ten seconds, a slice each: over a median of 33 ms, 18%.
        for second in 0..10 {
            let mut latency = Histogram::new();
            latency.record(Duration::from_micros(30_000 + 667 * second));
            kind.intervals.push(Interval {
                start: Duration::from_secs(second),
                length: Duration::from_secs(1),
                due: 1,
                latency: EncodedHistogram::encode(&latency),
            });
        }
        let warnings = &analyse(&record).summary.modes[0].warnings;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].starts_with("has not settled: the median of writes from a changed by +18"),
            "{warnings:?}"
        );
    }

    #[test]
    fn virtual_time_does_not_warn_of_a_busy_machine() {
        let mut record = synthetic::record(vec![]);
        record.environment.busy_before = Some(0.9);
        assert!(
            analyse(&record)
                .summary
                .warnings
                .iter()
                .any(|text| text.contains("busy before"))
        );
        record.backend = BackendKind::Sim;
        assert!(
            !analyse(&record)
                .summary
                .warnings
                .iter()
                .any(|text| text.contains("busy before"))
        );
    }
}
