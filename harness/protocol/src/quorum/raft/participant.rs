//! A raft node at work: proposals in, effects out, once for every batch of callbacks.

use std::collections::{BTreeSet, VecDeque};

use longhaul_experiment::{ErrorKind, Now, Operation, OperationId, Outcome, ReplicaId};
use raft::eraftpb::{Entry, Message};
use raft::{RawNode, Ready, SnapshotStatus, StateRole};

use super::adapter::{self, PROPOSAL_BYTES_MAX};
use super::reads::{Read, Reads};
use super::request::request_in;
use super::storage::{LogLimit, LogStorage, Position, entry_bytes};
use super::ticking::Ticking;
use super::wire::{RaftMessage, RaftMessageKind};
use super::{Raft, RaftReads, RaftTimer};
use crate::outbox::{LogRecord, Outbox};
use crate::quorum::installed;
use crate::quorum::timeouts::Timeouts;
use crate::replica::{Member, PeerState, PersistToken, Request};
use crate::store::Store;

/// What the log keeps, executed or not, for followers that may lag behind the next leader. The
/// bytes are for values of a kilobyte and more: with each entry their memory would be new.
pub(super) const KEPT: LogLimit = LogLimit {
    entries: 1 << 14,
    bytes: 16 << 20,
};

/// What the log may hold before it is cut down to [`KEPT`]: an eighth more, so that this is seldom
/// looked at.
const TIDIED_BEYOND: LogLimit = LogLimit {
    entries: KEPT.entries / 8 * 9,
    bytes: KEPT.bytes / 8 * 9,
};

/// What a leader keeps while a follower lags by more; further behind, the follower is sent a
/// snapshot.
pub(super) const KEPT_MAX: LogLimit = LogLimit {
    entries: 1 << 17,
    bytes: 128 << 20,
};

/// The least bytes of log records between two checkpoints.
const CHECKPOINT_BYTES_MIN: usize = 16 << 20;

/// The size of a checkpoint that earns as many bytes of log records before the next.
const CHECKPOINT_RATIO: u64 = 2;

type RaftOutbox = Outbox<Box<RaftMessage>, RaftTimer>;

/// A request that was proposed here and waits for its entry's execution.
#[derive(Debug)]
struct Proposed {
    position: Position,
    id: OperationId,
}

/// What waits for a persist effect's report.
#[derive(Debug)]
struct Persisting {
    token: PersistToken,
    ready: u64,
    messages: Vec<Message>,
}

/// How a participant begins.
#[derive(Debug)]
pub(super) struct Beginning {
    /// What its storage holds.
    pub storage: LogStorage,
    /// Whether it is the very first start.
    pub first: bool,
}

/// A replica with a vote.
pub(super) struct Participant {
    member: Member,
    reading: RaftReads,
    ticking: Ticking,
    /// Ticks since the last full heartbeat's interval.
    ticks: u32,
    node: RawNode<LogStorage>,
    voters: Vec<u64>,
    up: BTreeSet<ReplicaId>,
    /// Whether it stands for election as soon as a majority can hear it.
    stands_first: bool,
    /// Ticks that it lets pass without standing for election while there was no leader ever.
    patience: u32,
    /// Ticks that it lets pass without granting votes, since it may have confirmed a lease
    /// before it restarted.
    deaf: u32,
    queue: Vec<Request>,
    proposed: VecDeque<Proposed>,
    reads: Reads,
    persisting: VecDeque<Persisting>,
    last_token: u64,
    reported: (u64, Option<ReplicaId>),
    unchecked_bytes: u64,
    checkpoint_bytes: u64,
}

impl Participant {
    pub(super) fn new(member: Member, mode: Raft, beginning: Beginning) -> Participant {
        let reading = mode.reads;
        let ticking = Ticking::new(mode.election, &member.topology);
        let voters: Vec<u64> = member
            .topology
            .replica_ids()
            .map(adapter::node_id)
            .collect();
        let preferred = member.topology.leader == member.id;
        let restarted_lease = !beginning.first && reading == RaftReads::Lease;
        Participant {
            ticking,
            ticks: 0,
            node: adapter::node(member.id, beginning.storage, &ticking),
            up: BTreeSet::new(),
            stands_first: (beginning.first && preferred) || voters.len() == 1,
            patience: if beginning.first && !preferred {
                ticking.heartbeats(Timeouts::BOOTSTRAP_HEARTBEATS)
            } else {
                0
            },
            deaf: if restarted_lease {
                ticking.heartbeats(Timeouts::ELECTION_HEARTBEATS)
            } else {
                0
            },
            queue: Vec::new(),
            proposed: VecDeque::new(),
            reads: Reads::default(),
            persisting: VecDeque::new(),
            last_token: 0,
            reported: (0, None),
            unchecked_bytes: 0,
            checkpoint_bytes: 0,
            member,
            reading,
            voters,
        }
    }

    pub(super) fn on_start(&mut self, out: &mut RaftOutbox) {
        out.set_timer(RaftTimer::Tick, self.ticking.tick);
        self.stand_first();
    }

    pub(super) fn on_request(&mut self, request: Request, out: &mut RaftOutbox) {
        if !self.leads() {
            let hint = self.leader();
            out.refuse(request.id, ErrorKind::NotLeader { hint });
            return;
        }
        match request.operation {
            Operation::Read { key } if self.reading != RaftReads::Log => {
                self.reads.ask(Read {
                    id: request.id,
                    key,
                });
            }
            _ => self.queue.push(request),
        }
    }

    pub(super) fn on_message(&mut self, from: ReplicaId, message: RaftMessage) {
        let asks_for_vote = matches!(
            message.kind,
            RaftMessageKind::RequestVote | RaftMessageKind::RequestPreVote
        );
        if asks_for_vote && self.deaf > 0 {
            return;
        }
        if let Some(snapshot) = &message.snapshot
            && postcard::from_bytes::<Store>(&snapshot.data).is_err()
        {
            return;
        }
        let message = adapter::message_in(from, self.node.raft.id, message, &self.voters);
        // An error means that the message was of no use, e.g. from a node unknown here.
        let _ = self.node.step(message);
    }

    pub(super) fn on_tick(&mut self, now: Now, out: &mut RaftOutbox) {
        out.set_timer(RaftTimer::Tick, self.ticking.tick);
        self.deaf = self.deaf.saturating_sub(1);
        if self.patience > 0 && self.node.raft.term == 0 {
            self.patience -= 1;
            return;
        }
        // The library draws its time-outs from an unseeded generator whenever its role changes.
        // They count only while it ticks, so they are replaced here.
        let term = self.node.raft.term;
        let election_ticks = self.ticking.election_ticks(&self.member, term);
        self.node
            .raft
            .set_randomized_election_timeout(election_ticks);
        self.node.tick();
        self.ticks = (self.ticks + 1) % self.ticking.per_heartbeat;
        if self.reading == RaftReads::Lease && self.ticks == 0 && self.leads() {
            self.begin_read_round(now);
        }
    }

    pub(super) fn on_persisted(&mut self, token: PersistToken, out: &mut RaftOutbox) {
        while let Some(front) = self.persisting.front() {
            if front.token > token {
                return;
            }
            if let Some(persisting) = self.persisting.pop_front() {
                self.node.on_persist_ready(persisting.ready);
                send(persisting.messages, out);
            }
        }
    }

    pub(super) fn on_peer(&mut self, peer: ReplicaId, state: PeerState) {
        match state {
            PeerState::Up => {
                self.up.insert(peer);
                self.stand_first();
                // Whoever just came up learns of the leader at once, and its answer resumes
                // replication to it.
                self.node.ping();
            }
            PeerState::Down => {
                self.up.remove(&peer);
                let peer = adapter::node_id(peer);
                self.node.report_unreachable(peer);
                self.node.report_snapshot(peer, SnapshotStatus::Failure);
            }
        }
    }

    pub(super) fn on_batch_end(&mut self, now: Now, out: &mut RaftOutbox) {
        self.propose(out);
        self.ask_majority(now);
        while self.node.has_ready() {
            self.process_ready(out);
        }
        self.note_leader(out);
        self.answer_reads(out);
        self.abandon_if_deposed(out);
        self.tidy(out);
    }

    /// Stands for election at the first start, as soon as a majority can hear.
    fn stand_first(&mut self) {
        let majority = self.voters.len() / 2 + 1;
        if !self.stands_first || self.up.len() + 1 < majority {
            return;
        }
        self.stands_first = false;
        if self.leader().is_some() {
            return;
        }
        // Nobody leads, so there is nobody to disturb and nothing to ask beforehand.
        self.node.raft.pre_vote = false;
        let _ = self.node.campaign();
        self.node.raft.pre_vote = true;
    }

    fn leads(&self) -> bool {
        self.node.raft.state == StateRole::Leader
    }

    fn leader(&self) -> Option<ReplicaId> {
        adapter::replica_id(self.node.raft.leader_id)
    }

    /// Proposes the batch's requests, in as few pieces as messages hold.
    fn propose(&mut self, out: &mut RaftOutbox) {
        if self.queue.is_empty() {
            return;
        }
        let requests = std::mem::take(&mut self.queue);
        let mut entries = Vec::with_capacity(requests.len());
        let mut bytes = 0;
        let mut piece = Vec::with_capacity(requests.len());
        for request in requests {
            // From here on the entry alone holds the request's value.
            let data = encode(&request);
            if bytes + data.len() > PROPOSAL_BYTES_MAX && !piece.is_empty() {
                self.propose_piece(std::mem::take(&mut piece), entries, out);
                (entries, bytes) = (Vec::new(), 0);
            }
            bytes += data.len();
            entries.push(adapter::proposal(data));
            piece.push(request.id);
        }
        self.propose_piece(piece, entries, out);
    }

    fn propose_piece(
        &mut self,
        piece: Vec<OperationId>,
        entries: Vec<Entry>,
        out: &mut RaftOutbox,
    ) {
        let hint = self.leader();
        if !self.leads() {
            for id in piece {
                out.refuse(id, ErrorKind::NotLeader { hint });
            }
            return;
        }
        let raft = &self.node.raft;
        let (first, term) = (raft.raft_log.last_index() + 1, raft.term);
        if self.node.step(adapter::propose(raft.id, entries)).is_err() {
            for id in piece {
                out.refuse(id, ErrorKind::Overloaded);
            }
            return;
        }
        let proposed = piece.into_iter().zip(first..);
        self.proposed.extend(proposed.map(|(id, index)| Proposed {
            position: Position { index, term },
            id,
        }));
    }

    /// Takes reads that the lease covers, and asks the followers about the others.
    fn ask_majority(&mut self, now: Now) {
        if !self.reads.has_asked() || !self.leads() {
            return;
        }
        if self.reading == RaftReads::Lease && self.node.raft.commit_to_current_term() {
            let committed = self.node.raft.raft_log.committed;
            self.reads.use_lease(now.monotonic, committed);
        }
        if self.reads.has_asked() {
            self.begin_read_round(now);
        }
    }

    fn begin_read_round(&mut self, now: Now) {
        // Before a leader has committed an entry of its own term it does not know what is
        // committed; the library would drop the question. The reads wait for a later batch.
        if self.node.raft.commit_to_current_term() {
            let context = self.reads.begin_round(now.monotonic);
            self.node.read_index(context);
        }
    }

    fn process_ready(&mut self, out: &mut RaftOutbox) {
        let mut ready = self.node.ready();
        send(ready.take_messages(), out);
        let messages = ready.take_persisted_messages();
        let read_states = ready.take_read_states();
        let committed = ready.take_committed_entries();
        let number = ready.number();
        let waits = self.write_down(&mut ready, out);
        self.node.advance_append_async(ready);

        if let Some(token) = waits {
            self.persisting.push_back(Persisting {
                token,
                ready: number,
                messages,
            });
        } else if let Some(last) = self.persisting.back_mut() {
            // Reports are in order, so this one follows the one under way.
            last.ready = number;
            last.messages.extend(messages);
        } else {
            self.node.on_persist_ready(number);
            send(messages, out);
        }

        for state in read_states {
            self.reads
                .confirm(&state.request_ctx, state.index, self.ticking.heartbeat());
        }
        self.execute(committed, out);
        self.note_applied();
    }

    /// Takes over what a ready asks to be stored. Returns the token of the persist effect when
    /// there is something that must outlive the process.
    fn write_down(&mut self, ready: &mut Ready, out: &mut RaftOutbox) -> Option<PersistToken> {
        let entries = ready.take_entries();
        let count = entries.len();
        self.unchecked_bytes += entries.iter().map(entry_bytes).sum::<u64>();
        let installed = !ready.snapshot().is_empty();
        if installed {
            self.install(ready, out);
        }
        let storage = self.node.mut_store();
        storage.append_entries(entries);
        if let Some(hard_state) = ready.hs() {
            storage.set_hard_state(hard_state.clone());
        }
        if !ready.must_sync() || !out.is_durable() {
            return None;
        }
        if installed {
            return Some(self.persist_checkpoint(out));
        }
        let token = self.next_token();
        let storage = self.node.store();
        out.persist(token, || vec![LogRecord::Append(storage.record(count))]);
        Some(token)
    }

    fn next_token(&mut self) -> PersistToken {
        self.last_token += 1;
        PersistToken(self.last_token)
    }

    fn persist_checkpoint(&mut self, out: &mut RaftOutbox) -> PersistToken {
        let token = self.next_token();
        let bytes = self.node.store().checkpoint();
        self.unchecked_bytes = 0;
        self.checkpoint_bytes = bytes.len() as u64;
        out.persist(token, || vec![LogRecord::Checkpoint(bytes)]);
        token
    }

    fn install(&mut self, ready: &Ready, out: &mut RaftOutbox) {
        let snapshot = adapter::snapshot_out(ready.snapshot());
        // It was decoded once before it was accepted.
        let Ok(store) = postcard::from_bytes::<Store>(&snapshot.data) else {
            return;
        };
        installed::note_changes(self.node.store().store(), &store, out);
        self.node.mut_store().install(&snapshot, store);
    }

    fn execute(&mut self, committed: Vec<Entry>, out: &mut RaftOutbox) {
        for entry in committed {
            let position = Position {
                index: entry.index,
                term: entry.term,
            };
            let store = self.node.mut_store().apply_at(position);
            if entry.data.is_empty() {
                // A leader's first entry.
                continue;
            }
            let request = request_in(entry.data).expect("a leader encodes what it proposes");
            let execution = store.execute(&request, entry.index);
            let is_next = |proposed: &mut Proposed| proposed.position == position;
            if let Some(proposed) = self.proposed.pop_front_if(is_next) {
                out.reply(proposed.id, execution.outcome);
            }
            if let Some((key, version)) = execution.changed {
                out.applied(key, version);
            }
        }
    }

    /// Tells the library how far entries were executed, as far as it may know: a snapshot or an
    /// entry counts only when it is persisted.
    fn note_applied(&mut self) {
        let log = &self.node.raft.raft_log;
        let applied = self.node.store().applied().index;
        let applied = applied.min(log.persisted).min(log.committed);
        if applied > log.applied {
            self.node.advance_apply_to(applied);
        }
    }

    fn note_leader(&mut self, out: &mut RaftOutbox) {
        let view = (self.node.raft.term, self.leader());
        let (_, reported) = self.reported;
        // A new term without a leader is news only where there was one.
        if view != self.reported && (view.1.is_some() || reported.is_some()) {
            out.leader(view.0, view.1);
            self.reported = view;
        }
    }

    fn answer_reads(&mut self, out: &mut RaftOutbox) {
        let storage = self.node.store();
        while let Some(reads) = self.reads.answerable(storage.applied().index) {
            for read in reads {
                let result = storage.store().read(read.key);
                out.reply(read.id, Outcome::Ok(result));
            }
        }
    }

    /// Answers what a deposed leader cannot bring to an end: its proposals may still be
    /// committed by the next leader, its reads have no effect.
    fn abandon_if_deposed(&mut self, out: &mut RaftOutbox) {
        let term = self.node.raft.term;
        let leads = self.leads();
        let hint = self.leader();
        let lost = |proposed: &Proposed| !leads || proposed.position.term != term;
        while let Some(proposed) = self.proposed.pop_front_if(|proposed| lost(proposed)) {
            let unknown = Outcome::Unknown(ErrorKind::NotLeader { hint });
            out.reply(proposed.id, unknown);
        }
        if !leads {
            for read in self.reads.abandon() {
                out.refuse(read.id, ErrorKind::NotLeader { hint });
            }
        }
    }

    /// Keeps log and records from growing with the run's length.
    fn tidy(&mut self, out: &mut RaftOutbox) {
        let retention = self.member.retention;
        if self.node.store().exceeds(TIDIED_BEYOND.of(retention)) {
            // What every follower has, or whatever was executed once it is too much.
            let mut until = u64::MAX;
            if self.leads() && !self.node.store().exceeds(KEPT_MAX.of(retention)) {
                let matched = self.node.raft.prs().iter().map(|(_, peer)| peer.matched);
                until = matched.min().unwrap_or(0);
            }
            self.node.mut_store().compact(until, KEPT.of(retention));
        }
        let least = retention.of(CHECKPOINT_BYTES_MIN) as u64;
        let threshold = least.max(CHECKPOINT_RATIO * self.checkpoint_bytes);
        if out.is_durable() && self.unchecked_bytes > threshold {
            self.persist_checkpoint(out);
        }
    }

    #[cfg(test)]
    pub(super) fn copy_of_store(&self) -> crate::store::Store {
        self.node.store().store().clone()
    }

    #[cfg(test)]
    pub(super) fn log_len(&self) -> usize {
        self.node.store().len()
    }
}

fn send(messages: Vec<Message>, out: &mut RaftOutbox) {
    for message in messages {
        if let Some((to, message)) = adapter::message_out(message) {
            out.send(to, message);
        }
    }
}

fn encode(request: &Request) -> Vec<u8> {
    let value_bytes = match &request.operation {
        Operation::Write { value, .. } => value.len(),
        _ => 0,
    };
    postcard::to_extend(request, Vec::with_capacity(value_bytes + 48))
        .expect("encoding into memory succeeds")
}
