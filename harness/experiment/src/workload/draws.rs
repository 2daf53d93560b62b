//! Draws from a generator, spelled out here so that no library's update changes a run.

use rand_chacha::rand_core::Rng;

use crate::random::{Generator, unit};

/// Returns an integer in `0..count`, `count` at least 1, by the high word of a product. With
/// `count` at most 2^32 no integer's probability is off by more than 2^-64.
pub(super) fn below(generator: &mut Generator, count: u64) -> u64 {
    ((u128::from(generator.next_u64()) * u128::from(count)) >> 64) as u64
}

/// Says whether an event of this probability happens. Certain and impossible events draw nothing.
pub(super) fn happens(generator: &mut Generator, probability: f64) -> bool {
    probability >= 1.0 || (probability > 0.0 && unit(generator) < probability)
}
