//! A small deterministic network for tests: virtual time, FIFO links with fixed delays.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use longhaul_experiment::profile::{Link, Region, Source};
use longhaul_experiment::random::Seed;
use longhaul_experiment::{
    ClientId, Key, ModeSpec, Now, Operation, OperationId, Outcome, Profile, ReplicaId, Time,
    Topology, WallTime,
};

use crate::mode::Mode;
use crate::outbox::{Effect, LogRecord, Outbox};
use crate::replica::{Member, PeerState, PersistToken, Recovered, Replica, Request};
use crate::retention::Retention;

type MessageOf<M> = <<M as Mode>::Replica as Replica>::Message;
type TimerOf<M> = <<M as Mode>::Replica as Replica>::Timer;

/// Returns a topology of replicas on a line, at these places in milliseconds of one-way delay;
/// the preferred leader is the first.
pub(crate) fn line(places_ms: &[u64]) -> Topology {
    let name = |place: usize| format!("p{place}");
    let regions = (0..places_ms.len()).map(|place| Region::named(name(place)));
    let links = places_ms.iter().flat_map(|&a| {
        places_ms
            .iter()
            .map(move |&b| Link::fixed(Duration::from_millis(a.abs_diff(b))))
    });
    let source = Source {
        title: String::new(),
        date: String::new(),
        method: String::new(),
    };
    let profile = Profile::new("line", "", source, regions.collect(), links.collect());
    let names: Vec<String> = (0..places_ms.len()).map(name).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Topology::place(profile, &names, &names, None).unwrap()
}

/// A request of client 1.
pub(crate) fn request(sequence: u64, operation: Operation) -> Request {
    Request {
        id: OperationId {
            client: ClientId(1),
            sequence,
        },
        first_incomplete: sequence.saturating_sub(1000),
        operation,
    }
}

/// A write of its own sequence number.
pub(crate) fn write(sequence: u64) -> Request {
    let value = Bytes::copy_from_slice(&sequence.to_le_bytes());
    request(
        sequence,
        Operation::Write {
            key: Key(sequence % 10),
            value,
        },
    )
}

struct Disk {
    checkpoint: Option<Bytes>,
    records: Vec<Bytes>,
}

struct Slot<M: Mode> {
    replica: Option<M::Replica>,
    outbox: Outbox<MessageOf<M>, TimerOf<M>>,
    incarnation: u32,
    timers: BTreeMap<TimerOf<M>, u64>,
    disk: Disk,
    /// Persist effects under way: what is lost when the replica dies before they end.
    unsafe_records: Vec<(PersistToken, Vec<LogRecord>)>,
    connected: bool,
}

enum Event<M: Mode> {
    Deliver {
        from: usize,
        to: usize,
        epoch: u64,
        message: MessageOf<M>,
    },
    Timer {
        at: usize,
        timer: TimerOf<M>,
        number: u64,
    },
    Persisted {
        at: usize,
        incarnation: u32,
        token: PersistToken,
    },
}

/// What is delivered to a replica: one callback.
enum Callback<M: Mode> {
    Start(Recovered),
    Requests(Vec<Request>),
    Message(ReplicaId, MessageOf<M>),
    Timer(TimerOf<M>),
    Persisted(PersistToken),
    Peer(ReplicaId, PeerState),
}

/// Replicas of one mode and the links between them.
pub(crate) struct Network<M: Mode> {
    mode: M,
    topology: Arc<Topology>,
    seed: Seed,
    durable: bool,
    /// How long a persist effect takes.
    pub(crate) persist_takes: Duration,
    now: Time,
    events: BTreeMap<(Time, u64), Event<M>>,
    event_count: u64,
    slots: Vec<Slot<M>>,
    epochs: Vec<u64>,
    /// Every reply, with its instant.
    pub(crate) replies: Vec<(Time, ReplicaId, OperationId, Outcome)>,
    /// Every change of a replica's view of the leader.
    pub(crate) views: Vec<(Time, ReplicaId, u64, Option<ReplicaId>)>,
    /// Versions that became visible, per replica.
    pub(crate) applied: Vec<u64>,
    /// Every effect in words, when it is kept.
    pub(crate) trace: Option<Vec<String>>,
}

impl<M: Mode> Network<M> {
    /// Starts the replicas of a mode for the first time, and connects them.
    pub(crate) fn start(mode: &str, places_ms: &[u64], durable: bool) -> Network<M> {
        Network::start_with(mode, places_ms, durable, Seed(1))
    }

    /// As [`Network::start`], with a seed.
    pub(crate) fn start_with(
        mode: &str,
        places_ms: &[u64],
        durable: bool,
        seed: Seed,
    ) -> Network<M> {
        let topology = Arc::new(line(places_ms));
        let spec: ModeSpec = mode.parse().unwrap();
        let count = places_ms.len();
        let mut network = Network {
            mode: M::parse(&spec, &topology).unwrap(),
            topology,
            seed,
            durable,
            persist_takes: Duration::from_millis(1),
            now: Time::ZERO,
            events: BTreeMap::new(),
            event_count: 0,
            slots: Vec::new(),
            epochs: vec![0; count * count],
            replies: Vec::new(),
            views: Vec::new(),
            applied: vec![0; count],
            trace: Some(Vec::new()),
        };
        for _ in 0..count {
            network.slots.push(Slot {
                replica: None,
                outbox: Outbox::new(durable),
                incarnation: 0,
                timers: BTreeMap::new(),
                disk: Disk {
                    checkpoint: None,
                    records: Vec::new(),
                },
                unsafe_records: Vec::new(),
                connected: false,
            });
        }
        for index in 0..count {
            network.boot(index, Recovered::Nothing);
        }
        for index in 0..count {
            network.connect(index);
        }
        network
    }

    /// Returns the virtual time.
    pub(crate) fn now(&self) -> Time {
        self.now
    }

    /// Returns a replica that runs.
    pub(crate) fn replica(&self, index: usize) -> &M::Replica {
        self.slots[index].replica.as_ref().unwrap()
    }

    /// Hands a replica one request.
    pub(crate) fn request(&mut self, at: usize, request: Request) {
        self.requests(at, vec![request]);
    }

    /// Hands a replica requests as one batch.
    pub(crate) fn requests(&mut self, at: usize, requests: Vec<Request>) {
        self.call(at, Callback::Requests(requests));
    }

    /// Returns how an operation ended last, if it did.
    pub(crate) fn outcome(&self, sequence: u64) -> Option<&Outcome> {
        let mut replies = self.replies.iter().rev();
        let reply = replies.find(|(_, _, id, _)| id.sequence == sequence);
        reply.map(|(_, _, _, outcome)| outcome)
    }

    /// Returns when an operation was answered last, if it was.
    pub(crate) fn answered_at(&self, sequence: u64) -> Option<Time> {
        let mut replies = self.replies.iter().rev();
        let reply = replies.find(|(_, _, id, _)| id.sequence == sequence);
        reply.map(|&(time, ..)| time)
    }

    /// Returns whom a replica takes for the leader.
    pub(crate) fn view(&self, at: usize) -> Option<ReplicaId> {
        let mut views = self.views.iter().rev();
        let view = views.find(|(_, replica, ..)| replica.index() == at);
        view.and_then(|&(_, _, _, leader)| leader)
    }

    /// Lets time pass.
    pub(crate) fn run_for(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some((&(time, number), _)) = self.events.first_key_value() {
            if time > until {
                break;
            }
            let event = self.events.remove(&(time, number)).unwrap();
            self.now = time;
            self.happen(event);
        }
        self.now = until;
    }

    /// Kills a replica's process.
    pub(crate) fn crash(&mut self, index: usize) {
        self.disconnect(index);
        let slot = &mut self.slots[index];
        slot.replica = None;
        slot.timers.clear();
        slot.unsafe_records.clear();
        slot.incarnation += 1;
    }

    /// Starts a killed replica again, from what its storage kept.
    pub(crate) fn restart(&mut self, index: usize) {
        let disk = &self.slots[index].disk;
        let recovered = if self.durable {
            Recovered::Storage {
                checkpoint: disk.checkpoint.clone(),
                records: disk.records.clone(),
            }
        } else {
            Recovered::Lost
        };
        self.boot(index, recovered);
        self.connect(index);
    }

    /// Ends a replica's connections.
    pub(crate) fn disconnect(&mut self, index: usize) {
        if !std::mem::take(&mut self.slots[index].connected) {
            return;
        }
        for other in 0..self.slots.len() {
            if other != index && self.slots[other].connected {
                self.turn(index, other, PeerState::Down);
            }
        }
    }

    /// Connects a replica with all others that are connected.
    pub(crate) fn connect(&mut self, index: usize) {
        self.slots[index].connected = true;
        for other in 0..self.slots.len() {
            if other != index && self.slots[other].connected {
                self.turn(index, other, PeerState::Up);
            }
        }
    }

    fn turn(&mut self, a: usize, b: usize, state: PeerState) {
        let count = self.slots.len();
        self.epochs[a * count + b] += 1;
        self.epochs[b * count + a] += 1;
        self.call(a, Callback::Peer(ReplicaId(b as u16), state));
        self.call(b, Callback::Peer(ReplicaId(a as u16), state));
    }

    fn boot(&mut self, index: usize, recovered: Recovered) {
        let member = Member {
            id: ReplicaId(index as u16),
            incarnation: self.slots[index].incarnation,
            topology: self.topology.clone(),
            seed: self.seed,
            retention: Retention::FULL,
        };
        self.slots[index].replica = Some(self.mode.replica(member));
        self.call(index, Callback::Start(recovered));
    }

    fn happen(&mut self, event: Event<M>) {
        match event {
            Event::Deliver {
                from,
                to,
                epoch,
                message,
            } => {
                if self.epochs[from * self.slots.len() + to] == epoch {
                    self.call(to, Callback::Message(ReplicaId(from as u16), message));
                }
            }
            Event::Timer { at, timer, number } => {
                if self.slots[at].timers.get(&timer) == Some(&number) {
                    self.slots[at].timers.remove(&timer);
                    self.call(at, Callback::Timer(timer));
                }
            }
            Event::Persisted {
                at,
                incarnation,
                token,
            } => {
                if self.slots[at].incarnation == incarnation {
                    self.slots[at].make_safe(token);
                    self.call(at, Callback::Persisted(token));
                }
            }
        }
    }

    fn call(&mut self, at: usize, callback: Callback<M>) {
        let now = Now {
            monotonic: self.now,
            wall: WallTime(self.now.0),
        };
        let slot = &mut self.slots[at];
        let Some(replica) = &mut slot.replica else {
            return;
        };
        let out = &mut slot.outbox;
        match callback {
            Callback::Start(recovered) => replica.on_start(now, recovered, out),
            Callback::Requests(requests) => {
                for request in requests {
                    replica.on_request(now, request, out);
                }
            }
            Callback::Message(from, message) => replica.on_message(now, from, message, out),
            Callback::Timer(timer) => replica.on_timer(now, timer, out),
            Callback::Persisted(token) => replica.on_persisted(now, token, out),
            Callback::Peer(peer, state) => replica.on_peer(now, peer, state, out),
        }
        replica.on_batch_end(now, out);
        let effects: Vec<_> = out.drain().collect();
        for effect in effects {
            if let Some(trace) = &mut self.trace {
                trace.push(format!("{} {at} {effect:?}", self.now));
            }
            self.carry_out(at, effect);
        }
    }

    fn carry_out(&mut self, at: usize, effect: Effect<MessageOf<M>, TimerOf<M>>) {
        let replica = ReplicaId(at as u16);
        match effect {
            Effect::Send { to, message } => self.send(at, to, message),
            Effect::Reply { operation, outcome } => {
                self.replies.push((self.now, replica, operation, outcome));
            }
            Effect::Persist { token, records } => {
                let slot = &mut self.slots[at];
                slot.unsafe_records.push((token, records));
                let incarnation = slot.incarnation;
                let event = Event::Persisted {
                    at,
                    incarnation,
                    token,
                };
                self.schedule(self.persist_takes, event);
            }
            Effect::SetTimer { timer, after } => {
                let number = self.event_count;
                self.slots[at].timers.insert(timer, number);
                self.schedule(after, Event::Timer { at, timer, number });
            }
            Effect::CancelTimer { timer } => {
                self.slots[at].timers.remove(&timer);
            }
            Effect::Applied { .. } => self.applied[at] += 1,
            Effect::Leader { term, leader } => {
                self.views.push((self.now, replica, term, leader));
            }
            Effect::Truncated { .. } => {}
        }
    }

    fn send(&mut self, from: usize, to: ReplicaId, message: MessageOf<M>) {
        let up = self.slots[from].connected && self.slots[to.index()].connected;
        if !up {
            return;
        }
        // Every message takes the way over the wire.
        let bytes = postcard::to_stdvec(&message).unwrap();
        let message = postcard::from_bytes(&bytes).unwrap();
        let link = self.topology.replica_link(ReplicaId(from as u16), to);
        let delay = self.topology.profile.link(link).one_way;
        let epoch = self.epochs[from * self.slots.len() + to.index()];
        let event = Event::Deliver {
            from,
            to: to.index(),
            epoch,
            message,
        };
        self.schedule(delay, event);
    }

    fn schedule(&mut self, after: Duration, event: Event<M>) {
        self.events
            .insert((self.now + after, self.event_count), event);
        self.event_count += 1;
    }
}

impl<M: Mode> Slot<M> {
    fn make_safe(&mut self, token: PersistToken) {
        let split = self
            .unsafe_records
            .partition_point(|(other, _)| *other <= token);
        for (_, records) in self.unsafe_records.drain(..split) {
            for record in records {
                match record {
                    LogRecord::Append(bytes) => self.disk.records.push(bytes),
                    LogRecord::Checkpoint(bytes) => {
                        self.disk.checkpoint = Some(bytes);
                        self.disk.records.clear();
                    }
                }
            }
        }
    }
}
