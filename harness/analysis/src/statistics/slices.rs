//! The latencies of a measured window, time slice by time slice.

use std::collections::BTreeMap;
use std::time::Duration;

use longhaul_experiment::record::KindRecord;

/// What was due in one slice of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slice {
    /// Its length.
    pub length: Duration,
    /// Operations due in it.
    pub due: u64,
    /// (latency in nanoseconds, how many) of the successes, ascending.
    pub latencies_ns: Vec<(u64, u64)>,
}

impl Slice {
    /// Returns how many operations succeeded.
    pub fn ok(&self) -> u64 {
        self.latencies_ns.iter().map(|(_, count)| count).sum()
    }

    /// Returns the sum of the successes' latencies in nanoseconds.
    pub fn sum_ns(&self) -> f64 {
        let products = self.latencies_ns.iter();
        products
            .map(|&(latency, count)| latency as f64 * count as f64)
            .sum()
    }

    /// Returns how many operations due succeeded within this latency.
    pub fn within(&self, latency_ns: u64) -> u64 {
        let end = self
            .latencies_ns
            .partition_point(|&(latency, _)| latency <= latency_ns);
        self.latencies_ns[..end]
            .iter()
            .map(|(_, count)| count)
            .sum()
    }
}

/// All slices of a window, in order of time, and their latencies ranked together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slices {
    slices: Vec<Slice>,
    /// (latency in nanoseconds, how many succeeded within it), ascending.
    ranked: Vec<(u64, u64)>,
    due: u64,
}

impl Slices {
    /// Returns the slices of some kinds of operations of one mode and region: slices that begin
    /// together are joined. Those of a broken histogram are left out.
    pub fn of_kinds<'a>(kinds: impl Iterator<Item = &'a KindRecord>) -> Slices {
        let mut slices: BTreeMap<Duration, Slice> = BTreeMap::new();
        for interval in kinds.flat_map(|kind| &kind.intervals) {
            let Ok(occupied) = interval.latency.occupied() else {
                continue;
            };
            let slice = slices.entry(interval.start).or_default();
            slice.length = slice.length.max(interval.length);
            slice.due += interval.due;
            slice.latencies_ns.extend(occupied);
        }
        Slices::new(slices.into_values().collect())
    }

    /// Returns slices in order of time; their latencies may be in any order.
    pub fn new(mut slices: Vec<Slice>) -> Slices {
        let mut ranked: Vec<(u64, u64)> = Vec::new();
        for slice in &mut slices {
            slice.latencies_ns.sort_unstable();
            ranked.extend(&slice.latencies_ns);
        }
        ranked.sort_unstable();
        let mut reached = 0;
        for (_, count) in &mut ranked {
            reached += *count;
            *count = reached;
        }
        let due = slices.iter().map(|slice| slice.due).sum();
        Slices {
            slices,
            ranked,
            due,
        }
    }

    /// Returns the slices in order of time.
    pub fn slices(&self) -> &[Slice] {
        &self.slices
    }

    /// Returns how many operations were due.
    pub fn due(&self) -> u64 {
        self.due
    }

    /// Returns how many succeeded.
    pub fn ok(&self) -> u64 {
        self.ranked.last().map_or(0, |&(_, reached)| reached)
    }

    /// Returns the latency of a rank (from 1) among the operations due, in nanoseconds; `None`
    /// where it falls among those that did not succeed.
    pub fn at_rank(&self, rank: u64) -> Option<u64> {
        let index = self.ranked.partition_point(|&(_, reached)| reached < rank);
        self.ranked.get(index).map(|&(latency, _)| latency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_count_over_all_slices_and_failures_rank_last() {
        let slice = |due, latencies_ns: &[(u64, u64)]| Slice {
            length: Duration::from_secs(1),
            due,
            latencies_ns: latencies_ns.to_vec(),
        };
        let slices = Slices::new(vec![slice(3, &[(30, 1), (10, 1)]), slice(3, &[(20, 3)])]);
        // Six due, five succeeded: 10, 20, 20, 20, 30, and one that did not.
        let ranks: Vec<_> = (1..=6).map(|rank| slices.at_rank(rank)).collect();
        assert_eq!(
            ranks,
            [Some(10), Some(20), Some(20), Some(20), Some(30), None]
        );
        assert_eq!((slices.due(), slices.ok()), (6, 5));
        assert_eq!(slices.slices()[0].within(10), 1);
        assert_eq!(slices.slices()[0].sum_ns(), 40.0);
    }
}
