//! A case: all that one run depends on, as data that can be written down, cut and run again.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use longhaul_experiment::profile::{Jitter, Link, Marginal, Profile, Region, Source};
use longhaul_experiment::scenario::Durability;
use longhaul_experiment::service::ServiceTimes;
use longhaul_experiment::{Fault, ModeSpec, OperationKind, RegionIndex, ReplicaId, Seed, Topology};
use longhaul_protocol::Retention;
use longhaul_sim::simulation::{Batching, SimulationOptions};
use serde::{Deserialize, Serialize};

/// The least key of those that are written once.
pub const WRITE_ONCE_KEYS: u64 = 1_000;

/// The least key of those that hold integers.
pub const INTEGER_KEYS: u64 = 500;

/// One run, to be carried out on the replicas of its mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// The mode.
    pub mode: ModeSpec,
    /// The seed of what is drawn during the run: jitter, losses, election time-outs.
    pub seed: Seed,
    /// The one-way delays between regions in microseconds, from row to column. There is one
    /// replica in each region; a region to itself is its LAN.
    pub one_way_us: Vec<Vec<u64>>,
    /// The mean of the exponential jitter on every link in microseconds; 0: none.
    pub jitter_us: u64,
    /// The replica that leads first, in modes with a leader.
    pub leader: ReplicaId,
    /// What replicas keep.
    pub durability: Durability,
    /// How long a sync of the log takes, in microseconds.
    pub sync_us: u64,
    /// What replicas' other work costs.
    #[serde(default)]
    pub work: Work,
    /// Whether a replica handles all events of an instant as one batch, and not each on its own.
    #[serde(default)]
    pub batches_instants: bool,
    /// Replicas keep one part in so many of the past that their protocols state: the log entries
    /// for those that lag, and the records between two checkpoints.
    #[serde(default = "all_of_it")]
    pub retention: NonZeroU32,
    /// By replica, how much faster its clocks run than time, in millionths; empty: not at all.
    #[serde(default)]
    pub clocks_faster_ppm: Vec<u32>,
    /// Bytes of a written value.
    pub value_size: u32,
    /// The client sessions.
    pub sessions: Vec<SessionPlan>,
    /// What they do, by instant.
    pub operations: Vec<OperationPlan>,
    /// How clients take missing answers.
    pub patience: Patience,
    /// What breaks. Instants count from the beginning; at [`Case::load`] all that is still
    /// broken heals.
    pub faults: Vec<Fault>,
    /// How long operations begin and faults happen.
    pub load: Duration,
}

/// What the work of one replica costs, as [`ServiceTimes`] has it; nothing by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Microseconds of one message received or sent.
    pub message_us: u64,
    /// Microseconds of 1024 bytes received or sent.
    pub kib_us: u64,
    /// How many processors share the messages of a batch; 0 counts as one.
    pub cores: u32,
}

fn all_of_it() -> NonZeroU32 {
    NonZeroU32::MIN
}

/// A client session: it does one operation after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionPlan {
    /// Where the client is.
    pub region: RegionIndex,
    /// The replica that it asks where the mode lets it choose; `None`: another one each time.
    pub home: Option<ReplicaId>,
}

/// An operation to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationPlan {
    /// When it is due, in microseconds; it waits for the session's earlier ones.
    pub at_us: u64,
    /// The session, by position.
    pub session: usize,
    /// What is done.
    pub kind: OperationKind,
    /// To which key.
    pub key: u64,
    /// What is added or taken.
    pub amount: u8,
    /// The replica that a session without a home asks.
    pub replica: ReplicaId,
}

/// How clients take missing answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patience {
    /// How long an attempt waits for its answer.
    pub attempt: Duration,
    /// How often an operation is tried.
    pub attempts: u32,
    /// The pause between an attempt without success and the next.
    pub pause: Duration,
}

impl Case {
    /// Returns how many replicas there are.
    pub fn replicas(&self) -> usize {
        self.one_way_us.len()
    }

    /// Returns the name of a replica's region.
    pub fn region_name(replica: usize) -> String {
        format!("region-{replica}")
    }

    /// Returns the topology: a replica and clients in every region.
    pub fn topology(&self) -> Arc<Topology> {
        let mean = Duration::from_micros(self.jitter_us);
        let jitter = if mean.is_zero() {
            Jitter::NONE
        } else {
            Jitter {
                marginal: Marginal::Exponential { mean },
                ..Jitter::NONE
            }
        };
        let links = self.one_way_us.iter().flatten().map(|&one_way| Link {
            jitter: jitter.clone(),
            ..Link::fixed(Duration::from_micros(one_way))
        });
        let regions = 0..self.replicas();
        let profile = Profile::new(
            "case",
            "The regions of one random case.",
            Source {
                title: "drawn from a seed".to_owned(),
                date: "none".to_owned(),
                method: "uniform over orders of magnitude".to_owned(),
            },
            regions
                .map(|region| Region::named(Case::region_name(region)))
                .collect(),
            links.collect(),
        );
        let mut topology = Topology::everywhere(profile);
        topology.leader = self.leader;
        Arc::new(topology)
    }

    /// Returns how its replicas are simulated.
    pub fn simulation_options(&self) -> SimulationOptions {
        let Work {
            message_us,
            kib_us,
            cores,
        } = self.work;
        SimulationOptions {
            durability: self.durability,
            service: ServiceTimes {
                per_message: Duration::from_micros(message_us),
                per_kib: Duration::from_micros(kib_us),
                cores: cores.max(1),
                ..ServiceTimes::of_syncs(Duration::from_micros(self.sync_us))
            },
            batching: if self.batches_instants {
                Batching::EveryInstant
            } else {
                Batching::EveryEvent
            },
            retention: Retention::one_in(self.retention),
            clocks_faster_ppm: self.clocks_faster_ppm.clone(),
        }
    }

    /// Returns the keys that its operations name, in order.
    pub fn keys(&self) -> Vec<u64> {
        let mut keys: Vec<u64> = self.operations.iter().map(|planned| planned.key).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}
