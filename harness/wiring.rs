//! The one place that knows all backends.

use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use longhaul_experiment::record::BackendKind;
use longhaul_experiment::{Backend, RunError, RunRecord, Scenario, Seed};
use longhaul_live::{Interrupt, LocalBackend, LocalOptions, Places, Progress};
use longhaul_sim::SimBackend;
use longhaul_study::measure_until_carried;

/// longhaul's version, for records.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How long a simulation may run on unseen after an interrupt.
const INTERRUPT_SEEN_WITHIN: Duration = Duration::from_millis(50);

/// What a run is told beside its scenario.
pub struct RunOptions {
    /// Where it runs.
    pub backend: BackendKind,
    /// Its seed.
    pub seed: Seed,
    /// How often a mode is measured at most, while the machine cannot carry its figures.
    pub attempts: u32,
    /// Where replicas keep write-ahead logs while it runs.
    pub data_directory: PathBuf,
    /// Ends it early.
    pub interrupt: Interrupt,
    /// Hears how far it is.
    pub on_progress: Box<dyn FnMut(Progress<'_>)>,
}

/// Returns the command line, program name first, for records.
pub fn command() -> Vec<String> {
    std::env::args().collect()
}

/// Returns the backend of real connections on loopback. Replicas keep write-ahead logs in
/// `data_directory` while it runs.
pub fn local(
    data_directory: PathBuf,
    interrupt: Interrupt,
    on_progress: Box<dyn FnMut(Progress<'_>)>,
) -> LocalBackend {
    LocalBackend::new(LocalOptions {
        longhaul_version: VERSION.to_owned(),
        command: command(),
        data_directory,
        places: Places::Threads,
        interrupt,
        on_progress,
    })
}

/// Runs a scenario on the backend asked for; `None` when it was interrupted before there was
/// anything to record.
///
/// # Errors
///
/// The backend cannot run it, or it failed.
pub fn run(scenario: &Scenario, options: RunOptions) -> Result<Option<RunRecord>, RunError> {
    match options.backend {
        BackendKind::Local => measure(scenario, options).map(Some),
        BackendKind::Sim => simulate(scenario, options.seed, &options.interrupt),
    }
}

/// Runs a scenario on real connections, whatever backend the options name. What an interrupt
/// leaves is a partial record.
///
/// # Errors
///
/// The backend cannot run it, or it failed.
pub fn measure(scenario: &Scenario, options: RunOptions) -> Result<RunRecord, RunError> {
    let mut backend = local(
        options.data_directory,
        options.interrupt,
        options.on_progress,
    );
    measure_until_carried(&mut backend, scenario, options.seed, options.attempts)
}

/// Runs a scenario in virtual time on a thread of its own, which an interrupt leaves behind: it
/// holds nothing but memory, and half a simulation is worth nothing.
fn simulate(
    scenario: &Scenario,
    seed: Seed,
    interrupt: &Interrupt,
) -> Result<Option<RunRecord>, RunError> {
    let scenario = scenario.clone();
    let (sender, receiver) = mpsc::channel();
    let simulation = thread::spawn(move || {
        // Nobody listens any more after an interrupt.
        let _ = sender.send(SimBackend::default().run(&scenario, seed));
    });
    loop {
        match receiver.recv_timeout(INTERRUPT_SEEN_WITHIN) {
            Ok(outcome) => {
                let mut record = outcome?;
                record.environment = longhaul_live::describe_environment(VERSION, command());
                return Ok(Some(record));
            }
            Err(RecvTimeoutError::Timeout) if interrupt.is_raised() => return Ok(None),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                let panic = simulation.join().expect_err("it ended without an outcome");
                resume_unwind(panic);
            }
        }
    }
}
