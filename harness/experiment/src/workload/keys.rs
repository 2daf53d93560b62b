//! Which key an operation goes to.

use super::draws::{below, happens};
use super::zipf::{Scatter, Zipf};
use super::{KeyDistribution, Workload};
use crate::ids::Key;
use crate::random::Generator;

/// Chooses keys for the clients of one region.
///
/// Of the keys `0..key_count` the last is the common key when there is a conflict rate, and then
/// no other choice falls on it, so the rate is exact. The remaining keys are split into equal
/// slices, one per client region in the topology's order. A share `locality` of the operations
/// draws from the region's own slice and the rest from all keys, the own slice among them: the
/// share that lands in the own slice is locality + (1 - locality) / regions.
///
/// Under [`KeyDistribution::Latest`] a region writes the keys of its own slice in turn, whatever
/// the locality. A read draws an age by Zipf over the number of writes so far; it goes to the own
/// slice with probability `locality` and else to any region's, which is taken to have written as
/// much.
#[derive(Clone, Debug)]
pub struct KeyChooser {
    conflict_rate: f64,
    locality: f64,
    common: Key,
    spread: Spread,
}

#[derive(Clone, Debug)]
enum Spread {
    Fixed { own: Space, whole: Space },
    Latest(Latest),
}

impl KeyChooser {
    /// Returns the chooser of a client region: `region` counts from 0 among `regions`.
    ///
    /// The workload is valid; with fewer keys than regions every region has all keys as its own.
    pub fn new(workload: &Workload, region: usize, regions: usize) -> KeyChooser {
        let ordinary = if workload.conflict_rate > 0.0 {
            workload.key_count.saturating_sub(1)
        } else {
            workload.key_count
        }
        .max(1);
        let slices = slices(ordinary, regions as u64);
        let own = slices[region % slices.len()];
        let spread = match workload.keys {
            KeyDistribution::Latest { exponent } => Spread::Latest(Latest {
                slices,
                own,
                written: 0,
                age: Zipf::new(1, exponent),
            }),
            distribution => Spread::Fixed {
                own: Space::new(own, distribution),
                whole: Space::new(
                    Slice {
                        first: 0,
                        count: ordinary,
                    },
                    distribution,
                ),
            },
        };
        KeyChooser {
            conflict_rate: workload.conflict_rate,
            locality: workload.locality,
            common: Key(workload.key_count.saturating_sub(1)),
            spread,
        }
    }

    /// Draws the key of the next operation.
    pub fn choose(&mut self, is_write: bool, generator: &mut Generator) -> Key {
        if happens(generator, self.conflict_rate) {
            return self.common;
        }
        match &mut self.spread {
            Spread::Latest(latest) if is_write => latest.next_written(),
            Spread::Latest(latest) => latest.read(self.locality, generator),
            Spread::Fixed { own, whole } => {
                if happens(generator, self.locality) {
                    own.choose(generator)
                } else {
                    whole.choose(generator)
                }
            }
        }
    }
}

/// A run of neighbouring keys.
#[derive(Clone, Copy, Debug)]
struct Slice {
    first: u64,
    count: u64,
}

/// Splits `count` keys into a slice per region, their sizes at most one apart.
fn slices(count: u64, regions: u64) -> Vec<Slice> {
    if count < regions.max(1) {
        return vec![Slice { first: 0, count }];
    }
    let start = |region: u64| region * count / regions.max(1);
    (0..regions.max(1))
        .map(|region| Slice {
            first: start(region),
            count: start(region + 1) - start(region),
        })
        .collect()
}

/// Keys and how choices spread over them.
#[derive(Clone, Debug)]
struct Space {
    slice: Slice,
    pattern: Pattern,
}

#[derive(Clone, Debug)]
enum Pattern {
    Uniform,
    Zipfian {
        rank: Zipf,
        scatter: Scatter,
    },
    Hotspot {
        hot_keys: u64,
        hot_operations: f64,
        scatter: Scatter,
    },
}

impl Space {
    fn new(slice: Slice, distribution: KeyDistribution) -> Space {
        let scatter = Scatter::new(slice.count);
        let pattern = match distribution {
            KeyDistribution::Zipfian { exponent } => Pattern::Zipfian {
                rank: Zipf::new(slice.count, exponent),
                scatter,
            },
            KeyDistribution::Hotspot {
                hot_keys,
                hot_operations,
            } => Pattern::Hotspot {
                hot_keys: ((slice.count as f64 * hot_keys).ceil() as u64).clamp(1, slice.count),
                hot_operations,
                scatter,
            },
            KeyDistribution::Uniform | KeyDistribution::Latest { .. } => Pattern::Uniform,
        };
        Space { slice, pattern }
    }

    fn choose(&self, generator: &mut Generator) -> Key {
        let offset = match &self.pattern {
            Pattern::Uniform => below(generator, self.slice.count),
            Pattern::Zipfian { rank, scatter } => scatter.place(rank.sample(generator)),
            Pattern::Hotspot {
                hot_keys,
                hot_operations,
                scatter,
            } => {
                let cold_keys = self.slice.count - hot_keys;
                let hot = happens(generator, *hot_operations) || cold_keys == 0;
                scatter.place(if hot {
                    below(generator, *hot_keys)
                } else {
                    hot_keys + below(generator, cold_keys)
                })
            }
        };
        Key(self.slice.first + offset)
    }
}

/// Keys written in turn and read by age.
#[derive(Clone, Debug)]
struct Latest {
    slices: Vec<Slice>,
    own: Slice,
    written: u64,
    age: Zipf,
}

impl Latest {
    fn next_written(&mut self) -> Key {
        let key = Key(self.own.first + self.written % self.own.count);
        self.written += 1;
        if self.written <= self.own.count {
            self.age.set_count(self.written);
        }
        key
    }

    fn read(&self, locality: f64, generator: &mut Generator) -> Key {
        let slice = if happens(generator, locality) {
            self.own
        } else {
            self.slices[below(generator, self.slices.len() as u64) as usize]
        };
        // Before the first write this is age 0 of write 0: the key that will be written first.
        let newest = self.written.saturating_sub(1);
        let write = newest - self.age.sample(generator).min(newest);
        Key(slice.first + write % slice.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Seed, Stream};

    const SAMPLES: u64 = 100_000;

    fn workload(keys: KeyDistribution) -> Workload {
        Workload {
            key_count: 1000,
            keys,
            ..Workload::default()
        }
    }

    /// The share of choices that satisfy a condition.
    fn share(workload: &Workload, region: usize, condition: impl Fn(u64) -> bool) -> f64 {
        let mut chooser = KeyChooser::new(workload, region, 5);
        let mut generator = Seed(11).stream(Stream::Operations, region as u64);
        let hits = (0..SAMPLES)
            .filter(|_| condition(chooser.choose(false, &mut generator).0))
            .count();
        hits as f64 / SAMPLES as f64
    }

    /// Five standard deviations of a share among [`SAMPLES`]: at most 5 x sqrt(1/4 / 10^5) = 0.8%.
    fn assert_share(measured: f64, expected: f64) {
        let bound = 5.0 * (expected * (1.0 - expected) / SAMPLES as f64).sqrt();
        assert!(
            (measured - expected).abs() <= bound,
            "{measured} where {expected} +- {bound} is due"
        );
    }

    #[test]
    fn uniform_keys_fill_the_whole_space() {
        let workload = workload(KeyDistribution::Uniform);
        assert_share(share(&workload, 0, |key| key < 500), 0.5);
        assert_share(share(&workload, 0, |key| key % 10 == 0), 0.1);
        assert_eq!(share(&workload, 0, |key| key < 1000), 1.0);
    }

    #[test]
    fn the_conflict_rate_is_the_exact_share_of_the_common_key() {
        let workload = Workload {
            conflict_rate: 0.3,
            ..workload(KeyDistribution::Zipfian { exponent: 0.99 })
        };
        assert_share(share(&workload, 2, |key| key == 999), 0.3);
    }

    #[test]
    fn locality_adds_to_the_share_that_chance_gives_the_own_slice() {
        let workload = Workload {
            locality: 0.75,
            ..workload(KeyDistribution::Uniform)
        };
        // The third of five slices is 400..600: 0.75 + 0.25 / 5 = 0.8.
        let own = share(&workload, 2, |key| (400..600).contains(&key));
        assert_share(own, 0.8);
    }

    #[test]
    fn the_first_zipf_rank_has_its_share_and_lies_apart_from_the_second() {
        let workload = workload(KeyDistribution::Zipfian { exponent: 0.99 });
        let total: f64 = (1..=1000).map(|rank| libm::pow(rank as f64, -0.99)).sum();
        let (first, second) = (Scatter::new(1000).place(0), Scatter::new(1000).place(1));
        assert_share(share(&workload, 0, |key| key == first), 1.0 / total);
        let expected = libm::pow(2.0, -0.99) / total;
        assert_share(share(&workload, 0, |key| key == second), expected);
        assert!(first.abs_diff(second) > 100);
    }

    #[test]
    fn a_hotspot_gets_its_share_of_the_operations() {
        let workload = workload(KeyDistribution::Hotspot {
            hot_keys: 0.1,
            hot_operations: 0.9,
        });
        let scatter = Scatter::new(1000);
        let hot: Vec<u64> = (0..100).map(|rank| scatter.place(rank)).collect();
        assert_share(share(&workload, 0, |key| hot.contains(&key)), 0.9);
    }

    #[test]
    fn latest_reads_favour_the_newest_keys_of_all_regions() {
        let workload = workload(KeyDistribution::Latest { exponent: 0.99 });
        let mut chooser = KeyChooser::new(&workload, 1, 5);
        let mut generator = Seed(3).stream(Stream::Operations, 1);
        assert_eq!(chooser.choose(false, &mut generator).0 % 200, 0);
        for write in 0..250u64 {
            let key = chooser.choose(true, &mut generator).0;
            assert_eq!(key, 200 + write % 200, "writes go round the own slice");
        }
        // The newest write was number 249, at offset 49 of each of the five slices of 200.
        let reads = SAMPLES;
        let newest = (0..reads)
            .filter(|_| chooser.choose(false, &mut generator).0 % 200 == 49)
            .count();
        let total: f64 = (1..=200).map(|age| libm::pow(age as f64, -0.99)).sum();
        assert_share(newest as f64 / reads as f64, 1.0 / total);
    }

    #[test]
    fn fewer_keys_than_regions_still_yield_keys() {
        let workload = Workload {
            key_count: 2,
            locality: 0.5,
            conflict_rate: 0.5,
            ..Workload::default()
        };
        assert_share(share(&workload, 4, |key| key == 1), 0.5);
        assert_eq!(share(&workload, 4, |key| key < 2), 1.0);
    }
}
