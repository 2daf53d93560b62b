//! The eventual replica: takes every operation alone and tells the others afterwards.

use std::sync::Arc;
use std::time::Duration;

use longhaul_experiment::{
    ErrorKind, Key, Now, Operation, OperationKind, Outcome, ReplicaId, Time, Version,
};

use super::anti_entropy::Rounds;
use super::journal::{Acknowledgement, Due, Journal, decode};
use super::message::{Entry, Message};
use super::outgoing::Outgoing;
use super::resolver::Resolver;
use super::stamp::{HybridClock, Writer};
use super::table::Table;
use crate::outbox::Outbox;
use crate::replica::{Member, OutboxOf, PeerState, PersistToken, Recovered, Replica, Request};

/// About the largest size of a message with states; a larger single state goes alone.
const MESSAGE_BYTES: usize = 256 << 10;

/// What the resolver's replicas say to each other.
pub type MessageOf<R> = Message<<R as Resolver>::State, <R as Resolver>::Summary>;

/// What its callbacks answer into.
pub(super) type EventualOutbox<R> = Outbox<MessageOf<R>, EventualTimer>;

type EntryOf<R> = Entry<<R as Resolver>::State>;

/// The timers of an eventual replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventualTimer {
    /// The next rounds of anti-entropy are due.
    AntiEntropy,
}

/// A replica that resolves conflicts with `R`.
///
/// A write is visible to reads here at once and acknowledged when it is safe. Replication does not
/// wait for that, so a crash may leave a write, never acknowledged, at the others alone.
#[derive(Debug)]
pub struct EventualReplica<R: Resolver> {
    id: ReplicaId,
    interval: Duration,
    clock: HybridClock,
    writer: Writer,
    pub(super) table: Table<R>,
    journal: Journal,
    peers: Vec<Peer>,
    pub(super) rounds: Rounds,
    /// This batch's writes of clients.
    written: Vec<EntryOf<R>>,
    /// This batch's changes that others sent, when they are to be persisted.
    received: Vec<EntryOf<R>>,
    received_any: bool,
}

#[derive(Debug, Default)]
struct Peer {
    outgoing: Outgoing,
    epoch: u64,
}

impl<R: Resolver> EventualReplica<R> {
    /// Returns a replica, not yet started, that runs anti-entropy every `interval`.
    pub fn new(member: &Member, resolver: R, interval: Duration) -> EventualReplica<R> {
        let replicas = member.replica_count();
        EventualReplica {
            id: member.id,
            interval,
            clock: HybridClock::default(),
            writer: Writer::new(member.id, member.incarnation),
            table: Table::new(resolver),
            journal: Journal::new(member.retention),
            peers: (0..replicas).map(|_| Peer::default()).collect(),
            rounds: Rounds::new(replicas, member.topology.largest_round_trip()),
            written: Vec::new(),
            received: Vec::new(),
            received_any: false,
        }
    }

    /// Returns all keys with their states, in no order of keys.
    pub fn states(&self) -> impl Iterator<Item = (Key, &R::State)> {
        self.table.iter()
    }

    /// Returns how many hints are kept for a peer.
    pub fn hints(&self, peer: ReplicaId) -> usize {
        self.peers
            .get(peer.index())
            .map_or(0, |peer| peer.outgoing.hints())
    }

    /// Returns how many hints for all peers were discarded for want of room.
    pub fn hints_discarded(&self) -> u64 {
        self.peers
            .iter()
            .map(|peer| peer.outgoing.hints_discarded())
            .sum()
    }

    /// Makes its clock take no note of others.
    #[cfg(feature = "mutations")]
    pub(crate) fn deafen_clock(&mut self) {
        self.clock.deafen();
    }

    fn write(&mut self, now: Now, request: &Request, out: &mut EventualOutbox<R>) {
        let id = request.id;
        let operation = &request.operation;
        if !self.table.resolver().supports(operation.kind()) {
            return out.refuse(id, ErrorKind::NotSupported);
        }
        let Some(minor) = self.writer.number() else {
            return out.refuse(id, ErrorKind::NotReady);
        };
        let major = self.clock.tick(now.wall);
        let version = Version { major, minor };
        match self.table.apply(now.monotonic, operation, version) {
            Err(error) => out.refuse(id, error),
            Ok((state, result)) => {
                let key = operation.key();
                out.applied(key, self.table.resolver().version(&state));
                self.written.push(Entry { key, state });
                self.journal.reply(id, result);
            }
        }
    }

    /// Merges states that a peer sent.
    fn merge(&mut self, now: Time, entries: Vec<EntryOf<R>>, out: &mut EventualOutbox<R>) {
        for entry in entries {
            let version = self.table.resolver().version(&entry.state);
            self.clock.observe(version.major);
            if self.table.merge(now, entry.key, &entry.state) {
                out.applied(entry.key, version);
                self.received_any = true;
                if out.is_durable() {
                    self.received.push(entry);
                }
            }
        }
    }

    fn persist(&mut self, out: &mut EventualOutbox<R>) {
        if self.written.is_empty() && !self.received_any {
            if let Some(due) = self.journal.end_empty_batch() {
                self.settle(due, out);
            }
            return;
        }
        self.received_any = false;
        let token = self.journal.end_batch();
        let received = std::mem::take(&mut self.received);
        out.persist(token, || {
            let parts: [&[EntryOf<R>]; 2] = [&self.written, &received];
            self.journal.records(&parts).unwrap_or_else(|| {
                let all: Vec<EntryOf<R>> = self
                    .table
                    .iter()
                    .map(|(key, state)| Entry {
                        key,
                        state: state.clone(),
                    })
                    .collect();
                vec![self.journal.checkpoint(&all)]
            })
        });
    }

    fn settle(&self, due: Due, out: &mut EventualOutbox<R>) {
        for (id, result) in due.replies {
            out.reply(id, Outcome::Ok(result));
        }
        // Numbers of one epoch ascend, so the last one stands for all.
        for (index, peer) in self.peers.iter().enumerate() {
            let to = ReplicaId(index as u16);
            let of_epoch = |owed: &&Acknowledgement| owed.to == to && owed.epoch == peer.epoch;
            if let Some(owed) = due.acknowledge.iter().rev().find(of_epoch) {
                let through = owed.number;
                out.send(to, Message::Acknowledge { through });
            }
        }
    }

    /// Sends this batch's writes to every peer, or hints them.
    fn replicate(&mut self, out: &mut EventualOutbox<R>) {
        let written = std::mem::take(&mut self.written);
        for entries in self.messages(written) {
            let keys: Arc<[Key]> = entries.iter().map(|entry| entry.key).collect();
            for (index, peer) in self.peers.iter_mut().enumerate() {
                if index == self.id.index() {
                    continue;
                }
                if peer.outgoing.has_room() {
                    let number = peer.outgoing.number(Arc::clone(&keys));
                    let entries = entries.clone();
                    let message = Message::Replicate { number, entries };
                    out.send(ReplicaId(index as u16), message);
                } else {
                    peer.outgoing.hint(&keys);
                }
            }
        }
    }

    /// Sends hints while there is room.
    fn hand_off(&mut self, out: &mut EventualOutbox<R>) {
        for (index, peer) in self.peers.iter_mut().enumerate() {
            while peer.outgoing.has_room() {
                let mut entries = Vec::new();
                let mut bytes = 0;
                while bytes < MESSAGE_BYTES
                    && let Some(key) = peer.outgoing.next_hint()
                {
                    if let Some(state) = self.table.get(key).cloned() {
                        bytes += size_of_entry(self.table.resolver(), &state);
                        entries.push(Entry { key, state });
                    }
                }
                if entries.is_empty() {
                    break;
                }
                let number = peer
                    .outgoing
                    .number(entries.iter().map(|entry| entry.key).collect());
                let message = Message::Replicate { number, entries };
                out.send(ReplicaId(index as u16), message);
            }
        }
    }

    /// Cuts entries into messages of bounded size.
    pub(super) fn messages(&self, entries: Vec<EntryOf<R>>) -> Vec<Vec<EntryOf<R>>> {
        let mut messages = Vec::new();
        let mut current = Vec::new();
        let mut bytes = 0;
        for entry in entries {
            bytes += size_of_entry(self.table.resolver(), &entry.state);
            current.push(entry);
            if bytes >= MESSAGE_BYTES {
                bytes = 0;
                messages.push(std::mem::take(&mut current));
            }
        }
        if !current.is_empty() {
            messages.push(current);
        }
        messages
    }
}

fn size_of_entry<R: Resolver>(resolver: &R, state: &R::State) -> usize {
    // A key takes at most 10 bytes on the wire.
    10 + resolver.size(state)
}

impl<R: Resolver> Replica for EventualReplica<R> {
    type Message = MessageOf<R>;
    type Timer = EventualTimer;

    fn on_start(&mut self, now: Now, recovered: Recovered, out: &mut OutboxOf<Self>) {
        if let Recovered::Storage {
            checkpoint,
            records,
        } = recovered
        {
            self.journal.resume(
                checkpoint.as_ref().map_or(0, |bytes| bytes.len()),
                records.iter().map(|bytes| bytes.len()).sum(),
            );
            for bytes in checkpoint.iter().chain(&records) {
                for Entry { key, state } in decode::<R::State>(bytes) {
                    self.clock
                        .observe(self.table.resolver().version(&state).major);
                    self.table.merge(now.monotonic, key, &state);
                }
            }
        }
        out.set_timer(EventualTimer::AntiEntropy, self.interval);
    }

    fn on_request(&mut self, now: Now, request: Request, out: &mut OutboxOf<Self>) {
        match request.operation {
            Operation::Read { key } if self.table.resolver().supports(OperationKind::Read) => {
                let result = self.table.resolver().read(self.table.get(key));
                out.reply(request.id, Outcome::Ok(result));
            }
            _ => self.write(now, &request, out),
        }
    }

    fn on_message(
        &mut self,
        now: Now,
        from: ReplicaId,
        message: MessageOf<R>,
        out: &mut OutboxOf<Self>,
    ) {
        let Some(peer) = self.peers.get_mut(from.index()) else {
            return;
        };
        match message {
            Message::Replicate { number, entries } => {
                self.journal.acknowledge(Acknowledgement {
                    to: from,
                    epoch: peer.epoch,
                    number,
                });
                self.merge(now.monotonic, entries, out);
            }
            Message::Acknowledge { through } => peer.outgoing.acknowledged(through),
            Message::Repair { entries } => self.merge(now.monotonic, entries, out),
            Message::Compare { sums } => self.list(now.monotonic, from, &sums, out),
            Message::List { buckets, more } => {
                self.resolve(now.monotonic, from, (buckets, more), out);
            }
            Message::Want { keys, again } => self.grant(from, keys, again, out),
        }
    }

    fn on_timer(&mut self, _now: Now, timer: EventualTimer, out: &mut OutboxOf<Self>) {
        match timer {
            EventualTimer::AntiEntropy => {
                // One of each pair begins; both are repaired.
                let own = self.id;
                for index in own.index() + 1..self.peers.len() {
                    if self.peers[index].outgoing.is_up() {
                        self.compare_unless_busy(ReplicaId(index as u16), out);
                    }
                }
                out.set_timer(EventualTimer::AntiEntropy, self.interval);
            }
        }
    }

    fn on_persisted(&mut self, _now: Now, token: PersistToken, out: &mut OutboxOf<Self>) {
        for due in self.journal.persisted(token) {
            self.settle(due, out);
        }
    }

    fn on_peer(&mut self, _now: Now, peer: ReplicaId, state: PeerState, _out: &mut OutboxOf<Self>) {
        self.rounds.forget(peer);
        let Some(peer) = self.peers.get_mut(peer.index()) else {
            return;
        };
        match state {
            PeerState::Up => peer.outgoing.connect(),
            PeerState::Down => {
                peer.epoch += 1;
                peer.outgoing.disconnect();
            }
        }
    }

    fn on_batch_end(&mut self, _now: Now, out: &mut OutboxOf<Self>) {
        self.persist(out);
        self.replicate(out);
        self.hand_off(out);
    }
}
