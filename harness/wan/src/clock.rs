//! The run's clock on a real machine.

use longhaul_experiment::Time;
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// The monotonic clock of one machine, counted from the run's epoch.
///
/// It reads `CLOCK_MONOTONIC`, which all processes of a machine share (time namespaces apart):
/// a process that is given the epoch reads comparable instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// What `CLOCK_MONOTONIC` read at the epoch, in nanoseconds.
    epoch_ns: u64,
}

impl Clock {
    /// Returns a clock whose epoch is now.
    pub fn start() -> Clock {
        Clock {
            epoch_ns: monotonic_ns(),
        }
    }

    /// Returns the clock of an epoch that another process of this machine took, see
    /// [`Clock::epoch_ns`].
    pub const fn with_epoch_ns(epoch_ns: u64) -> Clock {
        Clock { epoch_ns }
    }

    /// Returns what `CLOCK_MONOTONIC` read at the epoch, in nanoseconds.
    pub const fn epoch_ns(self) -> u64 {
        self.epoch_ns
    }

    /// Returns the present instant; the epoch itself while that lies ahead. Costs about 50 ns.
    pub fn now(self) -> Time {
        Time(monotonic_ns().saturating_sub(self.epoch_ns))
    }
}

fn monotonic_ns() -> u64 {
    // The call fails only for clocks that a system lacks; POSIX systems have this one.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |reading| {
        reading.tv_sec() as u64 * 1_000_000_000 + reading.tv_nsec() as u64
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_rebuilt_from_its_epoch_reads_the_same_instants() {
        let clock = Clock::start();
        let again = Clock::with_epoch_ns(clock.epoch_ns());
        let (first, second, third) = (clock.now(), again.now(), clock.now());
        assert!(first <= second && second <= third);
    }

    #[test]
    fn an_epoch_ahead_reads_as_the_epoch() {
        let clock = Clock::with_epoch_ns(Clock::start().epoch_ns() + 3_600_000_000_000);
        assert_eq!(clock.now(), Time::ZERO);
    }
}
