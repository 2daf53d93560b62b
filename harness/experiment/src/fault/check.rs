//! Faults checked against the regions that they name and against what their kind can hit.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Fault, FaultKind, FaultTarget};
use crate::ids::{RegionIndex, ReplicaId};
use crate::scenario::DurationText;
use crate::topology::Topology;

/// The longest delay that a fault adds to a frame or a sync.
const ADDED_MAX: Duration = Duration::from_secs(600);
/// How many times as long a slow replica takes, at most.
const FACTOR_MAX: f64 = 1000.0;
/// The farthest jump of a clock, in nanoseconds: a year.
const JUMP_MAX: u64 = 365 * 24 * 3_600_000_000_000;

/// Why a fault cannot happen in a topology.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("fault {number} ({kind} at {at}): {why}")]
pub struct FaultError {
    /// Its number in the list, from 1.
    pub number: usize,
    /// Its kind's name.
    pub kind: &'static str,
    /// When it begins.
    pub at: DurationText,
    /// What is wrong and what to do.
    pub why: String,
}

/// Returns what is wrong with a fault in a topology, and what to do.
pub(crate) fn problem(fault: &Fault, topology: &Topology) -> Option<String> {
    if fault.lasts.is_zero() {
        return Some("it lasts no time; give lasts a duration above 0s".to_owned());
    }
    figure_problem(fault.kind)
        .or_else(|| target_problem(&fault.target, topology))
        .or_else(|| combination_problem(fault, topology))
}

/// Returns the replica of the named region.
pub(super) fn replica_in(name: &str, topology: &Topology) -> Option<ReplicaId> {
    let region = topology.profile.region(name)?;
    topology
        .replica_ids()
        .find(|&id| topology.region_of(id) == region)
}

fn figure_problem(kind: FaultKind) -> Option<String> {
    let added_range = Duration::from_nanos(1)..=ADDED_MAX;
    match kind {
        FaultKind::LinkDelay { added } | FaultKind::SlowDisk { added } => {
            out_of_range("added", added, added_range)
        }
        FaultKind::LinkLoss { loss } => (!(loss > 0.0 && loss < 1.0)).then(|| {
            format!(
                "loss is {loss}; give a share above 0 and below 1, or kind = \"partition\" to \
                 lose everything"
            )
        }),
        FaultKind::SlowReplica { factor } => (!(factor > 1.0 && factor <= FACTOR_MAX)).then(|| {
            format!(
                "factor is {factor}; give how many times as long everything takes, above 1 and \
                 up to {FACTOR_MAX}"
            )
        }),
        FaultKind::ClockJump { by } => (by.0 == 0 || by.0.unsigned_abs() > JUMP_MAX).then(|| {
            format!("by is {by}; give how far the clock moves, e.g. -500ms, up to a year")
        }),
        FaultKind::Crash | FaultKind::Pause | FaultKind::Partition | FaultKind::ConnectionReset => {
            None
        }
    }
}

fn out_of_range(field: &str, value: Duration, range: RangeInclusive<Duration>) -> Option<String> {
    (!range.contains(&value)).then(|| {
        format!(
            "{field} is {}; give a duration above 0s and up to {}",
            DurationText(value),
            DurationText(*range.end())
        )
    })
}

/// Returns what is wrong with a target by itself.
fn target_problem(target: &FaultTarget, topology: &Topology) -> Option<String> {
    let unknown = |name: &String| {
        topology.profile.region(name).is_none().then(|| {
            let all: Vec<_> = topology.profile.region_indexes().collect();
            let known = region_names(topology, &all).join(", ");
            format!("region '{name}' is not in this topology; it has {known}")
        })
    };
    match target {
        FaultTarget::Leader => None,
        FaultTarget::Replica(name) => replica_in(name, topology).is_none().then(|| {
            let known = region_names(topology, &topology.replicas).join(", ");
            format!("region '{name}' has no replica; replicas are in {known}")
        }),
        FaultTarget::Link(from, to) => [from, to].into_iter().find_map(unknown),
        FaultTarget::Pair(a, b) if a == b => Some(format!(
            "'{a}' is named twice; give pair = [\"a\", \"b\"] two regions"
        )),
        FaultTarget::Pair(a, b) => [a, b].into_iter().find_map(unknown),
        FaultTarget::Regions(names) => {
            let twice = |position: usize| names[..position].contains(&names[position]);
            if names.is_empty() {
                return Some("regions is empty; name at least one region".to_owned());
            }
            if let Some(position) = (0..names.len()).find(|&position| twice(position)) {
                return Some(format!(
                    "region '{}' is named twice; name it once",
                    names[position]
                ));
            }
            names.iter().find_map(unknown)
        }
    }
}

/// Returns why a kind cannot be done to a target.
fn combination_problem(fault: &Fault, topology: &Topology) -> Option<String> {
    let kind = fault.kind.name();
    if fault.kind.is_of_replica() {
        return (!fault.target.names_replica()).then(|| {
            format!(
                "{kind} is done to a replica, not to a link; give target \"leader\" or \
                 {{ replica = \"...\" }}"
            )
        });
    }
    let regions = topology.profile.regions.len();
    match (&fault.target, fault.kind) {
        (FaultTarget::Link(..), FaultKind::ConnectionReset) => Some(
            "a connection has both directions; give target { pair = [\"a\", \"b\"] }".to_owned(),
        ),
        (FaultTarget::Link(from, to), FaultKind::Partition) if from == to => {
            Some(format!("'{from}' has no link to itself that can be cut"))
        }
        (FaultTarget::Regions(names), _) if names.len() == regions => Some(
            "it names every region, so that there is none to be apart from; leave one out"
                .to_owned(),
        ),
        // A replica's connections with the clients of its own region can be reset anywhere.
        (_, FaultKind::ConnectionReset) => None,
        (target, _) if target.names_replica() && regions == 1 => Some(
            "there is one region, and so no link to another; place replicas in more regions"
                .to_owned(),
        ),
        _ => None,
    }
}

fn region_names<'a>(topology: &'a Topology, regions: &[RegionIndex]) -> Vec<&'a str> {
    regions
        .iter()
        .map(|&region| topology.region_name(region))
        .collect()
}
