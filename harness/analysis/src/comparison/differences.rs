//! In what compared runs differ besides what is measured.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use longhaul_experiment::record::BackendKind;
use serde::Serialize;

use super::Side;
use crate::scenario::LinkSummary;
use crate::summary::Summary;

/// How far the lateness of a calibrated link may differ at the median, in milliseconds.
pub const CALIBRATION_SHIFT_MS: f64 = 0.1;

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What, in the reader's words.
    pub what: String,
    /// The first run's.
    pub base: String,
    /// The other's.
    pub other: String,
    /// Whether it changes what is measured, so that runs are not to be compared; else the reader
    /// is warned.
    pub matters: bool,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} ({} and {})",
            self.what, self.base, self.other
        )
    }
}

/// Returns what any run of two sides has different from the first run of the first.
pub fn between(base: &Side<'_>, other: &Side<'_>) -> Vec<Difference> {
    let mut runs = base.records.iter().chain(&other.records);
    let Some(first) = runs.next() else {
        return Vec::new();
    };
    let mut all: Vec<Difference> = Vec::new();
    for run in runs {
        for difference in differences(&first.summary, &run.summary) {
            if !all.iter().any(|known| known.what == difference.what) {
                all.push(difference);
            }
        }
    }
    all
}

/// Returns in what two runs differ.
///
/// What matters, so that they are not to be compared: the backend; the profile with its source
/// and date, and each link's delay, jitter, loss and rate as they were in the run; the regions of
/// replicas, leader and clients; arrivals, rate, mix, values and keys of the workload; faults;
/// durability; in virtual time what replicas' work cost; measured window, operation time-out, operations in flight
/// and connections; an incomplete run. Only warned of: longhaul's version, processor, number of
/// processors, system, scheduling, compensation, warm-up and drain, and links whose achieved less
/// asked median delay differs by more than 0.1 ms. The seed, the name and the list of modes may
/// differ freely.
pub fn differences(base: &Summary, other: &Summary) -> Vec<Difference> {
    let mut found = Found(Vec::new());
    what_is_measured(base, other, &mut found);
    how_it_is_measured(base, other, &mut found);
    found.0
}

fn what_is_measured(base: &Summary, other: &Summary, found: &mut Found) {
    let (a, b) = (&base.scenario, &other.scenario);
    let mut matters = |what: &str, base: &dyn fmt::Debug, other: &dyn fmt::Debug| {
        found.add(what, base, other, true);
    };
    matters("the backend", &base.backend, &other.backend);
    matters("whether it ran to its end", &base.complete, &other.complete);
    matters("the profile", &a.profile, &b.profile);
    matters("the profile's source", &a.profile_source, &b.profile_source);
    matters("the profile's date", &a.profile_date, &b.profile_date);
    if let Some((what, base, other)) = links(&a.links, &b.links) {
        matters(&what, &base, &other);
    }
    matters("the replicas' regions", &a.replicas, &b.replicas);
    matters("the leader's region", &a.leader, &b.leader);
    matters("the clients' regions", &a.clients, &b.clients);
    matters("the workload", &a.workload, &b.workload);
    matters("the faults", &a.faults, &b.faults);
    matters("what replicas keep", &a.durability, &b.durability);
    if base.backend == BackendKind::Sim {
        matters("what replicas' work costs", &a.service, &b.service);
    }
    matters("the measured seconds", &a.measured_s, &b.measured_s);
    matters(
        "the time-out",
        &a.operation_timeout_s,
        &b.operation_timeout_s,
    );
    matters(
        "the cap on operations in flight",
        &a.max_in_flight,
        &b.max_in_flight,
    );
    matters("the number of connections", &a.connections, &b.connections);
}

/// Tells the first link that differs, how many others do, and what it is on either side.
fn links(base: &[LinkSummary], other: &[LinkSummary]) -> Option<(String, Told, Told)> {
    let ends = |link: &LinkSummary| (link.from.clone(), link.to.clone());
    let by_ends = |links: &[LinkSummary]| -> BTreeMap<_, _> {
        let told = |link: &LinkSummary| (ends(link), Told(link.to_string()));
        links.iter().map(told).collect()
    };
    let (base, other) = (by_ends(base), by_ends(other));
    let all: BTreeSet<&(String, String)> = base.keys().chain(other.keys()).collect();
    let mut differing = all
        .into_iter()
        .filter(|ends| base.get(ends) != other.get(ends));
    let first = differing.next()?;
    let more = match differing.count() {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    let what = format!("the link from {} to {}{more}", first.0, first.1);
    let side = |links: &BTreeMap<(String, String), Told>| {
        let none = || Told("none".to_owned());
        links.get(first).cloned().unwrap_or_else(none)
    };
    Some((what, side(&base), side(&other)))
}

/// A description, which stands in messages without quotation marks.
#[derive(Clone, PartialEq)]
struct Told(String);

impl fmt::Debug for Told {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn how_it_is_measured(base: &Summary, other: &Summary, found: &mut Found) {
    let (a, b) = (&base.environment, &other.environment);
    let mut warns = |what: &str, base: &dyn fmt::Debug, other: &dyn fmt::Debug| {
        found.add(what, base, other, false);
    };
    warns(
        "the warm-up",
        &base.scenario.warmup_s,
        &other.scenario.warmup_s,
    );
    warns("the drain", &base.scenario.drain_s, &other.scenario.drain_s);
    warns(
        "longhaul's version",
        &a.longhaul_version,
        &b.longhaul_version,
    );
    if base.backend == BackendKind::Sim {
        // Virtual time does not feel the machine.
        return;
    }
    warns("the processor", &a.processor, &b.processor);
    warns("the number of processors", &a.processors, &b.processors);
    warns("the system", &a.system, &b.system);
    let (a, b) = (&base.calibration, &other.calibration);
    warns("the scheduling", &a.scheduling, &b.scheduling);
    warns(
        "the compensation in ns",
        &a.compensation_ns,
        &b.compensation_ns,
    );
    if a.links.is_empty() != b.links.is_empty() {
        warns(
            "whether links were calibrated",
            &!a.links.is_empty(),
            &!b.links.is_empty(),
        );
    }
    for link in &a.links {
        let same = b
            .links
            .iter()
            .find(|one| one.from == link.from && one.to == link.to);
        let Some(other) = same else { continue };
        let late = link.achieved_p50_ms - link.asked_p50_ms;
        let other_late = other.achieved_p50_ms - other.asked_p50_ms;
        if (late - other_late).abs() > CALIBRATION_SHIFT_MS {
            let what = format!(
                "the lateness of the link from {} to {} in ms",
                link.from, link.to
            );
            let digits = |late: f64| (late * 1e3).round() / 1e3;
            warns(&what, &digits(late), &digits(other_late));
        }
    }
}

struct Found(Vec<Difference>);

impl Found {
    fn add(&mut self, what: &str, base: &dyn fmt::Debug, other: &dyn fmt::Debug, matters: bool) {
        let (base, other) = (format!("{base:?}"), format!("{other:?}"));
        if base != other {
            self.0.push(Difference {
                what: what.to_owned(),
                base,
                other,
                matters,
            });
        }
    }
}
