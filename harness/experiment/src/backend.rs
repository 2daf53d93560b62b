//! Where a scenario runs: the only step that touches the world.

use crate::fault::FaultError;
use crate::mode::ModeError;
use crate::random::Seed;
use crate::record::RunRecord;
use crate::scenario::Scenario;

/// Bytes that a frame adds to its message where frames are written or counted: its length in 4
/// bytes, and its logical instant of sending in 8.
pub const FRAME_HEADER_BYTES: usize = 12;

/// Runs scenarios.
pub trait Backend {
    /// Runs a scenario's modes one after the other.
    ///
    /// After an interrupt the record holds what was measured until then and says that it is
    /// not complete.
    ///
    /// # Errors
    ///
    /// The scenario asks for what this backend cannot do, or the run failed.
    fn run(&mut self, scenario: &Scenario, seed: Seed) -> Result<RunRecord, RunError>;
}

/// Why there is no record.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A mode of the scenario is unknown or unfit for its topology.
    #[error(transparent)]
    Mode(#[from] ModeError),
    /// A mode has not an operation that the workload asks for.
    #[error(
        "mode {mode} does not support the operation '{operation}': leave the mode or the operation out"
    )]
    Operation {
        /// The mode.
        mode: String,
        /// The operation's name.
        operation: &'static str,
    },
    /// The backend cannot do what the scenario asks for.
    #[error("the {backend} backend cannot run this scenario: {why}")]
    NotSupported {
        /// The backend.
        backend: &'static str,
        /// What it cannot do, and what to do instead.
        why: String,
    },
    /// A fault of the scenario cannot happen in its topology.
    #[error(transparent)]
    Fault(#[from] FaultError),
    /// A mode did not get ready for load.
    #[error("mode {mode} did not get ready: {why}")]
    NotReady {
        /// The mode.
        mode: String,
        /// What was waited for.
        why: String,
    },
    /// Something failed while a mode ran.
    #[error("mode {mode}: {why}")]
    Failed {
        /// The mode.
        mode: String,
        /// What failed.
        why: String,
    },
}
