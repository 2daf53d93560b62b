//! Scenarios: the whole order for a run, validated.

mod duration;
mod error;
mod faults;
mod file;
mod resolve;
mod service;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::mode::ModeSpec;
use crate::service::Service;
use crate::topology::Topology;
use crate::workload::Workload;

pub use duration::{DurationError, DurationText};
pub use error::ScenarioError;
pub use file::{
    ArrivalKind, DurationsFile, FaultFile, JitterChoice, LimitsFile, ScenarioFile, WorkloadFile,
};
pub use service::{ServiceFields, ServiceFile};

/// Everything that defines a run but its seed and its machine.
///
/// A value of this type is valid: a scenario file and the flags of `run` are read into a
/// [`ScenarioFile`] first and checked on the way here, in [`ScenarioFile::resolve`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// Its name; `default` when none was given.
    pub name: String,
    /// The profile with replicas, leader and clients placed in it.
    pub topology: Topology,
    /// The modes, run one after the other.
    pub modes: Vec<ModeSpec>,
    /// The load.
    pub workload: Workload,
    /// What breaks.
    pub faults: Vec<Fault>,
    /// What replicas keep.
    pub durability: Durability,
    /// How long the parts of a run last.
    pub durations: Durations,
    /// Limits of the clients.
    pub limits: Limits,
    /// What replicas' work costs in virtual time; `None`: no time at all. Real backends use
    /// real processors and ignore it.
    #[serde(default)]
    pub service: Option<Service>,
    /// Whether to keep one record per operation. Memory then grows with the run.
    pub keep_history: bool,
}

/// What a replica's storage keeps when its process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// Nothing.
    Memory,
    /// All that was persisted: a write-ahead log, synced before an acknowledgement depends on it.
    Wal,
}

/// How long the parts of a run last, for each mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durations {
    /// Load that is not measured, first.
    pub warmup: Duration,
    /// Operations due in this window are measured.
    pub measured: Duration,
    /// The longest wait afterwards for operations still under way.
    pub drain: Duration,
}

/// Limits of the clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// An operation without an answer for this long since it was first sent is Unknown.
    pub operation_timeout: Duration,
    /// The most operations in flight per client region; more are queued and charged.
    pub max_in_flight: u32,
    /// TCP connections from each client region to each replica it asks.
    pub connections: u32,
}

impl Limits {
    /// The time-out of an operation unless stated otherwise.
    pub const OPERATION_TIMEOUT: Duration = Duration::from_secs(10);

    /// Returns a cap on operations in flight that a rate cannot reach while the system keeps up:
    /// four times rate x the longest stated path, and at least 1024.
    pub fn in_flight_for(rate: f64, longest_path: Duration) -> u32 {
        let needed = 4.0 * rate * longest_path.as_secs_f64();
        (needed.ceil() as u32).max(1024)
    }
}
