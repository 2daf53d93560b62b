//! A replica's thread: takes what arrives, calls the replica, carries out its effects.

mod effects;
mod peers;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use longhaul_experiment::time::nanos;
use longhaul_experiment::{
    ClientId, LinkId, Now, RegionIndex, ReplicaId, Time, Topology, WallTime,
};
use longhaul_protocol::replica::OutboxOf;
use longhaul_protocol::{Mode, Outbox, PeerState, Recovered, Replica};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use crate::delivery::{Delivery, ReplicaInput};
use crate::links::Links;
use crate::messages::{FromAgent, ProbePlan, ProbeSample, ReplicaReport, ToAgent};
use crate::receiving_end::Gate;
use crate::storage::WriteAheadLog;
use crate::traffic::{Sender, Traffic};
use crate::transport::{Outbound, listen};
use crate::wire::{PeerFrame, ReplyFrame};
use peers::Peer;

/// What a replica's thread is given.
pub(crate) struct ReplicaSetup<M: Mode> {
    pub(crate) mode: M,
    pub(crate) member: longhaul_protocol::Member,
    pub(crate) links: Links,
    pub(crate) gate: Gate<M::Replica>,
    /// Where the write-ahead log is kept; `None`: memory.
    pub(crate) log_directory: Option<PathBuf>,
    pub(crate) inputs: UnboundedReceiver<ReplicaInput<M::Replica>>,
    pub(crate) reports: UnboundedSender<FromAgent>,
}

/// The most inputs taken before their effects are carried out.
const BATCH_MAX: usize = 1024;

/// Runs a replica until it is told to stop.
pub(crate) async fn run<M: Mode>(setup: ReplicaSetup<M>) {
    let reports = setup.reports.clone();
    if let Err(why) = serve(setup).await {
        let _ = reports.send(FromAgent::Failed(why));
    }
}

async fn serve<M: Mode>(mut setup: ReplicaSetup<M>) -> Result<(), String> {
    let id = setup.member.id;
    let region = setup
        .member
        .topology
        .region_name(setup.member.topology.region_of(id))
        .to_owned();
    let context = |why: &dyn std::fmt::Display| format!("replica in {region}: {why}");
    let listener = listen().await.map_err(|why| context(&why))?;
    let address = listener.local_addr().map_err(|why| context(&why))?;
    let (storage, recovered) = match &setup.log_directory {
        None => (None, Recovered::Nothing),
        Some(directory) => {
            let mailboxes = setup.gate.mailboxes.clone();
            let (log, recovered) = WriteAheadLog::open(directory, move |report| {
                mailboxes.deliver(Delivery::Replica(id, ReplicaInput::Persisted(report)));
            })
            .map_err(|why| context(&why))?;
            (Some(log), recovered)
        }
    };
    let _ = setup.reports.send(FromAgent::Listening {
        replica: id,
        address,
    });
    let mut inputs = std::mem::replace(&mut setup.inputs, tokio::sync::mpsc::unbounded_channel().1);
    let host = Rc::new(RefCell::new(Host::new(setup, storage, recovered)));
    tokio::task::spawn_local(accept_connections(Rc::clone(&host), listener));
    let mut batch = Vec::with_capacity(BATCH_MAX);
    loop {
        if inputs.recv_many(&mut batch, BATCH_MAX).await == 0 {
            return Ok(());
        }
        let flow = Host::handle(&host, &mut batch).map_err(|why| context(&why))?;
        match flow {
            Flow::Continue => {}
            Flow::PauseUntil(until) => {
                let now = host.borrow().gate.clock.now();
                tokio::time::sleep(until.since(now)).await;
            }
            Flow::Stop => return Ok(()),
        }
    }
}

enum Flow {
    Continue,
    PauseUntil(Time),
    Stop,
}

/// A replica and everything its effects need.
struct Host<R: Replica> {
    id: ReplicaId,
    topology: std::sync::Arc<Topology>,
    links: Links,
    gate: Gate<R>,
    reports: UnboundedSender<FromAgent>,
    replica: R,
    outbox: OutboxOf<R>,
    storage: Option<WriteAheadLog>,
    recovered: Option<Recovered>,
    started: bool,
    peers: BTreeMap<ReplicaId, Peer<R::Message>>,
    clients: BTreeMap<ClientId, (RegionIndex, Outbound)>,
    /// The latest setting of each timer that is set.
    timers: BTreeMap<R::Timer, u64>,
    settings: u64,
    traffic: Traffic,
    probes: Vec<ProbeSample>,
    probes_left: Option<ProbePlan>,
    /// Wall clock minus monotonic clock, in nanoseconds.
    wall_offset_ns: u64,
}

impl<R: Replica + 'static> Host<R> {
    fn new<M: Mode<Replica = R>>(
        setup: ReplicaSetup<M>,
        storage: Option<WriteAheadLog>,
        recovered: Recovered,
    ) -> Host<R> {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Host {
            id: setup.member.id,
            topology: std::sync::Arc::clone(&setup.member.topology),
            links: setup.links,
            wall_offset_ns: nanos(wall).saturating_sub(setup.gate.clock.now().as_nanos()),
            gate: setup.gate,
            reports: setup.reports,
            peers: setup
                .member
                .peers()
                .map(|peer| (peer, Peer::default()))
                .collect(),
            replica: setup.mode.replica(setup.member),
            outbox: Outbox::new(storage.is_some()),
            storage,
            recovered: Some(recovered),
            started: false,
            clients: BTreeMap::new(),
            timers: BTreeMap::new(),
            settings: 0,
            traffic: Traffic::default(),
            probes: Vec::new(),
            probes_left: None,
        }
    }

    fn now(&self) -> Now {
        let monotonic = self.gate.clock.now();
        Now {
            monotonic,
            wall: WallTime(self.wall_offset_ns + monotonic.as_nanos()),
        }
    }

    /// Delivers a batch to the replica and carries out what it answers.
    fn handle(
        host: &Rc<RefCell<Host<R>>>,
        batch: &mut Vec<ReplicaInput<R>>,
    ) -> Result<Flow, String> {
        let mut flow = Flow::Continue;
        let mut this = host.borrow_mut();
        let now = this.now();
        for input in batch.drain(..) {
            match input {
                ReplicaInput::Request(request) => {
                    let Host {
                        replica, outbox, ..
                    } = &mut *this;
                    replica.on_request(now, request, outbox);
                }
                ReplicaInput::Message {
                    from,
                    epoch,
                    message,
                } => {
                    let Host {
                        replica,
                        outbox,
                        peers,
                        ..
                    } = &mut *this;
                    let peer = peers.get_mut(&from);
                    if let Some(message) = peer.and_then(|peer| peer.admit(epoch, message)) {
                        replica.on_message(now, from, message, outbox);
                    }
                }
                ReplicaInput::Timer { timer, setting } => {
                    if this.timers.get(&timer) == Some(&setting) {
                        this.timers.remove(&timer);
                        let Host {
                            replica, outbox, ..
                        } = &mut *this;
                        replica.on_timer(now, timer, outbox);
                    }
                }
                ReplicaInput::Persisted(report) => {
                    let token = report.map_err(|why| why.to_string())?;
                    let Host {
                        replica, outbox, ..
                    } = &mut *this;
                    replica.on_persisted(now, token, outbox);
                }
                ReplicaInput::Probe {
                    sent_at,
                    mut sample,
                    client,
                } => {
                    sample.achieved_ns = nanos(now.monotonic.since(sent_at));
                    this.probes.push(sample);
                    if let Some(client) = client {
                        this.answer_probe(client, now.monotonic)?;
                    }
                }
                ReplicaInput::SendProbe => this.send_probes(now.monotonic)?,
                ReplicaInput::Order(order) => match Host::obey(host, &mut this, order, now) {
                    Flow::Continue => {}
                    other => flow = other,
                },
            }
        }
        this.settle(now)?;
        Ok(flow)
    }

    fn obey(host: &Rc<RefCell<Host<R>>>, this: &mut Host<R>, order: ToAgent, now: Now) -> Flow {
        match order {
            ToAgent::Connect(addresses) => {
                for &peer in this.peers.keys() {
                    let dialling =
                        peers::keep_dialling(Rc::clone(host), peer, addresses[peer.index()]);
                    tokio::task::spawn_local(dialling);
                }
                this.report_connected();
            }
            ToAgent::Start => this.start(now),
            ToAgent::Probe(plan) => {
                this.probes_left = Some(plan);
                this.schedule_probe(plan.start);
            }
            ToAgent::Load(plan) => this.traffic.measure(plan.window_start, plan.end),
            ToAgent::Pause(until) => return Flow::PauseUntil(until),
            ToAgent::Emulate(_) | ToAgent::Cut => {}
            ToAgent::Stop => {
                let report = ReplicaReport {
                    replica: this.id,
                    traffic: std::mem::take(&mut this.traffic).into_links(),
                    probes: std::mem::take(&mut this.probes),
                };
                let _ = this.reports.send(FromAgent::Stopped(report));
                return Flow::Stop;
            }
        }
        Flow::Continue
    }

    fn start(&mut self, now: Now) {
        self.started = true;
        let recovered = self.recovered.take().unwrap_or(Recovered::Nothing);
        self.replica.on_start(now, recovered, &mut self.outbox);
        let connected: Vec<ReplicaId> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.is_connected())
            .map(|(&id, _)| id)
            .collect();
        for id in connected {
            self.set_peer(id, PeerState::Up, now);
        }
    }

    fn send_probes(&mut self, now: Time) -> Result<(), String> {
        let targets: Vec<ReplicaId> = self.peers.keys().copied().collect();
        for to in targets {
            self.send_to_peer(to, now, &PeerFrame::<R::Message>::Probe)?;
        }
        self.flush();
        if let Some(plan) = &mut self.probes_left {
            plan.count = plan.count.saturating_sub(1);
            if plan.count > 0 {
                let next = now + Duration::from_nanos(plan.gap_ns);
                self.schedule_probe(next);
            }
        }
        Ok(())
    }

    fn schedule_probe(&mut self, at: Time) {
        let delivery = Delivery::Replica(self.id, ReplicaInput::SendProbe);
        self.gate.line.push_unordered(at, delivery.into());
    }

    fn answer_probe(&mut self, client: ClientId, now: Time) -> Result<(), String> {
        self.send_to_client(client, now, &ReplyFrame::Probe)
    }

    fn link_to(&self, region: RegionIndex) -> LinkId {
        LinkId {
            from: self.topology.region_of(self.id),
            to: region,
        }
    }

    fn send_to_peer(
        &mut self,
        to: ReplicaId,
        now: Time,
        frame: &PeerFrame<R::Message>,
    ) -> Result<(), String> {
        let link = self.link_to(self.topology.region_of(to));
        let Some(outbound) = self.peers.get(&to).and_then(|peer| peer.outgoing.as_ref()) else {
            return Ok(());
        };
        let bytes = outbound
            .push(now, frame)
            .map_err(|why| format!("to {to}: {why}"))?;
        self.traffic.sent(link, Sender::Replica, now, bytes);
        Ok(())
    }

    fn send_to_client(
        &mut self,
        client: ClientId,
        now: Time,
        frame: &ReplyFrame,
    ) -> Result<(), String> {
        // A client that has gone does not want to know.
        let Some((region, outbound)) = self.clients.get(&client) else {
            return Ok(());
        };
        let link = self.link_to(*region);
        let bytes = outbound
            .push(now, frame)
            .map_err(|why| format!("to {client}: {why}"))?;
        self.traffic.sent(link, Sender::Client, now, bytes);
        Ok(())
    }

    fn flush(&self) {
        self.peers
            .values()
            .filter_map(|peer| peer.outgoing.as_ref())
            .for_each(Outbound::flush);
        self.clients
            .values()
            .for_each(|(_, outbound)| outbound.flush());
    }
}

async fn accept_connections<R: Replica + 'static>(
    host: Rc<RefCell<Host<R>>>,
    listener: TcpListener,
) {
    // An accept fails when the process has no file descriptor left; the dialler tries again.
    loop {
        match crate::transport::accept(&listener).await {
            Ok((inbound, outbound)) => {
                tokio::task::spawn_local(peers::serve_connection(
                    Rc::clone(&host),
                    inbound,
                    outbound,
                ));
            }
            Err(_) => tokio::time::sleep(peers::REDIAL_AFTER).await,
        }
    }
}
