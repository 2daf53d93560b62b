//! Each replica's eye on the leader, and its word about it.
//!
//! A replica that has heard nothing from the leader for the election time-out says so
//! ([`Message::Missing`](super::super::Message::Missing)). When the controller then gathers
//! positions, the replica reports its own, and *promises* with that to take nothing more from
//! leaders of earlier terms: what it has not reported it will not acknowledge to them. A promise
//! is safe in storage before the report is sent, as a vote is in Raft (Ongaro and Ousterhout,
//! section 5.4).
//!
//! A replica that hears its leader promises nothing. So a leader that was heard by a majority
//! knows for how long nobody else can be appointed: that is its lease.

use std::time::Duration;

use longhaul_experiment::{ReplicaId, Time};
use serde::{Deserialize, Serialize};

use super::Leadership;
use crate::quorum::raft::ticking::Ticking;
use crate::quorum::timeouts::Timeouts;

/// For how many heartbeats after it was sent a heartbeat that a majority heard keeps the lease.
///
/// Who heard it reports to nobody for [`Timeouts::ELECTION_HEARTBEATS`] = 20 of them by its own
/// clock. So the lease is safe while no replica's clock runs more than 20/15, a third, faster
/// than the leader's (Ongaro's dissertation, section 6.4.1, for the rule and its price).
const LEASE_HEARTBEATS: u32 = Timeouts::ELECTION_HEARTBEATS * 3 / 4;

/// The periods that leadership is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Periods {
    /// The interval between a leader's heartbeats.
    pub(in super::super) heartbeat: Duration,
    /// For how long a leader must be silent to be missing; a follower that lags by more is
    /// proposed out of the in-sync set.
    pub(in super::super) election: Duration,
    /// For how long a heartbeat that a majority heard is a lease.
    pub(in super::super) lease: Duration,
}

impl Periods {
    /// Returns the periods of a replica's ticks.
    pub(in super::super) fn of(ticking: Ticking) -> Periods {
        let heartbeat = ticking.heartbeat();
        Periods {
            heartbeat,
            election: heartbeat * Timeouts::ELECTION_HEARTBEATS,
            lease: heartbeat * LEASE_HEARTBEATS,
        }
    }
}

/// What a replica stands by, across restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Standing {
    /// The last agreement that it knows of.
    pub(in super::super) agreed: Leadership,
    /// The least term of which it still takes a leader's word.
    pub(in super::super) promised: u64,
    /// Its life: 0, or the number of the life that began without storage.
    pub(in super::super) life: u32,
}

impl Standing {
    /// Returns the term that the replica is in: it takes nothing from leaders of earlier ones.
    pub(in super::super) fn term(&self) -> u64 {
        self.promised.max(self.agreed.term)
    }

    /// Says whether `id`, being this replica, is the leader that was agreed on.
    pub(in super::super) fn is_led_by(&self, id: ReplicaId) -> bool {
        self.agreed.leader == Some(id) && self.agreed.counts(id, self.life)
    }
}

/// A replica's eye on the leader.
#[derive(Debug)]
pub(in super::super) struct Watch {
    heard_at: Time,
    timeout: Duration,
    /// The controller that waits for a report.
    pub(in super::super) report_to: Option<ReplicaId>,
}

impl Watch {
    /// Begins to watch. A replica that restarted may have heard the leader just before.
    pub(in super::super) fn begin(now: Time, periods: Periods) -> Watch {
        Watch {
            heard_at: now,
            timeout: periods.election,
            report_to: None,
        }
    }

    /// Notes a sign of life, or that there is another leader to wait for.
    pub(in super::super) fn heard(&mut self, now: Time) {
        self.heard_at = now;
        self.report_to = None;
    }

    /// Says whether nothing was heard for the election time-out.
    pub(in super::super) fn is_missing(&self, now: Time) -> bool {
        now.since(self.heard_at) >= self.timeout
    }
}
