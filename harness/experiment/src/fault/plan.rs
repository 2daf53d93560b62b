//! The compilation of faults into commands: pure, shared by all backends.
//!
//! A backend asks for [`FaultPlan::steps`], arranges to be woken at each of their instants, and
//! then carries out what [`FaultPlan::take_step`] returns. The commands are differences: where
//! faults overlap, only what changes is commanded (see [`crate::fault`] for the rules), and levels
//! (delays, losses, factors) come as the new level, not as a step.

use std::collections::BTreeMap;
use std::time::Duration;

use super::active::{Broken, Subject};
use super::check::{FaultError, problem, replica_in};
use super::{ClockShift, Fault, FaultKind, FaultTarget};
use crate::ids::{LinkId, RegionIndex, ReplicaId};
use crate::scenario::DurationText;
use crate::time::Time;
use crate::topology::Topology;

/// One end of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultEdge {
    /// It begins.
    Begin,
    /// It ends.
    End,
}

/// An instant at which a fault begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FaultStep {
    /// When.
    pub at: Time,
    /// What. Beginnings come before ends of the same instant: a fault that follows another
    /// without a gap continues it.
    pub edge: FaultEdge,
    /// The fault's position in the list, from 0.
    pub number: usize,
}

/// Something that a backend has to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaultCommand {
    /// When.
    pub at: Time,
    /// Because of which fault: its position in the list, from 0.
    pub number: usize,
    /// Because of its beginning or its end.
    pub edge: FaultEdge,
    /// What.
    pub action: FaultAction,
}

/// What a backend has to do. Each is commanded when it changes something, and not otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FaultAction {
    /// The replica's process dies.
    Crash(ReplicaId),
    /// It starts again from what its storage kept.
    Restart(ReplicaId),
    /// The replica's process stops; it lives.
    Pause(ReplicaId),
    /// It goes on; it lives.
    Resume(ReplicaId),
    /// Everything that the replica computes takes this many times as long; 1: as without faults.
    Slow {
        /// The replica.
        replica: ReplicaId,
        /// At least 1.
        factor: f64,
    },
    /// Each sync of the replica's storage takes this much longer; zero: as without faults.
    SlowDisk {
        /// The replica.
        replica: ReplicaId,
        /// What is added.
        added: Duration,
    },
    /// The replica's wall clock is this far from where it would be; zero: as without faults.
    ClockShift {
        /// The replica.
        replica: ReplicaId,
        /// How far, all jumps together.
        by: ClockShift,
    },
    /// Frames that enter the link wait from now on; connections over it end after
    /// [`super::silence_timeout`].
    CutLink(LinkId),
    /// Frames that wait on the link set out; connections that ended come up again.
    HealLink(LinkId),
    /// Frames that enter the link take this much longer; zero: as without faults.
    LinkDelay {
        /// The link.
        link: LinkId,
        /// What is added.
        added: Duration,
    },
    /// The link loses this share of what it would not lose without faults; 0: none.
    LinkLoss {
        /// The link.
        link: LinkId,
        /// From 0 to below 1.
        loss: f64,
    },
    /// All connections between two regions, of replicas and of clients, end now and stay down.
    /// `a` may be `b`: clients and the replica of one region.
    EndConnections {
        /// The lower region.
        a: RegionIndex,
        /// The higher one.
        b: RegionIndex,
    },
    /// These connections come up again, one round trip after they ended at the earliest.
    RestoreConnections {
        /// The lower region.
        a: RegionIndex,
        /// The higher one.
        b: RegionIndex,
    },
}

impl FaultAction {
    /// Returns the replica that it is done to; `None`: it is done to a link or to connections.
    pub const fn replica(self) -> Option<ReplicaId> {
        match self {
            FaultAction::Crash(replica)
            | FaultAction::Restart(replica)
            | FaultAction::Pause(replica)
            | FaultAction::Resume(replica)
            | FaultAction::Slow { replica, .. }
            | FaultAction::SlowDisk { replica, .. }
            | FaultAction::ClockShift { replica, .. } => Some(replica),
            FaultAction::CutLink(_)
            | FaultAction::HealLink(_)
            | FaultAction::LinkDelay { .. }
            | FaultAction::LinkLoss { .. }
            | FaultAction::EndConnections { .. }
            | FaultAction::RestoreConnections { .. } => None,
        }
    }
}

/// The faults of a run, and which of them are active.
///
/// ```
/// use std::time::Duration;
/// use longhaul_experiment::fault::{Fault, FaultAction, FaultKind, FaultPlan, FaultTarget};
/// use longhaul_experiment::profile::bundled;
/// use longhaul_experiment::{ReplicaId, Time, Topology};
///
/// let topology = Topology::everywhere(bundled::bundled("aws-5").unwrap());
/// let crash = Fault {
///     at: Duration::from_secs(2),
///     lasts: Duration::from_secs(3),
///     target: FaultTarget::Leader,
///     kind: FaultKind::Crash,
/// };
/// let mut plan = FaultPlan::new(&[crash], &topology, Time::from_millis(1500))?;
/// assert_eq!(plan.steps()[0].at, Time::from_millis(3500));
/// // Whoever leads when the fault begins is hit, and is also the one that restarts.
/// let commands = plan.take_step(0, Some(ReplicaId(4)));
/// assert_eq!(commands[0].action, FaultAction::Crash(ReplicaId(4)));
/// let commands = plan.take_step(1, Some(ReplicaId(1)));
/// assert_eq!(commands[0].action, FaultAction::Restart(ReplicaId(4)));
/// # Ok::<(), longhaul_experiment::fault::FaultError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FaultPlan {
    steps: Vec<FaultStep>,
    faults: Vec<PlannedFault>,
    places: Places,
    /// What each active fault hits, by its number.
    active: BTreeMap<usize, Subject>,
    /// The replica that a fault hit, by its number.
    hits: BTreeMap<usize, ReplicaId>,
    broken: Broken,
}

#[derive(Clone, Debug)]
struct PlannedFault {
    kind: FaultKind,
    target: Target,
}

/// A target whose names are read.
#[derive(Clone, Debug)]
enum Target {
    Leader,
    Replica(ReplicaId),
    Link(LinkId),
    Pair(RegionIndex, RegionIndex),
    Regions(Vec<RegionIndex>),
}

/// What of a topology decides on what a target covers.
#[derive(Clone, Debug)]
struct Places {
    regions: Vec<RegionIndex>,
    replicas: Vec<RegionIndex>,
    leader: ReplicaId,
}

impl FaultPlan {
    /// Compiles faults; their instants count from `window_start`.
    ///
    /// # Errors
    ///
    /// The first fault that names what the topology does not have, whose kind cannot be done to
    /// its target, or whose figures are out of range.
    pub fn new(
        faults: &[Fault],
        topology: &Topology,
        window_start: Time,
    ) -> Result<FaultPlan, FaultError> {
        let mut steps = Vec::with_capacity(2 * faults.len());
        let mut planned = Vec::with_capacity(faults.len());
        for (number, fault) in faults.iter().enumerate() {
            planned.push(PlannedFault {
                kind: fault.kind,
                target: checked_target(number, fault, topology)?,
            });
            let begins = window_start + fault.at;
            let ends = begins + fault.lasts;
            for (at, edge) in [(begins, FaultEdge::Begin), (ends, FaultEdge::End)] {
                steps.push(FaultStep { at, edge, number });
            }
        }
        steps.sort_unstable();
        Ok(FaultPlan {
            steps,
            faults: planned,
            places: Places {
                regions: topology.profile.region_indexes().collect(),
                replicas: topology.replicas.clone(),
                leader: topology.leader,
            },
            active: BTreeMap::new(),
            hits: BTreeMap::new(),
            broken: Broken::default(),
        })
    }

    /// Says whether nothing breaks.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Returns the instants at which something begins or ends, in order.
    pub fn steps(&self) -> &[FaultStep] {
        &self.steps
    }

    /// Takes the step at a position of [`FaultPlan::steps`], and returns what has to be done, in
    /// order.
    ///
    /// `leader` is the leader that is known now; the preferred leader stands in for `None`. Steps
    /// are to be taken in order; one that does not exist or that was taken changes nothing.
    pub fn take_step(&mut self, position: usize, leader: Option<ReplicaId>) -> Vec<FaultCommand> {
        let Some(&step) = self.steps.get(position) else {
            return Vec::new();
        };
        match step.edge {
            FaultEdge::Begin => self.begin(step.number, leader),
            FaultEdge::End => {
                self.active.remove(&step.number);
            }
        }
        self.changes(step)
    }

    /// Ends all active faults, and returns what has to be done: everything heals.
    pub fn end_all(&mut self, at: Time) -> Vec<FaultCommand> {
        let number = self.active.keys().next().copied().unwrap_or(0);
        self.active.clear();
        let edge = FaultEdge::End;
        self.changes(FaultStep { at, edge, number })
    }

    /// Returns the replica that a fault hit, by its position in the list; `None`: it has not
    /// begun, or its target is no replica.
    pub fn hit(&self, number: usize) -> Option<ReplicaId> {
        self.hits.get(&number).copied()
    }

    fn begin(&mut self, number: usize, leader: Option<ReplicaId>) {
        if self.active.contains_key(&number) {
            return;
        }
        let PlannedFault { kind, target } = &self.faults[number];
        let hit = match target {
            Target::Leader => Some(leader.unwrap_or(self.places.leader)),
            Target::Replica(replica) => Some(*replica),
            Target::Link(_) | Target::Pair(..) | Target::Regions(_) => None,
        };
        if let Some(subject) = self.places.subject(*kind, target, hit) {
            self.active.insert(number, subject);
        }
        self.hits.extend(hit.map(|replica| (number, replica)));
    }

    fn changes(&mut self, step: FaultStep) -> Vec<FaultCommand> {
        let faults = &self.faults;
        let active = self
            .active
            .iter()
            .map(|(&number, subject)| (faults[number].kind, subject));
        let after = Broken::by(active);
        let actions = self.broken.actions_to(&after);
        self.broken = after;
        let FaultStep { at, edge, number } = step;
        actions
            .into_iter()
            .map(|action| FaultCommand {
                at,
                number,
                edge,
                action,
            })
            .collect()
    }
}

impl Places {
    /// Returns what a fault hits; `hit` is the replica that its target stands for, if it is one.
    fn subject(&self, kind: FaultKind, target: &Target, hit: Option<ReplicaId>) -> Option<Subject> {
        if kind.is_of_replica() {
            return hit.map(Subject::Replica);
        }
        let region_hit = hit.and_then(|hit| self.replicas.get(hit.index()).copied());
        if kind == FaultKind::ConnectionReset {
            let pairs = match (region_hit, target) {
                // Its clients in its own region are connected to it as others are.
                (Some(region), _) => self
                    .regions
                    .iter()
                    .map(|&other| region.paired_with(other))
                    .collect(),
                (None, target) => {
                    let links = self.links(target, None).into_iter();
                    links.map(LinkId::ends).collect()
                }
            };
            return Some(Subject::Connections(pairs));
        }
        Some(Subject::Links(self.links(target, region_hit)))
    }

    fn links(&self, target: &Target, region_hit: Option<RegionIndex>) -> Vec<LinkId> {
        match (target, region_hit) {
            (&Target::Link(link), _) => vec![link],
            (&Target::Pair(a, b), _) => {
                vec![LinkId { from: a, to: b }, LinkId { from: b, to: a }]
            }
            (Target::Regions(inside), _) => self.links_around(inside),
            (_, Some(region)) => self.links_around(&[region]),
            (_, None) => Vec::new(),
        }
    }

    fn links_around(&self, inside: &[RegionIndex]) -> Vec<LinkId> {
        let outside = self
            .regions
            .iter()
            .filter(|region| !inside.contains(region));
        outside
            .flat_map(|&to| {
                inside
                    .iter()
                    .flat_map(move |&from| [LinkId { from, to }, LinkId { from: to, to: from }])
            })
            .collect()
    }
}

fn checked_target(number: usize, fault: &Fault, topology: &Topology) -> Result<Target, FaultError> {
    let error = |why| FaultError {
        number: number + 1,
        kind: fault.kind.name(),
        at: DurationText(fault.at),
        why,
    };
    if let Some(why) = problem(fault, topology) {
        return Err(error(why));
    }
    target(&fault.target, topology).ok_or_else(|| error(format!("there is no {}", fault.target)))
}

fn target(target: &FaultTarget, topology: &Topology) -> Option<Target> {
    let region = |name: &String| topology.profile.region(name);
    Some(match target {
        FaultTarget::Leader => Target::Leader,
        FaultTarget::Replica(name) => Target::Replica(replica_in(name, topology)?),
        FaultTarget::Link(from, to) => Target::Link(LinkId {
            from: region(from)?,
            to: region(to)?,
        }),
        FaultTarget::Pair(a, b) => Target::Pair(region(a)?, region(b)?),
        FaultTarget::Regions(names) => {
            Target::Regions(names.iter().map(region).collect::<Option<_>>()?)
        }
    })
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
