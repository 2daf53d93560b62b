//! The clients of one region in the simulation: a schedule, the clients' state machine, and the
//! links between them and the replicas.

use std::collections::BTreeMap;

use longhaul_experiment::workload::{
    Arrivals, OperationSource, PlannedOperation, Schedule, ScheduleFor, ValueMaker,
};
use longhaul_experiment::{
    ClientId, Contact, OperationId, OperationKind, Outcome, RegionIndex, ReplicaId, Scenario, Seed,
    Time,
};
use longhaul_protocol::Mode;
use longhaul_protocol::client::{
    ClientCore, ClientSend, ClientSettings, ClientsOutcome, ClosedLoop,
};

use crate::simulation::{ClientAddress, Simulation};

/// The instants of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadPlan {
    /// When load begins.
    pub start: Time,
    /// When the measured window begins.
    pub window_start: Time,
    /// When the window ends, and with it the load.
    pub end: Time,
}

/// What the clients of a region are given.
#[derive(Clone, Copy, Debug)]
pub struct ClientsSetup<'a> {
    /// The run's order.
    pub scenario: &'a Scenario,
    /// The run's seed.
    pub seed: Seed,
    /// The position of their region among the topology's client regions.
    pub position: usize,
    /// Whom they ask, by kind of operation.
    pub contacts: &'a BTreeMap<OperationKind, Contact>,
    /// The instants of the load.
    pub plan: LoadPlan,
}

/// The clients of one region: one session per connection.
#[derive(Debug)]
pub struct RegionClients {
    region: RegionIndex,
    position: usize,
    core: ClientCore,
    schedule: Option<Schedule>,
    next: Option<PlannedOperation>,
    timeout_is_set: bool,
    sends: Vec<ClientSend>,
}

/// Why clients are woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// An operation is due.
    Due,
    /// An operation may have timed out.
    Timeout,
}

impl Wake {
    /// Returns the token of a wake of the clients at a position.
    pub fn token(self, position: usize) -> u64 {
        ((position as u64) << 1) | u64::from(self == Wake::Timeout)
    }

    /// Returns the position and the wake that a token stands for.
    pub fn from_token(token: u64) -> (usize, Wake) {
        let wake = if token & 1 == 1 {
            Wake::Timeout
        } else {
            Wake::Due
        };
        ((token >> 1) as usize, wake)
    }
}

impl RegionClients {
    /// Returns clients that have done nothing yet; [`RegionClients::start`] starts them.
    pub fn new(setup: ClientsSetup<'_>) -> RegionClients {
        let ClientsSetup {
            scenario,
            seed,
            position,
            contacts,
            plan,
        } = setup;
        let topology = &scenario.topology;
        let region = topology.clients[position];
        let workload = &scenario.workload;
        let regions = topology.clients.len();
        let closed_loop = match workload.arrivals {
            Arrivals::Closed { in_flight } => Some(ClosedLoop {
                in_flight,
                end: plan.end,
                source: OperationSource::new(workload, seed, position, regions),
            }),
            Arrivals::Poisson { .. } | Arrivals::Constant { .. } => None,
        };
        let schedule_for = ScheduleFor {
            seed,
            region: position,
            regions,
            start: plan.start,
            end: plan.end,
        };
        let connections = scenario.limits.connections.max(1);
        let first = position as u32 * connections;
        let core = ClientCore::new(ClientSettings {
            region,
            sessions: (first..first + connections).map(ClientId).collect(),
            leader: topology.leader,
            nearest: topology.nearest_replica(region),
            replicas: topology.replicas.len() as u16,
            contacts: contacts
                .iter()
                .map(|(&kind, &contact)| (kind, contact))
                .collect(),
            values: ValueMaker::new(workload.value_size),
            max_in_flight: scenario.limits.max_in_flight,
            operation_timeout: scenario.limits.operation_timeout,
            window_start: plan.window_start,
            window: plan.end.since(plan.window_start),
            keep_history: scenario.keep_history,
            closed_loop,
        });
        RegionClients {
            region,
            position,
            core,
            schedule: Schedule::new(workload, schedule_for),
            next: None,
            timeout_is_set: false,
            sends: Vec::new(),
        }
    }

    /// Returns the clients' region.
    pub fn region(&self) -> RegionIndex {
        self.region
    }

    /// Begins the load.
    pub fn start<M: Mode>(&mut self, simulation: &mut Simulation<M>) {
        self.core.on_start(simulation.now(), &mut self.sends);
        self.carry_out(simulation);
        self.await_next(simulation);
    }

    /// Says whether nothing is in flight and nothing waits.
    pub fn is_idle(&self) -> bool {
        self.core.is_idle()
    }

    /// Takes a wake that was asked for.
    pub fn on_wake<M: Mode>(&mut self, simulation: &mut Simulation<M>, wake: Wake) {
        let now = simulation.now();
        match wake {
            Wake::Due => {
                if let Some(due) = self.next.take() {
                    self.core.on_due(now, due, &mut self.sends);
                }
                self.await_next(simulation);
            }
            Wake::Timeout => {
                self.timeout_is_set = false;
                self.core.on_tick(now, &mut self.sends);
            }
        }
        self.carry_out(simulation);
    }

    /// Takes an answer.
    pub fn on_reply<M: Mode>(
        &mut self,
        simulation: &mut Simulation<M>,
        operation: OperationId,
        outcome: Outcome,
    ) {
        self.core
            .on_reply(simulation.now(), operation, outcome, &mut self.sends);
        self.carry_out(simulation);
    }

    /// Takes the news that connections to a replica ended, one or all (`None`), or that its process
    /// died: what was asked over them may have happened.
    pub fn on_connection_lost<M: Mode>(
        &mut self,
        simulation: &mut Simulation<M>,
        replica: ReplicaId,
        connection: Option<u32>,
    ) {
        let now = simulation.now();
        let sessions = match connection {
            Some(connection) => connection as usize..connection as usize + 1,
            None => 0..self.core.settings().sessions.len(),
        };
        for session in sessions {
            self.core
                .on_connection_lost(now, session, replica, &mut self.sends);
        }
        self.carry_out(simulation);
    }

    /// Ends the recording. What is still under way is unknown, as unfinished.
    pub fn finish(self, now: Time) -> ClientsOutcome {
        self.core.finish(now)
    }

    fn await_next<M: Mode>(&mut self, simulation: &mut Simulation<M>) {
        self.next = self.schedule.as_mut().and_then(Iterator::next);
        if let Some(next) = &self.next {
            simulation.wake_at(next.intended_at, Wake::Due.token(self.position));
        }
    }

    /// Sends what the clients want sent, and sees to their next time-out.
    fn carry_out<M: Mode>(&mut self, simulation: &mut Simulation<M>) {
        let now = simulation.now();
        let mut sends = std::mem::take(&mut self.sends);
        for send in sends.drain(..) {
            let client = ClientAddress {
                region: self.region,
                connection: send.session as u32,
            };
            simulation.submit(now, client, send.to, send.request);
        }
        self.sends = sends;
        if !self.timeout_is_set
            && let Some(timeout) = self.core.next_timeout()
        {
            self.timeout_is_set = true;
            simulation.wake_at(timeout, Wake::Timeout.token(self.position));
        }
    }
}
