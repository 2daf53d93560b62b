//! Faults checked against where and when they are to happen.

use super::Durations;
use super::duration::DurationText;
use super::error::ScenarioError;
use super::file::FaultFile;
use crate::fault::{Fault, FaultKind, FaultTarget};
use crate::ids::RegionIndex;
use crate::topology::Topology;

/// Checks the faults of a scenario against its topology and durations.
pub(super) fn resolve_faults(
    files: Vec<FaultFile>,
    topology: &Topology,
    durations: &Durations,
) -> Result<Vec<Fault>, ScenarioError> {
    let check = |(position, file): (usize, FaultFile)| {
        let fault = Fault {
            at: file.at.0,
            lasts: file.lasts.0,
            target: file.target,
            kind: file.kind,
        };
        match fault_problem(&fault, topology, durations) {
            None => Ok(fault),
            Some(why) => Err(ScenarioError::Fault {
                number: position + 1,
                kind: fault.kind.name(),
                at: file.at,
                why,
            }),
        }
    };
    files.into_iter().enumerate().map(check).collect()
}

fn fault_problem(fault: &Fault, topology: &Topology, durations: &Durations) -> Option<String> {
    if fault.lasts.is_zero() {
        return Some("it lasts no time; give lasts a duration above 0s".to_owned());
    }
    if fault.at >= durations.measured {
        return Some(format!(
            "it begins after the measured window of {}; give an earlier `at` or a longer \
             durations.measured",
            DurationText(durations.measured)
        ));
    }
    match (&fault.target, fault.kind) {
        (FaultTarget::Link(..), FaultKind::Pause | FaultKind::Crash) => Some(
            "a link cannot do that; give target \"leader\" or { replica = \"...\" }".to_owned(),
        ),
        (FaultTarget::Leader | FaultTarget::Replica(_), FaultKind::Partition) => Some(
            "a partition cuts links; give target { link = [\"from\", \"to\"] }, one fault for \
             each direction"
                .to_owned(),
        ),
        (FaultTarget::Leader, _) => None,
        (FaultTarget::Replica(name), _) => {
            let replicas = region_names(topology, &topology.replicas);
            (!replicas.contains(&name.as_str())).then(|| {
                let known = replicas.join(", ");
                format!("region '{name}' has no replica; replicas are in {known}")
            })
        }
        (FaultTarget::Link(from, to), _) if from == to => {
            Some(format!("'{from}' has no link to itself that can be cut"))
        }
        (FaultTarget::Link(from, to), _) => [from, to]
            .into_iter()
            .find(|name| topology.profile.region(name).is_none())
            .map(|name| {
                let all: Vec<_> = topology.profile.region_indexes().collect();
                let known = region_names(topology, &all).join(", ");
                format!("region '{name}' is not in this topology; it has {known}")
            }),
    }
}

fn region_names<'a>(topology: &'a Topology, regions: &[RegionIndex]) -> Vec<&'a str> {
    regions
        .iter()
        .map(|&region| topology.region_name(region))
        .collect()
}
