//! Faults as data: what breaks, when, for how long.
//!
//! A scenario lists [`Fault`]s. [`plan`] compiles them into commands on replicas, links and
//! connections, which `sim` and `live` carry out alike. In a scenario file a fault is a table:
//!
//! ```
//! use longhaul_experiment::scenario::ScenarioFile;
//!
//! let file = ScenarioFile::parse(
//!     r#"
//!     [[faults]]
//!     at = "2s"                     # after the start of the measured window
//!     lasts = "3s"
//!     kind = "crash"                # or pause
//!     target = "leader"             # or { replica = "eu-west-1" }
//!
//!     [[faults]]
//!     at = "2s"
//!     lasts = "3s"
//!     kind = "partition"
//!     target = { regions = ["us-east-1"] }  # or { link = [..] }, { pair = [..] }, a replica
//!
//!     [[faults]]
//!     at = "6s"
//!     lasts = "1s"
//!     kind = "link-delay"
//!     added = "50ms"                # link-loss: loss = 0.01
//!     target = { pair = ["us-east-1", "eu-west-1"] }
//!
//!     [[faults]]
//!     at = "6s"
//!     lasts = "1s"
//!     kind = "clock-jump"
//!     by = "-500ms"                 # slow-replica: factor = 4; slow-disk: added = "20ms"
//!     target = { replica = "eu-west-1" }
//!     "#,
//!     "faults.toml",
//! )?;
//! assert_eq!(file.faults.map(|faults| faults.len()), Some(4));
//! # Ok::<(), longhaul_experiment::scenario::ScenarioError>(())
//! ```
//!
//! # How faults meet
//!
//! Each fault holds for its whole time, whatever else happens: what a replica, a link or a
//! connection is like at an instant follows from the faults that are active then, and from nothing
//! before.
//!
//! - A replica is dead while any crash is active, otherwise stopped while any pause is, otherwise
//!   running. A crash ends a pause for its own time: a replica that restarts within a pause is
//!   stopped again at once.
//! - A link is cut while any partition covers it. Added delays add up. Losses are independent:
//!   p and q together lose 1 - (1 - p)(1 - q), the profile's own loss included.
//! - Factors of slow replicas multiply; what slow disks and clock jumps add, adds up. They belong
//!   to the machine, so they outlive a restart.
//! - Connections that a reset ended stay down until the last reset that covers them ends.
//! - `leader` is looked up when the fault begins; the fault then ends where it began, whoever
//!   leads by then.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::profile::Link;
use crate::scenario::DurationText;

mod active;
mod check;
pub mod plan;
mod shift;

pub use check::FaultError;
pub(crate) use check::problem;
pub use plan::{FaultAction, FaultCommand, FaultEdge, FaultPlan, FaultStep};
pub use shift::ClockShift;

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

/// What a fault hits. Regions are named.
///
/// Faults of links that name a replica or the leader hit every link between its region and any
/// other, in both directions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultTarget {
    /// The leader at the fault's beginning; the preferred leader where none is known, and in
    /// modes that have none.
    Leader,
    /// The replica of a region.
    Replica(String),
    /// The directed link between two regions: one direction alone.
    Link(String, String),
    /// Both links between two regions.
    Pair(String, String),
    /// Every link between one of these regions and any other region, in both directions: the
    /// regions are apart from the rest with their clients, and not from each other.
    Regions(Vec<String>),
}

/// What a fault does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// The replica dies, and restarts at the fault's end from what its storage kept: with a log,
    /// all that was synced; in memory nothing, so that it comes back as a new one.
    Crash,
    /// The replica does nothing; its connections stay up.
    Pause,
    /// Frames wait at the entrance of the link. Connections over it end after
    /// [`silence_timeout`], in both directions even when one is cut, and with them what waited;
    /// they come up again a round trip after the partition.
    Partition,
    /// Frames take longer on the link.
    LinkDelay {
        /// By how much, above zero.
        #[serde(with = "duration_as_text")]
        added: Duration,
    },
    /// The link loses packets. A loss costs a stream the delay of its retransmission.
    LinkLoss {
        /// The share lost, above 0 and below 1.
        loss: f64,
    },
    /// Everything that the replica computes takes longer.
    SlowReplica {
        /// How many times as long, above 1.
        factor: f64,
    },
    /// Every sync of the replica's storage takes longer.
    SlowDisk {
        /// By how much, above zero.
        #[serde(with = "duration_as_text")]
        added: Duration,
    },
    /// The wall clock of the replica moves at once, and back at the fault's end.
    ClockJump {
        /// By how much, forward or back; not zero.
        by: ClockShift,
    },
    /// The connections of the target, of replicas and of clients, end at once; what is under way
    /// in them is lost. They come up again at the fault's end, or one round trip after its
    /// beginning if that is later.
    ConnectionReset,
}

impl FaultKind {
    /// The names of all kinds.
    pub const NAMES: [&str; 9] = [
        "crash",
        "pause",
        "partition",
        "link-delay",
        "link-loss",
        "slow-replica",
        "slow-disk",
        "clock-jump",
        "connection-reset",
    ];

    /// Returns the kind's name in scenarios and messages.
    pub const fn name(self) -> &'static str {
        match self {
            FaultKind::Crash => "crash",
            FaultKind::Pause => "pause",
            FaultKind::Partition => "partition",
            FaultKind::LinkDelay { .. } => "link-delay",
            FaultKind::LinkLoss { .. } => "link-loss",
            FaultKind::SlowReplica { .. } => "slow-replica",
            FaultKind::SlowDisk { .. } => "slow-disk",
            FaultKind::ClockJump { .. } => "clock-jump",
            FaultKind::ConnectionReset => "connection-reset",
        }
    }

    /// Says whether the kind is done to a replica, and so needs a target that is one.
    pub const fn is_of_replica(self) -> bool {
        match self {
            FaultKind::Crash
            | FaultKind::Pause
            | FaultKind::SlowReplica { .. }
            | FaultKind::SlowDisk { .. }
            | FaultKind::ClockJump { .. } => true,
            FaultKind::Partition
            | FaultKind::LinkDelay { .. }
            | FaultKind::LinkLoss { .. }
            | FaultKind::ConnectionReset => false,
        }
    }
}

impl FaultTarget {
    /// Says whether it names a replica, and so stands for the links around that replica's region
    /// where a fault is done to links.
    pub const fn names_replica(&self) -> bool {
        match self {
            FaultTarget::Leader | FaultTarget::Replica(_) => true,
            FaultTarget::Link(..) | FaultTarget::Pair(..) | FaultTarget::Regions(_) => false,
        }
    }
}

impl fmt::Display for FaultTarget {
    /// Writes the target as part of a sentence, e.g. `the replica in eu-west-1`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FaultTarget::Leader => formatter.write_str("the leader"),
            FaultTarget::Replica(region) => write!(formatter, "the replica in {region}"),
            FaultTarget::Link(from, to) => write!(formatter, "the link from {from} to {to}"),
            FaultTarget::Pair(a, b) => write!(formatter, "the links between {a} and {b}"),
            FaultTarget::Regions(regions) => {
                write!(formatter, "the links around {}", regions.join(", "))
            }
        }
    }
}

impl fmt::Display for FaultKind {
    /// Writes the kind with its figures, e.g. `link-delay by 50ms`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())?;
        match self {
            FaultKind::LinkDelay { added } | FaultKind::SlowDisk { added } => {
                write!(formatter, " by {}", DurationText(*added))
            }
            FaultKind::LinkLoss { loss } => write!(formatter, " of {}%", loss * 100.0),
            FaultKind::SlowReplica { factor } => write!(formatter, " by a factor of {factor}"),
            FaultKind::ClockJump { by } => write!(formatter, " by {by}"),
            FaultKind::Crash
            | FaultKind::Pause
            | FaultKind::Partition
            | FaultKind::ConnectionReset => Ok(()),
        }
    }
}

impl fmt::Display for Fault {
    /// Writes the fault as a phrase, e.g. `crash of the leader at 2s for 3s`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { kind, target, .. } = self;
        let of = match kind {
            FaultKind::Crash | FaultKind::Pause | FaultKind::Partition => "of",
            _ => "on",
        };
        // For a fault of links a replica stands for those around its region.
        let is_of_links = !kind.is_of_replica() && *kind != FaultKind::ConnectionReset;
        let around = if target.names_replica() && is_of_links {
            "the links around "
        } else {
            ""
        };
        let (at, lasts) = (DurationText(self.at), DurationText(self.lasts));
        write!(
            formatter,
            "{kind} {of} {around}{target} at {at} for {lasts}"
        )
    }
}

/// Returns the silence after which a connection over a cut link ends: ten times the round trip
/// between its ends, and at least a second.
///
/// It stands for the user time-out and keep-alives that a replication stream sets (RFC 5482):
/// the design's stream contract needs a bound, and ten round trips let a lost segment be sent
/// three more times (after 1, 3 and 7 of them) before the connection is given up. Under the
/// second, segments on a short link would not be: their time-out is 200 ms and more.
pub fn silence_timeout(round_trip: Duration) -> Duration {
    (round_trip * 10).max(Duration::from_secs(1))
}

/// Returns a link as faults make it: `added` more delay, and a share `loss` (0 to 1) lost of what
/// the link itself does not lose.
pub fn faulted_link(link: &Link, added: Duration, loss: f64) -> Link {
    Link {
        one_way: link.one_way + added,
        loss: either(link.loss, loss),
        ..link.clone()
    }
}

/// Returns the probability that at least one of two independent things happens.
fn either(p: f64, q: f64) -> f64 {
    // Not 1 - (1 - p)(1 - q), which rounds even when one of them is zero.
    p + q - p * q
}

/// Durations in records as in scenario files, e.g. `50ms`.
mod duration_as_text {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use crate::scenario::DurationText;

    pub(super) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        DurationText(*duration).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        DurationText::deserialize(deserializer).map(Duration::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_out_is_ten_round_trips_and_at_least_a_second() {
        let timeout = |milliseconds| silence_timeout(Duration::from_millis(milliseconds));
        assert_eq!(timeout(1), Duration::from_secs(1));
        assert_eq!(timeout(100), Duration::from_secs(1));
        assert_eq!(timeout(171), Duration::from_millis(1710));
    }

    #[test]
    fn a_link_without_faults_is_the_link_itself() {
        let link = Link {
            loss: 0.1,
            ..Link::fixed(Duration::from_millis(40))
        };
        assert_eq!(faulted_link(&link, Duration::ZERO, 0.0), link);
        // 1 - 0.9 x 0.8 = 0.28 of the packets are lost to one or the other.
        let faulted = faulted_link(&link, Duration::from_millis(5), 0.2);
        assert_eq!(faulted.one_way, Duration::from_millis(45));
        assert!((faulted.loss - 0.28).abs() < 1e-12, "{}", faulted.loss);
    }

    #[test]
    fn faults_read_back_from_records() {
        let kinds = [
            FaultKind::Crash,
            FaultKind::LinkDelay {
                added: Duration::from_micros(1500),
            },
            FaultKind::LinkLoss { loss: 0.25 },
            FaultKind::ClockJump {
                by: ClockShift(-500_000_000),
            },
            FaultKind::ConnectionReset,
        ];
        for kind in kinds {
            let fault = Fault {
                at: Duration::from_secs(1),
                lasts: Duration::from_secs(2),
                target: FaultTarget::Regions(vec!["a".to_owned()]),
                kind,
            };
            let text = serde_json::to_string(&fault).expect("it can be written");
            assert_eq!(serde_json::from_str::<Fault>(&text).ok(), Some(fault));
        }
        let delay = FaultKind::LinkDelay {
            added: Duration::from_millis(50),
        };
        assert_eq!(
            serde_json::to_string(&delay).ok().as_deref(),
            Some(r#"{"link-delay":{"added":"50ms"}}"#)
        );
    }

    #[test]
    fn faults_print_as_phrases() {
        let phrase = |kind, target| {
            Fault {
                at: Duration::from_secs(2),
                lasts: Duration::from_millis(500),
                target,
                kind,
            }
            .to_string()
        };
        assert_eq!(
            phrase(FaultKind::Crash, FaultTarget::Leader),
            "crash of the leader at 2s for 500ms"
        );
        let partition = phrase(FaultKind::Partition, FaultTarget::Replica("a".to_owned()));
        assert_eq!(
            partition,
            "partition of the links around the replica in a at 2s for 500ms"
        );
        let delay = FaultKind::LinkDelay {
            added: Duration::from_millis(50),
        };
        assert_eq!(
            phrase(delay, FaultTarget::Pair("a".to_owned(), "b".to_owned())),
            "link-delay by 50ms on the links between a and b at 2s for 500ms"
        );
        let reset = phrase(FaultKind::ConnectionReset, FaultTarget::Leader);
        assert_eq!(reset, "connection-reset on the leader at 2s for 500ms");
    }
}
