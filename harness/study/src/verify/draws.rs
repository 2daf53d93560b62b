//! Random choices of one case.

use std::time::Duration;

use longhaul_experiment::random::Generator;
use longhaul_experiment::{Seed, Stream};
use rand::Rng as _;

/// A stream of choices. What is drawn for a seed is part of what the seed means, so the draws
/// are spelled out here and depend on the pinned generator alone.
#[derive(Debug)]
pub(super) struct Draws(Generator);

impl Draws {
    /// Returns the stream of a case for one part of it.
    pub(super) fn of(seed: Seed, part: u64) -> Draws {
        Draws(seed.stream(Stream::Cases, part))
    }

    /// Returns a number from 0 to below `count`, which is at least 1.
    pub(super) fn below(&mut self, count: usize) -> usize {
        (self.0.next_u64() % count.max(1) as u64) as usize
    }

    /// Returns a number from `least` to `most`.
    pub(super) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.0.next_u64() % (most.saturating_sub(least) + 1)
    }

    /// Returns a number from `least` to `most` whose logarithm is uniform, so that each order of
    /// magnitude is as likely as another.
    pub(super) fn magnitude(&mut self, least: u64, most: u64) -> u64 {
        let (mut low, mut high) = (least.max(1), most.max(1));
        // Halving the octaves keeps to integers: no two machines disagree about a logarithm.
        while high / low >= 2 {
            let middle = low.saturating_mul(2);
            let octaves = u64::from((high / low).ilog2());
            if self.between(1, octaves) == 1 {
                // An octave ends before the next begins, and the last one with the range.
                if middle < high {
                    high = middle - 1;
                }
                break;
            }
            low = middle;
        }
        high = high.max(low);
        self.between(low, high)
    }

    /// Says yes in `percent` of a hundred cases.
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.0.next_u64() % 100 < percent
    }

    /// Returns one of the choices; there must be one.
    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Returns `count` different numbers below `from`, in order.
    pub(super) fn sample(&mut self, count: usize, from: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..from).collect();
        for position in 0..count.min(from) {
            let other = position + self.below(from - position);
            all.swap(position, other);
        }
        all.truncate(count);
        all.sort_unstable();
        all
    }

    /// Returns a duration between two of milliseconds, by order of magnitude.
    pub(super) fn milliseconds(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.magnitude(least, most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magnitudes_stay_within_their_bounds_and_reach_every_octave() {
        let mut draws = Draws::of(Seed(1), 0);
        let mut octaves = [0; 11];
        for _ in 0..2_000 {
            let number = draws.magnitude(1, 1_024);
            assert!((1..=1_024).contains(&number));
            octaves[number.ilog2() as usize] += 1;
        }
        // Ten octaves share 2000 draws: about 200 each.
        assert!(
            octaves[..10].iter().all(|&count| count > 100),
            "{octaves:?}"
        );
    }

    #[test]
    fn a_sample_has_no_number_twice() {
        let mut draws = Draws::of(Seed(1), 0);
        for count in 0..=5 {
            let mut sample = draws.sample(count, 5);
            sample.dedup();
            assert_eq!(sample.len(), count);
        }
    }
}
