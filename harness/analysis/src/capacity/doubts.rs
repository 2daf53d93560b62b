//! What casts doubt on a sweep, each saying what to do.

use longhaul_experiment::record::BackendKind;

use super::form::{Sweep, SweepMode};
use super::measure::SweepPoint;
use crate::latency::Percentile;
use crate::warnings::{LATENESS_P99_US, MACHINE_BUSY};

/// Returns what readers must know before they believe the points.
pub(super) fn doubts(sweep: &Sweep) -> Vec<String> {
    let doubts = [
        interrupted(sweep),
        failed(sweep),
        unsaturable(sweep),
        machine_bound(sweep),
        late(sweep),
        too_few(sweep),
    ];
    doubts.into_iter().flatten().collect()
}

fn interrupted(sweep: &Sweep) -> Option<String> {
    (!sweep.complete).then(|| {
        "the sweep was interrupted: points are missing; run it again to its end".to_owned()
    })
}

fn failed(sweep: &Sweep) -> Option<String> {
    let first = sweep.failures.first()?;
    let rate = super::short_rate(first.rate_ops);
    Some(format!(
        "{} of the runs failed, the first in {} at {rate}/s: {}; lower the rate or run it again",
        sweep.failures.len(),
        first.mode,
        first.why,
    ))
}

/// Says that virtual time without service times has nothing to saturate, and what to do; `None` on a
/// live backend, and where every mode's work takes time.
pub fn unsaturable(sweep: &Sweep) -> Option<String> {
    let works = |mode: &SweepMode| {
        let service = mode.service.as_ref();
        service.is_some_and(|service| service.per_message_us + service.per_kib_us > 0.0)
    };
    let free = sweep.modes.iter().filter(|mode| !works(mode)).count();
    (sweep.backend == BackendKind::Sim && free > 0).then(|| {
        format!(
            "in virtual time the replicas of {free} of {} modes work in no time, so nothing but a \
             link's rate can saturate; state what their work costs: `longhaul calibrate --service \
             > machine.toml`, then `--service machine.toml`",
            sweep.modes.len()
        )
    })
}

fn machine_bound(sweep: &Sweep) -> Option<String> {
    let bound = sweep.points.iter().filter(|point| point.machine_bound);
    let bound = bound.count();
    (bound > 0).then(|| {
        format!(
            "{bound} of {} points were taken with the machine over {:.0}% busy (machine-bound): the \
             machine, which generator, links and replicas share, was the limit and not the mode; \
             lower the rates, place fewer regions, use a larger machine, or give the cores of a \
             replica with `--backend sim --service FILE`",
            sweep.points.len(),
            100.0 * MACHINE_BUSY,
        )
    })
}

fn late(sweep: &Sweep) -> Option<String> {
    let is_late = |point: &&SweepPoint| {
        let load = point.load.as_ref();
        let late = load.map_or(0.0, |load| load.pacing.p99_us.max(load.release.p99_us));
        !point.machine_bound && late > LATENESS_P99_US
    };
    let late = sweep.points.iter().filter(is_late).count();
    (late > 0).then(|| {
        format!(
            "{late} of {} points had frames or operations more than {LATENESS_P99_US:.0} us late at \
             p99 though the machine had room: their tails are partly its; stop other programs, \
             permit SCHED_FIFO, or measure again with `--attempts 3`",
            sweep.points.len(),
        )
    })
}

fn too_few(sweep: &Sweep) -> Option<String> {
    let lacks = |point: &&SweepPoint| point.too_few.contains(&Percentile::P99);
    let lacking = sweep.points.iter().filter(lacks).count();
    (lacking > 0).then(|| {
        format!(
            "{lacking} of {} points rest on fewer than {} operations, too few for p99: measure \
             longer with `--duration`",
            sweep.points.len(),
            Percentile::P99.operations_needed(),
        )
    })
}
