//! A scenario's faults, compiled into commands on replicas and links.

use longhaul_experiment::record::BackendKind;
use longhaul_experiment::{
    Fault, FaultKind, FaultTarget, LinkId, RegionIndex, ReplicaId, RunError, Scenario, Time,
    Topology,
};
use longhaul_protocol::Mode;

use crate::simulation::Simulation;

/// Tells the tokens of faults from those of clients.
const FAULT_TOKEN: u64 = 1 << 63;

/// The faults of a run.
#[derive(Debug)]
pub(crate) struct FaultPlan(Vec<PlannedFault>);

#[derive(Debug)]
struct PlannedFault {
    fault: Fault,
    target: Target,
    /// The replica that it hit: a leader is looked up when the fault begins.
    hit: Option<ReplicaId>,
}

#[derive(Clone, Copy, Debug)]
enum Target {
    Leader,
    Replica(ReplicaId),
    Link(LinkId),
}

impl FaultPlan {
    /// Reads a scenario's faults.
    ///
    /// # Errors
    ///
    /// A fault names a region that is unknown or has no replica, hits the leader of a mode
    /// without one, or does to a link what only a replica can suffer, or the reverse.
    pub fn new(scenario: &Scenario, has_leader: bool) -> Result<FaultPlan, RunError> {
        let read = |fault: &Fault| {
            let target = target(fault, &scenario.topology, has_leader)?;
            let fault = fault.clone();
            let hit = None;
            Ok(PlannedFault { fault, target, hit })
        };
        scenario
            .faults
            .iter()
            .map(read)
            .collect::<Result<_, _>>()
            .map(FaultPlan)
    }

    /// Says whether nothing breaks.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Asks the simulation to wake the plan at the beginning and the end of every fault.
    pub fn schedule<M: Mode>(&self, simulation: &mut Simulation<M>, window_start: Time) {
        for (number, planned) in self.0.iter().enumerate() {
            let begins = window_start + planned.fault.at;
            let token = FAULT_TOKEN | (number as u64) << 1;
            simulation.wake_at(begins, token);
            simulation.wake_at(begins + planned.fault.lasts, token | 1);
        }
    }

    /// Takes a wake; `false` when it is not the plan's.
    pub fn on_wake<M: Mode>(&mut self, simulation: &mut Simulation<M>, token: u64) -> bool {
        if token & FAULT_TOKEN == 0 {
            return false;
        }
        let number = ((token & !FAULT_TOKEN) >> 1) as usize;
        if let Some(planned) = self.0.get_mut(number) {
            if token & 1 == 0 {
                planned.begin(simulation);
            } else {
                planned.end(simulation);
            }
        }
        true
    }
}

impl PlannedFault {
    fn begin<M: Mode>(&mut self, simulation: &mut Simulation<M>) {
        self.hit = match self.target {
            Target::Leader => simulation
                .leaders()
                .last()
                .map(|leadership| leadership.leader),
            Target::Replica(replica) => Some(replica),
            Target::Link(link) => {
                simulation.cut(link);
                None
            }
        };
        match (self.fault.kind, self.hit) {
            (FaultKind::Pause, Some(replica)) => simulation.pause(replica),
            (FaultKind::Crash, Some(replica)) => simulation.crash(replica),
            (FaultKind::Pause | FaultKind::Crash | FaultKind::Partition, _) => {}
        }
    }

    fn end<M: Mode>(&mut self, simulation: &mut Simulation<M>) {
        if let Target::Link(link) = self.target {
            simulation.heal(link);
        }
        match (self.fault.kind, self.hit) {
            (FaultKind::Pause, Some(replica)) => simulation.resume(replica),
            (FaultKind::Crash, Some(replica)) => simulation.restart(replica),
            (FaultKind::Pause | FaultKind::Crash | FaultKind::Partition, _) => {}
        }
    }
}

fn target(fault: &Fault, topology: &Topology, has_leader: bool) -> Result<Target, RunError> {
    let refused = |why: String| RunError::NotSupported {
        backend: BackendKind::Sim.name(),
        why: format!("fault '{}' at {:?}: {why}", fault.kind.name(), fault.at),
    };
    let region = |name: &str| -> Result<RegionIndex, RunError> {
        let known = topology.profile.region(name);
        known.ok_or_else(|| refused(format!("the profile has no region '{name}'")))
    };
    let is_of_link = fault.kind == FaultKind::Partition;
    let target = match &fault.target {
        FaultTarget::Leader if !has_leader => {
            return Err(refused(
                "the mode has no leader: name a replica's region".to_owned(),
            ));
        }
        FaultTarget::Leader => Target::Leader,
        FaultTarget::Replica(name) => {
            let region = region(name)?;
            let replica = topology
                .replica_ids()
                .find(|&id| topology.region_of(id) == region);
            let replica =
                replica.ok_or_else(|| refused(format!("region '{name}' has no replica")))?;
            Target::Replica(replica)
        }
        FaultTarget::Link(from, to) => Target::Link(LinkId {
            from: region(from)?,
            to: region(to)?,
        }),
    };
    if is_of_link != matches!(target, Target::Link(_)) {
        let hits = if is_of_link {
            "a link"
        } else {
            "a replica or the leader"
        };
        return Err(refused(format!("it can only hit {hits}")));
    }
    Ok(target)
}
