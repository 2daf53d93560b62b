//! The replica: what leader and follower have in common.

use std::collections::BTreeSet;

use longhaul_experiment::{Now, Operation, ReplicaId, Time};

use super::LeaderFollower;
use super::following::{Following, Unfit};
use super::journal::{Image, Journal, Restored};
use super::leadership::Leadership;
use super::leadership::consensus::{self, Consensus};
use super::leadership::election::Election;
use super::leadership::watch::{Periods, Standing, Watch};
use super::leading::Leading;
use super::log::{Log, Position};
use super::message::{Append, Message, Piece, Timer};
use super::shipping::View;
use super::snapshot::Progress;
use crate::outbox::Outbox;
use crate::quorum::installed;
use crate::quorum::raft::ticking::Ticking;
use crate::replica::{Member, PeerState, PersistToken, Recovered, Replica, Request, first_word};
use crate::store::Store;

/// The weight of executed entries that a leader keeps for followers that lag or are down, in
/// bytes, together with the entries that are not executed yet.
pub(super) const LEADER_LOG_BYTES_MAX: usize = 128 << 20;

/// The same at a follower, for the day it leads: what it executed is in its store, and a short log
/// stays in the processor's caches.
const FOLLOWER_LOG_BYTES_MAX: usize = 64 << 10;

/// A replica of a leader-follower mode.
#[derive(Debug)]
pub struct LeaderFollowerReplica {
    pub(super) mode: LeaderFollower,
    pub(super) member: Member,
    pub(super) standing: Standing,
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
    pub(super) up: BTreeSet<ReplicaId>,
    /// Its part in the consensus on who leads; `None`: it lost its storage.
    pub(super) consensus: Option<Consensus>,
    pub(super) watch: Watch,
    pub(super) election: Election,
    /// Whether it led the term that was agreed on last in an earlier life, and so cannot go on
    /// with it: it asks for another.
    pub(super) asks_again: bool,
    ticking: Ticking,
    pub(super) periods: Periods,
    /// Ticks since the last heartbeat.
    ticks: u32,
    /// When the callback came that it is in.
    pub(super) now: Time,
}

#[derive(Debug)]
pub(super) enum Role {
    Leader(Leading),
    Follower(Following),
}

impl Role {
    /// Returns the follower's part when it follows `leader`.
    pub(super) fn following(&mut self, leader: ReplicaId) -> Option<&mut Following> {
        match self {
            Role::Follower(following) if following.leader() == Some(leader) => Some(following),
            _ => None,
        }
    }
}

impl LeaderFollowerReplica {
    /// Makes a replica, not yet started.
    pub(super) fn new(mode: LeaderFollower, member: Member) -> LeaderFollowerReplica {
        let journal = Journal::new(member.retention);
        let ticking = Ticking::new(mode.election, &member.topology);
        let periods = Periods::of(ticking);
        LeaderFollowerReplica {
            mode,
            member,
            standing: Standing::default(),
            role: Role::Follower(Following::default()),
            log: Log::default(),
            journal,
            store: Store::default(),
            commit: 0,
            executed: 0,
            readable_at: None,
            up: BTreeSet::new(),
            consensus: None,
            watch: Watch::begin(Time::ZERO, periods),
            election: Election::default(),
            asks_again: false,
            ticking,
            periods,
            ticks: 0,
            now: Time::ZERO,
        }
    }

    /// Begins for the first time: everybody knows the first leader.
    fn begin(&mut self, out: &mut Outbox<Message, Timer>) {
        self.standing.agreed = Leadership::first(&self.member.topology);
        self.consensus = Some(Consensus::first(&self.member, self.ticking));
        self.readable_at = Some(0);
        if self.standing.is_led_by(self.member.id) {
            self.lead(None, out);
        }
    }

    /// Begins anew, with nothing.
    fn rejoin(&mut self) {
        self.standing.life = self.member.incarnation;
    }

    /// Continues from what storage kept.
    fn restore(&mut self, restored: Restored, out: &mut Outbox<Message, Timer>) {
        self.journal.resume(&restored);
        let checkpoint = restored.agreements_checkpoint.as_ref();
        let storage = consensus::read_back(&self.member, checkpoint, &restored.agreements);
        self.standing = restored.standing;
        if self.standing.agreed.version == 0 {
            self.standing.agreed = Leadership::first(&self.member.topology);
        }
        self.commit = restored.executed.index;
        self.executed = restored.executed.index;
        self.store = restored.store;
        self.log = restored.log;
        self.asks_again = self.standing.is_led_by(self.member.id);
        let storage = storage.filter(|_| self.standing.life == 0);
        if let Some(storage) = storage {
            let consensus = Consensus::restored(&self.member, self.ticking, storage);
            let agreed = consensus.agreed();
            self.consensus = Some(consensus);
            self.learn(agreed, out);
        }
    }

    /// Moves the commit index of the own term, as long as nobody else can have been appointed.
    fn commit(&mut self) {
        if let Role::Leader(leading) = &mut self.role
            && leading.has_lease(self.now)
        {
            let rule = self.mode.acknowledgement;
            let allowed = leading.commit(rule, self.journal.persisted());
            let term = self.standing.agreed.term;
            let is_own = |position: Position| position.term == term;
            if allowed > self.commit && self.log.position_at(allowed).is_some_and(is_own) {
                self.commit = allowed;
            }
        }
    }

    /// Executes, in log order, what may be executed; the leader answers what it received.
    fn execute(&mut self, out: &mut Outbox<Message, Timer>) {
        let (until, answered_from) = match &self.role {
            Role::Leader(leading) => (self.commit, leading.first_term),
            Role::Follower(following) => {
                let own = self.journal.persisted().min(following.verified());
                (self.commit.min(own), u64::MAX)
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
            if entry.term >= answered_from {
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
            let standing = (self.standing.term(), self.standing.life);
            let own = (&self.log, &self.journal);
            following.answer(standing, self.executed, own, out);
        }
        self.shipping(|leading, view| leading.ship(view, out));
    }

    /// Lets a leader whose term is safe ship.
    pub(super) fn shipping<T>(
        &mut self,
        ship: impl FnOnce(&mut Leading, &View<'_>) -> T,
    ) -> Option<T> {
        let Role::Leader(leading) = &mut self.role else {
            return None;
        };
        if !self.journal.is_safe(leading.term_token) {
            return None;
        }
        let view = View {
            now: self.now,
            leadership: &self.standing.agreed,
            log: &self.log,
            store: &self.store,
            executed: self.executed,
            commit: self.commit,
            readable_at: self.commit.max(leading.term_start),
        };
        Some(ship(leading, &view))
    }

    /// Hands to the storage what is new.
    fn persist(&mut self, out: &mut Outbox<Message, Timer>) {
        if !self.journal.is_behind(&self.log) {
            return;
        }
        let image = Image {
            standing: &self.standing,
            agreements: self.consensus.as_ref().map(Consensus::storage),
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

    pub(super) fn on_append(
        &mut self,
        from: ReplicaId,
        append: Append,
        out: &mut Outbox<Message, Timer>,
    ) {
        let term = self.standing.term();
        let (commit, append_term) = (append.commit, append.term);
        let taken = match self.role.following(from) {
            Some(following) if append_term == term => {
                self.watch.heard(self.now);
                let own = (&mut self.log, &mut self.journal);
                following.on_append(append, self.executed, own)
            }
            _ => Err(Unfit),
        };
        match taken {
            Ok(cut) => {
                self.commit = self.commit.max(commit);
                out.truncated(cut);
            }
            Err(Unfit) => self.reject(from, append_term, out),
        }
    }

    fn on_piece(&mut self, from: ReplicaId, piece: Piece, out: &mut Outbox<Message, Timer>) {
        let term = self.standing.term();
        let progress = match self.role.following(from) {
            Some(following) if piece.term == term => {
                self.watch.heard(self.now);
                following.on_piece(&piece)
            }
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
                Err(_) => self.reject(from, piece.term, out),
            },
            Progress::Misplaced => self.reject(from, piece.term, out),
        }
    }

    /// Replaces everything by a store that has executed `position`, and so undoes what was
    /// executed here and is not in the leader's log.
    fn install(&mut self, store: Store, position: Position, out: &mut Outbox<Message, Timer>) {
        installed::note_changes(&self.store, &store, out);
        if self.is_readable() {
            self.readable_at = self.readable_at.min(Some(position.index));
        }
        let last = self.log.last().index;
        self.store = store;
        self.log = Log::new(position);
        self.executed = position.index;
        self.commit = position.index;
        self.journal.truncate_after(0);
        if let Role::Follower(following) = &mut self.role {
            out.truncated(following.on_installed(position.index, last));
        }
        let image = Image {
            standing: &self.standing,
            agreements: self.consensus.as_ref().map(Consensus::storage),
            executed: position,
            store: &self.store,
            log: &self.log,
        };
        self.journal.persist_checkpoint(&image, out);
    }

    /// Takes what a follower says to its leader.
    fn on_answer(&mut self, from: ReplicaId, message: &Message) {
        let agreed = &self.standing.agreed;
        let Role::Leader(leading) = &mut self.role else {
            return;
        };
        let Some(term) = answered_term(message).filter(|&term| term <= agreed.term) else {
            // The follower promised itself to a later term, and takes nothing of this one.
            let later = answered_term(message).unwrap_or(0);
            leading.wants_term = leading.wants_term.max(later);
            return;
        };
        let Some(follower) = leading.follower(from) else {
            return;
        };
        let is_own = term == agreed.term;
        let sign = (self.now, self.log.last().index);
        match *message {
            // It may come from one that has not heard of this term.
            Message::Reject { .. } => follower.on_reject(&self.log),
            _ if !is_own => {}
            Message::Match {
                round,
                position,
                executed,
                life,
                ..
            } => {
                let counts = agreed.counts(from, life);
                follower.attendance.on_sign(sign, counts, life);
                follower.on_match(round, (position, executed), &self.log);
            }
            Message::Acknowledge { persisted, .. } => follower.on_acknowledge(persisted),
            Message::PieceReceived {
                position, received, ..
            } => follower.on_piece_received(position, received),
            Message::Heard { sent_at, life, .. } => {
                let counts = agreed.counts(from, life);
                follower.attendance.on_sign(sign, counts, life);
                follower.attendance.on_heard(sent_at);
                leading.renew_lease(self.periods, agreed);
            }
            _ => {}
        }
    }
}

/// Returns the sender's term, of an answer to a leader.
fn answered_term(message: &Message) -> Option<u64> {
    match *message {
        Message::Match { term, .. }
        | Message::Acknowledge { term, .. }
        | Message::Reject { term }
        | Message::PieceReceived { term, .. }
        | Message::Heard { term, .. } => Some(term),
        _ => None,
    }
}

impl Replica for LeaderFollowerReplica {
    type Message = Message;
    type Timer = Timer;

    fn name(message: &Message) -> String {
        match message {
            Message::Consensus(message) => first_word(&message.kind()),
            message => first_word(message),
        }
    }

    fn on_start(&mut self, now: Now, recovered: Recovered, out: &mut Outbox<Message, Timer>) {
        self.now = now.monotonic;
        self.watch = Watch::begin(self.now, self.periods);
        out.set_timer(Timer::Tick, self.ticking.tick);
        match recovered {
            Recovered::Nothing => self.begin(out),
            Recovered::Lost => self.rejoin(),
            Recovered::Storage {
                checkpoint,
                records,
            } => match Restored::read(checkpoint.as_ref(), &records) {
                Ok(restored) => self.restore(restored, out),
                Err(_) => self.rejoin(),
            },
        }
    }

    fn on_request(&mut self, now: Now, request: Request, out: &mut Outbox<Message, Timer>) {
        self.now = now.monotonic;
        match request.operation {
            Operation::Read { .. } => self.read(request.id, &request.operation, out),
            _ => self.append(request, out),
        }
    }

    fn on_message(
        &mut self,
        now: Now,
        from: ReplicaId,
        message: Message,
        out: &mut Outbox<Message, Timer>,
    ) {
        self.now = now.monotonic;
        match message {
            Message::Append(append) => self.on_append(from, append, out),
            Message::Lead(lead) => self.on_lead(from, *lead, out),
            Message::Piece(piece) => self.on_piece(from, *piece, out),
            Message::Heartbeat(heartbeat) => self.on_heartbeat(from, *heartbeat, out),
            Message::Missing { version, life } => self.on_missing(from, (version, life), out),
            Message::Gather(gather) => self.on_gather(from, *gather, out),
            Message::Report(report) => self.on_report(from, &report),
            Message::Propose(propose) => self.on_propose(from, *propose, out),
            Message::News(leadership) => self.learn(*leadership, out),
            Message::Consensus(message) => {
                if let Some(consensus) = &mut self.consensus {
                    consensus.on_message(from, *message);
                }
            }
            answer => self.on_answer(from, &answer),
        }
    }

    fn on_timer(&mut self, now: Now, Timer::Tick: Timer, out: &mut Outbox<Message, Timer>) {
        self.now = now.monotonic;
        out.set_timer(Timer::Tick, self.ticking.tick);
        if let Some(consensus) = &mut self.consensus {
            consensus.on_tick();
        }
        self.ticks = (self.ticks + 1) % self.ticking.per_heartbeat;
        if self.ticks == 0 {
            self.beat(out);
        }
    }

    fn on_persisted(&mut self, now: Now, token: PersistToken, out: &mut Outbox<Message, Timer>) {
        self.now = now.monotonic;
        self.journal.on_persisted(token);
        if let Some(consensus) = &mut self.consensus {
            consensus.on_persisted(&self.journal, out);
        }
    }

    fn on_peer(
        &mut self,
        now: Now,
        peer: ReplicaId,
        state: PeerState,
        out: &mut Outbox<Message, Timer>,
    ) {
        self.now = now.monotonic;
        let up = state == PeerState::Up;
        if up {
            self.up.insert(peer);
            self.tell_news(peer, out);
        } else {
            self.up.remove(&peer);
        }
        if let Some(consensus) = &mut self.consensus {
            consensus.on_peer(peer, state);
        }
        if let Role::Leader(leading) = &mut self.role
            && let Some(follower) = leading.follower(peer)
        {
            follower.on_peer(up, &self.log);
        }
    }

    fn on_batch_end(&mut self, now: Now, out: &mut Outbox<Message, Timer>) {
        self.now = now.monotonic;
        self.agree(out);
        self.commit();
        self.execute(out);
        self.answer_held_reads(out);
        self.send(out);
        self.persist(out);
        self.compact();
    }
}
