//! What a replica's work costs, so that saturation shows in virtual time too.
//!
//! Real backends use real processors and disks and ignore it. In virtual time a replica without
//! stated service times works in no time at all.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::mode::ModeSpec;
use crate::profile::Marginal;
use crate::time::nanos;

/// The service times of all modes of a scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Those of modes that have none of their own.
    pub default: ServiceTimes,
    /// Those of single modes.
    pub modes: BTreeMap<ModeSpec, ServiceTimes>,
}

impl Service {
    /// Returns the service times of a mode.
    pub fn of(&self, mode: &ModeSpec) -> &ServiceTimes {
        self.modes.get(mode).unwrap_or(&self.default)
    }
}

/// What one replica's work costs.
///
/// A message costs the same whether it is received or sent, and whether it is a client's or
/// another replica's. The model leaves out caches, and whatever grows with the number of keys or
/// connections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceTimes {
    /// Processor time of one message received or sent, whatever its size.
    pub per_message: Duration,
    /// Processor time of 1024 bytes received or sent.
    pub per_kib: Duration,
    /// How many processors share the messages of a batch. A batch of one message uses one.
    pub cores: u32,
    /// How long a sync of the write-ahead log takes; syncs of one replica follow one another.
    pub sync: Marginal,
}

impl Default for ServiceTimes {
    fn default() -> ServiceTimes {
        ServiceTimes {
            per_message: Duration::ZERO,
            per_kib: Duration::ZERO,
            cores: 1,
            sync: Marginal::None,
        }
    }
}

impl ServiceTimes {
    /// Returns times where nothing but a sync takes any, and each of them this much.
    pub fn of_syncs(sync: Duration) -> ServiceTimes {
        ServiceTimes {
            sync: Marginal::Quantiles(vec![(0.0, sync), (1.0, sync)]),
            ..ServiceTimes::default()
        }
    }

    /// Returns how long a replica is busy with this many messages of this many bytes in all, to
    /// the nanosecond.
    ///
    /// ```
    /// use longhaul_experiment::service::ServiceTimes;
    /// use std::time::Duration;
    ///
    /// let times = ServiceTimes {
    ///     per_message: Duration::from_micros(2),
    ///     per_kib: Duration::from_micros(1),
    ///     cores: 2,
    ///     ..ServiceTimes::default()
    /// };
    /// // 3 x 2 us and 2 KiB x 1 us, shared by two.
    /// assert_eq!(times.busy(3, 2048), Duration::from_micros(4));
    /// assert_eq!(times.busy(1, 0), Duration::from_micros(2));
    /// ```
    pub fn busy(&self, messages: u64, bytes: u64) -> Duration {
        let of_messages = u128::from(nanos(self.per_message)) * u128::from(messages);
        let of_bytes = u128::from(nanos(self.per_kib)) * u128::from(bytes) / 1024;
        let shared_by = u128::from(self.cores).min(u128::from(messages)).max(1);
        let total = (of_messages + of_bytes) / shared_by;
        Duration::from_nanos(u64::try_from(total).unwrap_or(u64::MAX))
    }

    /// Says whether processors take no time.
    pub fn processors_are_free(&self) -> bool {
        self.per_message.is_zero() && self.per_kib.is_zero()
    }
}
