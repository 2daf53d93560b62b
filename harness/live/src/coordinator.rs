//! The `local` backend: a coordinator that runs one mode after the other through region agents.

mod calibration;
mod cluster;
mod heard;
mod mode_run;
mod phases;
mod processes;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use longhaul_experiment::fault::FaultPlan;
use longhaul_experiment::record::{
    Calibration, ModeFailure, ModeRecord, RECORD_VERSION, RunRecord,
};
use longhaul_experiment::{Backend, Fault, FaultKind, ModeSpec, RunError, Scenario, Seed, Time};
use longhaul_protocol::modes::{self, with_mode};
use longhaul_protocol::{Mode, ModeVisitor};

use crate::environment;
use crate::interrupt::Interrupt;
use crate::launcher::Places;
use crate::links::Links;
use mode_run::ModeRun;

/// What the `local` backend is told beside the scenario.
pub struct LocalOptions {
    /// For the record.
    pub longhaul_version: String,
    /// For the record: the command line, program name first.
    pub command: Vec<String>,
    /// Where replicas keep their write-ahead logs. It must be on the disk that is to be
    /// measured; a folder per mode is made in it and removed afterwards.
    pub data_directory: PathBuf,
    /// Where the agents are.
    pub places: Places,
    /// Ends the run early.
    pub interrupt: Interrupt,
    /// Hears how far the run is.
    pub on_progress: Box<dyn FnMut(Progress<'_>)>,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress<'a> {
    /// The mode that runs.
    pub mode: &'a ModeSpec,
    /// Its position among the scenario's modes.
    pub position: usize,
    /// What it is doing.
    pub phase: Phase,
    /// How far this mode's load is, 0 to 1.
    pub share: f64,
}

/// The parts of one mode's run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Replicas start and agree on a leader, without delay.
    Bootstrap,
    /// Links are probed.
    Calibration,
    /// Load that is not measured.
    Warmup,
    /// Load that is measured.
    Measuring,
    /// Operations under way are waited for.
    Drain,
}

/// Runs scenarios on real TCP connections of this machine's loopback.
pub struct LocalBackend {
    options: LocalOptions,
}

impl LocalBackend {
    /// Returns the backend.
    pub fn new(options: LocalOptions) -> LocalBackend {
        LocalBackend { options }
    }

    /// Refuses faults of links where the network emulates them and cannot change them.
    fn check_network(&self, scenario: &Scenario) -> Result<(), RunError> {
        let network = self.options.places.network();
        let changes_links = |fault: &Fault| {
            matches!(
                fault.kind,
                FaultKind::Partition | FaultKind::LinkDelay { .. } | FaultKind::LinkLoss { .. }
            )
        };
        if network.is_some_and(|network| !network.changes_links())
            && scenario.faults.iter().any(changes_links)
        {
            return Err(RunError::NotSupported {
                backend: self.options.places.backend().name(),
                why: "its network does not change links while it is up: leave partition, \
                      link-delay and link-loss out"
                    .to_owned(),
            });
        }
        Ok(())
    }
}

impl Backend for LocalBackend {
    fn run(&mut self, scenario: &Scenario, seed: Seed) -> Result<RunRecord, RunError> {
        // Every kind of fault can happen here, but not to everything.
        FaultPlan::new(&scenario.faults, &scenario.topology, Time::ZERO)?;
        self.check_network(scenario)?;
        modes::check(scenario)?;
        let environment =
            environment::describe(&self.options.longhaul_version, self.options.command.clone());
        let scenario = Arc::new(scenario.clone());
        let topology = Arc::new(scenario.topology.clone());
        let mut record = RunRecord {
            record_version: RECORD_VERSION,
            scenario: (*scenario).clone(),
            backend: self.options.places.backend(),
            seed,
            complete: true,
            failures: Vec::new(),
            calibration: Calibration::default(),
            environment,
            modes: Vec::new(),
        };
        let links = Links::new(Arc::clone(&topology), seed);
        for (position, spec) in scenario.modes.iter().enumerate() {
            if self.options.interrupt.is_raised() {
                record.complete = false;
                break;
            }
            let run = ModeRun {
                spec,
                position,
                scenario: &scenario,
                topology: &topology,
                seed,
                links: links.clone(),
                // The first mode may have failed before its links were probed.
                probe_links: record.calibration.links.is_empty(),
                options: &mut self.options,
            };
            let outcome = match with_mode(spec, &topology, RunMode(run))? {
                Ok(outcome) => outcome,
                // The other modes' figures stand without this one's.
                Err(why) if scenario.modes.len() > 1 => {
                    record.complete = false;
                    record.failures.push(ModeFailure {
                        mode: spec.to_string(),
                        why: why.to_string(),
                    });
                    continue;
                }
                Err(why) => return Err(why),
            };
            record.complete &= !outcome.interrupted;
            if let Some(calibration) = outcome.calibration {
                record.calibration = calibration;
            }
            record.modes.extend(outcome.record);
        }
        Ok(record)
    }
}

/// What running one mode came to.
pub(crate) struct ModeOutcome {
    /// `None` when it was interrupted before anything was measured.
    pub(crate) record: Option<ModeRecord>,
    /// What probing the links came to, when they were probed.
    pub(crate) calibration: Option<Calibration>,
    pub(crate) interrupted: bool,
}

struct RunMode<'a>(ModeRun<'a>);

impl ModeVisitor for RunMode<'_> {
    type Output = Result<ModeOutcome, RunError>;

    fn visit<M: Mode>(self, mode: M) -> Self::Output {
        let failed = |why: &dyn std::fmt::Display| RunError::Failed {
            mode: self.0.spec.to_string(),
            why: why.to_string(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|why| failed(&why))?;
        runtime.block_on(self.0.run(mode))
    }
}

/// The longest wait for replicas to connect and agree on a leader.
const READY_WITHIN: Duration = Duration::from_secs(20);
