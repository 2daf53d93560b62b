//! Faults as data: what breaks, when, for how long. A backend says which kinds it supports.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One fault of a scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// When it begins, after the start of the measured window.
    pub at: Duration,
    /// How long it lasts.
    pub lasts: Duration,
    /// What it hits.
    pub target: FaultTarget,
    /// What it does.
    pub kind: FaultKind,
}

/// What a fault hits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultTarget {
    /// The leader at the fault's beginning.
    Leader,
    /// The replica of the named region.
    Replica(String),
    /// The directed link between two named regions.
    Link(String, String),
}

/// What a fault does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// The replica does nothing, its connections stay up.
    Pause,
    /// The replica dies, and restarts from what its storage kept at the fault's end.
    Crash,
    /// Frames on the link wait until the fault's end.
    Partition,
}

impl FaultKind {
    /// Returns the kind's name in scenarios and messages.
    pub const fn name(self) -> &'static str {
        match self {
            FaultKind::Pause => "pause",
            FaultKind::Crash => "crash",
            FaultKind::Partition => "partition",
        }
    }
}
