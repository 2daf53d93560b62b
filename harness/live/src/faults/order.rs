//! What sites are told about faults.

use std::time::Duration;

use longhaul_experiment::fault::{ClockShift, FaultAction, FaultCommand, FaultEdge};
use longhaul_experiment::{LinkId, RegionIndex, ReplicaId, Time};
use serde::{Deserialize, Serialize};

/// Two regions, the lower first.
pub(crate) type Pair = (RegionIndex, RegionIndex);

/// What every site is to do about a fault that begins or ends, where it concerns the site.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum FaultOrder {
    /// A replica suffers it.
    Replica(ReplicaFault),
    /// A link is like this for frames sent from an instant on.
    Link {
        /// The link.
        link: LinkId,
        /// Since when.
        from: Time,
        /// All that faults have made of it.
        fault: LinkFault,
    },
    /// Connections between two regions end and stay down.
    EndConnections(Pair),
    /// Connections between two regions may come up again.
    RestoreConnections {
        /// The regions.
        pair: Pair,
        /// Not before.
        ready_at: Time,
    },
}

/// What faults have made of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LinkFault {
    /// Whether nothing gets through.
    pub is_cut: bool,
    /// What is added to its one-way delay.
    pub added: Duration,
    /// The share lost of what it would not lose by itself, 0 to below 1.
    pub loss: f64,
}

/// What the beginning or the end of a fault does to a replica.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ReplicaFault {
    pub(crate) replica: ReplicaId,
    /// The fault's position in the scenario.
    pub(crate) number: usize,
    /// Whether it is the beginning; else the end.
    pub(crate) begins: bool,
    /// When it was to be.
    pub(crate) planned_at: Time,
    pub(crate) change: ReplicaChange,
}

/// What becomes of a replica's process or machine.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum ReplicaChange {
    /// The process dies.
    Crash,
    /// It starts again from what its storage kept.
    Restart,
    /// It stops; it lives.
    Pause,
    /// It goes on.
    Resume,
    /// Everything that it computes takes this many times as long.
    Slow(f64),
    /// Each sync of its storage takes this much longer.
    SlowDisk(Duration),
    /// Its wall clock is this many nanoseconds from where it would be.
    ClockShift(i64),
}

/// Returns what a command does to a replica; `None` when it is done to links or connections.
pub(crate) fn replica_fault(command: &FaultCommand) -> Option<ReplicaFault> {
    let (replica, change) = match command.action {
        FaultAction::Crash(replica) => (replica, ReplicaChange::Crash),
        FaultAction::Restart(replica) => (replica, ReplicaChange::Restart),
        FaultAction::Pause(replica) => (replica, ReplicaChange::Pause),
        FaultAction::Resume(replica) => (replica, ReplicaChange::Resume),
        FaultAction::Slow { replica, factor } => (replica, ReplicaChange::Slow(factor)),
        FaultAction::SlowDisk { replica, added } => (replica, ReplicaChange::SlowDisk(added)),
        FaultAction::ClockShift {
            replica,
            by: ClockShift(by_ns),
        } => (replica, ReplicaChange::ClockShift(by_ns)),
        FaultAction::CutLink(_)
        | FaultAction::HealLink(_)
        | FaultAction::LinkDelay { .. }
        | FaultAction::LinkLoss { .. }
        | FaultAction::EndConnections { .. }
        | FaultAction::RestoreConnections { .. } => return None,
    };
    Some(ReplicaFault {
        replica,
        number: command.number,
        begins: command.edge == FaultEdge::Begin,
        planned_at: command.at,
        change,
    })
}
