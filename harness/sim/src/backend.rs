//! The `sim` backend: a scenario and a seed in, a record out.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use longhaul_experiment::backend::{Backend, RunError};
use longhaul_experiment::record::{
    BackendKind, Calibration, Environment, ModeRecord, RECORD_VERSION,
};
use longhaul_experiment::service::ServiceTimes;
use longhaul_experiment::{
    Contact, ModeSpec, OperationKind, OperationRecord, Path, RunRecord, Scenario, Seed, Time,
    parallel,
};
use longhaul_protocol::modes::{self, with_mode};
use longhaul_protocol::{Mode, ModeVisitor};

use crate::clients::{ClientsSetup, LoadPlan, RegionClients, Wake};
use crate::faults::Faults;
use crate::simulation::{Batching, OccurrenceKind, Simulation, SimulationOptions};

/// How long, in virtual time, replicas may take to agree on the wanted leader before load.
pub const BOOTSTRAP_MAX: Duration = Duration::from_secs(60);

/// The most events that bootstrap may take: without delay, a protocol that answers every message
/// with another would never leave the instant.
const BOOTSTRAP_EVENTS_MAX: u64 = 10_000_000;

/// Runs scenarios in virtual time.
///
/// Everything but the record's `environment`, which stays empty here, is a function of scenario
/// and seed.
#[derive(Clone, Copy, Debug)]
pub struct SimBackend {
    /// How callbacks are batched; by instant by default.
    pub batching: Batching,
    /// How many modes of a scenario run at once; as many as there are processors by default. Each
    /// takes memory of its own, and the record is the same with any number.
    pub threads: NonZeroUsize,
}

impl Default for SimBackend {
    fn default() -> SimBackend {
        SimBackend {
            batching: Batching::EveryInstant,
            threads: parallel::processors(),
        }
    }
}

impl Backend for SimBackend {
    fn run(&mut self, scenario: &Scenario, seed: Seed) -> Result<RunRecord, RunError> {
        modes::check(scenario)?;
        Faults::of_scenario(scenario, Time::ZERO)?;
        let modes = self.run_modes(scenario, seed)?;
        Ok(RunRecord {
            record_version: RECORD_VERSION,
            scenario: scenario.clone(),
            backend: BackendKind::Sim,
            seed,
            complete: true,
            calibration: Calibration {
                scheduling: "virtual time: every link is exact".to_owned(),
                ..Calibration::default()
            },
            environment: Environment::default(),
            modes,
            failures: Vec::new(),
        })
    }
}

impl SimBackend {
    /// Runs all modes of a scenario, several at once: no mode's run depends on another's.
    fn run_modes(&self, scenario: &Scenario, seed: Seed) -> Result<Vec<ModeRecord>, RunError> {
        let run = |number: u64| {
            let spec = &scenario.modes[number as usize];
            let visitor = RunMode {
                backend: *self,
                scenario,
                spec,
                seed,
            };
            let run = with_mode(spec, &scenario.topology, visitor);
            run.map_err(RunError::from).flatten()
        };
        // What comes after a mode that fails would be for nothing.
        let modes = scenario.modes.len() as u64;
        let runs = parallel::map_until(modes, self.threads, run, Result::is_err);
        runs.into_iter().collect()
    }

    /// Runs one mode of a scenario.
    ///
    /// # Errors
    ///
    /// The mode has not an operation that the workload asks for, a fault hits nothing, or the
    /// replicas do not agree on the wanted leader.
    pub fn run_mode<M: Mode>(
        &self,
        mode: M,
        spec: &ModeSpec,
        (scenario, seed): (&Scenario, Seed),
    ) -> Result<ModeRecord, RunError> {
        self.run_mode_counting(mode, spec, (scenario, seed))
            .map(|run| run.record)
    }

    /// Runs one mode of a scenario, and says what that took.
    ///
    /// # Errors
    ///
    /// Those of [`SimBackend::run_mode`].
    pub fn run_mode_counting<M: Mode>(
        &self,
        mode: M,
        spec: &ModeSpec,
        (scenario, seed): (&Scenario, Seed),
    ) -> Result<ModeRun, RunError> {
        let paths = modes::paths(&mode, spec, scenario)?;
        let contacts: BTreeMap<OperationKind, Contact> = paths
            .iter()
            .map(|(&kind, path)| (kind, path.contact))
            .collect();
        let asks_leader = contacts.values().any(|&contact| contact == Contact::Leader);
        let topology = Arc::new(scenario.topology.clone());
        let options = SimulationOptions {
            durability: scenario.durability,
            service: scenario
                .service
                .as_ref()
                .map_or_else(ServiceTimes::default, |service| service.of(spec).clone()),
            batching: self.batching,
            ..SimulationOptions::default()
        };
        let mut simulation = Simulation::new(mode, topology, seed, options);
        if asks_leader {
            agree_on_leader(&mut simulation, spec)?;
        }
        let start = simulation.now();
        let window_start = start + scenario.durations.warmup;
        let plan = LoadPlan {
            start,
            window_start,
            end: window_start + scenario.durations.measured,
        };
        let faults = Faults::of_scenario(scenario, window_start)?;
        let regions = scenario.topology.clients.len();
        let clients = (0..regions)
            .map(|position| {
                RegionClients::new(ClientsSetup {
                    scenario,
                    seed,
                    position,
                    contacts: &contacts,
                    plan,
                })
            })
            .collect();
        let mut positions = vec![None; scenario.topology.profile.regions.len()];
        for (position, region) in scenario.topology.clients.iter().enumerate() {
            positions[region.index()] = Some(position);
        }
        let mut run = Run {
            simulation,
            clients,
            positions,
            faults,
            plan,
        };
        run.carry_load(scenario.durations.drain);
        Ok(ModeRun {
            events: run.simulation.events_carried_out(),
            record: run.into_record(spec, paths, scenario.keep_history),
        })
    }
}

/// One mode's run.
#[derive(Debug)]
pub struct ModeRun {
    /// What it left behind.
    pub record: ModeRecord,
    /// The events that were carried out, bootstrap included: what frames, timers, syncs and
    /// clients' wakes took out of the queue.
    pub events: u64,
}

/// Runs the mode that it visits.
struct RunMode<'a> {
    backend: SimBackend,
    scenario: &'a Scenario,
    spec: &'a ModeSpec,
    seed: Seed,
}

impl ModeVisitor for RunMode<'_> {
    type Output = Result<ModeRecord, RunError>;

    fn visit<M: Mode>(self, mode: M) -> Self::Output {
        self.backend
            .run_mode(mode, self.spec, (self.scenario, self.seed))
    }
}

/// Runs the replicas without delay or load until all of them take the topology's leader for the
/// leader; then turns delays on.
///
/// # Errors
///
/// They do not within [`BOOTSTRAP_MAX`].
pub fn agree_on_leader<M: Mode>(
    simulation: &mut Simulation<M>,
    spec: &ModeSpec,
) -> Result<(), RunError> {
    simulation.set_delays(false);
    let topology = Arc::clone(simulation.topology());
    let wanted = Some(topology.leader);
    let deadline = simulation.now() + BOOTSTRAP_MAX;
    let mut events = 0;
    loop {
        let agreed = topology
            .replica_ids()
            .all(|replica| simulation.leader_known_by(replica) == wanted);
        // What is under way arrives at this very instant, before delays begin.
        let next = simulation.next_event_time();
        if agreed && next != Some(simulation.now()) {
            simulation.set_delays(true);
            return Ok(());
        }
        if next.is_none_or(|next| next > deadline) || events == BOOTSTRAP_EVENTS_MAX {
            break;
        }
        simulation.step();
        events += 1;
    }
    let known: Vec<String> = topology
        .replica_ids()
        .map(|replica| {
            let leader = simulation.leader_known_by(replica);
            let leader = leader.map_or("nobody".to_owned(), |leader| leader.to_string());
            format!("{replica}: {leader}")
        })
        .collect();
    Err(RunError::NotReady {
        mode: spec.to_string(),
        why: format!(
            "after {BOOTSTRAP_MAX:?} without delay or load not every replica takes {} ({}) for \
             the leader, but {}; choose another leader or report this",
            topology.leader,
            topology.region_name(topology.region_of(topology.leader)),
            known.join(", ")
        ),
    })
}

/// One mode under load.
struct Run<M: Mode> {
    simulation: Simulation<M>,
    clients: Vec<RegionClients>,
    /// By region: the position of its clients.
    positions: Vec<Option<usize>>,
    faults: Faults,
    plan: LoadPlan,
}

impl<M: Mode> Run<M> {
    /// Runs warm-up, window and drain.
    fn carry_load(&mut self, drain: Duration) {
        self.faults.schedule(&mut self.simulation, Time::MAX);
        for clients in &mut self.clients {
            clients.start(&mut self.simulation);
        }
        self.carry_until(self.plan.window_start, false);
        self.simulation.set_counting(true);
        self.carry_until(self.plan.end, false);
        self.simulation.set_counting(false);
        self.carry_until(self.plan.end + drain, true);
    }

    /// Carries out what happens before an instant, or until the clients are idle.
    fn carry_until(&mut self, until: Time, ends_when_idle: bool) {
        loop {
            while let Some(occurrence) = self.simulation.next_occurrence() {
                self.handle(occurrence.kind);
            }
            let idle = ends_when_idle && self.clients.iter().all(RegionClients::is_idle);
            let next = self.simulation.next_event_time();
            if idle || next.is_none_or(|next| next >= until) {
                return;
            }
            self.simulation.step();
        }
    }

    fn handle(&mut self, occurrence: OccurrenceKind) {
        let Run {
            simulation,
            clients,
            positions,
            faults,
            ..
        } = self;
        match occurrence {
            OccurrenceKind::Reply {
                client,
                operation,
                outcome,
                ..
            } => {
                let position = positions.get(client.region.index()).copied().flatten();
                if let Some(position) = position {
                    clients[position].on_reply(simulation, operation, outcome);
                }
            }
            OccurrenceKind::ConnectionLost {
                region,
                connection,
                replica,
            } => {
                for clients in clients
                    .iter_mut()
                    .filter(|clients| clients.region() == region)
                {
                    clients.on_connection_lost(simulation, replica, connection);
                }
            }
            OccurrenceKind::Wake(token) => {
                if !faults.on_wake(simulation, token) {
                    let (position, wake) = Wake::from_token(token);
                    if let Some(clients) = clients.get_mut(position) {
                        clients.on_wake(simulation, wake);
                    }
                }
            }
        }
    }

    fn into_record(
        self,
        spec: &ModeSpec,
        paths: BTreeMap<OperationKind, Path>,
        keep_history: bool,
    ) -> ModeRecord {
        let now = self.simulation.now();
        let mut regions = Vec::with_capacity(self.clients.len());
        let mut history: Vec<OperationRecord> = Vec::new();
        for clients in self.clients {
            let outcome = clients.finish(now);
            regions.push(outcome.record);
            history.extend(outcome.history);
        }
        history.sort_by_key(|record| (record.intended_at, record.id));
        let leaders = self.simulation.leaders().to_vec();
        let changes = leaders
            .iter()
            .filter(|leadership| leadership.at > self.plan.start && leadership.at < self.plan.end)
            .count();
        let mut warnings = Vec::new();
        if changes > 0 && self.faults.is_empty() {
            warnings.push(format!(
                "the leader changed {changes} times under load though nothing failed: lower the \
                 rate, or lengthen the mode's time-outs"
            ));
        }
        ModeRecord {
            mode: spec.clone(),
            paths,
            leaders,
            faults: self.faults.records(now),
            window_start: self.plan.window_start,
            window: self.plan.end.since(self.plan.window_start),
            regions,
            traffic: self.simulation.traffic(),
            load: None,
            warnings,
            history: keep_history.then_some(history),
        }
    }
}
