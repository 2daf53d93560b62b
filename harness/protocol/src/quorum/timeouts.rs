//! Time-outs of the log modes, scaled to the topology.

use std::time::Duration;

use longhaul_experiment::Topology;

/// The least interval between heartbeats, so that a LAN does not drown in them.
const HEARTBEAT_MIN: Duration = Duration::from_millis(50);

/// Heartbeats in a round trip: etcd's tuning guide asks for an interval of 0.5 to 1.5 round trips.
const HEARTBEATS_PER_ROUND_TRIP: u32 = 2;

/// Time-outs counted in heartbeats.
///
/// The rule is etcd's (etcd.io, "Tuning", time parameters): heartbeat interval 0.5 to 1.5 round
/// trips of the slowest pair, election time-out at least 10 round trips.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// The interval between a leader's heartbeats, and between a replica's timer ticks.
    pub heartbeat: Duration,
}

impl Timeouts {
    /// A follower that hears no leader for this many heartbeats may stand for election. That is
    /// 10 round trips of the slowest pair, and at least 1 s.
    pub const ELECTION_HEARTBEATS: u32 = 10 * HEARTBEATS_PER_ROUND_TRIP;

    /// Where a preferred leader was named, the others wait this many heartbeats at the first
    /// start before they stand themselves.
    pub const BOOTSTRAP_HEARTBEATS: u32 = 5 * Timeouts::ELECTION_HEARTBEATS;

    /// Returns the time-outs for a topology.
    pub fn of(topology: &Topology) -> Timeouts {
        let heartbeat = topology.largest_round_trip() / HEARTBEATS_PER_ROUND_TRIP;
        Timeouts {
            heartbeat: heartbeat.max(HEARTBEAT_MIN),
        }
    }

    /// Returns the least time without a leader's word after which a follower may stand.
    pub fn election(&self) -> Duration {
        self.heartbeat * Timeouts::ELECTION_HEARTBEATS
    }
}
