//! The event loop over the replicas of one mode.

mod commands;
mod connections;
mod effects;
mod events;
mod node;
mod processors;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use longhaul_experiment::record::{Leadership, LinkTraffic};
use longhaul_experiment::scenario::Durability;
use longhaul_experiment::service::ServiceTimes;
use longhaul_experiment::time::nanos;
use longhaul_experiment::{OperationId, Outcome, RegionIndex, ReplicaId, Seed, Time, Topology};
use longhaul_protocol::paged::PagedMap;
use longhaul_protocol::{Effect, Mode, Replica, Request, Retention};

use crate::network::{Network, Passage, Wire};
use crate::peers::{ClientEpochs, Epochs};
use crate::queue::EventQueue;
use crate::trace::{TraceEvent, TraceId, TraceKind, Tracer};
use connections::Disconnected;
use events::{Event, Frame, Sync};
use node::Node;

type MessageOf<M> = <<M as Mode>::Replica as Replica>::Message;
type TimerOf<M> = <<M as Mode>::Replica as Replica>::Timer;
type EventOf<M> = Event<MessageOf<M>, TimerOf<M>>;
type EffectOf<M> = Effect<MessageOf<M>, TimerOf<M>>;
type FrameOf<M> = Frame<MessageOf<M>>;

/// What is chosen of a simulation besides mode, topology and seed.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulationOptions {
    /// What replicas keep.
    pub durability: Durability,
    /// What replicas' work costs: nothing by default. Storage in memory does not sync.
    pub service: ServiceTimes,
    /// How callbacks are batched.
    pub batching: Batching,
    /// How much of their past replicas keep: all that their protocols state by default.
    pub retention: Retention,
    /// By replica, how much faster its clocks run than time, in millionths; those beyond the list
    /// run with time. Timers go by these clocks, too. Besides what is asked for here clocks run
    /// true, and faults move the wall clock alone.
    pub clocks_faster_ppm: Vec<u32>,
}

impl Default for SimulationOptions {
    fn default() -> SimulationOptions {
        SimulationOptions {
            durability: Durability::Memory,
            service: ServiceTimes::default(),
            batching: Batching::EveryEvent,
            retention: Retention::FULL,
            clocks_faster_ppm: Vec::new(),
        }
    }
}

/// When a replica's batch of callbacks ends and its effects are carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batching {
    /// After every event.
    EveryEvent,
    /// After all events of one instant.
    EveryInstant,
}

/// Where a client session is, and which of its region's connections to each replica is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientAddress {
    /// Its region.
    pub region: RegionIndex,
    /// The number of its connections among the region's.
    pub connection: u32,
}

/// Something that concerns whoever drives the simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// When.
    pub at: Time,
    /// What.
    pub kind: OccurrenceKind,
}

/// What concerns the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OccurrenceKind {
    /// A client received an answer.
    Reply {
        /// The client.
        client: ClientAddress,
        /// The replica that answered.
        replica: ReplicaId,
        /// The operation.
        operation: OperationId,
        /// Its end.
        outcome: Outcome,
    },
    /// Clients of a region learned that their connections to a replica ended, or that its
    /// process died: what they had asked of it is not answered any more.
    ConnectionLost {
        /// The clients' region.
        region: RegionIndex,
        /// The connection that ended; `None`: all of the region's.
        connection: Option<u32>,
        /// The replica.
        replica: ReplicaId,
    },
    /// The instant came for which [`Simulation::wake_at`] was called with this token.
    Wake(u64),
}

/// Entries at the end of a replica's log that were given up for another leader's. They may have
/// been acknowledged to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncation {
    /// When.
    pub at: Time,
    /// The replica.
    pub replica: ReplicaId,
    /// How many.
    pub entries: u64,
}

/// What becomes of a message between replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is sent.
    Deliver,
    /// It is lost. Streams do not lose messages: this is for tests of what holds even then.
    Drop,
    /// It, and what follows it on its connection, sets out this much later.
    Hold(Duration),
    /// It arrives this much later as a datagram: the link's delay, order, cuts and traffic count
    /// do not touch it, so it may overtake and be overtaken. This is below the contract of FIFO
    /// streams, for models that draw every message's delay on its own, with modes that bear it.
    /// It is still lost when the connection's epoch ends.
    DeliverAfter(Duration),
}

/// Judges messages between replicas: when, from, to, what.
pub type Judge<Message> = Box<dyn FnMut(Time, ReplicaId, ReplicaId, &Message) -> Verdict>;

/// The replicas of one mode in virtual time.
///
/// [`Simulation::step`] carries out one event. Between two replicas messages are FIFO, without
/// duplicates, and lost only when the connection's epoch ends: because a process died, because a
/// link that is cut was silent for too long, because losses delayed a frame for too long, or by a
/// reset; unless a [`Judge`] decides otherwise.
pub struct Simulation<M: Mode> {
    mode: M,
    topology: Arc<Topology>,
    seed: Seed,
    options: SimulationOptions,
    now: Time,
    events: u64,
    queue: EventQueue<EventOf<M>>,
    nodes: Vec<Node<M>>,
    epochs: Epochs,
    client_epochs: ClientEpochs,
    disconnected: Disconnected,
    network: Network<FrameOf<M>>,
    /// Replicas with a batch that has not ended.
    open_batches: Vec<ReplicaId>,
    /// Memory for [`Simulation::end_batches`].
    effects: Vec<EffectOf<M>>,
    /// Syncs of the present batch that take no time.
    syncs: Vec<Sync>,
    occurrences: VecDeque<Occurrence>,
    /// By client.
    clients: PagedMap<ClientAddress>,
    /// By region, whether its clients have asked for anything.
    has_clients: Vec<bool>,
    leaders: Vec<Leadership>,
    truncations: Vec<Truncation>,
    judge: Option<Judge<MessageOf<M>>>,
    tracer: Tracer,
}

impl<M: Mode> Simulation<M> {
    /// Starts the replicas at the epoch, with all connections between them up.
    pub fn new(
        mode: M,
        topology: Arc<Topology>,
        seed: Seed,
        options: SimulationOptions,
    ) -> Simulation<M> {
        let nodes = topology
            .replica_ids()
            .map(|id| Node::new(&mode, id, &topology, (seed, &options)))
            .collect();
        let regions = topology.profile.regions.len();
        let mut simulation = Simulation {
            network: Network::new(Arc::clone(&topology), seed),
            epochs: Epochs::new(topology.replicas.len()),
            client_epochs: ClientEpochs::new(regions, topology.replicas.len()),
            disconnected: Disconnected::default(),
            mode,
            topology,
            seed,
            options,
            now: Time::ZERO,
            events: 0,
            queue: EventQueue::default(),
            nodes,
            open_batches: Vec::new(),
            effects: Vec::new(),
            syncs: Vec::new(),
            occurrences: VecDeque::new(),
            clients: PagedMap::default(),
            has_clients: vec![false; regions],
            leaders: Vec::new(),
            truncations: Vec::new(),
            judge: None,
            tracer: Tracer::default(),
        };
        if !simulation.options.service.per_kib.is_zero() {
            simulation.network.need_sizes();
        }
        simulation.note_applied(false);
        simulation.start_all();
        simulation
    }

    /// Returns the present instant.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Returns how many events were carried out so far.
    pub fn events_carried_out(&self) -> u64 {
        self.events
    }

    /// Returns the topology.
    pub fn topology(&self) -> &Arc<Topology> {
        &self.topology
    }

    /// Returns the mode.
    pub fn mode(&self) -> &M {
        &self.mode
    }

    /// Returns the instant of the next event; `None`: nothing will happen any more.
    pub fn next_event_time(&self) -> Option<Time> {
        self.queue.next_time()
    }

    /// Carries out the next event and says whether there was one.
    pub fn step(&mut self) -> bool {
        let Some((key, event)) = self.queue.pop() else {
            return false;
        };
        // A timer that was put off while its replica was stopped or busy may be overdue.
        self.now = self.now.max(key.time());
        self.events += 1;
        self.carry_out(key, event);
        let instant_ends = self.queue.next_time() != Some(self.now);
        if self.options.batching == Batching::EveryEvent || instant_ends {
            self.end_batches();
        }
        true
    }

    /// Carries out all events up to an instant, which is the present afterwards.
    pub fn run_until(&mut self, until: Time) {
        while self.queue.next_time().is_some_and(|next| next <= until) {
            self.step();
        }
        self.now = self.now.max(until);
    }

    /// Takes the oldest occurrence that was not taken yet.
    pub fn next_occurrence(&mut self) -> Option<Occurrence> {
        self.occurrences.pop_front()
    }

    /// Asks for an occurrence at an instant, the present at the earliest.
    pub fn wake_at(&mut self, at: Time, token: u64) {
        self.queue.push(at.max(self.now), Event::Wake(token));
    }

    /// Sends a client's request from its region to a replica. The answer comes as
    /// [`OccurrenceKind::Reply`] after it has travelled back.
    ///
    /// `at` is when the request is sent, the present at the earliest; requests over one
    /// connection stay in the order in which they were submitted.
    pub fn submit(
        &mut self,
        at: Time,
        client: ClientAddress,
        replica: ReplicaId,
        request: Request,
    ) {
        let at = at.max(self.now);
        let id = request.id;
        self.clients.insert(id.client.0.into(), client);
        self.has_clients[client.region.index()] = true;
        let kind = request.operation.kind();
        let cause = self.tracer.add(at, None, || TraceKind::Asked {
            region: client.region,
            to: replica,
            operation: id,
            kind,
        });
        if self.client_epochs.is_up(client, replica) {
            self.send_request(at, (client, replica), request, cause);
        } else {
            self.await_connection((client, replica), request, cause);
        }
    }

    fn send_request(
        &mut self,
        at: Time,
        (client, replica): (ClientAddress, ReplicaId),
        request: Request,
        cause: Option<TraceId>,
    ) {
        let bytes = self.network.frame_bytes(&request);
        let frame = Frame::Request {
            client,
            replica,
            epoch: self.client_epochs.of(client, replica),
            request: Box::new(request),
            cause,
        };
        self.transmit(at, Wire::ToReplica(client, replica), bytes, frame);
    }

    /// Returns whom a replica takes for the leader.
    pub fn leader_known_by(&self, replica: ReplicaId) -> Option<ReplicaId> {
        self.nodes[replica.index()].leader
    }

    /// Returns the leaders so far: of each term the first report.
    pub fn leaders(&self) -> &[Leadership] {
        &self.leaders
    }

    /// Returns which entries were given up at the ends of logs so far, in the order of time.
    pub fn truncations(&self) -> &[Truncation] {
        &self.truncations
    }

    /// Turns the links' delays on or off. Off, messages arrive at the instant they are sent.
    pub fn set_delays(&mut self, on: bool) {
        self.network.set_delays(on);
    }

    /// Turns the count of traffic on or off.
    pub fn set_counting(&mut self, on: bool) {
        self.network.set_counting(on);
    }

    /// Returns the traffic that was counted, by link.
    pub fn traffic(&self) -> Vec<LinkTraffic> {
        self.network.traffic()
    }

    /// Lets `judge` decide on every message between replicas from now on.
    pub fn set_judge(&mut self, judge: Judge<MessageOf<M>>) {
        self.judge = Some(judge);
    }

    /// Begins a trace. Caution: it keeps every event in memory.
    pub fn start_trace(&mut self) {
        self.tracer.start();
        self.note_applied(true);
    }

    /// Ends the trace and returns it.
    pub fn take_trace(&mut self) -> Vec<TraceEvent> {
        self.note_applied(false);
        self.tracer.take()
    }

    /// Has replicas tell which versions became visible, which nobody but a trace asks for.
    fn note_applied(&mut self, on: bool) {
        for node in &mut self.nodes {
            node.outbox.note_applied(on);
        }
    }

    #[inline]
    fn transmit(&mut self, at: Time, wire: Wire, bytes: usize, frame: FrameOf<M>) {
        match self.network.send(at, wire, bytes) {
            Passage::Arrives(lane, arrival) => {
                self.queue.push_in_lane(lane, arrival, Event::Frame(frame));
            }
            Passage::Waits => self.network.hold(at, (wire, bytes), frame),
            Passage::GivenUp(at) => self.give_up_at(at, wire, frame.epoch()),
        }
    }

    fn tell(&mut self, kind: OccurrenceKind) {
        let at = self.now;
        self.occurrences.push_back(Occurrence { at, kind });
    }
}

/// The wall clock of the run's epoch: 2026-01-01 00:00 UTC, in nanoseconds since the Unix epoch.
const WALL_CLOCK_AT_EPOCH: u64 = 1_767_225_600_000_000_000;

/// Returns the wall clock that is `offset` nanoseconds from the true one.
fn wall_clock(now: Time, offset: i64) -> longhaul_experiment::WallTime {
    let true_clock = WALL_CLOCK_AT_EPOCH.saturating_add(nanos(now.since(Time::ZERO)));
    longhaul_experiment::WallTime(true_clock.saturating_add_signed(offset))
}
