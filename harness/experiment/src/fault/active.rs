//! What is broken at one instant, as a function of the faults that are active then.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::plan::FaultAction;
use super::{ClockShift, FaultKind, either};
use crate::ids::{LinkId, RegionIndex, ReplicaId};

/// A pair of regions whose connections are reset, the lower first.
pub(super) type RegionPair = (RegionIndex, RegionIndex);

/// What an active fault hits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Replica(ReplicaId),
    Links(Vec<LinkId>),
    Connections(Vec<RegionPair>),
}

/// All that is broken.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Broken {
    replicas: BTreeMap<ReplicaId, BrokenReplica>,
    links: BTreeMap<LinkId, BrokenLink>,
    connections: BTreeSet<RegionPair>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct BrokenReplica {
    is_dead: bool,
    is_paused: bool,
    factor: f64,
    sync_added: Duration,
    shift: ClockShift,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct BrokenLink {
    is_cut: bool,
    added: Duration,
    loss: f64,
}

impl Default for BrokenReplica {
    fn default() -> BrokenReplica {
        BrokenReplica {
            is_dead: false,
            is_paused: false,
            factor: 1.0,
            sync_added: Duration::ZERO,
            shift: ClockShift::default(),
        }
    }
}

impl Broken {
    /// Returns what the active faults break together.
    pub fn by<'a>(active: impl IntoIterator<Item = (FaultKind, &'a Subject)>) -> Broken {
        let mut broken = Broken::default();
        for (kind, subject) in active {
            match subject {
                Subject::Replica(replica) => {
                    broken.replicas.entry(*replica).or_default().suffer(kind)
                }
                Subject::Links(links) => {
                    for &link in links {
                        broken.links.entry(link).or_default().suffer(kind);
                    }
                }
                Subject::Connections(pairs) => broken.connections.extend(pairs),
            }
        }
        broken
    }

    /// Returns what has to be done so that what was broken like `self` is broken like `after`.
    pub fn actions_to(&self, after: &Broken) -> Vec<FaultAction> {
        let mut actions = Vec::new();
        for &replica in union(&self.replicas, &after.replicas) {
            let state = |broken: &Broken| broken.replicas.get(&replica).copied();
            let (from, to) = (
                state(self).unwrap_or_default(),
                state(after).unwrap_or_default(),
            );
            from.actions_to(to, replica, &mut actions);
        }
        for &link in union(&self.links, &after.links) {
            let state = |broken: &Broken| broken.links.get(&link).copied();
            let (from, to) = (
                state(self).unwrap_or_default(),
                state(after).unwrap_or_default(),
            );
            from.actions_to(to, link, &mut actions);
        }
        for &(a, b) in self.connections.difference(&after.connections) {
            actions.push(FaultAction::RestoreConnections { a, b });
        }
        for &(a, b) in after.connections.difference(&self.connections) {
            actions.push(FaultAction::EndConnections { a, b });
        }
        actions
    }
}

impl BrokenReplica {
    fn suffer(&mut self, kind: FaultKind) {
        match kind {
            FaultKind::Crash => self.is_dead = true,
            FaultKind::Pause => self.is_paused = true,
            FaultKind::SlowReplica { factor } => self.factor *= factor,
            FaultKind::SlowDisk { added } => self.sync_added += added,
            FaultKind::ClockJump { by } => self.shift = self.shift.plus(by),
            FaultKind::Partition
            | FaultKind::LinkDelay { .. }
            | FaultKind::LinkLoss { .. }
            | FaultKind::ConnectionReset => {}
        }
    }

    fn is_stopped(self) -> bool {
        self.is_paused && !self.is_dead
    }

    fn actions_to(self, to: BrokenReplica, replica: ReplicaId, actions: &mut Vec<FaultAction>) {
        // What the machine is like comes first, so that a process starts on it as it then is.
        if self.factor != to.factor {
            let factor = to.factor;
            actions.push(FaultAction::Slow { replica, factor });
        }
        if self.sync_added != to.sync_added {
            let added = to.sync_added;
            actions.push(FaultAction::SlowDisk { replica, added });
        }
        if self.shift != to.shift {
            let by = to.shift;
            actions.push(FaultAction::ClockShift { replica, by });
        }
        match (self.is_dead, to.is_dead) {
            (false, true) => actions.push(FaultAction::Crash(replica)),
            (true, false) => actions.push(FaultAction::Restart(replica)),
            (false, false) | (true, true) => {}
        }
        match (self.is_stopped(), to.is_stopped()) {
            (false, true) => actions.push(FaultAction::Pause(replica)),
            // A process that dies has no pause left to end.
            (true, false) if !to.is_dead => actions.push(FaultAction::Resume(replica)),
            (true, false) | (false, false) | (true, true) => {}
        }
    }
}

impl BrokenLink {
    fn suffer(&mut self, kind: FaultKind) {
        match kind {
            FaultKind::Partition => self.is_cut = true,
            FaultKind::LinkDelay { added } => self.added += added,
            FaultKind::LinkLoss { loss } => self.loss = either(self.loss, loss),
            FaultKind::Crash
            | FaultKind::Pause
            | FaultKind::SlowReplica { .. }
            | FaultKind::SlowDisk { .. }
            | FaultKind::ClockJump { .. }
            | FaultKind::ConnectionReset => {}
        }
    }

    fn actions_to(self, to: BrokenLink, link: LinkId, actions: &mut Vec<FaultAction>) {
        // Before a heal, so that what it releases travels on the link as it then is.
        if self.added != to.added {
            let added = to.added;
            actions.push(FaultAction::LinkDelay { link, added });
        }
        if self.loss != to.loss {
            let loss = to.loss;
            actions.push(FaultAction::LinkLoss { link, loss });
        }
        match (self.is_cut, to.is_cut) {
            (false, true) => actions.push(FaultAction::CutLink(link)),
            (true, false) => actions.push(FaultAction::HealLink(link)),
            (false, false) | (true, true) => {}
        }
    }
}

fn union<'a, K: Ord, V>(a: &'a BTreeMap<K, V>, b: &'a BTreeMap<K, V>) -> BTreeSet<&'a K> {
    a.keys().chain(b.keys()).collect()
}
