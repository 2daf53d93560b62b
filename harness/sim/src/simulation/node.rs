//! One replica as the simulation sees it.

use std::sync::Arc;
use std::time::Duration;

use longhaul_experiment::scenario::Durability;
use longhaul_experiment::time::nanos;
use longhaul_experiment::{Now, ReplicaId, Seed, Time, Topology};
use longhaul_protocol::replica::OutboxOf;
use longhaul_protocol::{Member, Mode, Outbox};

use super::processors::{Disk, Processors};
use super::{EffectOf, EventOf, SimulationOptions, TimerOf, wall_clock};
use crate::peers::Epoch;
use crate::queue::EventKey;
use crate::storage::Storage;
use crate::timers::Timers;
use crate::trace::TraceId;

/// What a batch of callbacks costs a replica without stated service times of which it is asked how
/// much longer it takes than usual: of the order of a small write's processing in the live
/// replicas.
const BATCH_COST: Duration = Duration::from_micros(20);

const MILLION: u128 = 1_000_000;

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
    /// How much faster its clocks run than time, in millionths.
    clock_faster_ppm: u32,
    /// How far its wall clock is ahead of its other one by its own error, in nanoseconds.
    pub wall_offset: i64,
    /// What faults add to that.
    pub clock_shift: i64,
    /// How many times as long everything that it computes takes: 1 unless a fault slows it.
    pub slow_factor: f64,
    /// What it computed so far takes until then.
    pub busy_until: Time,
    /// What faults add to each of its syncs.
    pub sync_added: Duration,
    /// Its disk, where storage is durable.
    disk: Option<Disk>,
    /// Its processors; `None`: their work takes no time.
    pub processors: Option<Box<Processors<M>>>,
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
        (seed, options): (Seed, &SimulationOptions),
    ) -> Node<M> {
        let is_durable = options.durability == Durability::Wal;
        let member = Member {
            id,
            incarnation: 0,
            topology: Arc::clone(topology),
            seed,
            retention: options.retention,
        };
        let faster = &options.clocks_faster_ppm;
        Node {
            replica: Some(mode.replica(member)),
            incarnation: 0,
            outbox: Outbox::new(is_durable),
            timers: Timers::new(),
            storage: Storage::new(options.durability),
            connected: vec![None; topology.replicas.len()],
            clock_faster_ppm: faster.get(id.index()).copied().unwrap_or(0),
            wall_offset: 0,
            clock_shift: 0,
            slow_factor: 1.0,
            busy_until: Time::ZERO,
            sync_added: Duration::ZERO,
            disk: is_durable.then(|| Disk::new(&options.service, id, seed)),
            processors: Processors::new(&options.service),
            leader: None,
            paused: None,
            batch_is_open: false,
            cause: None,
        }
    }

    /// Learns what a batch that ends now wants done.
    ///
    /// Where processors take no time, there is nothing that a slow replica could take a multiple
    /// of: [`BATCH_COST`] stands for it, and it takes what its factor adds to that.
    pub fn end_batch(&mut self, now: Time, effects: &[EffectOf<M>]) {
        if let Some(processors) = &mut self.processors {
            processors.expect(effects);
        } else if self.slow_factor > 1.0 {
            let added = BATCH_COST.mul_f64(self.slow_factor - 1.0);
            self.busy_until = self.busy_until.max(now) + added;
        }
    }

    /// Returns when what follows from the present batch is done: at once, unless the replica is
    /// busy.
    pub fn effects_instant(&self, now: Time) -> Time {
        self.busy_until.max(now)
    }

    /// Sends one message, and returns when it leaves.
    pub fn take_sending_instant(&mut self, now: Time, bytes: usize) -> Time {
        if let Some(processors) = &self.processors {
            let takes = processors.sending(bytes).mul_f64(self.slow_factor);
            self.busy_until = self.busy_until.max(now) + takes;
        }
        self.effects_instant(now)
    }

    /// Returns when records that storage is given are safe.
    pub fn take_sync_instant(&mut self, now: Time) -> Time {
        let at = self.effects_instant(now);
        match &mut self.disk {
            Some(disk) => disk.safe_at(at, self.sync_added),
            None => at,
        }
    }

    /// Forgets what a process that died was at.
    pub fn die(&mut self) {
        self.paused = None;
        self.leader = None;
        self.timers = Timers::new();
        self.connected.fill(None);
        self.busy_until = Time::ZERO;
        if let Some(disk) = &mut self.disk {
            disk.stop();
        }
        if let Some(processors) = &mut self.processors {
            processors.stop();
        }
    }

    /// Returns both clocks of the replica.
    pub fn clocks(&self, now: Time) -> Now {
        let mut monotonic = now;
        if self.clock_faster_ppm > 0 {
            let gained = u128::from(now.as_nanos()) * u128::from(self.clock_faster_ppm) / MILLION;
            monotonic += Duration::from_nanos(u64::try_from(gained).unwrap_or(u64::MAX));
        }
        let offset = self.wall_offset.saturating_add(self.clock_shift);
        Now {
            monotonic,
            wall: wall_clock(monotonic, offset),
        }
    }

    /// Returns how long a timer takes that its clock takes `after` for.
    pub fn timer_takes(&self, after: Duration) -> Duration {
        if self.clock_faster_ppm == 0 {
            return after;
        }
        // Rounded up: by its own clock, no timer goes off too early.
        let by_clock = u128::from(nanos(after)) * MILLION;
        let takes = by_clock.div_ceil(MILLION + u128::from(self.clock_faster_ppm));
        Duration::from_nanos(u64::try_from(takes).unwrap_or(u64::MAX))
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
