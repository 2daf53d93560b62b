//! Why a scenario is refused.

use std::time::Duration;

use super::duration::DurationText;
use crate::fault::FaultError;
use crate::topology::PlacementError;
use crate::workload::WorkloadError;

/// Why a scenario file, or what it says together with the flags, is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ScenarioError {
    /// The file is larger than a scenario can be.
    #[error("{file}: {bytes} bytes are more than a scenario file may have ({limit}); is it one?")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The file is not TOML, or has a key or a value that scenarios do not have.
    #[error("{file}, line {line}: {message}")]
    Syntax {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A field's value is out of its range.
    #[error("{field} is {value}; give {allowed}")]
    OutOfRange {
        /// The field as scenario files name it.
        field: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// A mode is listed twice.
    #[error("mode '{mode}' is listed twice; list each mode once")]
    RepeatedMode {
        /// The mode.
        mode: String,
    },
    /// A setting does not go with the arrivals.
    #[error("workload.{field} does not go with {arrivals} arrivals; remove it or give {instead}")]
    UnfitArrivals {
        /// The field.
        field: &'static str,
        /// The kind of arrivals.
        arrivals: &'static str,
        /// What to give instead.
        instead: &'static str,
    },
    /// A region list or the leader does not fit the profile.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// The workload is invalid.
    #[error(transparent)]
    Workload(#[from] WorkloadError),
    /// A fault does not fit the topology or the durations.
    #[error(transparent)]
    Fault(#[from] FaultError),
    /// Keeping the history would take too much memory.
    #[error(
        "a history of about {operations} operations over all modes exceeds the limit of {limit}; \
         shorten durations.measured, lower the rate, run fewer modes or leave history off"
    )]
    HistoryTooLarge {
        /// The operations due in the windows of all modes.
        operations: u64,
        /// The limit.
        limit: u64,
    },
}

pub(super) fn duration_out_of_range(
    field: &'static str,
    value: Duration,
    allowed: String,
) -> ScenarioError {
    ScenarioError::OutOfRange {
        field,
        value: DurationText(value).to_string(),
        allowed,
    }
}
