//! Sequence charts for tests: replicas, what is under way between them, and a hand that delivers.
//!
//! Nothing happens by itself except what a replica's host would do at once; messages wait until
//! they are delivered, and disks can be held.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use longhaul_experiment::profile::{Link, Region, Source};
use longhaul_experiment::time::nanos;
use longhaul_experiment::{
    ClientId, Key, ModeSpec, Now, Operation, OperationId, Outcome, Profile, ReplicaId, Seed, Time,
    Topology, Version, WallTime,
};

use crate::mode::Mode;
use crate::outbox::{Effect, LogRecord};
use crate::replica::{Member, OutboxOf, PeerState, PersistToken, Recovered, Replica, Request};
use crate::retention::Retention;

/// Replicas of one mode, connected and started.
pub(crate) struct Chart<M: Mode> {
    mode: M,
    topology: Arc<Topology>,
    replicas: Vec<Option<M::Replica>>,
    incarnations: Vec<u32>,
    disks: Vec<Disk>,
    clock_ahead: Vec<u64>,
    connected: BTreeSet<(ReplicaId, ReplicaId)>,
    channels: BTreeMap<(ReplicaId, ReplicaId), VecDeque<MessageOf<M>>>,
    timers: BTreeMap<(Time, ReplicaId, TimerOf<M>), ()>,
    now: Time,
    next_sequence: u64,
    /// All answers to clients, in order.
    pub(crate) replies: Vec<(OperationId, Outcome)>,
    /// All versions that became visible, in order.
    pub(crate) applied: Vec<(ReplicaId, Key, Version)>,
}

type MessageOf<M> = <<M as Mode>::Replica as Replica>::Message;
type TimerOf<M> = <<M as Mode>::Replica as Replica>::Timer;

#[derive(Default)]
struct Disk {
    held: bool,
    waiting: VecDeque<(PersistToken, Vec<LogRecord>)>,
    checkpoint: Option<Bytes>,
    records: Vec<Bytes>,
}

/// Returns a topology of `count` replicas, 10 ms from each other one way.
pub(crate) fn topology(count: usize) -> Topology {
    let regions = (0..count)
        .map(|index| Region::named(format!("region-{index}")))
        .collect();
    let source = Source {
        title: String::new(),
        date: String::new(),
        method: String::new(),
    };
    let links = vec![Link::fixed(Duration::from_millis(10)); count * count];
    Topology::everywhere(Profile::new("test", "", source, regions, links))
}

impl<M: Mode> Chart<M> {
    /// Starts `count` replicas of the mode and connects all.
    pub(crate) fn new(mode: &str, count: usize) -> Chart<M> {
        let topology = topology(count);
        let spec: ModeSpec = mode.parse().unwrap();
        let mut chart = Chart {
            mode: M::parse(&spec, &topology).unwrap(),
            topology: Arc::new(topology),
            replicas: (0..count).map(|_| None).collect(),
            incarnations: vec![0; count],
            disks: (0..count).map(|_| Disk::default()).collect(),
            clock_ahead: vec![0; count],
            connected: BTreeSet::new(),
            channels: BTreeMap::new(),
            timers: BTreeMap::new(),
            now: Time::from_millis(1_000),
            next_sequence: 0,
            replies: Vec::new(),
            applied: Vec::new(),
        };
        for index in 0..count {
            chart.start(index, Recovered::Nothing);
        }
        for a in 0..count {
            for b in a + 1..count {
                chart.connect(a, b);
            }
        }
        chart
    }

    fn start(&mut self, index: usize, recovered: Recovered) {
        let member = Member {
            id: ReplicaId(index as u16),
            incarnation: self.incarnations[index],
            topology: Arc::clone(&self.topology),
            seed: Seed(1),
            retention: Retention::FULL,
        };
        self.replicas[index] = Some(self.mode.replica(member));
        self.step(index, |replica, now, out| {
            replica.on_start(now, recovered, out);
        });
    }

    /// Moves a replica's wall clock ahead of the others'.
    pub(crate) fn set_clock_ahead(&mut self, index: usize, ahead: Duration) {
        self.clock_ahead[index] = nanos(ahead);
    }

    /// Returns a replica.
    pub(crate) fn replica(&self, index: usize) -> &M::Replica {
        self.replicas[index].as_ref().unwrap()
    }

    fn step(
        &mut self,
        index: usize,
        callback: impl FnOnce(&mut M::Replica, Now, &mut OutboxOf<M::Replica>),
    ) {
        let now = Now {
            monotonic: self.now,
            wall: WallTime(self.now.as_nanos() + self.clock_ahead[index]),
        };
        let mut out = OutboxOf::<M::Replica>::new(true);
        let Some(replica) = &mut self.replicas[index] else {
            return;
        };
        callback(replica, now, &mut out);
        replica.on_batch_end(now, &mut out);
        let effects: Vec<_> = out.drain().collect();
        for effect in effects {
            self.carry_out(index, effect);
        }
        if !self.disks[index].held {
            self.sync(index);
        }
    }

    fn carry_out(&mut self, index: usize, effect: Effect<MessageOf<M>, TimerOf<M>>) {
        let own = ReplicaId(index as u16);
        match effect {
            Effect::Send { to, message } => {
                assert_ne!(to, own, "a replica sends itself nothing");
                if self.connected.contains(&pair(index, to.index())) {
                    self.channels
                        .entry((own, to))
                        .or_default()
                        .push_back(message);
                }
            }
            Effect::Reply { operation, outcome } => self.replies.push((operation, outcome)),
            Effect::Persist { token, records } => {
                self.disks[index].waiting.push_back((token, records));
            }
            Effect::SetTimer { timer, after } => {
                self.cancel(own, timer);
                self.timers.insert((self.now + after, own, timer), ());
            }
            Effect::CancelTimer { timer } => self.cancel(own, timer),
            Effect::Applied { key, version } => self.applied.push((own, key, version)),
            Effect::Leader { .. } | Effect::Truncated { .. } => {}
        }
    }

    fn cancel(&mut self, own: ReplicaId, timer: TimerOf<M>) {
        self.timers
            .retain(|&(_, replica, name), ()| (replica, name) != (own, timer));
    }

    /// Stops a replica's disk: what it persists is not safe until [`Chart::sync`].
    pub(crate) fn hold_disk(&mut self, index: usize) {
        self.disks[index].held = true;
    }

    /// Makes safe what a replica wanted persisted so far, and reports it.
    pub(crate) fn sync(&mut self, index: usize) {
        while let Some((token, records)) = self.disks[index].waiting.pop_front() {
            let disk = &mut self.disks[index];
            for record in records {
                match record {
                    LogRecord::Append(bytes) => disk.records.push(bytes),
                    LogRecord::Checkpoint(bytes) => {
                        disk.records.clear();
                        disk.checkpoint = Some(bytes);
                    }
                }
            }
            self.step(index, |replica, now, out| {
                replica.on_persisted(now, token, out);
            });
        }
    }

    /// Hands an operation to a replica.
    pub(crate) fn request(&mut self, index: usize, operation: Operation) -> OperationId {
        let id = OperationId {
            client: ClientId(index as u32),
            sequence: self.next_sequence,
        };
        self.next_sequence += 1;
        self.repeat(index, id, operation);
        id
    }

    /// Hands many operations to a replica in one batch.
    pub(crate) fn request_batch(
        &mut self,
        index: usize,
        operations: impl IntoIterator<Item = Operation>,
    ) {
        let first = self.next_sequence;
        let requests: Vec<Request> = (first..)
            .zip(operations)
            .map(|(sequence, operation)| Request {
                id: OperationId {
                    client: ClientId(index as u32),
                    sequence,
                },
                first_incomplete: 0,
                operation,
            })
            .collect();
        self.next_sequence += requests.len() as u64;
        self.step(index, |replica, now, out| {
            for request in requests {
                replica.on_request(now, request, out);
            }
        });
    }

    /// Hands an operation to a replica under a given identity.
    pub(crate) fn repeat(&mut self, index: usize, id: OperationId, operation: Operation) {
        let request = Request {
            id,
            first_incomplete: 0,
            operation,
        };
        self.step(index, |replica, now, out| {
            replica.on_request(now, request, out);
        });
    }

    /// Delivers the oldest message from one replica to another; `false` when there is none.
    pub(crate) fn deliver(&mut self, from: usize, to: usize) -> bool {
        let link = (ReplicaId(from as u16), ReplicaId(to as u16));
        let Some(message) = self
            .channels
            .get_mut(&link)
            .and_then(|channel| channel.pop_front())
        else {
            return false;
        };
        self.step(to, |replica, now, out| {
            replica.on_message(now, link.0, message, out);
        });
        true
    }

    /// Delivers all that is under way between some replicas, and all that follows from it.
    pub(crate) fn deliver_among(&mut self, among: &[usize]) {
        loop {
            let mut delivered = false;
            for &from in among {
                for &to in among {
                    while self.deliver(from, to) {
                        delivered = true;
                    }
                }
            }
            if !delivered {
                return;
            }
        }
    }

    /// Delivers all that is under way, and all that follows from it.
    pub(crate) fn deliver_all(&mut self) {
        let all: Vec<usize> = (0..self.replicas.len()).collect();
        self.deliver_among(&all);
    }

    /// Returns what is under way from one replica to another.
    pub(crate) fn under_way(&self, from: usize, to: usize) -> Vec<MessageOf<M>> {
        self.channels
            .get(&(ReplicaId(from as u16), ReplicaId(to as u16)))
            .map_or_else(Vec::new, |channel| channel.iter().cloned().collect())
    }

    /// Ends the connection epoch between two replicas; what is under way is lost.
    pub(crate) fn disconnect(&mut self, a: usize, b: usize) {
        if self.connected.remove(&pair(a, b)) {
            for (from, to) in [(a, b), (b, a)] {
                self.channels
                    .remove(&(ReplicaId(from as u16), ReplicaId(to as u16)));
            }
            self.tell_both(a, b, PeerState::Down);
        }
    }

    /// Begins a connection epoch between two replicas.
    pub(crate) fn connect(&mut self, a: usize, b: usize) {
        let alive = self.replicas[a].is_some() && self.replicas[b].is_some();
        if alive && self.connected.insert(pair(a, b)) {
            self.tell_both(a, b, PeerState::Up);
        }
    }

    fn tell_both(&mut self, a: usize, b: usize, state: PeerState) {
        for (own, peer) in [(a, b), (b, a)] {
            self.step(own, |replica, now, out| {
                replica.on_peer(now, ReplicaId(peer as u16), state, out);
            });
        }
    }

    /// Ends a replica's process: its memory, its timers and what its disk had not made safe.
    pub(crate) fn crash(&mut self, index: usize) {
        self.replicas[index] = None;
        self.disks[index].waiting.clear();
        self.timers
            .retain(|&(_, replica, _), ()| replica.index() != index);
        for peer in 0..self.replicas.len() {
            self.disconnect(index, peer);
        }
    }

    /// Starts a crashed replica with what its disk kept, and connects it to all.
    pub(crate) fn restart(&mut self, index: usize) {
        let disk = &mut self.disks[index];
        disk.held = false;
        let recovered = Recovered::Storage {
            checkpoint: disk.checkpoint.clone(),
            records: disk.records.clone(),
        };
        self.rejoin(index, recovered);
    }

    /// Starts a crashed replica whose disk kept nothing, and connects it to all.
    pub(crate) fn restart_empty(&mut self, index: usize) {
        self.disks[index] = Disk::default();
        self.rejoin(index, Recovered::Lost);
    }

    fn rejoin(&mut self, index: usize, recovered: Recovered) {
        self.incarnations[index] += 1;
        self.start(index, recovered);
        for peer in (0..self.replicas.len()).filter(|&peer| peer != index) {
            self.connect(index, peer);
        }
    }

    /// Returns how many records follow the checkpoint on a replica's disk.
    pub(crate) fn records(&self, index: usize) -> usize {
        self.disks[index].records.len()
    }

    /// Lets time pass; timers go off, messages stay where they are.
    pub(crate) fn advance(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some((&(at, replica, timer), ())) = self.timers.first_key_value() {
            if at > end {
                break;
            }
            self.timers.pop_first();
            self.now = at;
            self.step(replica.index(), |own, now, out| {
                own.on_timer(now, timer, out);
            });
        }
        self.now = end;
    }

    /// Returns the answer to an operation, if there is one.
    pub(crate) fn outcome(&self, id: OperationId) -> Option<&Outcome> {
        let mut answers = self
            .replies
            .iter()
            .filter(|(operation, _)| *operation == id);
        let outcome = answers.next().map(|(_, outcome)| outcome);
        assert!(answers.next().is_none(), "{id} is answered at most once");
        outcome
    }
}

fn pair(a: usize, b: usize) -> (ReplicaId, ReplicaId) {
    (ReplicaId(a.min(b) as u16), ReplicaId(a.max(b) as u16))
}
