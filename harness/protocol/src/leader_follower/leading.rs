//! The leader's part: its term, its followers, and what their acknowledgements allow to commit.

use longhaul_experiment::ReplicaId;

use super::Acknowledgement;
use super::journal::encode;
use super::log::Log;
use super::message::{Message, Timer};
use super::shipping::{Follower, View};
use super::snapshot::OutgoingSnapshot;
use crate::outbox::Outbox;
use crate::replica::PersistToken;

/// What a leader knows.
#[derive(Debug)]
pub(super) struct Leading {
    /// Nothing is shipped in a term before it is safe that this replica leads it.
    pub(super) term_token: PersistToken,
    /// The last index of the log when the term began, its opening entry included.
    pub(super) term_start: u64,
    /// The weight of the entries that are not executed yet, in bytes.
    pub(super) waiting_bytes: usize,
    followers: Vec<Follower>,
    /// Memory for [`Leading::commit`].
    sorted: Vec<u64>,
}

impl Leading {
    /// Begins a term that has `term_token` as the sign that it is safe.
    pub(super) fn new(
        peers: impl Iterator<Item = ReplicaId>,
        term_token: PersistToken,
        log: &Log,
    ) -> Leading {
        Leading {
            term_token,
            term_start: log.last().index,
            waiting_bytes: 0,
            followers: peers.map(Follower::new).collect(),
            sorted: Vec::new(),
        }
    }

    /// Returns what is known of a follower; `None` when there is no such replica.
    pub(super) fn follower(&mut self, id: ReplicaId) -> Option<&mut Follower> {
        self.followers
            .iter_mut()
            .find(|follower| follower.id() == id)
    }

    /// Returns the last index that the rule allows to execute.
    pub(super) fn commit(
        &mut self,
        rule: Acknowledgement,
        own_persisted: u64,
        in_sync: &[ReplicaId],
    ) -> u64 {
        let by_followers = match rule {
            Acknowledgement::Async => own_persisted,
            Acknowledgement::SemiSync(count) => {
                self.sorted.clear();
                self.sorted
                    .extend(self.followers.iter().map(|follower| follower.matched()));
                self.sorted.sort_unstable_by(|a, b| b.cmp(a));
                let least = count.checked_sub(1).and_then(|last| self.sorted.get(last));
                least.copied().unwrap_or(0)
            }
            Acknowledgement::Sync => {
                let members = self.followers.iter();
                members
                    .filter(|follower| in_sync.contains(&follower.id()))
                    .map(|follower| follower.matched())
                    .min()
                    .unwrap_or(own_persisted)
            }
        };
        by_followers.min(own_persisted)
    }

    /// Ships to every follower what is new to it, and asks those that have to be asked.
    pub(super) fn ship(&mut self, view: &View<'_>, out: &mut Outbox<Message, Timer>) {
        for index in 0..self.followers.len() {
            if self.followers[index].needs_snapshot(view.log) {
                let snapshot = self.snapshot(view);
                self.followers[index].begin_snapshot(snapshot);
            }
            self.followers[index].ship(view, out);
        }
    }

    /// Sends every follower a sign of life with the commit index; a probed one is asked again.
    pub(super) fn heartbeat(&mut self, view: &View<'_>, out: &mut Outbox<Message, Timer>) {
        for follower in &mut self.followers {
            follower.heartbeat(view, out);
        }
    }

    /// Returns the index up to which no follower needs the log.
    pub(super) fn needed_after(&self) -> u64 {
        let kept = self.followers.iter().map(Follower::kept);
        kept.min().unwrap_or(u64::MAX)
    }

    /// Returns a snapshot: one that another follower is getting, if the log goes on from there.
    fn snapshot(&self, view: &View<'_>) -> OutgoingSnapshot {
        let mut under_way = self.followers.iter().filter_map(Follower::snapshot);
        match under_way.find(|snapshot| view.log.contains(snapshot.position())) {
            Some(snapshot) => OutgoingSnapshot::new(snapshot.position(), snapshot.bytes().clone()),
            None => {
                let executed = view.log.position_at(view.executed);
                let position = executed.unwrap_or(view.log.base());
                OutgoingSnapshot::new(position, encode(view.store))
            }
        }
    }
}
