//! A hand-driven cluster for tests that read as sequence charts: every message about data, every
//! end of a persist and every connection epoch happens when the test says so. Time stands still,
//! so that a lease that was granted once holds, and nobody misses the leader.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use longhaul_experiment::profile::{Link, Profile, Region, Source};
use longhaul_experiment::{
    ClientId, ErrorKind, Key, ModeSpec, Now, Operation, OperationId, OperationResult, Outcome,
    ReplicaId, Seed, Topology, Version,
};

use super::log::Log;
use super::message::{Message, Timer};
use super::replica::Role;
use super::{LeaderFollower, LeaderFollowerReplica};
use crate::mode::Mode;
use crate::outbox::{Effect, LogRecord, Outbox};
use crate::replica::{Member, PeerState, PersistToken, Recovered, Replica, Request};
use crate::retention::Retention;

/// Replica 0 leads all charts.
pub(super) const LEADER: u16 = 0;

/// The one key of most charts.
pub(super) const KEY: Key = Key(7);

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// A client's write number `sequence` arrives.
    Write { at: u16, sequence: u64 },
    /// The oldest message between two replicas arrives.
    Deliver { from: u16, to: u16 },
    /// The oldest persist of a replica ends.
    Persisted { at: u16 },
    /// A connection epoch begins.
    Up { between: u16, and: u16 },
    /// A connection epoch ends, and what was under way is lost.
    Down { between: u16, and: u16 },
    /// A replica's timer goes off: a heartbeat's interval passed.
    Heartbeat { at: u16 },
}

/// Says whether charts deliver a message one by one. Those about leadership are delivered when
/// all is settled, so that charts show the data's way alone.
fn is_about_data(message: &Message) -> bool {
    matches!(
        message,
        Message::Lead(_)
            | Message::Match { .. }
            | Message::Append(_)
            | Message::Heartbeat(_)
            | Message::Acknowledge { .. }
            | Message::Reject { .. }
            | Message::Piece(_)
            | Message::PieceReceived { .. }
    )
}

/// The cluster.
pub(super) struct Chart {
    mode: LeaderFollower,
    topology: Arc<Topology>,
    replicas: Vec<LeaderFollowerReplica>,
    outboxes: Vec<Outbox<Message, Timer>>,
    incarnations: Vec<u32>,
    /// Messages about data on their way, and beside them those about leadership.
    wire: BTreeMap<(u16, u16), VecDeque<Message>>,
    control: BTreeMap<(u16, u16), VecDeque<Message>>,
    up: BTreeSet<(u16, u16)>,
    persists: Vec<VecDeque<(PersistToken, Vec<LogRecord>)>>,
    disks: Vec<Vec<LogRecord>>,
    /// Each answer: who gave it, to which sequence number.
    pub(super) replies: Vec<(u16, u64, Outcome)>,
    /// Each version that became visible at a replica.
    pub(super) applied: Vec<Vec<Version>>,
    /// How many entries each replica gave up.
    pub(super) truncated: Vec<u64>,
    /// Each leader that a replica learned of, with its term.
    pub(super) leaders: Vec<Vec<(u64, Option<u16>)>>,
    /// How many snapshot pieces were delivered.
    pub(super) pieces: usize,
}

/// Returns `count` replicas with 100 ms between any two.
pub(super) fn topology(count: u16) -> Topology {
    let region = |index: u16| Region::named(format!("region-{index}"));
    let links = vec![Link::fixed(Duration::from_millis(50)); usize::from(count * count)];
    let source = Source {
        title: String::new(),
        date: String::new(),
        method: String::new(),
    };
    let regions = (0..count).map(region).collect();
    Topology::everywhere(Profile::new("flat", "", source, regions, links))
}

/// Returns the value of write number `sequence`.
pub(super) fn value(sequence: u64) -> Bytes {
    Bytes::copy_from_slice(&sequence.to_be_bytes())
}

/// Returns request number `sequence` of the one client.
pub(super) fn request(sequence: u64, operation: Operation) -> Request {
    Request {
        id: OperationId {
            client: ClientId(1),
            sequence,
        },
        first_incomplete: 0,
        operation,
    }
}

/// Returns the outcome of a write that log entry `index` executed.
pub(super) fn written(index: u64) -> Outcome {
    Outcome::Ok(OperationResult::Written {
        version: Version {
            major: index,
            minor: 0,
        },
    })
}

impl Chart {
    /// Starts `count` replicas with storage; all connections are down.
    pub(super) fn new(mode: &str, count: u16) -> Chart {
        let topology = Arc::new(topology(count));
        let spec: ModeSpec = mode.parse().unwrap();
        let mode = LeaderFollower::parse(&spec, &topology).unwrap();
        let mut chart = Chart {
            mode,
            topology: topology.clone(),
            replicas: Vec::new(),
            outboxes: (0..count).map(|_| Outbox::new(true)).collect(),
            incarnations: vec![0; usize::from(count)],
            wire: BTreeMap::new(),
            control: BTreeMap::new(),
            up: BTreeSet::new(),
            persists: vec![VecDeque::new(); usize::from(count)],
            disks: vec![Vec::new(); usize::from(count)],
            replies: Vec::new(),
            applied: vec![Vec::new(); usize::from(count)],
            truncated: vec![0; usize::from(count)],
            leaders: vec![Vec::new(); usize::from(count)],
            pieces: 0,
        };
        for id in 0..count {
            let replica = chart.make(id);
            chart.replicas.push(replica);
            chart.start(id, Recovered::Nothing);
        }
        chart
    }

    /// Starts replicas that are connected and know their leader.
    pub(super) fn connected(mode: &str, count: u16) -> Chart {
        let mut chart = Chart::new(mode, count);
        for follower in 1..count {
            chart.step(Step::Up {
                between: LEADER,
                and: follower,
            });
        }
        chart.settle();
        chart
    }

    /// Makes things happen, one after the other.
    pub(super) fn run(&mut self, steps: &[Step]) {
        for &step in steps {
            self.step(step);
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Write { at, sequence } => self.request(
                at,
                request(
                    sequence,
                    Operation::Write {
                        key: KEY,
                        value: value(sequence),
                    },
                ),
            ),
            Step::Deliver { from, to } => {
                let queue = self.wire.get_mut(&(from, to));
                let message = queue.and_then(VecDeque::pop_front);
                let message = message.unwrap_or_else(|| panic!("nothing from {from} to {to}"));
                self.pieces += usize::from(matches!(message, Message::Piece(_)));
                self.deliver((from, to), &message);
            }
            Step::Persisted { at } => {
                let next = self.persists[usize::from(at)].pop_front();
                let (token, records) = next.unwrap_or_else(|| panic!("{at} persists nothing"));
                self.disks[usize::from(at)].extend(records);
                self.call(at, |replica, out| {
                    replica.on_persisted(Now::default(), token, out);
                });
            }
            Step::Up { between, and } => self.epoch((between, and), PeerState::Up),
            Step::Down { between, and } => self.epoch((between, and), PeerState::Down),
            Step::Heartbeat { at } => self.call(at, |replica, out| {
                replica.on_timer(Now::default(), Timer::Tick, out);
            }),
        }
    }

    fn deliver(&mut self, (from, to): (u16, u16), message: &Message) {
        // Through its encoding, as on a wire.
        let bytes = postcard::to_stdvec(message).unwrap();
        let message = postcard::from_bytes(&bytes).unwrap();
        self.call(to, |replica, out| {
            replica.on_message(Now::default(), ReplicaId(from), message, out);
        });
    }

    /// Lets all timers go off until a leader that restarted leads again. Of what is under way
    /// only what is about leadership is delivered, and what is to be persisted is.
    pub(super) fn lead_again(&mut self) {
        // Nobody stands before 20 heartbeats, and everybody does before 20 more.
        for _ in 0..100 {
            self.settle_leadership();
            let replica = &self.replicas[usize::from(LEADER)];
            if matches!(replica.role, Role::Leader(_)) {
                return;
            }
            self.beat();
        }
        panic!("nobody leads");
    }

    /// Lets all timers go off.
    fn beat(&mut self) {
        for at in 0..self.replicas.len() as u16 {
            self.step(Step::Heartbeat { at });
        }
    }

    /// Lets heartbeats pass, in which everything is delivered and persisted: enough for the
    /// election of a controller, and for what is to be agreed on then.
    pub(super) fn rest(&mut self) {
        for _ in 0..50 {
            self.settle();
            self.beat();
        }
        self.settle();
    }

    /// Delivers and persists everything until nothing is under way.
    pub(super) fn settle(&mut self) {
        loop {
            self.settle_leadership();
            let mut wire = self.wire.iter();
            let message = wire.find(|(_, queue)| !queue.is_empty());
            let Some((&(from, to), _)) = message else {
                return;
            };
            self.step(Step::Deliver { from, to });
        }
    }

    fn settle_leadership(&mut self) {
        loop {
            let mut control = self.control.iter_mut();
            let message = control.find_map(|(&way, queue)| Some((way, queue.pop_front()?)));
            if let Some((way, message)) = message {
                self.deliver(way, &message);
                continue;
            }
            let Some(at) = self.persists.iter().position(|queue| !queue.is_empty()) else {
                return;
            };
            self.step(Step::Persisted { at: at as u16 });
        }
    }

    /// Delivers a client's request.
    pub(super) fn request(&mut self, at: u16, request: Request) {
        self.call(at, |replica, out| {
            replica.on_request(Now::default(), request, out);
        });
    }

    /// Kills a process and starts it again, with what its disk holds or with nothing. Its
    /// connections are down afterwards.
    pub(super) fn restart(&mut self, at: u16, keeps_storage: bool) {
        for other in 0..self.replicas.len() as u16 {
            if self.up.contains(&(at.min(other), at.max(other))) {
                self.epoch((at.min(other), at.max(other)), PeerState::Down);
            }
        }
        let index = usize::from(at);
        self.persists[index].clear();
        self.incarnations[index] += 1;
        self.replicas[index] = self.make(at);
        if !keeps_storage {
            self.disks[index].clear();
            return self.start(at, Recovered::Lost);
        }
        let mut checkpoint = None;
        let mut records = Vec::new();
        for record in &self.disks[index] {
            match record {
                LogRecord::Append(bytes) => records.push(bytes.clone()),
                LogRecord::Checkpoint(bytes) => {
                    records.clear();
                    checkpoint = Some(bytes.clone());
                }
            }
        }
        self.start(
            at,
            Recovered::Storage {
                checkpoint,
                records,
            },
        );
    }

    /// Asks a replica for the key; returns its value, or why it does not say.
    pub(super) fn read(&mut self, at: u16) -> Result<Option<Bytes>, ErrorKind> {
        let count = self.replies.len();
        self.request(at, request(u64::MAX, Operation::Read { key: KEY }));
        assert_eq!(self.replies.len(), count + 1, "a read is answered at once");
        match self.replies.pop().unwrap().2 {
            Outcome::Ok(OperationResult::Read { value, .. }) => Ok(value),
            Outcome::Fail(error) => Err(error),
            other => panic!("{other:?}"),
        }
    }

    /// Returns the sequence numbers that were answered with success, in order.
    pub(super) fn answered(&self) -> Vec<u64> {
        let successes = self.replies.iter().filter(|reply| reply.2.is_ok());
        successes.map(|reply| reply.1).collect()
    }

    /// Returns a replica's log.
    pub(super) fn log(&self, at: u16) -> &Log {
        &self.replicas[usize::from(at)].log
    }

    /// Says whether two replicas hold the same executed state.
    pub(super) fn agree(&self, a: u16, b: u16) -> bool {
        let [a, b] = [a, b].map(|id| &self.replicas[usize::from(id)]);
        a.executed == b.executed && a.store == b.store
    }

    /// Returns how many messages are on their way.
    pub(super) fn on_the_way(&self, from: u16, to: u16) -> usize {
        self.wire.get(&(from, to)).map_or(0, VecDeque::len)
    }

    /// Returns how many entries are on their way.
    pub(super) fn entries_on_the_way(&self, from: u16, to: u16) -> usize {
        let messages = self.wire.get(&(from, to)).into_iter().flatten();
        messages
            .map(|message| match message {
                Message::Append(append) => append.entries.as_slice().len(),
                _ => 0,
            })
            .sum()
    }

    /// Says whether a step can happen now.
    pub(super) fn is_possible(&self, step: Step) -> bool {
        match step {
            Step::Deliver { from, to } => self.on_the_way(from, to) > 0,
            Step::Persisted { at } => !self.persists[usize::from(at)].is_empty(),
            Step::Up { between, and } => !self.up.contains(&(between, and)),
            Step::Down { between, and } => self.up.contains(&(between, and)),
            Step::Write { .. } | Step::Heartbeat { .. } => true,
        }
    }

    fn make(&self, id: u16) -> LeaderFollowerReplica {
        self.mode.replica(Member {
            id: ReplicaId(id),
            incarnation: self.incarnations[usize::from(id)],
            topology: self.topology.clone(),
            seed: Seed(1),
            retention: Retention::FULL,
        })
    }

    fn start(&mut self, at: u16, recovered: Recovered) {
        self.call(at, |replica, out| {
            replica.on_start(Now::default(), recovered, out);
        });
    }

    fn epoch(&mut self, (a, b): (u16, u16), state: PeerState) {
        if state == PeerState::Up {
            self.up.insert((a, b));
        } else {
            self.up.remove(&(a, b));
            for wire in [&mut self.wire, &mut self.control] {
                wire.remove(&(a, b));
                wire.remove(&(b, a));
            }
        }
        for (at, peer) in [(b, a), (a, b)] {
            self.call(at, |replica, out| {
                replica.on_peer(Now::default(), ReplicaId(peer), state, out);
            });
        }
    }

    fn call(
        &mut self,
        at: u16,
        callback: impl FnOnce(&mut LeaderFollowerReplica, &mut Outbox<Message, Timer>),
    ) {
        let index = usize::from(at);
        let (replica, out) = (&mut self.replicas[index], &mut self.outboxes[index]);
        callback(replica, out);
        replica.on_batch_end(Now::default(), out);
        for effect in out.drain() {
            match effect {
                Effect::Send { to, message } => {
                    if self.up.contains(&(at.min(to.0), at.max(to.0))) {
                        let wire = if is_about_data(&message) {
                            &mut self.wire
                        } else {
                            &mut self.control
                        };
                        wire.entry((at, to.0)).or_default().push_back(message);
                    }
                }
                Effect::Reply { operation, outcome } => {
                    self.replies.push((at, operation.sequence, outcome));
                }
                Effect::Persist { token, records } => {
                    self.persists[index].push_back((token, records));
                }
                Effect::Applied { version, .. } => self.applied[index].push(version),
                Effect::Truncated { entries } => self.truncated[index] += entries,
                Effect::Leader { term, leader } => {
                    let leader = leader.map(|leader| leader.0);
                    self.leaders[index].push((term, leader));
                }
                Effect::SetTimer { .. } | Effect::CancelTimer { .. } => {}
            }
        }
    }
}
