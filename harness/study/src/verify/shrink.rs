//! Making a case small while it still shows what it showed.
//!
//! Delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input",
//! IEEE TSE 28(2), 2002) on faults and operations, then simpler figures. The order of attempts is
//! fixed and every attempt is a deterministic run, so one case always shrinks to the same.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use longhaul_analysis::checkers::Guarantee;
use longhaul_experiment::scenario::Durability;
use longhaul_experiment::{Fault, FaultKind, FaultTarget, RegionIndex, ReplicaId};

use super::Case;
use super::case::Work;
use super::generate::REPLICAS;
use super::hunt::{Caught, Subject, try_case};
use super::judge::{Broken, Finding};
use super::promises::{Nature, nature};

/// How many runs shrinking may take where nothing else is stated.
pub const RUNS_MAX: u32 = 3_000;

/// Returns a smaller case that breaks the same thing, after at most `runs` runs.
///
/// A case without anything broken comes back as it is.
pub fn shrink(subject: &impl Subject, caught: Caught, demanded: &[Guarantee], runs: u32) -> Caught {
    let Some(broken) = caught.findings.first().map(|finding| finding.broken) else {
        return caught;
    };
    let mut shrinking = Shrinking {
        subject,
        demanded,
        broken,
        runs_left: runs,
        best: caught,
    };
    loop {
        let before = shrinking.best.case.clone();
        shrinking.drop_parts(|case| &mut case.faults);
        shrinking.drop_parts(|case| &mut case.operations);
        shrinking.drop_sessions();
        shrinking.drop_replicas();
        shrinking.simplify();
        if shrinking.best.case == before || shrinking.runs_left == 0 {
            return shrinking.best;
        }
    }
}

struct Shrinking<'a, S> {
    subject: &'a S,
    demanded: &'a [Guarantee],
    broken: Broken,
    runs_left: u32,
    best: Caught,
}

impl<S: Subject> Shrinking<'_, S> {
    /// Takes a case over if it breaks the same thing; says whether it does.
    fn attempt(&mut self, case: Case) -> bool {
        if self.runs_left == 0 || case == self.best.case {
            return false;
        }
        let Ok(nature) = nature(&case.mode, &case.topology()) else {
            return false;
        };
        if !is_fair(&case, &nature) {
            return false;
        }
        self.runs_left -= 1;
        let Ok(tried) = try_case(self.subject, case, &nature, self.demanded) else {
            return false;
        };
        let findings: Vec<Finding> = tried.judgement.findings;
        let shows = findings.iter().any(|finding| finding.broken == self.broken);
        if shows {
            self.best = Caught {
                case: tried.case,
                findings,
            };
        }
        shows
    }

    /// Drops runs of parts, half of them first, then shorter and shorter ones.
    fn drop_parts<T: Clone>(&mut self, parts: fn(&mut Case) -> &mut Vec<T>) {
        let count = |case: &Case| parts(&mut case.clone()).len();
        let mut length = count(&self.best.case);
        while length > 0 {
            let mut from = 0;
            while from < count(&self.best.case) {
                let mut case = self.best.case.clone();
                let list = parts(&mut case);
                let until = (from + length).min(list.len());
                list.drain(from..until);
                if !self.attempt(case) {
                    from += length;
                }
            }
            length /= 2;
        }
    }

    fn drop_sessions(&mut self) {
        let mut session = 0;
        while session < self.best.case.sessions.len() {
            let mut case = self.best.case.clone();
            case.sessions.remove(session);
            case.operations.retain(|planned| planned.session != session);
            for planned in &mut case.operations {
                planned.session -= usize::from(planned.session > session);
            }
            if !self.attempt(case) {
                session += 1;
            }
        }
    }

    fn drop_replicas(&mut self) {
        let mut replica = 0;
        while replica < self.best.case.replicas() {
            if self.best.case.replicas() <= *REPLICAS.start() {
                return;
            }
            let case = without_replica(&self.best.case, replica);
            if case.is_none_or(|case| !self.attempt(case)) {
                replica += 1;
            }
        }
    }

    /// Tries plainer figures, one after the other.
    fn simplify(&mut self) {
        let plainer: [fn(&mut Case); 11] = [
            |case| case.value_size = 16,
            |case| case.work = Work::default(),
            |case| case.batches_instants = false,
            |case| case.retention = NonZeroU32::MIN,
            |case| case.clocks_faster_ppm.clear(),
            |case| case.jitter_us = 0,
            |case| case.sync_us = 0,
            |case| case.durability = Durability::Memory,
            |case| case.load = last_instant(case),
            |case| case.patience.attempts = 1,
            |case| {
                for session in &mut case.sessions {
                    session.home.get_or_insert(ReplicaId(session.region.0));
                }
            },
        ];
        for change in plainer {
            let mut case = self.best.case.clone();
            change(&mut case);
            self.attempt(case);
        }
        for fault in 0..self.best.case.faults.len() {
            // Halving a minute sixteen times leaves a millisecond.
            for _ in 0..16 {
                let mut case = self.best.case.clone();
                case.faults[fault].lasts /= 2;
                if !self.attempt(case) {
                    break;
                }
            }
        }
    }
}

/// Says whether the losses of a case are such that its mode's promises hold.
fn is_fair(case: &Case, nature: &Nature) -> bool {
    let crashes = case
        .faults
        .iter()
        .filter(|fault| fault.kind == FaultKind::Crash);
    let mut losers = BTreeSet::new();
    for crash in crashes {
        match (&crash.target, case.durability) {
            (_, Durability::Wal) => {}
            (FaultTarget::Replica(name), Durability::Memory) => {
                losers.insert(name.clone());
            }
            // It may be anyone.
            (_, Durability::Memory) => return false,
        }
    }
    losers.len() <= nature.losses_max
}

/// Returns the case without a replica; `None` when it is the leader, or a fault names it.
fn without_replica(case: &Case, gone: usize) -> Option<Case> {
    if case.leader.index() == gone {
        return None;
    }
    let moved = |index: usize| match index.cmp(&gone) {
        std::cmp::Ordering::Less => index,
        std::cmp::Ordering::Equal => 0,
        std::cmp::Ordering::Greater => index - 1,
    };
    let replica = |id: ReplicaId| ReplicaId(moved(id.index()) as u16);
    let mut smaller = case.clone();
    smaller.leader = replica(case.leader);
    smaller.one_way_us.remove(gone);
    for row in &mut smaller.one_way_us {
        row.remove(gone);
    }
    if gone < smaller.clocks_faster_ppm.len() {
        smaller.clocks_faster_ppm.remove(gone);
    }
    for session in &mut smaller.sessions {
        session.region = RegionIndex(moved(session.region.index()) as u16);
        session.home = session.home.map(replica);
    }
    for planned in &mut smaller.operations {
        planned.replica = replica(planned.replica);
    }
    let rename = |name: &String| {
        let index = (0..case.replicas()).find(|&index| Case::region_name(index) == *name)?;
        (index != gone).then(|| Case::region_name(moved(index)))
    };
    smaller.faults = case
        .faults
        .iter()
        .map(|fault| {
            Some(Fault {
                target: renamed(&fault.target, rename)?,
                ..fault.clone()
            })
        })
        .collect::<Option<_>>()?;
    Some(smaller)
}

fn renamed(
    target: &FaultTarget,
    rename: impl Fn(&String) -> Option<String>,
) -> Option<FaultTarget> {
    Some(match target {
        FaultTarget::Leader => FaultTarget::Leader,
        FaultTarget::Replica(name) => FaultTarget::Replica(rename(name)?),
        FaultTarget::Link(from, to) => FaultTarget::Link(rename(from)?, rename(to)?),
        FaultTarget::Pair(a, b) => FaultTarget::Pair(rename(a)?, rename(b)?),
        FaultTarget::Regions(names) => {
            let kept: Vec<String> = names.iter().filter_map(rename).collect();
            FaultTarget::Regions((!kept.is_empty()).then_some(kept)?)
        }
    })
}

/// Returns the end of all that a case plans.
fn last_instant(case: &Case) -> Duration {
    let operations = case
        .operations
        .iter()
        .map(|planned| Duration::from_micros(planned.at_us));
    let faults = case.faults.iter().map(|fault| fault.at + fault.lasts);
    let last = operations.chain(faults).max().unwrap_or_default();
    case.load.min(last + Duration::from_millis(100))
}
