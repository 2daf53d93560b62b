//! The load: how many operations, when, on which keys, of which kinds and sizes.

mod keys;
mod schedule;

use serde::{Deserialize, Serialize};

pub use keys::KeyChooser;
pub use schedule::{PlannedOperation, Schedule};

/// The load that clients put on a system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Workload {
    /// How operations arrive.
    pub arrivals: Arrivals,
    /// The share of reads, 0 to 1.
    pub read_share: f64,
    /// The share of each further kind among the operations that are not reads; the rest are
    /// plain writes.
    pub write_mix: WriteMix,
    /// Bytes of a written value, at least 16.
    pub value_size: u32,
    /// How many keys there are.
    pub key_count: u64,
    /// Which keys are asked for.
    pub keys: KeyDistribution,
    /// The share of operations that go to one key common to all clients.
    pub conflict_rate: f64,
    /// The share of operations that stay on the keys of the client's own region.
    pub locality: f64,
}

/// How operations arrive.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum Arrivals {
    /// Open loop, exponential gaps.
    Poisson {
        /// Operations per second and client region.
        rate: f64,
    },
    /// Open loop, equal gaps.
    Constant {
        /// Operations per second and client region.
        rate: f64,
    },
    /// Closed loop: each connection keeps this many operations in flight. Its figures are
    /// service times.
    Closed {
        /// Operations in flight per connection.
        in_flight: u32,
    },
}

/// Which keys are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum KeyDistribution {
    /// Every key equally.
    Uniform,
    /// Zipf with this exponent (YCSB: 0.99), ranks scattered over the key space.
    Zipfian {
        /// The exponent.
        exponent: f64,
    },
    /// A share of the operations goes to a share of the keys.
    Hotspot {
        /// The share of hot keys.
        hot_keys: f64,
        /// The share of operations on them.
        hot_operations: f64,
    },
    /// The most recently written keys most often, by Zipf over age with this exponent.
    Latest {
        /// The exponent.
        exponent: f64,
    },
}

/// Shares of the kinds among operations that are not reads; the rest are writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WriteMix {
    /// Compare-and-set.
    pub compare_and_set: f64,
    /// Add.
    pub add: f64,
    /// Take-if-enough.
    pub take_if_enough: f64,
}

impl Default for Workload {
    fn default() -> Workload {
        Workload {
            arrivals: Arrivals::Poisson { rate: 200.0 },
            read_share: 0.0,
            write_mix: WriteMix::default(),
            value_size: 128,
            key_count: 10_000,
            keys: KeyDistribution::Uniform,
            conflict_rate: 0.0,
            locality: 0.0,
        }
    }
}
