//! A replica's thread: takes what arrives, calls the replica, carries out its effects.

mod effects;
mod lives;
mod peers;
mod sessions;
mod slowness;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use longhaul_experiment::fault::ClockShift;
use longhaul_experiment::time::nanos;
use longhaul_experiment::{
    ClientId, LinkId, Now, RegionIndex, ReplicaId, Time, Topology, WallTime,
};
use longhaul_protocol::replica::OutboxOf;
use longhaul_protocol::{Member, Mode, Outbox, PeerState, Recovered, Replica};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use crate::delivery::{Delivery, HostCommand, ReplicaInput, ReplicaMail};
use crate::messages::{FromAgent, ProbePlan, ProbeSample, ReplicaReport, ToAgent};
use crate::receiving_end::Gate;
use crate::storage::{SyncDelay, WriteAheadLog};
use crate::traffic::{Sender, Traffic};
use crate::transport::{Outbound, listen};
use crate::wire::{PeerFrame, ReplyFrame};
use peers::Peer;
use sessions::Session;
use slowness::Slowness;

/// What a replica's thread is given.
pub(crate) struct ReplicaSetup<M: Mode> {
    pub(crate) mode: M,
    pub(crate) member: Member,
    pub(crate) gate: Gate<M::Replica>,
    /// Where it listens, on a free port.
    pub(crate) address: IpAddr,
    /// Where the write-ahead log is kept; `None`: memory.
    pub(crate) log_directory: Option<PathBuf>,
    pub(crate) mail: ReplicaMail<M::Replica>,
    pub(crate) reports: UnboundedSender<FromAgent>,
}

/// The most inputs taken before their effects are carried out.
const BATCH_MAX: usize = 1024;

/// Runs a replica until it is told to stop.
pub(crate) async fn run<M: Mode>(setup: ReplicaSetup<M>) {
    let reports = setup.reports.clone();
    let topology = &setup.member.topology;
    let region = topology.region_of(setup.member.id);
    let region = topology.region_name(region).to_owned();
    if let Err(why) = serve(setup).await {
        let _ = reports.send(FromAgent::Failed(format!("replica in {region}: {why}")));
    }
}

async fn serve<M: Mode>(setup: ReplicaSetup<M>) -> Result<(), String> {
    let listener = listen(setup.address).await.map_err(|why| why.to_string())?;
    let address = listener.local_addr().map_err(|why| why.to_string())?;
    let (host, mail) = Host::new(setup)?;
    let listening = FromAgent::Listening {
        replica: host.id,
        address,
    };
    let _ = host.reports.send(listening);
    let ReplicaMail {
        mut inputs,
        mut commands,
    } = mail;
    let host = Rc::new(RefCell::new(host));
    tokio::task::spawn_local(accept_connections(Rc::clone(&host), listener));
    // What is taken of the mailbox, the oldest last.
    let mut batch = Vec::with_capacity(BATCH_MAX);
    loop {
        let is_paused = host.borrow().is_paused;
        tokio::select! {
            biased;
            command = commands.recv() => match command {
                Some(HostCommand::Suffer(fault)) => {
                    host.borrow_mut().suffer(fault)?;
                    continue;
                }
                Some(HostCommand::Stop) | None => {
                    host.borrow_mut().report_end();
                    return Ok(());
                }
            },
            count = inputs.recv_many(&mut batch, BATCH_MAX), if !is_paused && batch.is_empty() => {
                if count == 0 {
                    return Ok(());
                }
                batch.reverse();
            }
            () = std::future::ready(()), if !is_paused && !batch.is_empty() => {}
        }
        if !is_paused && !batch.is_empty() {
            Host::handle(&host, &mut batch, &commands)?;
        }
    }
}

/// A replica, everything its effects need, and the machine that it runs on.
struct Host<R: Replica> {
    id: ReplicaId,
    topology: std::sync::Arc<Topology>,
    gate: Gate<R>,
    reports: UnboundedSender<FromAgent>,
    /// Makes the replica of a life.
    make: Box<dyn Fn(u32) -> R>,
    /// How often the process was started before.
    incarnation: u32,
    /// `None` while its process is dead.
    replica: Option<R>,
    is_paused: bool,
    /// Wakes what a pause holds up.
    running: Rc<Notify>,
    outbox: OutboxOf<R>,
    log_directory: Option<PathBuf>,
    storage: Option<WriteAheadLog>,
    /// The log of a life that has ended, whose writing thread may still have to end.
    dead_storage: Option<WriteAheadLog>,
    recovered: Option<Recovered>,
    started: bool,
    /// Where replicas listen, by their ids.
    addresses: Vec<SocketAddr>,
    peers: BTreeMap<ReplicaId, Peer<R::Message>>,
    sessions: BTreeMap<ClientId, Session>,
    /// Counts the connections that each client made: a client's random draws must not depend on
    /// who came first.
    connections: BTreeMap<ClientId, u64>,
    /// The latest setting of each timer that is set.
    timers: BTreeMap<R::Timer, u64>,
    settings: u64,
    traffic: Traffic,
    probes: Vec<ProbeSample>,
    probes_left: Option<ProbePlan>,
    /// Wall clock minus monotonic clock, in nanoseconds, without what a fault adds.
    wall_offset_ns: u64,
    clock_shift: ClockShift,
    slowness: Slowness,
    sync_delay: SyncDelay,
}

impl<R: Replica + 'static> Host<R> {
    fn new<M: Mode<Replica = R>>(
        setup: ReplicaSetup<M>,
    ) -> Result<(Host<R>, ReplicaMail<R>), String> {
        let ReplicaSetup {
            mode,
            member,
            gate,
            log_directory,
            mail,
            reports,
            address: _,
        } = setup;
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        let (id, topology) = (member.id, std::sync::Arc::clone(&member.topology));
        let peers = member.peers().map(|peer| (peer, Peer::default()));
        let peers = peers.collect();
        let make = Box::new(move |incarnation| {
            mode.replica(Member {
                incarnation,
                ..member.clone()
            })
        });
        let mut host = Host {
            id,
            topology,
            wall_offset_ns: nanos(wall).saturating_sub(gate.clock.now().as_nanos()),
            gate,
            reports,
            replica: Some(make(0)),
            make,
            incarnation: 0,
            is_paused: false,
            running: Rc::default(),
            outbox: Outbox::new(log_directory.is_some()),
            log_directory,
            storage: None,
            dead_storage: None,
            recovered: None,
            started: false,
            addresses: Vec::new(),
            peers,
            sessions: BTreeMap::new(),
            connections: BTreeMap::new(),
            timers: BTreeMap::new(),
            settings: 0,
            traffic: Traffic::default(),
            probes: Vec::new(),
            probes_left: None,
            clock_shift: ClockShift::default(),
            slowness: Slowness::default(),
            sync_delay: SyncDelay::default(),
        };
        host.recovered = Some(host.open_storage()?);
        Ok((host, mail))
    }

    fn now(&self) -> Now {
        let monotonic = self.gate.clock.now();
        let wall = self.wall_offset_ns + monotonic.as_nanos();
        Now {
            monotonic,
            wall: WallTime(wall.saturating_add_signed(self.clock_shift.0)),
        }
    }

    /// Delivers a batch, the oldest last, and carries out what the replica answers. Commands that
    /// come meanwhile cut the batch short.
    fn handle(
        host: &Rc<RefCell<Host<R>>>,
        batch: &mut Vec<ReplicaInput<R>>,
        commands: &UnboundedReceiver<HostCommand>,
    ) -> Result<(), String> {
        let mut this = host.borrow_mut();
        let now = this.now();
        while let Some(input) = batch.pop() {
            this.take(host, input, now)?;
            this.slowness.pay();
            if !commands.is_empty() {
                break;
            }
        }
        this.settle(now)
    }

    fn take(
        &mut self,
        host: &Rc<RefCell<Host<R>>>,
        input: ReplicaInput<R>,
        now: Now,
    ) -> Result<(), String> {
        match input {
            ReplicaInput::Request(request) => {
                self.call(|replica, out| replica.on_request(now, request, out));
            }
            ReplicaInput::Message {
                from,
                epoch,
                message,
            } => {
                let peer = self.peers.get_mut(&from);
                if let Some(message) = peer.and_then(|peer| peer.admit(epoch, message)) {
                    self.call(|replica, out| replica.on_message(now, from, message, out));
                }
            }
            ReplicaInput::Timer { timer, setting } => {
                if self.timers.get(&timer) == Some(&setting) {
                    self.timers.remove(&timer);
                    self.call(|replica, out| replica.on_timer(now, timer, out));
                }
            }
            ReplicaInput::Persisted {
                incarnation,
                report,
            } => {
                if incarnation == self.incarnation {
                    let token = report.map_err(|why| why.to_string())?;
                    self.call(|replica, out| replica.on_persisted(now, token, out));
                }
            }
            ReplicaInput::PeerEnded { peer, epoch } => self.end_epoch(peer, epoch),
            ReplicaInput::Dial(peer) => self.redial(host, peer),
            ReplicaInput::ClientEnded { client, connection } => {
                self.end_session(client, connection);
            }
            ReplicaInput::Probe {
                sent_at,
                mut sample,
                client,
            } => {
                sample.achieved_ns = nanos(now.monotonic.since(sent_at));
                self.probes.push(sample);
                if let Some(client) = client {
                    self.answer_probe(client, now.monotonic)?;
                }
            }
            ReplicaInput::SendProbe => self.send_probes(now.monotonic)?,
            ReplicaInput::Order(order) => self.obey(host, order, now),
        }
        Ok(())
    }

    /// Calls the replica if its process lives.
    fn call(&mut self, call: impl FnOnce(&mut R, &mut OutboxOf<R>)) {
        if let Some(replica) = &mut self.replica {
            call(replica, &mut self.outbox);
        }
    }

    fn obey(&mut self, host: &Rc<RefCell<Host<R>>>, order: ToAgent, now: Now) {
        match order {
            ToAgent::Connect(addresses) => {
                self.addresses = addresses;
                self.dial_all(host);
                self.report_connected();
            }
            ToAgent::Start => self.start(now),
            ToAgent::Probe(plan) => {
                self.probes_left = Some(plan);
                self.schedule_probe(plan.start);
            }
            ToAgent::Load(plan) => self.traffic.measure(plan.window_start, plan.end),
            ToAgent::EndConnections { a, b } => self.end_connections((a, b)),
            ToAgent::RestoreConnections { a, b, ready_at } => {
                self.restore_connections(host, (a, b), ready_at);
            }
            ToAgent::Cut | ToAgent::Stop => {}
        }
    }

    fn report_end(&mut self) {
        let report = ReplicaReport {
            replica: self.id,
            traffic: std::mem::take(&mut self.traffic).into_links(),
            probes: std::mem::take(&mut self.probes),
        };
        let _ = self.reports.send(FromAgent::Stopped(report));
    }

    fn start(&mut self, now: Now) {
        self.started = true;
        let recovered = self.recovered.take().unwrap_or(Recovered::Nothing);
        self.call(|replica, out| replica.on_start(now, recovered, out));
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
        let Some(session) = self.sessions.get(&client) else {
            return Ok(());
        };
        let link = self.link_to(session.region);
        let bytes = session
            .outbound
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
        self.sessions
            .values()
            .for_each(|session| session.outbound.flush());
    }
}

async fn accept_connections<R: Replica + 'static>(
    host: Rc<RefCell<Host<R>>>,
    listener: TcpListener,
) {
    // An accept fails when the process has no file descriptor left; the dialler tries again.
    loop {
        match crate::transport::accept(&listener).await {
            // Nobody takes a connection for a dead process: whoever dialled is hung up on.
            Ok(_) if host.borrow().replica.is_none() => {}
            Ok((inbound, outbound)) => {
                outbound.welcome();
                outbound.flush();
                tokio::task::spawn_local(peers::serve_connection(
                    Rc::clone(&host),
                    inbound,
                    outbound,
                ));
            }
            // No figure depends on when it tries again, so the runtime's coarse timers will do.
            Err(_) => tokio::time::sleep(peers::REDIAL_AFTER).await,
        }
    }
}
