//! One replica as the simulation sees it.

use std::sync::Arc;
use std::time::Duration;

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

/// What a batch of callbacks costs a replica of which it is asked how much longer it takes than
/// usual: of the order of a small write's processing in the live replicas.
const BATCH_COST: Duration = Duration::from_micros(20);

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
    /// Its wall clock minus the true one, in nanoseconds: its own error and what faults add.
    pub wall_offset: i64,
    /// The part of `wall_offset` that faults add.
    pub clock_shift: i64,
    /// How many times as long everything that it computes takes: 1 unless a fault slows it.
    pub slow_factor: f64,
    /// What it computed so far takes until then.
    pub busy_until: Time,
    /// What faults add to each of its syncs.
    pub sync_added: Duration,
    /// When the last of its syncs ends.
    pub synced_at: Time,
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
            clock_shift: 0,
            slow_factor: 1.0,
            busy_until: Time::ZERO,
            sync_added: Duration::ZERO,
            synced_at: Time::ZERO,
            leader: None,
            paused: None,
            batch_is_open: false,
            cause: None,
        }
    }

    /// Returns when the effects of a batch that ends now are carried out, and is busy until then:
    /// at once, unless the replica is slow or was so lately.
    ///
    /// Processors take no time here, so there is nothing that a slow one could take a multiple of:
    /// [`BATCH_COST`] stands for it, and a slow replica takes what its factor adds to that.
    pub fn take_effects_instant(&mut self, now: Time) -> Time {
        if self.slow_factor > 1.0 {
            let added = BATCH_COST.mul_f64(self.slow_factor - 1.0);
            self.busy_until = self.busy_until.max(now) + added;
        }
        self.busy_until.max(now)
    }

    /// Returns when records that storage is given at an instant are safe. A later sync never ends
    /// before an earlier one.
    pub fn take_sync_instant(&mut self, at: Time, sync_delay: Duration) -> Time {
        if self.outbox.is_durable() {
            self.synced_at = self.synced_at.max(at + sync_delay + self.sync_added);
            self.synced_at
        } else {
            at
        }
    }

    /// Forgets what a process that died was at.
    pub fn die(&mut self) {
        self.paused = None;
        self.leader = None;
        self.timers = Timers::new();
        self.connected.fill(None);
        self.busy_until = Time::ZERO;
        self.synced_at = Time::ZERO;
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
