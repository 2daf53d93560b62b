//! One replica as the simulation sees it.

use std::sync::Arc;

use longhaul_experiment::scenario::Durability;
use longhaul_experiment::{Now, ReplicaId, Seed, Time, Topology};
use longhaul_protocol::replica::OutboxOf;
use longhaul_protocol::{Member, Mode, Outbox};

use super::{EventOf, TimerOf, wall_clock};
use crate::peers::Epoch;
use crate::queue::EventKey;
use crate::storage::Storage;
use crate::timers::Timers;
use crate::trace::TraceId;

/// A replica with all that its host keeps for it.
pub(super) struct Node<M: Mode> {
    /// `None` while its process is dead.
    pub replica: Option<M::Replica>,
    /// How often its process was started before this life.
    pub incarnation: u32,
    pub outbox: OutboxOf<M::Replica>,
    pub timers: Timers<TimerOf<M>>,
    pub storage: Storage,
    /// By peer: the epoch of the connection that it holds to be up.
    pub connected: Vec<Option<Epoch>>,
    /// Its wall clock minus the true one, in nanoseconds.
    pub wall_offset: i64,
    /// Whom it takes for the leader.
    pub leader: Option<ReplicaId>,
    /// While it is paused: what came for it meanwhile.
    pub paused: Option<Vec<(EventKey, EventOf<M>)>>,
    /// Whether its batch has not ended.
    pub batch_is_open: bool,
    /// The trace of its last callback.
    pub cause: Option<TraceId>,
}

impl<M: Mode> Node<M> {
    /// Returns a replica's first life, not yet started.
    pub fn new(
        mode: &M,
        id: ReplicaId,
        topology: &Arc<Topology>,
        (seed, durability): (Seed, Durability),
    ) -> Node<M> {
        let member = Member {
            id,
            incarnation: 0,
            topology: Arc::clone(topology),
            seed,
        };
        Node {
            replica: Some(mode.replica(member)),
            incarnation: 0,
            outbox: Outbox::new(durability == Durability::Wal),
            timers: Timers::new(),
            storage: Storage::new(durability),
            connected: vec![None; topology.replicas.len()],
            wall_offset: 0,
            leader: None,
            paused: None,
            batch_is_open: false,
            cause: None,
        }
    }

    /// Returns both clocks of the replica.
    pub fn clocks(&self, now: Time) -> Now {
        Now {
            monotonic: now,
            wall: wall_clock(now, self.wall_offset),
        }
    }

    /// Calls the replica, if its process lives.
    pub fn call(
        &mut self,
        now: Time,
        callback: impl FnOnce(&mut M::Replica, Now, &mut OutboxOf<M::Replica>),
    ) {
        let clocks = self.clocks(now);
        if let Some(replica) = &mut self.replica {
            callback(replica, clocks, &mut self.outbox);
        }
    }
}
