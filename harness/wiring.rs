//! The one place that knows all backends.

use std::panic::resume_unwind;
use std::path::PathBuf;
#[cfg(target_os = "linux")]
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use longhaul_experiment::record::BackendKind;
use longhaul_experiment::{Backend, RunError, RunRecord, Scenario, Seed};
use longhaul_live::{Interrupt, LocalBackend, LocalOptions, Places, Progress};
use longhaul_sim::SimBackend;
use longhaul_study::measure_until_carried;
#[cfg(target_os = "linux")]
use longhaul_wan::namespaces::{Backend as Emulation, NetRequest, Place};

#[cfg(target_os = "linux")]
use crate::network_launcher::NetworkLauncher;

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
    LocalBackend::new(local_options(data_directory, interrupt, on_progress))
}

fn local_options(
    data_directory: PathBuf,
    interrupt: Interrupt,
    on_progress: Box<dyn FnMut(Progress<'_>)>,
) -> LocalOptions {
    LocalOptions {
        longhaul_version: VERSION.to_owned(),
        command: command(),
        data_directory,
        places: Places::Threads,
        interrupt,
        on_progress,
    }
}

/// Runs a scenario on the backend asked for; `None` when it was interrupted before there was
/// anything to record.
///
/// # Errors
///
/// The backend cannot run it, or it failed.
pub fn run(scenario: &Scenario, options: RunOptions) -> Result<Option<RunRecord>, RunError> {
    match options.backend {
        BackendKind::Sim => simulate(scenario, options.seed, &options.interrupt),
        BackendKind::Local | BackendKind::Tun | BackendKind::Netem => {
            measure(scenario, options).map(Some)
        }
    }
}

/// Runs a scenario on real connections: on loopback, or between the namespaces of a network that
/// lasts as long. What an interrupt leaves is a partial record.
///
/// # Errors
///
/// The backend cannot run it, or it failed.
pub fn measure(scenario: &Scenario, options: RunOptions) -> Result<RunRecord, RunError> {
    let mut backend = LocalBackend::new(LocalOptions {
        places: places(scenario, &options)?,
        ..local_options(
            options.data_directory,
            options.interrupt,
            options.on_progress,
        )
    });
    measure_until_carried(&mut backend, scenario, options.seed, options.attempts)
}

/// Returns where a run's agents are, with the network that they need.
#[cfg(target_os = "linux")]
fn places(scenario: &Scenario, options: &RunOptions) -> Result<Places, RunError> {
    let emulation = match options.backend {
        BackendKind::Tun => Emulation::Tun,
        BackendKind::Netem => Emulation::Netem,
        BackendKind::Local | BackendKind::Sim => return Ok(Places::Threads),
    };
    let refused = |why: String| RunError::NotSupported {
        backend: options.backend.name(),
        why,
    };
    let program = std::env::current_exe().map_err(|why| refused(why.to_string()))?;
    // Runs that last at the same time have networks of their own.
    let name = format!("run-{}", std::process::id());
    let place = Place::of_user(&name).map_err(|why| refused(why.to_string()))?;
    let request = NetRequest {
        backend: emulation,
        seed: options.seed,
        ..NetRequest::new(scenario.topology.profile.clone())
    };
    let network = NetworkLauncher::start(&program, &place, &request);
    let network = network.map_err(|why| refused(why.to_string()))?;
    Ok(Places::Processes(Arc::new(network)))
}

/// Returns where a run's agents are: there are namespaces on Linux alone.
#[cfg(not(target_os = "linux"))]
fn places(_scenario: &Scenario, options: &RunOptions) -> Result<Places, RunError> {
    match options.backend {
        BackendKind::Local | BackendKind::Sim => Ok(Places::Threads),
        BackendKind::Tun | BackendKind::Netem => Err(RunError::NotSupported {
            backend: options.backend.name(),
            why: "it needs Linux's network namespaces; use --backend local".to_owned(),
        }),
    }
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
