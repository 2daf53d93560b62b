//! What orders versions and keeps them unique: hybrid clocks, and the identity of a writer.

use longhaul_experiment::{ReplicaId, WallTime};

/// The low bits of a hybrid clock's reading that hold its logical part.
const LOGICAL_BITS: u32 = 12;

/// The largest physical part: microseconds since the Unix epoch, until the year 2112.
const PHYSICAL_MAX: u64 = (1 << (64 - LOGICAL_BITS)) - 1;

/// How many replicas a version's minor part can tell apart.
pub const REPLICAS_MAX: usize = 1 << 12;

/// How many lives of one replica a version's minor part can tell apart.
pub const INCARNATIONS_MAX: u32 = 1 << 20;

/// A hybrid logical clock (Kulkarni, Demirbas, Madappa, Avva and Leone, "Logical Physical Clocks",
/// OPODIS 2014).
///
/// A reading is 52 bits of microseconds of wall time and 12 bits of a logical counter. The two
/// are one number: a reading is the larger of the wall clock and the last reading plus one, so a
/// logical counter that runs over carries into the physical part. A clock that has seen another's
/// reading runs ahead of it from then on; no bound is put on how far that may lead it from its own
/// wall clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HybridClock {
    last: u64,
    #[cfg(feature = "mutations")]
    is_deaf: bool,
}

impl HybridClock {
    /// Returns a reading above all that this clock gave or saw, and not behind the wall clock.
    pub fn tick(&mut self, wall: WallTime) -> u64 {
        let physical = (wall.0 / 1_000).min(PHYSICAL_MAX) << LOGICAL_BITS;
        self.last = self.last.saturating_add(1).max(physical);
        self.last
    }

    /// Takes note of another clock's reading.
    pub fn observe(&mut self, reading: u64) {
        #[cfg(feature = "mutations")]
        if self.is_deaf {
            return;
        }
        self.last = self.last.max(reading);
    }

    /// Makes the clock take no note of others from now on.
    #[cfg(feature = "mutations")]
    pub(crate) fn deafen(&mut self) {
        self.is_deaf = true;
    }
}

/// Numbers the writes of one life of a replica for [`longhaul_experiment::Version::minor`]: 12
/// bits of replica, 20 bits of incarnation, 32 bits of sequence, most significant first.
///
/// No two writes share a number, whatever became of the replica's storage, because no two lives
/// share an incarnation.
#[derive(Clone, Copy, Debug)]
pub struct Writer {
    replica: ReplicaId,
    incarnation: u32,
    sequence: Option<u32>,
}

impl Writer {
    /// Returns the writer of one life of a replica.
    pub fn new(replica: ReplicaId, incarnation: u32) -> Writer {
        let fits = replica.index() < REPLICAS_MAX && incarnation < INCARNATIONS_MAX;
        Writer {
            replica,
            incarnation,
            sequence: fits.then_some(0),
        }
    }

    /// Returns the next number; `None` when this life has written 2^32 times, or when the replica
    /// or its incarnation is beyond what fits.
    pub fn number(&mut self) -> Option<u64> {
        let sequence = self.sequence?;
        self.sequence = sequence.checked_add(1);
        Some(
            u64::from(self.replica.0) << 52
                | u64::from(self.incarnation) << 32
                | u64::from(sequence),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: u64 = 1_000_000;

    #[test]
    fn readings_increase_while_the_wall_clock_stands_still_or_goes_back() {
        let mut clock = HybridClock::default();
        let first = clock.tick(WallTime(5 * MILLISECOND));
        let second = clock.tick(WallTime(5 * MILLISECOND));
        let third = clock.tick(WallTime(MILLISECOND));
        assert!(first < second && second < third);
        // 5 ms are 5000 us in the physical part.
        assert_eq!(third >> LOGICAL_BITS, 5_000);
    }

    #[test]
    fn a_lagging_clock_runs_ahead_of_what_it_has_seen() {
        let mut ahead = HybridClock::default();
        let mut lagging = HybridClock::default();
        let seen = ahead.tick(WallTime(900 * MILLISECOND));
        assert!(lagging.tick(WallTime(MILLISECOND)) < seen);
        lagging.observe(seen);
        assert!(lagging.tick(WallTime(MILLISECOND)) > seen);
    }

    #[test]
    fn numbers_of_two_lives_and_of_two_replicas_never_meet() {
        let mut numbers: Vec<u64> = [(0, 0), (0, 1), (1, 0), (4_095, 7)]
            .into_iter()
            .flat_map(|(replica, incarnation)| {
                let mut writer = Writer::new(ReplicaId(replica), incarnation);
                [writer.number(), writer.number()]
            })
            .map(Option::unwrap)
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 8);
    }

    #[test]
    fn a_writer_that_does_not_fit_gives_no_number() {
        assert_eq!(Writer::new(ReplicaId(4_096), 0).number(), None);
        assert_eq!(Writer::new(ReplicaId(0), INCARNATIONS_MAX).number(), None);
    }
}
