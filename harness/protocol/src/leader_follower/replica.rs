//! The replica: what leader and follower have in common.

use std::collections::BTreeSet;
use std::time::Duration;

use longhaul_experiment::{ErrorKind, Now, Operation, OperationId, Outcome, ReplicaId};

use super::following::{Following, Unfit};
use super::journal::{Image, Journal, Restored};
use super::leading::Leading;
use super::log::{Entry, Log, Position};
use super::message::{Append, Lead, Leadership, Message, Piece, Timer};
use super::shipping::View;
use super::snapshot::Progress;
use super::{LeaderFollower, ReadAt};
use crate::outbox::Outbox;
use crate::replica::{Member, PeerState, PersistToken, Recovered, Replica, Request};
use crate::store::Store;

/// The most entries that wait for their execution at the leader. Further writes end as unknown:
/// they are not refused, because an earlier attempt of the same operation may be waiting.
pub(super) const WAITING_ENTRIES_MAX: u64 = 1 << 18;

/// The most weight of the entries that wait for their execution at the leader, in bytes.
const WAITING_BYTES_MAX: usize = 64 << 20;

/// The weight of executed entries that a leader keeps for followers that lag or are down, in
/// bytes, together with the entries that are not executed yet.
pub(super) const LEADER_LOG_BYTES_MAX: usize = 128 << 20;

/// The same at a follower, for the day it leads: what it executed is in its store, and a short log
/// stays in the processor's caches.
const FOLLOWER_LOG_BYTES_MAX: usize = 64 << 10;

/// The bounds of the heartbeat's interval, which is the topology's largest round trip.
const HEARTBEAT_BOUNDS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// A replica of a leader-follower mode.
#[derive(Debug)]
pub struct LeaderFollowerReplica {
    pub(super) mode: LeaderFollower,
    pub(super) member: Member,
    pub(super) leadership: Leadership,
    pub(super) role: Role,
    pub(super) log: Log,
    pub(super) journal: Journal,
    pub(super) store: Store,
    /// What may be executed, as far as is known.
    pub(super) commit: u64,
    /// What was executed.
    pub(super) executed: u64,
    /// Reads are answered once this index is executed; `None`: not yet known. So a replica that
    /// restarted never shows less than before.
    pub(super) readable_at: Option<u64>,
    up: BTreeSet<ReplicaId>,
}

#[derive(Debug)]
pub(super) enum Role {
    Leader(Leading),
    Follower(Following),
}

impl Role {
    /// Returns the follower's part when it follows `leader`.
    fn following(&mut self, leader: ReplicaId) -> Option<&mut Following> {
        match self {
            Role::Follower(following) if following.leader() == Some(leader) => Some(following),
            _ => None,
        }
    }
}

impl LeaderFollowerReplica {
    /// Makes a replica, not yet started.
    pub(super) fn new(mode: LeaderFollower, member: Member) -> LeaderFollowerReplica {
        let in_sync = member.topology.replica_ids().collect();
        let journal = Journal::new(member.retention);
        LeaderFollowerReplica {
            mode,
            member,
            leadership: Leadership { term: 0, in_sync },
            role: Role::Follower(Following::default()),
            log: Log::default(),
            journal,
            store: Store::default(),
            commit: 0,
            executed: 0,
            readable_at: None,
            up: BTreeSet::new(),
        }
    }

    /// Continues from what storage kept; with unreadable storage, from nothing.
    fn restore(&mut self, restored: Restored) {
        self.journal.resume(&restored);
        if !restored.leadership.in_sync.is_empty() {
            self.leadership = restored.leadership;
        }
        self.commit = restored.executed.index;
        self.executed = restored.executed.index;
        self.store = restored.store;
        self.log = restored.log;
    }

    /// Begins a term of its own.
    fn lead(&mut self, out: &mut Outbox<Message, Timer>) {
        self.leadership.term += 1;
        let term = self.leadership.term;
        let term_token = self.journal.persist_leadership(&self.leadership, out);
        if self.log.last().index > 0 {
            // Acknowledgements count for entries of the own term alone (Raft, section 5.4.2), so
            // that entries of earlier terms need one of this term after them.
            self.log.push(Entry {
                term,
                request: None,
            });
        }
        let mut leading = Leading::new(self.member.peers(), term_token, &self.log);
        leading.waiting_bytes = self
            .log
            .from(self.executed + 1)
            .map(|entry| entry.weight())
            .sum();
        for &peer in &self.up {
            if let Some(follower) = leading.follower(peer) {
                follower.on_peer(true, &self.log);
            }
        }
        self.readable_at = Some(leading.term_start);
        self.role = Role::Leader(leading);
        out.leader(term, Some(self.member.id));
        out.set_timer(Timer::Heartbeat, self.heartbeat_interval());
    }

    /// Follows the leader of a later term, or meets the leader of this term again.
    fn follow(&mut self, from: ReplicaId, lead: Lead, out: &mut Outbox<Message, Timer>) {
        let is_later = lead.leadership.term > self.leadership.term;
        if let Role::Leader(_) = self.role {
            if !is_later {
                return;
            }
            self.stop_leading(out);
        }
        if lead.leadership != self.leadership {
            self.leadership = lead.leadership.clone();
            self.journal.persist_leadership(&self.leadership, out);
        }
        let Role::Follower(following) = &mut self.role else {
            return;
        };
        if is_later || following.leader() != Some(from) {
            out.leader(self.leadership.term, Some(from));
        }
        self.readable_at.get_or_insert(lead.readable_at);
        following.on_lead(from, &lead, self.executed);
    }

    /// Becomes a follower that knows of no leader. Its waiting operations stay unanswered: they
    /// may have an effect or not.
    fn stop_leading(&mut self, out: &mut Outbox<Message, Timer>) {
        self.role = Role::Follower(Following::default());
        out.cancel_timer(Timer::Heartbeat);
        out.leader(self.leadership.term, None);
    }

    fn append(&mut self, request: Request, out: &mut Outbox<Message, Timer>) {
        let (id, hint) = (request.id, self.leader_hint());
        let Role::Leader(leading) = &mut self.role else {
            return out.refuse(id, ErrorKind::NotLeader { hint });
        };
        let waiting = self.log.last().index - self.executed;
        if waiting >= WAITING_ENTRIES_MAX || leading.waiting_bytes >= WAITING_BYTES_MAX {
            return out.reply(id, Outcome::Unknown(ErrorKind::Overloaded));
        }
        let entry = Entry {
            term: self.leadership.term,
            request: Some(request.into()),
        };
        leading.waiting_bytes += entry.weight();
        self.log.push(entry);
    }

    fn read(&mut self, id: OperationId, operation: &Operation, out: &mut Outbox<Message, Timer>) {
        if let Role::Follower(_) = self.role
            && self.mode.read == ReadAt::Leader
        {
            let hint = self.leader_hint();
            return out.refuse(id, ErrorKind::NotLeader { hint });
        }
        match self.readable_at {
            Some(index) if index <= self.executed => {
                out.reply(id, Outcome::Ok(self.store.read(operation.key())));
            }
            _ => out.refuse(id, ErrorKind::NotReady),
        }
    }

    /// Returns whom clients should ask.
    fn leader_hint(&self) -> Option<ReplicaId> {
        let known = match &self.role {
            Role::Leader(_) => Some(self.member.id),
            Role::Follower(following) => following.leader(),
        };
        let configured = Some(self.member.topology.leader).filter(|&id| id != self.member.id);
        known.or(configured)
    }

    fn heartbeat_interval(&self) -> Duration {
        let (least, most) = HEARTBEAT_BOUNDS;
        self.member.topology.largest_round_trip().clamp(least, most)
    }

    /// Moves the commit index of the own term.
    fn commit(&mut self) {
        if let Role::Leader(leading) = &mut self.role {
            let rule = self.mode.acknowledgement;
            let allowed = leading.commit(rule, self.journal.persisted(), &self.leadership.in_sync);
            let is_own = |position: Position| position.term == self.leadership.term;
            if allowed > self.commit && self.log.position_at(allowed).is_some_and(is_own) {
                self.commit = allowed;
            }
        }
    }

    /// Executes, in log order, what may be executed; the leader answers what it received.
    fn execute(&mut self, out: &mut Outbox<Message, Timer>) {
        let (until, answered_term) = match &self.role {
            Role::Leader(_) => (self.commit, Some(self.leadership.term)),
            Role::Follower(following) => {
                let own = self.journal.persisted().min(following.verified());
                (self.commit.min(own), None)
            }
        };
        let mut weight = 0;
        while self.executed < until
            && let Some(entry) = self.log.get(self.executed + 1)
        {
            self.executed += 1;
            weight += entry.weight();
            let Some(request) = &entry.request else {
                continue;
            };
            let execution = self.store.execute_shared(request, self.executed);
            if let Some((key, version)) = execution.changed {
                out.applied(key, version);
            }
            // All entries of the own term came from requests to this life of this replica.
            if answered_term == Some(entry.term) {
                out.reply(request.id, execution.outcome);
            }
        }
        if let Role::Leader(leading) = &mut self.role {
            leading.waiting_bytes -= weight;
        }
    }

    /// Sends what the batch brought about.
    fn send(&mut self, out: &mut Outbox<Message, Timer>) {
        if let Role::Follower(following) = &mut self.role {
            let term = self.leadership.term;
            let own = (&self.log, &self.journal);
            following.answer(term, self.executed, own, out);
        }
        self.shipping(|leading, view| leading.ship(view, out));
    }

    /// Lets a leader whose term is safe ship.
    fn shipping(&mut self, ship: impl FnOnce(&mut Leading, &View<'_>)) {
        if let Role::Leader(leading) = &mut self.role
            && self.journal.is_safe(leading.term_token)
        {
            let view = View {
                leadership: &self.leadership,
                log: &self.log,
                store: &self.store,
                executed: self.executed,
                commit: self.commit,
                readable_at: self.commit.max(leading.term_start),
            };
            ship(leading, &view);
        }
    }

    /// Hands to the storage what is new.
    fn persist(&mut self, out: &mut Outbox<Message, Timer>) {
        if !self.journal.is_behind(&self.log) {
            return;
        }
        let image = Image {
            leadership: &self.leadership,
            executed: self
                .log
                .position_at(self.executed)
                .unwrap_or(self.log.base()),
            store: &self.store,
            log: &self.log,
        };
        self.journal.persist_entries(&image, out);
    }

    /// Forgets the part of the log that nobody needs, or that is too much to keep.
    fn compact(&mut self) {
        let (needed, bytes_max) = match &self.role {
            Role::Leader(leading) => (leading.needed_after(), LEADER_LOG_BYTES_MAX),
            Role::Follower(_) => (0, FOLLOWER_LOG_BYTES_MAX),
        };
        let bytes_max = self.member.retention.of(bytes_max);
        self.log.compact(self.executed, needed, bytes_max);
    }

    fn on_append(&mut self, from: ReplicaId, append: Append, out: &mut Outbox<Message, Timer>) {
        let term = self.leadership.term;
        let commit = append.commit;
        let taken = match self.role.following(from) {
            Some(following) if append.term == term => {
                let own = (&mut self.log, &mut self.journal);
                following.on_append(append, self.executed, own)
            }
            _ => Err(Unfit),
        };
        match taken {
            Ok(()) => self.commit = self.commit.max(commit),
            Err(Unfit) => out.send(from, Message::Reject { term }),
        }
    }

    fn on_piece(&mut self, from: ReplicaId, piece: Piece, out: &mut Outbox<Message, Timer>) {
        let term = self.leadership.term;
        let progress = match self.role.following(from) {
            Some(following) if piece.term == term => following.on_piece(&piece),
            _ => Progress::Misplaced,
        };
        match progress {
            Progress::Partial(received) => {
                let position = piece.position;
                let news = Message::PieceReceived {
                    term,
                    position,
                    received,
                };
                out.send(from, news);
            }
            Progress::Complete(bytes) => match postcard::from_bytes(&bytes) {
                Ok(store) => self.install(store, piece.position, out),
                Err(_) => out.send(from, Message::Reject { term }),
            },
            Progress::Misplaced => out.send(from, Message::Reject { term }),
        }
    }

    /// Replaces everything by a store that has executed `position`.
    fn install(&mut self, store: Store, position: Position, out: &mut Outbox<Message, Timer>) {
        for (key, entry) in store.entries() {
            if entry.version.major > self.executed {
                out.applied(key, entry.version);
            }
        }
        self.store = store;
        self.log = Log::new(position);
        self.executed = position.index;
        self.commit = self.commit.max(position.index);
        self.journal.truncate_after(0);
        if let Role::Follower(following) = &mut self.role {
            following.on_installed(position.index);
        }
        let image = Image {
            leadership: &self.leadership,
            executed: position,
            store: &self.store,
            log: &self.log,
        };
        self.journal.persist_checkpoint(&image, out);
    }

    /// Takes what a follower says to its leader.
    fn on_answer(&mut self, from: ReplicaId, message: Message, out: &mut Outbox<Message, Timer>) {
        let Role::Leader(leading) = &mut self.role else {
            return;
        };
        let own_term = self.leadership.term;
        if message.term() > own_term {
            return self.stop_leading(out);
        }
        let Some(follower) = leading.follower(from) else {
            return;
        };
        match message {
            // It may come from one that has not heard of this term.
            Message::Reject { .. } => follower.on_reject(&self.log),
            message if message.term() < own_term => {}
            Message::Match {
                round, position, ..
            } => follower.on_match(round, position, &self.log),
            Message::Acknowledge { persisted, .. } => follower.on_acknowledge(persisted),
            Message::PieceReceived {
                position, received, ..
            } => follower.on_piece_received(position, received),
            Message::Lead(_) | Message::Append(_) | Message::Piece(_) => {}
        }
    }
}

impl Replica for LeaderFollowerReplica {
    type Message = Message;
    type Timer = Timer;

    fn on_start(&mut self, _now: Now, recovered: Recovered, out: &mut Outbox<Message, Timer>) {
        let has_past = match recovered {
            Recovered::Nothing => {
                self.readable_at = Some(0);
                true
            }
            Recovered::Lost => false,
            Recovered::Storage {
                checkpoint,
                records,
            } => match Restored::read(checkpoint.as_ref(), &records) {
                Ok(restored) => {
                    self.restore(restored);
                    true
                }
                Err(_) => false,
            },
        };
        // A leader without its log would replace the followers' by nothing: it does not lead.
        if has_past && self.member.id == self.member.topology.leader {
            self.lead(out);
        }
    }

    fn on_request(&mut self, _now: Now, request: Request, out: &mut Outbox<Message, Timer>) {
        match request.operation {
            Operation::Read { .. } => self.read(request.id, &request.operation, out),
            _ => self.append(request, out),
        }
    }

    fn on_message(
        &mut self,
        _now: Now,
        from: ReplicaId,
        message: Message,
        out: &mut Outbox<Message, Timer>,
    ) {
        match message {
            Message::Lead(lead) if lead.leadership.term < self.leadership.term => {
                let term = self.leadership.term;
                out.send(from, Message::Reject { term });
            }
            Message::Lead(lead) => self.follow(from, *lead, out),
            Message::Append(append) => self.on_append(from, append, out),
            Message::Piece(piece) => self.on_piece(from, *piece, out),
            answer => self.on_answer(from, answer, out),
        }
    }

    fn on_timer(&mut self, _now: Now, timer: Timer, out: &mut Outbox<Message, Timer>) {
        match timer {
            Timer::Heartbeat => {
                self.shipping(|leading, view| leading.heartbeat(view, out));
                if let Role::Leader(_) = self.role {
                    out.set_timer(Timer::Heartbeat, self.heartbeat_interval());
                }
            }
        }
    }

    fn on_persisted(&mut self, _now: Now, token: PersistToken, _out: &mut Outbox<Message, Timer>) {
        self.journal.on_persisted(token);
    }

    fn on_peer(
        &mut self,
        _now: Now,
        peer: ReplicaId,
        state: PeerState,
        _out: &mut Outbox<Message, Timer>,
    ) {
        let up = state == PeerState::Up;
        if up {
            self.up.insert(peer);
        } else {
            self.up.remove(&peer);
        }
        if let Role::Leader(leading) = &mut self.role
            && let Some(follower) = leading.follower(peer)
        {
            follower.on_peer(up, &self.log);
        }
    }

    fn on_batch_end(&mut self, _now: Now, out: &mut Outbox<Message, Timer>) {
        self.commit();
        self.execute(out);
        self.send(out);
        self.persist(out);
        self.compact();
    }
}
