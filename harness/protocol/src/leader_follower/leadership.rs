//! What the replicas agree on besides the data: who leads, in which term, and who counts.
//!
//! It is the state of a small log of its own, kept by consensus among all replicas; the data are
//! not in it. Kafka keeps its partitions' leaders and in-sync sets so (KIP-500, the controller
//! quorum; KIP-497 for the conditional change), and so does Patroni with its leader key in a
//! distributed configuration store. Whoever leads the small log is the *controller*.
//!
//! Every entry of the log is a whole [`Leadership`] that succeeds the one its proposer knew: it
//! takes effect only if nothing was agreed on in between. So an appointment is void when the
//! in-sync set that it was chosen from has changed, and a change of the set is void when another
//! leader was appointed.
//!
//! Read on in `watch` (each replica's eye on the leader), `election` (the controller's part) and
//! `consensus` (the log); the leader's part is in `leading`.

pub(super) mod consensus;
pub(super) mod election;
pub(super) mod watch;

use longhaul_experiment::{ReplicaId, Topology};
use serde::{Deserialize, Serialize};

/// Who leads, and who counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leadership {
    /// Numbers the agreements: the first, which is installed, is 1; 0: nothing is known.
    pub version: u64,
    /// The term; each has one leader.
    pub term: u64,
    /// The leader of the term; `None` when nothing is known.
    pub leader: Option<ReplicaId>,
    /// The replicas that must have persisted a synchronous write before it is acknowledged, the
    /// leader included, in order. Never fewer than a majority, so that one of them is among the
    /// replicas whenever a leader can be appointed at all.
    pub in_sync: Vec<ReplicaId>,
    /// By replica: the life that counts, 0 until it loses its storage. A replica that came back
    /// with nothing goes by the number of its new life, and what it acknowledges or reports
    /// counts for nothing until that life is agreed on.
    pub lives: Vec<u32>,
}

impl Leadership {
    /// Returns what is installed at the first start: term 1 of the topology's leader, and all
    /// replicas in sync.
    pub(super) fn first(topology: &Topology) -> Leadership {
        Leadership {
            version: 1,
            term: 1,
            leader: Some(topology.leader),
            in_sync: topology.replica_ids().collect(),
            lives: vec![0; topology.replicas.len()],
        }
    }

    /// Says whether this may be agreed on after `before`.
    pub(super) fn succeeds(&self, before: &Leadership) -> bool {
        let leads_on = self.term == before.term && self.leader == before.leader;
        self.version == before.version + 1 && (leads_on || self.term > before.term)
    }

    /// Says whether a replica counts in this life of its.
    pub(super) fn counts(&self, replica: ReplicaId, life: u32) -> bool {
        self.lives.get(replica.index()) == Some(&life)
    }

    /// Returns how many replicas are a majority.
    pub(super) fn majority(&self) -> usize {
        self.lives.len() / 2 + 1
    }
}

/// Returns the replica that stands for controller at the first start, as Kafka keeps controllers
/// apart from leaders: what hits the leader then does not delay the choice of another. Of the
/// others it is the one that reaches a majority soonest.
pub(super) fn first_controller(topology: &Topology) -> ReplicaId {
    let others = topology.replica_ids().filter(|&id| id != topology.leader);
    let soonest = others.min_by_key(|&id| (majority_round_trip(topology, id), id));
    soonest.unwrap_or(topology.leader)
}

/// Returns how long a replica takes to hear from a majority, itself included.
fn majority_round_trip(topology: &Topology, from: ReplicaId) -> std::time::Duration {
    let others = topology.replica_ids().filter(|&id| id != from);
    let mut trips: Vec<_> = others
        .map(|id| topology.replica_round_trip(from, id))
        .collect();
    trips.sort_unstable();
    let needed = topology.replicas.len() / 2;
    let last = needed.checked_sub(1).and_then(|last| trips.get(last));
    last.copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::chart::topology;
    use super::*;

    #[test]
    fn only_what_follows_the_last_agreement_takes_effect() {
        let first = Leadership::first(&topology(3));
        let later = |version, term, leader| Leadership {
            version,
            term,
            leader: Some(ReplicaId(leader)),
            ..first.clone()
        };
        assert!(later(2, 1, 0).succeeds(&first));
        assert!(later(2, 2, 1).succeeds(&first));
        assert!(!later(3, 2, 1).succeeds(&first), "it skips an agreement");
        assert!(!later(1, 2, 1).succeeds(&first), "it was overtaken");
        assert!(
            !later(2, 1, 1).succeeds(&first),
            "a second leader of one term"
        );
    }

    #[test]
    fn a_replica_that_lost_its_storage_does_not_count_until_that_is_agreed_on() {
        let mut leadership = Leadership::first(&topology(3));
        assert!(leadership.counts(ReplicaId(2), 0));
        assert!(!leadership.counts(ReplicaId(2), 4));
        leadership.lives[2] = 4;
        assert!(leadership.counts(ReplicaId(2), 4));
    }

    #[test]
    fn the_first_controller_is_not_the_leader() {
        assert_eq!(first_controller(&topology(3)), ReplicaId(1));
        assert_eq!(first_controller(&topology(1)), ReplicaId(0));
    }
}
