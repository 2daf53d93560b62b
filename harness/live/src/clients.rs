//! The clients of a region: a thread with connections to the replicas that they ask.

mod connections;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use longhaul_experiment::time::nanos;
use longhaul_experiment::workload::{Arrivals, OperationSource, Schedule, ScheduleFor, ValueMaker};
use longhaul_experiment::{
    ClientId, Contact, OperationKind, RegionIndex, ReplicaId, Scenario, Seed, Time,
};
use longhaul_protocol::Replica;
use longhaul_protocol::client::{ClientCore, ClientSend, ClientSettings, ClosedLoop};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use crate::delivery::{ClientInput, Delivery};
use crate::messages::{ClientsReport, FromAgent, LoadPlan, ProbePlan, ProbeSample, ToAgent};
use crate::receiving_end::Gate;
use crate::traffic::Traffic;
use crate::wire::ClientFrame;
use connections::{Connections, Key};

/// How often operations without an answer are looked for: they may be given up that much late.
const TICK: Duration = Duration::from_millis(50);

/// The most inputs taken before what they caused is written.
const BATCH_MAX: usize = 1024;

/// What a region's clients are given.
pub(crate) struct ClientsSetup<R: Replica> {
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) seed: Seed,
    /// The position of their region among the topology's client regions.
    pub(crate) position: usize,
    /// Whom they ask for each kind of operation.
    pub(crate) contacts: Vec<(OperationKind, Contact)>,
    pub(crate) gate: Gate<R>,
    pub(crate) inputs: UnboundedReceiver<ClientInput>,
    pub(crate) reports: UnboundedSender<FromAgent>,
}

/// Runs a region's clients until they are told to stop.
pub(crate) async fn run<R: Replica + 'static>(setup: ClientsSetup<R>) {
    let reports = setup.reports.clone();
    if let Err(why) = serve(setup).await {
        let _ = reports.send(FromAgent::Failed(why));
    }
}

async fn serve<R: Replica + 'static>(mut setup: ClientsSetup<R>) -> Result<(), String> {
    let region = setup.scenario.topology.clients[setup.position];
    let name = setup.scenario.topology.region_name(region).to_owned();
    let mut inputs = std::mem::replace(&mut setup.inputs, tokio::sync::mpsc::unbounded_channel().1);
    let clients = Rc::new(RefCell::new(Clients::new(setup, region)));
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while inputs.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let going_on = Clients::handle(&clients, &mut batch)
            .map_err(|why| format!("clients in {name}: {why}"))?;
        if !going_on {
            break;
        }
    }
    Ok(())
}

struct Clients<R: Replica> {
    scenario: Arc<Scenario>,
    seed: Seed,
    position: usize,
    region: RegionIndex,
    contacts: Vec<(OperationKind, Contact)>,
    sessions: Vec<ClientId>,
    gate: Gate<R>,
    reports: UnboundedSender<FromAgent>,
    addresses: Vec<SocketAddr>,
    connections: Connections,
    core: Option<ClientCore>,
    load: Option<LoadPlan>,
    /// Tells the schedule that no further operation is due.
    cut: Arc<AtomicBool>,
    sends: Vec<ClientSend>,
    traffic: Traffic,
    probes: Vec<ProbeSample>,
    probes_left: Option<ProbePlan>,
}

impl<R: Replica + 'static> Clients<R> {
    fn new(setup: ClientsSetup<R>, region: RegionIndex) -> Clients<R> {
        let per_region = setup.scenario.limits.connections;
        let first = setup.position as u32 * per_region;
        Clients {
            scenario: setup.scenario,
            seed: setup.seed,
            position: setup.position,
            region,
            contacts: setup.contacts,
            sessions: (first..first + per_region).map(ClientId).collect(),
            gate: setup.gate,
            reports: setup.reports,
            addresses: Vec::new(),
            connections: Connections::default(),
            core: None,
            load: None,
            cut: Arc::default(),
            sends: Vec::new(),
            traffic: Traffic::default(),
            probes: Vec::new(),
            probes_left: None,
        }
    }

    /// Takes a batch; `false` when the clients are to stop.
    fn handle(
        clients: &Rc<RefCell<Clients<R>>>,
        batch: &mut Vec<ClientInput>,
    ) -> Result<bool, String> {
        let mut this = clients.borrow_mut();
        let mut going_on = true;
        let now = this.gate.clock.now();
        for input in batch.drain(..) {
            let Clients { core, sends, .. } = &mut *this;
            match input {
                ClientInput::Due(planned) => {
                    if let Some(core) = core {
                        core.on_due(now, planned, sends);
                    }
                }
                ClientInput::Reply { operation, outcome } => {
                    if let Some(core) = core {
                        core.on_reply(now, operation, outcome, sends);
                    }
                }
                ClientInput::ConnectionEnded { key, number } => this.connection_ended(key, number),
                ClientInput::GiveUp { key, attempt } => this.give_up(key, attempt),
                ClientInput::Tick => {
                    if let Some(core) = core {
                        core.on_tick(now, sends);
                        this.schedule(now + TICK, ClientInput::Tick);
                    }
                }
                ClientInput::Probe {
                    sent_at,
                    mut sample,
                } => {
                    sample.achieved_ns = nanos(now.since(sent_at));
                    this.probes.push(sample);
                }
                ClientInput::SendProbe => this.send_probes(now)?,
                ClientInput::Order(order) => {
                    going_on &= Clients::obey(clients, &mut this, order, now);
                }
            }
        }
        this.write(clients)?;
        this.report_if_drained(now);
        Ok(going_on)
    }

    fn obey(
        clients: &Rc<RefCell<Clients<R>>>,
        this: &mut Clients<R>,
        order: ToAgent,
        now: Time,
    ) -> bool {
        match order {
            ToAgent::Connect(addresses) => {
                this.addresses = addresses;
                for to in this.first_contacts() {
                    for session in 0..this.sessions.len() {
                        this.begin_dialling(clients, (session, to));
                    }
                }
            }
            ToAgent::Probe(plan) => {
                this.probes_left = Some(plan);
                this.schedule(plan.start, ClientInput::SendProbe);
            }
            ToAgent::Load(plan) => this.begin_load(plan, now),
            ToAgent::Cut => {
                this.cut.store(true, Ordering::Release);
                if let Some(load) = &mut this.load {
                    load.end = load.end.min(now);
                    load.drained_by = now;
                }
            }
            ToAgent::EndConnections { a, b } => this.end_connections((a, b)),
            ToAgent::RestoreConnections { a, b, ready_at } => {
                this.restore_connections(clients, (a, b), ready_at);
            }
            ToAgent::Stop => return false,
            ToAgent::Start => {}
        }
        true
    }

    fn nearest(&self) -> ReplicaId {
        self.scenario.topology.nearest_replica(self.region)
    }

    /// The replicas that the clients ask at first, and the nearest in any case: its link is the
    /// region's LAN, which is probed too.
    fn first_contacts(&self) -> BTreeSet<ReplicaId> {
        let asked = self.contacts.iter().map(|(_, contact)| match contact {
            Contact::Leader => self.scenario.topology.leader,
            Contact::Nearest => self.nearest(),
        });
        asked.chain([self.nearest()]).collect()
    }

    fn begin_load(&mut self, plan: LoadPlan, now: Time) {
        let workload = &self.scenario.workload;
        let regions = self.scenario.topology.clients.len();
        let (seed, region) = (self.seed, self.position);
        let closed_loop = match workload.arrivals {
            Arrivals::Closed { in_flight } => Some(ClosedLoop {
                in_flight,
                end: plan.end,
                source: OperationSource::new(workload, seed, region, regions),
            }),
            Arrivals::Poisson { .. } | Arrivals::Constant { .. } => None,
        };
        let (start, end) = (plan.start, plan.end);
        let schedule = Schedule::new(
            workload,
            ScheduleFor {
                seed,
                region,
                regions,
                start,
                end,
            },
        );
        let mut core = ClientCore::new(ClientSettings {
            region: self.region,
            sessions: self.sessions.clone(),
            leader: self.scenario.topology.leader,
            nearest: self.nearest(),
            replicas: self.scenario.topology.replicas.len() as u16,
            contacts: self.contacts.clone(),
            values: ValueMaker::new(workload.value_size),
            max_in_flight: self.scenario.limits.max_in_flight,
            operation_timeout: self.scenario.limits.operation_timeout,
            window_start: plan.window_start,
            window: plan.end.since(plan.window_start),
            keep_history: self.scenario.keep_history,
            closed_loop,
        });
        core.on_start(now, &mut self.sends);
        self.core = Some(core);
        self.load = Some(plan);
        self.traffic.measure(plan.window_start, plan.end);
        if let Some(schedule) = schedule {
            let (cut, position) = (Arc::clone(&self.cut), self.position);
            let due = schedule
                .take_while(move |_| !cut.load(Ordering::Acquire))
                .map(move |planned| {
                    let delivery = Delivery::Clients(position, ClientInput::Due(planned));
                    (planned.intended_at, delivery.into())
                });
            self.gate
                .line
                .source(self.gate.line.open_queue(), Box::new(due));
        }
        self.schedule(now + TICK, ClientInput::Tick);
    }

    /// Reports once the load has ended and no operation is under way, or its time is up.
    fn report_if_drained(&mut self, now: Time) {
        let Some(load) = self.load else { return };
        let idle = self.core.as_ref().is_some_and(ClientCore::is_idle);
        if now < load.end || !(idle || now >= load.drained_by) {
            return;
        }
        let Some(core) = self.core.take() else { return };
        self.load = None;
        let outcome = core.finish(now);
        let _ = self
            .reports
            .send(FromAgent::Finished(Box::new(ClientsReport {
                record: outcome.record,
                pacing: outcome.pacing,
                history: outcome.history,
                traffic: std::mem::take(&mut self.traffic).into_links(),
                probes: std::mem::take(&mut self.probes),
            })));
    }

    fn schedule(&self, at: Time, input: ClientInput) {
        self.gate
            .line
            .push_unordered(at, Delivery::Clients(self.position, input).into());
    }

    fn send_probes(&mut self, now: Time) -> Result<(), String> {
        // One session is enough: all take the same link.
        let targets: Vec<Key> = self.connections.of_session(0).collect();
        for key in targets {
            self.push(key, now, &ClientFrame::Probe)?;
        }
        self.connections.flush();
        if let Some(plan) = &mut self.probes_left {
            plan.count = plan.count.saturating_sub(1);
            if plan.count > 0 {
                let next = now + Duration::from_nanos(plan.gap_ns);
                self.schedule(next, ClientInput::SendProbe);
            }
        }
        Ok(())
    }
}
