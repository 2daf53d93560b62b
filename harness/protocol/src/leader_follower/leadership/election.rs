//! The controller's part: noticing that the leader is missing, and choosing another.
//!
//! One replica that misses the leader shows a broken link; a majority shows a leader that cannot
//! lead, whether it is dead, paused or cut off. Then the controller gathers positions, and
//! proposes the most up-to-date by (term, index) of those that may lead:
//!
//! - `async`: among a majority;
//! - `semi-sync=K`: among N-K, and at least a majority. Any N-K replicas have one of the K+1
//!   that hold an acknowledged write;
//! - `sync`: of a majority those in the in-sync set, which has a majority itself.
//!
//! The choice is what Raft's voters make together (Ongaro and Ousterhout, section 5.4.1).

use std::collections::BTreeMap;
use std::time::Duration;

use longhaul_experiment::{ReplicaId, Time};

use super::super::log::Position;
use super::super::message::Report;
use super::super::{Acknowledgement, Member};
use super::{Leadership, majority_round_trip};

/// For how many heartbeats a replica's word that it misses the leader holds.
const MISSING_HEARTBEATS: u32 = 3;

/// For how many heartbeats the controller waits for more reports when it has enough: a round
/// trip and more.
const PATIENCE_HEARTBEATS: u32 = 3;

/// What a controller knows.
#[derive(Debug, Default)]
pub(in super::super) struct Election {
    /// By replica: when it last said that it misses the leader.
    missing: BTreeMap<ReplicaId, Time>,
    gathering: Option<Gathering>,
}

/// Positions that are being gathered.
#[derive(Debug)]
pub(in super::super) struct Gathering {
    /// The agreement that the choice will succeed.
    pub(in super::super) version: u64,
    /// The term of the leader to be chosen.
    pub(in super::super) term: u64,
    since: Time,
    reports: BTreeMap<ReplicaId, Position>,
    /// When a leader was proposed last.
    decided_at: Option<Time>,
}

impl Gathering {
    /// Says whether a replica has still to report.
    pub(in super::super) fn waits_for(&self, replica: ReplicaId) -> bool {
        !self.reports.contains_key(&replica)
    }
}

impl Election {
    /// Forgets everything: the replica is not the controller, or there is a new agreement.
    pub(in super::super) fn end(&mut self) {
        *self = Election::default();
    }

    /// Takes a replica's word that it misses the leader.
    pub(in super::super) fn on_missing(&mut self, replica: ReplicaId, now: Time) {
        self.missing.insert(replica, now);
    }

    /// Gathers positions while a majority misses the leader.
    pub(in super::super) fn gather(
        &mut self,
        (now, heartbeat): (Time, Duration),
        agreed: &Leadership,
    ) -> Option<&Gathering> {
        let holds = heartbeat * MISSING_HEARTBEATS;
        self.missing.retain(|_, said| now.since(*said) < holds);
        if self.missing.len() < agreed.majority() {
            self.gathering = None;
            return None;
        }
        let gathering = self.gathering.get_or_insert_with(|| Gathering {
            version: agreed.version,
            term: agreed.term + 1,
            since: now,
            reports: BTreeMap::new(),
            decided_at: None,
        });
        Some(gathering)
    }

    /// Takes a report.
    pub(in super::super) fn on_report(
        &mut self,
        from: ReplicaId,
        report: &Report,
        agreed: &Leadership,
    ) {
        let Some(gathering) = &mut self.gathering else {
            return;
        };
        if report.version != gathering.version || !agreed.counts(from, report.life) {
            return;
        }
        if report.term > gathering.term {
            // It promised itself to a later term, in which all others are asked again.
            gathering.term = report.term;
            gathering.reports.clear();
        }
        if report.term == gathering.term {
            gathering.reports.insert(from, report.position);
        }
    }

    /// Chooses, once there are enough reports and those that are missing are not likely to come;
    /// and again after a while, since a proposal can get lost with a controller's lead.
    pub(in super::super) fn decide(
        &mut self,
        (now, heartbeat): (Time, Duration),
        rule: Acknowledgement,
        (member, agreed): (&Member, &Leadership),
    ) -> Option<Leadership> {
        let gathering = self.gathering.as_mut()?;
        let reports = &gathering.reports;
        let replicas = agreed.lives.len();
        let is_complete = reports.len() == replicas;
        let patience = heartbeat * PATIENCE_HEARTBEATS;
        let waited = now.since(gathering.since) >= patience;
        let is_ready = is_complete || waited || reports.len() + 1 == replicas;
        let is_decided = gathering
            .decided_at
            .is_some_and(|at| now.since(at) < patience);
        if is_decided || !is_ready || reports.len() < needed(rule, agreed) {
            return None;
        }
        let may_lead = |id: &ReplicaId| match rule {
            Acknowledgement::Sync => agreed.in_sync.contains(id),
            Acknowledgement::Async | Acknowledgement::SemiSync(_) => true,
        };
        let topology = &member.topology;
        let candidates = reports.iter().filter(|(id, _)| may_lead(id));
        // Among equals: the preferred leader, then whoever commits soonest.
        let (&leader, _) = candidates.max_by_key(|&(&id, &position)| {
            let is_preferred = id == topology.leader;
            let slowness = majority_round_trip(topology, id);
            (
                position,
                is_preferred,
                std::cmp::Reverse(slowness),
                std::cmp::Reverse(id),
            )
        })?;
        gathering.decided_at = Some(now);
        Some(Leadership {
            version: gathering.version + 1,
            term: gathering.term,
            leader: Some(leader),
            in_sync: in_sync_after(rule, agreed, leader, reports),
            lives: agreed.lives.clone(),
        })
    }
}

/// Returns how many reports a choice takes.
fn needed(rule: Acknowledgement, agreed: &Leadership) -> usize {
    let majority = agreed.majority();
    match rule {
        Acknowledgement::Async | Acknowledgement::Sync => majority,
        Acknowledgement::SemiSync(count) => majority.max(agreed.lives.len() - count),
    }
}

/// Returns the in-sync set that the new leader begins with: without those that did not report,
/// as far as a majority is left, so that it need not find out again that they are gone.
fn in_sync_after(
    rule: Acknowledgement,
    agreed: &Leadership,
    leader: ReplicaId,
    reports: &BTreeMap<ReplicaId, Position>,
) -> Vec<ReplicaId> {
    if rule != Acknowledgement::Sync {
        return agreed.in_sync.clone();
    }
    let (mut kept, mut silent): (Vec<ReplicaId>, Vec<ReplicaId>) = agreed
        .in_sync
        .iter()
        .partition(|id| reports.contains_key(id) || **id == leader);
    // The old leader is the last to be kept.
    silent.sort_by_key(|&id| agreed.leader == Some(id));
    while kept.len() < agreed.majority() && !silent.is_empty() {
        kept.push(silent.remove(0));
    }
    kept.sort_unstable();
    kept
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use longhaul_experiment::Seed;

    use super::super::super::chart::topology;
    use super::*;
    use crate::retention::Retention;

    const HEARTBEAT: Duration = Duration::from_millis(50);

    fn member(count: u16) -> Member {
        Member {
            id: ReplicaId(1),
            incarnation: 0,
            topology: Arc::new(topology(count)),
            seed: Seed(1),
            retention: Retention::FULL,
        }
    }

    /// Returns what is chosen from reports of (replica, term, index), all of them in the first
    /// life, after the controller waited for more.
    fn chosen(
        rule: Acknowledgement,
        agreed: &Leadership,
        reports: &[(u16, u64, u64)],
    ) -> Option<Leadership> {
        let member = member(agreed.lives.len() as u16);
        let mut election = Election::default();
        let start = Time::from_millis(1000);
        for id in 1..agreed.lives.len() as u16 {
            election.on_missing(ReplicaId(id), start);
        }
        let term = election.gather((start, HEARTBEAT), agreed)?.term;
        for &(id, last_term, index) in reports {
            let position = Position {
                term: last_term,
                index,
            };
            let report = Report {
                version: agreed.version,
                term,
                position,
                life: 0,
            };
            election.on_report(ReplicaId(id), &report, agreed);
        }
        let later = start + HEARTBEAT * PATIENCE_HEARTBEATS;
        election.decide((later, HEARTBEAT), rule, (&member, agreed))
    }

    fn leader(chosen: Option<Leadership>) -> Option<u16> {
        chosen.and_then(|it| it.leader).map(|leader| leader.0)
    }

    #[test]
    fn the_later_term_is_more_up_to_date_and_then_the_longer_log() {
        let agreed = Leadership::first(&topology(5));
        let rule = Acknowledgement::Async;
        let reports = [(1, 1, 9), (2, 2, 4), (3, 2, 5)];
        assert_eq!(leader(chosen(rule, &agreed, &reports)), Some(3));
    }

    #[test]
    fn two_of_five_are_too_few_and_semi_sync_asks_for_all_but_k() {
        let agreed = Leadership::first(&topology(5));
        let reports = [(1, 1, 1), (2, 1, 2), (3, 1, 3), (4, 1, 4)];
        let led = |rule, count| leader(chosen(rule, &agreed, &reports[..count]));
        assert_eq!(led(Acknowledgement::Async, 2), None);
        assert_eq!(led(Acknowledgement::Async, 3), Some(3));
        assert_eq!(led(Acknowledgement::SemiSync(1), 3), None);
        assert_eq!(led(Acknowledgement::SemiSync(1), 4), Some(4));
        assert_eq!(led(Acknowledgement::SemiSync(2), 3), Some(3));
        // N-K would be 1: what is committed is in every log, but a majority has to agree.
        assert_eq!(led(Acknowledgement::SemiSync(4), 2), None);
    }

    #[test]
    fn sync_chooses_from_the_in_sync_set_and_leaves_out_who_is_silent() {
        let mut agreed = Leadership::first(&topology(5));
        agreed.in_sync.retain(|id| id.0 != 3);
        // Replica 3 has a longer tail of an earlier leader, and is not in sync.
        let reports = [(1, 1, 4), (2, 1, 5), (3, 1, 9), (4, 1, 4)];
        let chosen = chosen(Acknowledgement::Sync, &agreed, &reports).unwrap();
        assert_eq!(chosen.leader, Some(ReplicaId(2)));
        assert_eq!(chosen.in_sync, [1, 2, 4].map(ReplicaId));
    }

    #[test]
    fn an_in_sync_set_is_never_less_than_a_majority() {
        let mut agreed = Leadership::first(&topology(5));
        agreed.in_sync.retain(|id| id.0 < 3);
        let reports = [(1, 1, 4), (3, 1, 3), (4, 1, 3)];
        let chosen = chosen(Acknowledgement::Sync, &agreed, &reports).unwrap();
        // Replica 2 is silent, and so is 0, the old leader: one more is needed.
        assert_eq!(chosen.in_sync, [0, 1, 2].map(ReplicaId));
    }

    #[test]
    fn the_preferred_leader_is_chosen_among_equals() {
        let mut agreed = Leadership::first(&topology(3));
        agreed.leader = Some(ReplicaId(2));
        let reports = [(0, 1, 4), (1, 1, 4)];
        let chosen = chosen(Acknowledgement::Async, &agreed, &reports);
        assert_eq!(leader(chosen), Some(0));
    }

    #[test]
    fn a_report_of_a_life_that_does_not_count_is_none() {
        let mut agreed = Leadership::first(&topology(3));
        agreed.lives[2] = 1;
        let reports = [(1, 1, 4), (2, 1, 9)];
        assert_eq!(chosen(Acknowledgement::Async, &agreed, &reports), None);
    }
}
