//! The one place that knows all backends.

use std::path::PathBuf;

use longhaul_experiment::record::BackendKind;
use longhaul_experiment::{Backend, RunError, RunRecord, Scenario, Seed};
use longhaul_live::{Interrupt, LocalBackend, LocalOptions, Progress};
use longhaul_sim::SimBackend;

/// longhaul's version, for records.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a run is told beside its scenario.
pub struct RunOptions {
    /// Where it runs.
    pub backend: BackendKind,
    /// Its seed.
    pub seed: Seed,
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
    let mut backend: Box<dyn Backend> = match options.backend {
        BackendKind::Local => Box::new(LocalBackend::new(LocalOptions {
            longhaul_version: VERSION.to_owned(),
            command,
            data_directory: options.data_directory,
            interrupt: options.interrupt,
            on_progress: options.on_progress,
        })),
        BackendKind::Sim => Box::new(SimBackend::new(longhaul_live::describe_environment(
            VERSION, command,
        ))),
    };
    backend.run(scenario, options.seed)
}
