//! How much of its past a replica keeps.

use std::num::NonZeroU32;

/// The part that replicas keep of what their protocols state: of entries for peers that lag, and of
/// log records between two checkpoints.
///
/// The stated bounds are for runs of millions of operations. Testing by simulation has a few
/// hundred in a run, and reaches compaction, checkpoints and snapshots with a small part of them.
/// Bounds on what waits are not concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Retention(NonZeroU32);

impl Retention {
    /// All of it.
    pub const FULL: Retention = Retention(NonZeroU32::MIN);

    /// Returns a part: one in `divisor`.
    pub const fn one_in(divisor: NonZeroU32) -> Retention {
        Retention(divisor)
    }

    /// Returns this part of a stated bound, at least 1.
    ///
    /// ```
    /// use longhaul_protocol::Retention;
    ///
    /// assert_eq!(Retention::FULL.of(1 << 14), 1 << 14);
    /// let little = Retention::one_in(1000.try_into().unwrap());
    /// assert_eq!((little.of(1 << 14), little.of(10)), (16, 1));
    /// ```
    pub fn of(self, bound: usize) -> usize {
        (bound / self.0.get() as usize).max(1)
    }
}

impl Default for Retention {
    fn default() -> Retention {
        Retention::FULL
    }
}
