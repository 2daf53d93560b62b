//! What happens in a simulation: the events of its queue, and the callbacks that they become.

use longhaul_experiment::{ErrorKind, LinkId, OperationId, Outcome, RegionIndex, ReplicaId};
use longhaul_protocol::{LogRecord, Mode, PeerState, PersistToken, Recovered, Replica, Request};

use super::{ClientAddress, EventOf, FrameOf, OccurrenceKind, Simulation, TimerOf};
use crate::network::Wire;
use crate::peers::Epoch;
use crate::queue::EventKey;
use crate::timers::TimerEvent;
use crate::trace::{TraceId, TraceKind, name_of};

/// One event of the queue.
pub(super) enum Event<Message, Timer> {
    /// A frame arrives.
    Frame(Frame<Message>),
    /// A timer of one life of a replica comes up.
    Timer {
        replica: ReplicaId,
        incarnation: u32,
        timer: Timer,
    },
    /// A sync of one life of a replica ends.
    Synced {
        replica: ReplicaId,
        incarnation: u32,
        sync: Sync,
    },
    /// The processors of one life of a replica are done with a part of their work.
    Work {
        replica: ReplicaId,
        incarnation: u32,
    },
    /// A pair of replicas has connected.
    Connected {
        pair: (ReplicaId, ReplicaId),
        epoch: Epoch,
    },
    /// A replica learns of the beginning or end of an epoch.
    Peer {
        replica: ReplicaId,
        peer: ReplicaId,
        state: PeerState,
        epoch: Epoch,
    },
    /// The clients of a region learn that a replica's process died.
    ClientsLost {
        region: RegionIndex,
        replica: ReplicaId,
        epoch: Epoch,
    },
    /// The clients of a region have connected to a replica again.
    ClientsConnected {
        region: RegionIndex,
        replica: ReplicaId,
        epoch: Epoch,
    },
    /// A client whose connection was given up alone has connected to a replica again.
    ClientConnected {
        client: ClientAddress,
        replica: ReplicaId,
        epoch: Epoch,
    },
    /// The sender of a connection's epoch gives it up: losses delayed a frame for too long.
    GivenUp { wire: Wire, epoch: Epoch },
    /// The clients of a region give up an attempt to connect.
    ClientsGiveUp { attempt: u32 },
    /// A cut has lasted for as long as the connections over its link bear silence.
    Silence { link: LinkId, cut: u32 },
    /// The driver asked to be woken.
    Wake(u64),
}

/// What connections carry.
pub(super) enum Frame<Message> {
    Message {
        from: ReplicaId,
        to: ReplicaId,
        epoch: Epoch,
        message: Message,
        cause: Option<TraceId>,
    },
    Request {
        client: ClientAddress,
        replica: ReplicaId,
        epoch: Epoch,
        /// Boxed: it is larger than any other frame, and few events are requests.
        request: Box<Request>,
        cause: Option<TraceId>,
    },
    Response {
        client: ClientAddress,
        replica: ReplicaId,
        epoch: Epoch,
        operation: OperationId,
        outcome: Outcome,
        cause: Option<TraceId>,
    },
}

impl<Message> Frame<Message> {
    /// Returns the connection epoch in which it was sent.
    pub fn epoch(&self) -> Epoch {
        match self {
            Frame::Message { epoch, .. }
            | Frame::Request { epoch, .. }
            | Frame::Response { epoch, .. } => *epoch,
        }
    }
}

/// Records on their way to storage.
pub(super) struct Sync {
    pub token: PersistToken,
    pub records: Vec<LogRecord>,
    pub cause: Option<TraceId>,
}

impl<Message, Timer> Event<Message, Timer> {
    /// Returns the replica whose process has to run for the event.
    fn replica(&self) -> Option<ReplicaId> {
        match self {
            Event::Frame(Frame::Message { to, .. }) => Some(*to),
            Event::Frame(Frame::Request { replica, .. })
            | Event::Timer { replica, .. }
            | Event::Synced { replica, .. }
            | Event::Work { replica, .. }
            | Event::Peer { replica, .. } => Some(*replica),
            Event::Frame(Frame::Response { .. })
            | Event::Connected { .. }
            | Event::ClientsLost { .. }
            | Event::ClientsConnected { .. }
            | Event::ClientConnected { .. }
            | Event::GivenUp { .. }
            | Event::ClientsGiveUp { .. }
            | Event::Silence { .. }
            | Event::Wake(_) => None,
        }
    }
}

impl<M: Mode> Simulation<M> {
    pub(super) fn start_all(&mut self) {
        let ids: Vec<ReplicaId> = self.topology.replica_ids().collect();
        for &id in &ids {
            self.start(id, Recovered::Nothing);
        }
        for &a in &ids {
            for &b in ids.iter().filter(|&&b| b > a) {
                self.carry_out_connected((a, b), self.epochs.of(a, b));
            }
        }
    }

    pub(super) fn start(&mut self, id: ReplicaId, recovered: Recovered) {
        let now = self.now;
        self.open_batch(id, None);
        self.nodes[id.index()].call(now, |replica, now, out| {
            replica.on_start(now, recovered, out);
        });
        self.end_batches();
    }

    pub(super) fn carry_out(&mut self, key: EventKey, event: EventOf<M>) {
        if let Some(id) = event.replica() {
            let node = &mut self.nodes[id.index()];
            if let Some(waiting) = &mut node.paused {
                waiting.push((key, event));
                return;
            }
            let is_work = matches!(event, Event::Work { .. });
            if node.processors.is_some() && node.replica.is_some() && !is_work {
                self.wait_for_processors(id, key, event);
                return;
            }
        }
        self.carry_out_at_once(key, event);
    }

    /// Carries out an event for which its replica has the processors.
    pub(super) fn carry_out_at_once(&mut self, key: EventKey, event: EventOf<M>) {
        match event {
            Event::Frame(frame) => self.carry_out_frame(frame),
            Event::Timer {
                replica,
                incarnation,
                timer,
            } => self.carry_out_timer(key, (replica, incarnation), timer),
            Event::Synced {
                replica,
                incarnation,
                sync,
            } => {
                // A process that died meanwhile takes what was not yet safe with it.
                let node = &self.nodes[replica.index()];
                if node.incarnation == incarnation && node.replica.is_some() {
                    self.carry_out_synced(replica, sync);
                }
            }
            Event::Work {
                replica,
                incarnation,
            } => self.carry_out_work(replica, incarnation),
            Event::Connected { pair, epoch } => self.carry_out_connected(pair, epoch),
            Event::Peer {
                replica,
                peer,
                state,
                epoch,
            } => self.carry_out_peer(replica, peer, (state, epoch)),
            Event::ClientsLost {
                region,
                replica,
                epoch,
            } => {
                // Clients whose connections ended otherwise meanwhile know already.
                if self.client_epochs.shared(region, replica) == epoch {
                    let connection = None;
                    self.tell(OccurrenceKind::ConnectionLost {
                        region,
                        connection,
                        replica,
                    });
                }
            }
            Event::ClientsConnected {
                region,
                replica,
                epoch,
            } => self.carry_out_clients_connected((region, replica), epoch),
            Event::ClientConnected {
                client,
                replica,
                epoch,
            } => self.carry_out_client_connected((client, replica), epoch),
            Event::GivenUp { wire, epoch } => self.carry_out_given_up(wire, epoch),
            Event::ClientsGiveUp { attempt } => self.carry_out_give_up(attempt),
            Event::Silence { link, cut } => self.carry_out_silence(link, cut),
            Event::Wake(token) => self.tell(OccurrenceKind::Wake(token)),
        }
    }

    fn carry_out_frame(&mut self, frame: FrameOf<M>) {
        match frame {
            Frame::Message {
                from,
                to,
                epoch,
                message,
                cause,
            } => {
                let connected = self.nodes[to.index()].connected[from.index()];
                if connected == Some(epoch) && self.epochs.of(from, to) == epoch {
                    let input = self.tracer.add(self.now, cause, || TraceKind::Delivered {
                        from,
                        to,
                        name: <M::Replica as Replica>::name(&message),
                    });
                    self.open_batch(to, input);
                    let now = self.now;
                    self.nodes[to.index()].call(now, |replica, now, out| {
                        replica.on_message(now, from, message, out);
                    });
                }
            }
            Frame::Request {
                client,
                replica,
                epoch,
                request,
                cause,
            } => {
                if self.client_epochs.of(client, replica) == epoch {
                    self.carry_out_request(replica, request, (client.region, cause));
                }
            }
            Frame::Response {
                client,
                replica,
                epoch,
                operation,
                outcome,
                cause,
            } => {
                if self.client_epochs.of(client, replica) != epoch {
                    return;
                }
                self.tracer.add(self.now, cause, || TraceKind::Answered {
                    region: client.region,
                    from: replica,
                    operation,
                });
                self.tell(OccurrenceKind::Reply {
                    client,
                    replica,
                    operation,
                    outcome,
                });
            }
        }
    }

    fn carry_out_request(
        &mut self,
        id: ReplicaId,
        request: Box<Request>,
        (region, cause): (RegionIndex, Option<TraceId>),
    ) {
        let operation = request.id;
        if self.nodes[id.index()].replica.is_none() {
            // Nobody listens: the connection is refused, so the request has no effect.
            let refused = Outcome::Fail(ErrorKind::NotReady);
            self.respond(id, operation, refused);
            return;
        }
        let kind = request.operation.kind();
        let input = self.tracer.add(self.now, cause, || TraceKind::Request {
            at_replica: id,
            region,
            operation,
            kind,
        });
        self.open_batch(id, input);
        let now = self.now;
        self.nodes[id.index()].call(now, |replica, now, out| {
            replica.on_request(now, *request, out);
        });
    }

    fn carry_out_timer(&mut self, key: EventKey, life: (ReplicaId, u32), timer: TimerOf<M>) {
        let (id, incarnation) = life;
        let node = &mut self.nodes[id.index()];
        if node.incarnation != incarnation || node.replica.is_none() {
            return;
        }
        match node.timers.on_event(timer, key) {
            TimerEvent::Stale => {}
            TimerEvent::PutOff(later) => {
                let event = Event::Timer {
                    replica: id,
                    incarnation,
                    timer,
                };
                self.queue.push_reserved(later, event);
            }
            TimerEvent::Due => {
                let input = self.tracer.add(self.now, None, || TraceKind::Timer {
                    at_replica: id,
                    name: name_of(&timer),
                });
                self.open_batch(id, input);
                let now = self.now;
                self.nodes[id.index()].call(now, |replica, now, out| {
                    replica.on_timer(now, timer, out);
                });
            }
        }
    }

    pub(super) fn carry_out_synced(&mut self, id: ReplicaId, sync: Sync) {
        let Sync {
            token,
            records,
            cause,
        } = sync;
        let input = self
            .tracer
            .add(self.now, cause, || TraceKind::Persisted { at_replica: id });
        self.nodes[id.index()].storage.keep(records);
        self.open_batch(id, input);
        let now = self.now;
        self.nodes[id.index()].call(now, |replica, now, out| {
            replica.on_persisted(now, token, out);
        });
    }

    fn carry_out_connected(&mut self, pair: (ReplicaId, ReplicaId), epoch: Epoch) {
        let (a, b) = pair;
        let both_live = [a, b]
            .iter()
            .all(|id| self.nodes[id.index()].replica.is_some());
        if !both_live || self.epochs.of(a, b) != epoch {
            return;
        }
        let regions = (self.topology.region_of(a), self.topology.region_of(b));
        if self.is_blocked(regions) {
            self.epochs.end(a, b);
            return;
        }
        for (replica, peer) in [(a, b), (b, a)] {
            // Whoever has not heard yet of the end of the epoch before hears of it first.
            if let Some(ended) = self.nodes[replica.index()].connected[peer.index()] {
                let event = Event::Peer {
                    replica,
                    peer,
                    state: PeerState::Down,
                    epoch: ended,
                };
                self.queue.push(self.now, event);
            }
            let event = Event::Peer {
                replica,
                peer,
                state: PeerState::Up,
                epoch,
            };
            self.queue.push(self.now, event);
        }
    }

    fn carry_out_peer(&mut self, id: ReplicaId, peer: ReplicaId, news: (PeerState, Epoch)) {
        let (state, epoch) = news;
        let connected = &mut self.nodes[id.index()].connected[peer.index()];
        match state {
            PeerState::Up if self.epochs.of(id, peer) == epoch => *connected = Some(epoch),
            PeerState::Down if *connected == Some(epoch) => *connected = None,
            // The news are of an epoch that has passed meanwhile.
            PeerState::Up | PeerState::Down => return,
        }
        self.open_batch(id, None);
        let now = self.now;
        self.nodes[id.index()].call(now, |replica, now, out| {
            replica.on_peer(now, peer, state, out);
        });
    }
}
