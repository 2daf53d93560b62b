//! The one place that knows all backends.

use std::path::PathBuf;

use longhaul_experiment::record::BackendKind;
use longhaul_experiment::{Backend, RunError, RunRecord, Scenario, Seed};
use longhaul_live::{Interrupt, LocalBackend, LocalOptions, Progress};
use longhaul_sim::SimBackend;
use longhaul_study::measure_until_carried;

/// longhaul's version, for records.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

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

/// Runs a scenario on the backend asked for.
///
/// # Errors
///
/// The backend cannot run it, or it failed.
pub fn run(scenario: &Scenario, options: RunOptions) -> Result<RunRecord, RunError> {
    let command: Vec<String> = std::env::args().collect();
    match options.backend {
        BackendKind::Local => {
            let mut backend = LocalBackend::new(LocalOptions {
                longhaul_version: VERSION.to_owned(),
                command,
                data_directory: options.data_directory,
                interrupt: options.interrupt,
                on_progress: options.on_progress,
            });
            measure_until_carried(&mut backend, scenario, options.seed, options.attempts)
        }
        BackendKind::Sim => {
            let mut record = SimBackend::default().run(scenario, options.seed)?;
            record.environment = longhaul_live::describe_environment(VERSION, command);
            Ok(record)
        }
    }
}
