//! The leader's part: its term, its followers, and what their acknowledgements allow to commit.

use std::collections::BTreeSet;

use longhaul_experiment::{Key, OperationId, ReplicaId, Time};

use super::attendance::Past;
use super::journal::encode;
use super::leadership::Leadership;
use super::leadership::watch::Periods;
use super::log::Log;
use super::message::{Message, Timer};
use super::shipping::{Follower, View};
use super::snapshot::OutgoingSnapshot;
use super::{Acknowledgement, Fencing};
use crate::outbox::Outbox;
use crate::replica::PersistToken;

/// A follower that was there, and held what the log had, so many heartbeats ago keeps up: a round
/// trip of the slowest pair is two, and heartbeats and syncs take their time.
const NEAR_HEARTBEATS: u32 = 6;

/// The most reads that a leader holds.
const READS_HELD_MAX: usize = 1 << 16;

/// What a leader knows.
#[derive(Debug)]
pub(super) struct Leading {
    /// Nothing is shipped in a term before it is safe that this replica leads it.
    pub(super) term_token: PersistToken,
    /// The last index of the log when the term began, its opening entry included.
    pub(super) term_start: u64,
    /// The first of the terms that this replica has led without a break in this life: entries
    /// from there on came from requests to it.
    pub(super) first_term: u64,
    /// A later term that followers know of, though nobody is known to lead it: this replica wants
    /// to be appointed for it. 0: there is none.
    pub(super) wants_term: u64,
    /// The weight of the entries that are not executed yet, in bytes.
    pub(super) waiting_bytes: usize,
    followers: Vec<Follower>,
    /// Until when it may acknowledge and answer reads.
    lease_until: Time,
    /// Until when it takes requests, in the hope of a lease: before then nobody else leads.
    accepts_until: Time,
    /// Reads that wait for the lease, or for what they must see.
    held: Vec<(OperationId, Key)>,
    past: Past,
    /// Who is in the in-sync set if something is agreed on that it proposed after the last
    /// agreement.
    proposed: BTreeSet<ReplicaId>,
    /// Memory for [`Leading::commit`].
    sorted: Vec<u64>,
}

/// How a term begins.
pub(super) struct Beginning<'a> {
    pub(super) now: Time,
    pub(super) periods: Periods,
    /// The sign that it is safe that the term is this replica's.
    pub(super) term_token: PersistToken,
    pub(super) first_term: u64,
    pub(super) log: &'a Log,
    pub(super) agreed: &'a Leadership,
}

impl Leading {
    /// Begins a term.
    pub(super) fn new(
        peers: impl Iterator<Item = ReplicaId>,
        fencing: Fencing,
        beginning: &Beginning<'_>,
    ) -> Leading {
        let now = beginning.now;
        let followers: Vec<Follower> = peers.map(|peer| Follower::new(peer, now)).collect();
        let is_free = fencing == Fencing::None || followers.is_empty();
        let mut leading = Leading {
            term_token: beginning.term_token,
            term_start: beginning.log.last().index,
            first_term: beginning.first_term,
            wants_term: 0,
            waiting_bytes: 0,
            followers,
            lease_until: if is_free { Time::MAX } else { Time::ZERO },
            accepts_until: if is_free {
                Time::MAX
            } else {
                now + beginning.periods.election
            },
            held: Vec::new(),
            past: Past::default(),
            proposed: BTreeSet::new(),
            sorted: Vec::new(),
        };
        leading.on_agreed(beginning.agreed);
        leading
    }

    /// Returns what is known of a follower; `None` when there is no such replica.
    pub(super) fn follower(&mut self, id: ReplicaId) -> Option<&mut Follower> {
        self.followers
            .iter_mut()
            .find(|follower| follower.id() == id)
    }

    /// Says whether it may acknowledge and answer reads.
    pub(super) fn has_lease(&self, now: Time) -> bool {
        now < self.lease_until
    }

    /// Says whether it takes requests.
    pub(super) fn accepts(&self, now: Time) -> bool {
        now < self.accepts_until
    }

    /// Holds a read until it can be answered; says whether it does.
    pub(super) fn hold(&mut self, now: Time, id: OperationId, key: Key) -> bool {
        let holds = self.accepts(now) && self.held.len() < READS_HELD_MAX;
        if holds {
            self.held.push((id, key));
        }
        holds
    }

    /// Takes out the reads that it holds.
    pub(super) fn take_held(&mut self) -> Vec<(OperationId, Key)> {
        std::mem::take(&mut self.held)
    }

    /// Renews the lease: a majority, this replica included, has heard what was sent then.
    pub(super) fn renew_lease(&mut self, periods: Periods, agreed: &Leadership) {
        if self.lease_until == Time::MAX {
            return;
        }
        let granted = self.followers.iter();
        let mut granted: Vec<Time> = granted
            .filter_map(|follower| follower.attendance.granted_at())
            .collect();
        granted.sort_unstable_by(|a, b| b.cmp(a));
        let others = agreed.majority() - 1;
        let of_majority = others.checked_sub(1).and_then(|last| granted.get(last));
        if let Some(&sent_at) = of_majority {
            self.lease_until = self.lease_until.max(sent_at + periods.lease);
            self.accepts_until = self.accepts_until.max(sent_at + periods.election);
        }
    }

    /// Follows an agreement in its own term.
    pub(super) fn on_agreed(&mut self, agreed: &Leadership) {
        self.proposed.clear();
        for follower in &mut self.followers {
            let id = follower.id();
            follower.attendance.on_agreed(id, agreed);
        }
    }

    /// Returns the last index that the rule allows to execute.
    pub(super) fn commit(&mut self, rule: Acknowledgement, own_persisted: u64) -> u64 {
        let by_followers = match rule {
            Acknowledgement::Async => own_persisted,
            Acknowledgement::SemiSync(count) => {
                self.sorted.clear();
                self.sorted
                    .extend(self.followers.iter().map(Follower::acknowledged));
                self.sorted.sort_unstable_by(|a, b| b.cmp(a));
                let least = count.checked_sub(1).and_then(|last| self.sorted.get(last));
                least.copied().unwrap_or(0)
            }
            Acknowledgement::Sync => {
                let members = self.followers.iter();
                members
                    .filter(|follower| follower.attendance.is_required)
                    .map(Follower::acknowledged)
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

    /// Returns what it wants agreed on, if anything, at a heartbeat.
    pub(super) fn wants(
        &mut self,
        rule: Acknowledgement,
        periods: Periods,
        view: &View<'_>,
    ) -> Option<Leadership> {
        let (now, agreed) = (view.now, view.leadership);
        self.past.note(now, view.log.last().index);
        for follower in &mut self.followers {
            let matched = follower.matched();
            follower.attendance.note_progress(now, matched, &self.past);
        }
        let mut wanted = Leadership {
            version: agreed.version + 1,
            ..agreed.clone()
        };
        for follower in &self.followers {
            let new_life = follower.attendance.new_life(follower.matched());
            if let Some(life) = new_life.filter(|_| follower.is_up()) {
                wanted.lives[follower.id().index()] = life;
            }
        }
        if rule == Acknowledgement::Sync {
            wanted.in_sync = self.wanted_in_sync(periods, view);
        }
        if self.wants_term > agreed.term {
            wanted.term = self.wants_term;
        }
        // What was proposed and is not wanted any more is made void by any other agreement.
        let is_void = |id: &ReplicaId| !wanted.in_sync.contains(id);
        let is_new = wanted.in_sync != agreed.in_sync
            || wanted.lives != agreed.lives
            || wanted.term != agreed.term
            || self.proposed.iter().any(is_void);
        if !is_new {
            return None;
        }
        self.proposed.extend(&wanted.in_sync);
        for follower in &mut self.followers {
            let is_proposed = self.proposed.contains(&follower.id());
            follower.attendance.is_required |= is_proposed;
        }
        Some(wanted)
    }

    /// Returns the in-sync set without those that were absent for longer than the election
    /// time-out, as far as a majority is left, and with those that keep up.
    ///
    /// Writes wait for whoever keeps up, from here on: soon it holds all that is committed, as
    /// every member must.
    fn wanted_in_sync(&mut self, periods: Periods, view: &View<'_>) -> Vec<ReplicaId> {
        let (now, agreed) = (view.now, view.leadership);
        let mut members: BTreeSet<ReplicaId> = agreed.in_sync.iter().copied().collect();
        let mut absent = Vec::new();
        for follower in &mut self.followers {
            let id = follower.id();
            let (is_up, acknowledged) = (follower.is_up(), follower.acknowledged());
            let attendance = &mut follower.attendance;
            if agreed.in_sync.contains(&id) {
                let since = attendance.absent_since();
                if now.since(since) > periods.election {
                    absent.push((since, id));
                }
                continue;
            }
            let moment = periods.heartbeat * NEAR_HEARTBEATS;
            attendance.is_joining = is_up && attendance.is_near(now, moment);
            attendance.is_required = attendance.is_joining || self.proposed.contains(&id);
            if attendance.is_joining && acknowledged >= view.commit {
                members.insert(id);
            }
        }
        absent.sort_unstable();
        for (_, id) in absent {
            if members.len() > agreed.majority() {
                members.remove(&id);
            }
        }
        members.into_iter().collect()
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
