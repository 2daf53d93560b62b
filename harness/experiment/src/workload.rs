//! The load: how many operations, when, on which keys, of which kinds and sizes.

mod draws;
mod keys;
mod schedule;
mod source;
mod validate;
mod value;
mod ycsb;
mod zipf;

use serde::{Deserialize, Serialize};

use crate::operation::OperationKind;

pub use keys::KeyChooser;
pub use schedule::{Schedule, ScheduleFor};
pub use source::{OperationSource, PlannedOperation};
pub use validate::WorkloadError;
pub use value::{ValueMaker, writer_of};

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
        /// The exponent, 0.99 where none is stated.
        #[serde(default = "ycsb_exponent")]
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
        /// The exponent, 0.99 where none is stated.
        #[serde(default = "ycsb_exponent")]
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
            arrivals: Arrivals::Poisson {
                rate: Workload::DEFAULT_RATE,
            },
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

impl Workload {
    /// The rate where none is stated, in operations per second and client region.
    pub const DEFAULT_RATE: f64 = 200.0;

    /// Returns the operations per second of one client region; `None` in a closed loop.
    pub const fn rate(&self) -> Option<f64> {
        match self.arrivals {
            Arrivals::Poisson { rate } | Arrivals::Constant { rate } => Some(rate),
            Arrivals::Closed { .. } => None,
        }
    }

    /// Returns the kinds of operation that it asks for, in reporting order.
    pub fn kinds(&self) -> Vec<OperationKind> {
        let writes = 1.0 - self.read_share;
        let plain = 1.0 - self.write_mix.sum();
        let asked = |kind: &OperationKind| match kind {
            OperationKind::Read => self.read_share > 0.0,
            OperationKind::Write => writes > 0.0 && plain > WriteMix::ROUNDING,
            OperationKind::CompareAndSet => writes > 0.0 && self.write_mix.compare_and_set > 0.0,
            OperationKind::Add => writes > 0.0 && self.write_mix.add > 0.0,
            OperationKind::TakeIfEnough => writes > 0.0 && self.write_mix.take_if_enough > 0.0,
        };
        OperationKind::ALL.into_iter().filter(asked).collect()
    }
}

impl WriteMix {
    /// What the sum of shares may differ from 1 by and still be 1: they are decimal fractions.
    pub(crate) const ROUNDING: f64 = 1e-9;

    /// Returns the share of the kinds that are not plain writes.
    pub fn sum(&self) -> f64 {
        self.compare_and_set + self.add + self.take_if_enough
    }
}

fn ycsb_exponent() -> f64 {
    0.99
}
