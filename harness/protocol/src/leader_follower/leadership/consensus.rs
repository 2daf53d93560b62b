//! The log of agreements: a raft node whose entries are leaderships.
//!
//! The raft library does the consensus, by the same adapter as in
//! [`quorum::raft`](crate::quorum::raft), where its use is explained. What differs: entries are
//! few and small, so the log is short; nobody reads through it; and its records are part of the
//! replica's journal. A replica that lost its storage has no part in it for the rest of the run:
//! it could have voted for what it no longer knows.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use longhaul_experiment::ReplicaId;
use raft::eraftpb::{Entry, Message as NodeMessage};
use raft::{RawNode, Ready, SnapshotStatus, StateRole};

use super::super::journal::{Journal, encode};
use super::super::message::{Message, Timer};
use super::{Leadership, first_controller};
use crate::outbox::Outbox;
use crate::quorum::raft::RaftMessage;
use crate::quorum::raft::adapter;
use crate::quorum::raft::storage::{LogLimit, LogStorage, Position};
use crate::quorum::raft::ticking::Ticking;
use crate::quorum::timeouts::Timeouts;
use crate::replica::{Member, PeerState, PersistToken};

/// How many entries the log keeps for nodes that lag; further behind, they get a snapshot.
const KEPT: LogLimit = LogLimit {
    entries: 64,
    bytes: 64 << 10,
};

/// What the log may hold before it is cut down to [`KEPT`].
const COMPACTED_BEYOND: LogLimit = LogLimit {
    entries: 2 * KEPT.entries,
    bytes: 2 * KEPT.bytes,
};

/// What the log of agreements works on.
pub(in super::super) type Agreements = LogStorage<Leadership>;

/// What waits for records to be safe.
#[derive(Debug)]
struct Persisting {
    token: PersistToken,
    ready: u64,
    messages: Vec<NodeMessage>,
}

/// A replica's part in the consensus.
pub(in super::super) struct Consensus {
    member: Member,
    ticking: Ticking,
    node: RawNode<Agreements>,
    voters: Vec<u64>,
    up: BTreeSet<ReplicaId>,
    /// Whether it stands as soon as a majority can hear it.
    stands_first: bool,
    /// Ticks that it lets pass without standing while there was no controller ever.
    patience: u32,
    persisting: VecDeque<Persisting>,
    /// What it proposed last, and in which of the log's terms.
    proposed: Option<(u64, Leadership)>,
    /// Whether something happened that the node may have to act on.
    touched: bool,
}

impl std::fmt::Debug for Consensus {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = formatter.debug_struct("Consensus");
        text.field("controls", &self.controls());
        text.finish_non_exhaustive()
    }
}

impl Consensus {
    /// Returns the part of a replica that starts for the first time.
    pub(in super::super) fn first(member: &Member, ticking: Ticking) -> Consensus {
        let stands_first = first_controller(&member.topology) == member.id;
        Consensus {
            stands_first,
            patience: if stands_first {
                0
            } else {
                ticking.heartbeats(Timeouts::BOOTSTRAP_HEARTBEATS)
            },
            ..Consensus::restored(member, ticking, LogStorage::new(voters(member)))
        }
    }

    /// Returns the part of a replica that has its storage back.
    pub(in super::super) fn restored(
        member: &Member,
        ticking: Ticking,
        storage: Agreements,
    ) -> Consensus {
        Consensus {
            node: adapter::node(member.id, storage, &ticking),
            voters: voters(member),
            up: BTreeSet::new(),
            stands_first: member.replica_count() == 1,
            patience: 0,
            persisting: VecDeque::new(),
            proposed: None,
            touched: true,
            member: member.clone(),
            ticking,
        }
    }

    /// Returns what is to be written down of it besides its records.
    pub(in super::super) fn storage(&self) -> &Agreements {
        self.node.store()
    }

    /// Returns the last agreement that it knows of.
    pub(in super::super) fn agreed(&self) -> Leadership {
        let agreed = self.storage().store();
        if agreed.version == 0 {
            return Leadership::first(&self.member.topology);
        }
        agreed.clone()
    }

    /// Says whether this replica is the controller.
    pub(in super::super) fn controls(&self) -> bool {
        self.node.raft.state == StateRole::Leader
    }

    /// Returns the controller, as far as it is known.
    pub(in super::super) fn controller(&self) -> Option<ReplicaId> {
        adapter::replica_id(self.node.raft.leader_id)
    }

    /// Proposes, as the controller, what succeeds the last agreement; anything else is void
    /// anyway.
    pub(in super::super) fn propose(&mut self, leadership: Leadership) {
        let proposal = (self.node.raft.term, leadership);
        if !self.controls()
            || !proposal.1.succeeds(&self.agreed())
            || self.proposed.as_ref() == Some(&proposal)
        {
            return;
        }
        // A proposal that is refused is made again by whoever wants it.
        if self
            .node
            .propose(Vec::new(), encode(&proposal.1).to_vec())
            .is_ok()
        {
            self.proposed = Some(proposal);
            self.touched = true;
        }
    }

    /// Takes another node's message.
    pub(in super::super) fn on_message(&mut self, from: ReplicaId, message: RaftMessage) {
        if let Some(snapshot) = &message.snapshot
            && postcard::from_bytes::<Leadership>(&snapshot.data).is_err()
        {
            return;
        }
        let message = adapter::message_in(from, self.node.raft.id, message, &self.voters);
        // An error means that the message was of no use, e.g. from a node unknown here.
        let _ = self.node.step(message);
        self.touched = true;
    }

    /// Lets a tick pass.
    pub(in super::super) fn on_tick(&mut self) {
        self.touched = true;
        if self.patience > 0 && self.node.raft.term == 0 {
            self.patience -= 1;
            return;
        }
        // The library draws its time-outs from an unseeded generator whenever its role changes.
        // They count only while it ticks, so they are replaced here.
        let ticks = self
            .ticking
            .election_ticks(&self.member, self.node.raft.term);
        self.node.raft.set_randomized_election_timeout(ticks);
        self.node.tick();
    }

    /// Follows the end or the beginning of a connection epoch.
    pub(in super::super) fn on_peer(&mut self, peer: ReplicaId, state: PeerState) {
        self.touched = true;
        match state {
            PeerState::Up => {
                self.up.insert(peer);
                self.stand_first();
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

    /// Takes the news that records of the journal became safe.
    pub(in super::super) fn on_persisted(
        &mut self,
        journal: &Journal,
        out: &mut Outbox<Message, Timer>,
    ) {
        while let Some(persisting) = self
            .persisting
            .pop_front_if(|first| journal.is_safe(first.token))
        {
            self.node.on_persist_ready(persisting.ready);
            send(persisting.messages, out);
            self.touched = true;
        }
    }

    /// Does what the batch brought about. Says whether something was agreed on.
    pub(in super::super) fn on_batch_end(
        &mut self,
        journal: &mut Journal,
        out: &mut Outbox<Message, Timer>,
    ) -> bool {
        if !std::mem::take(&mut self.touched) {
            return false;
        }
        self.stand_first();
        let mut agreed = false;
        while self.node.has_ready() {
            agreed |= self.process_ready(journal, out);
        }
        self.compact();
        agreed
    }

    /// Stands at the first start, as soon as a majority can hear.
    fn stand_first(&mut self) {
        let majority = self.voters.len() / 2 + 1;
        if !self.stands_first || self.up.len() + 1 < majority {
            return;
        }
        self.stands_first = false;
        if self.controller().is_some() {
            return;
        }
        // Nobody controls, so there is nobody to disturb and nothing to ask beforehand.
        self.node.raft.pre_vote = false;
        let _ = self.node.campaign();
        self.node.raft.pre_vote = true;
    }

    fn process_ready(&mut self, journal: &mut Journal, out: &mut Outbox<Message, Timer>) -> bool {
        let mut ready = self.node.ready();
        send(ready.take_messages(), out);
        let messages = ready.take_persisted_messages();
        let committed = ready.take_committed_entries();
        let number = ready.number();
        let installed = !ready.snapshot().is_empty();
        let waits = self.write_down(&mut ready, journal, out);
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
        let applied = self.apply(committed);
        self.note_applied();
        installed || applied
    }

    /// Takes over what a ready asks to be stored. Returns the token of the records when there is
    /// something that must outlive the process.
    fn write_down(
        &mut self,
        ready: &mut Ready,
        journal: &mut Journal,
        out: &mut Outbox<Message, Timer>,
    ) -> Option<PersistToken> {
        let mut count = ready.entries().len();
        let snapshot = adapter::snapshot_out(ready.snapshot());
        // It was decoded once before it was accepted.
        if !ready.snapshot().is_empty()
            && let Ok(leadership) = postcard::from_bytes(&snapshot.data)
        {
            self.node.mut_store().install(&snapshot, leadership);
            count = 0;
        }
        let storage = self.node.mut_store();
        storage.append_entries(ready.take_entries());
        if let Some(hard_state) = ready.hs() {
            storage.set_hard_state(hard_state.clone());
        }
        if !ready.must_sync() || !out.is_durable() {
            return None;
        }
        let storage = self.node.store();
        if ready.snapshot().is_empty() {
            let record = storage.record(count);
            return Some(journal.persist_agreement(record, out));
        }
        Some(journal.persist_agreements(storage.checkpoint(), out))
    }

    fn apply(&mut self, committed: Vec<Entry>) -> bool {
        let mut changed = false;
        for entry in committed {
            let before = self.agreed();
            let position = Position {
                index: entry.index,
                term: entry.term,
            };
            let state = self.node.mut_store().apply_at(position);
            // A controller's first entry is empty.
            if let Ok(leadership) = postcard::from_bytes::<Leadership>(&entry.data)
                && leadership.succeeds(&before)
            {
                *state = leadership;
                changed = true;
            }
        }
        changed
    }

    /// Tells the library how far entries were applied, as far as it may know.
    fn note_applied(&mut self) {
        let log = &self.node.raft.raft_log;
        let applied = self.storage().applied().index;
        let applied = applied.min(log.persisted).min(log.committed);
        if applied > log.applied {
            self.node.advance_apply_to(applied);
        }
    }

    fn compact(&mut self) {
        if self.storage().exceeds(COMPACTED_BEYOND) {
            self.node.mut_store().compact(u64::MAX, KEPT);
        }
    }
}

/// Reads the log of agreements back from a checkpoint of it and the records after that.
pub(in super::super) fn read_back(
    member: &Member,
    checkpoint: Option<&Bytes>,
    records: &[Bytes],
) -> Option<Agreements> {
    LogStorage::recover(voters(member), checkpoint, records).ok()
}

fn voters(member: &Member) -> Vec<u64> {
    let replicas = member.topology.replica_ids();
    replicas.map(adapter::node_id).collect()
}

fn send(messages: Vec<NodeMessage>, out: &mut Outbox<Message, Timer>) {
    for message in messages {
        if let Some((to, message)) = adapter::message_out(message) {
            out.send(to, Message::Consensus(message));
        }
    }
}
