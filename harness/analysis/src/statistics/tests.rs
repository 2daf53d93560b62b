use std::time::Duration;

use longhaul_experiment::{Seed, Stream};
use rand_chacha::rand_core::Rng;

use super::intervals::{mean_interval, percentile_interval};
use super::*;
use crate::Percentile;

const OPERATIONS: usize = 3000;
const SLICES: usize = 60;
const RHO: f64 = 0.8;

/// An AR(1) series about 100 ms with a marginal deviation of 10 ms.
fn series(trial: u64) -> Slices {
    let mut generator = Seed(trial).stream(Stream::MonteCarlo, 0);
    let mut unit = || (generator.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    // Box and Muller.
    let mut normal = || {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - unit()));
        radius * libm::cos(2.0 * std::f64::consts::PI * unit())
    };
    let mut state = normal();
    let mut slices = vec![Slice::default(); SLICES];
    for operation in 0..OPERATIONS {
        let slice = &mut slices[operation * SLICES / OPERATIONS];
        slice.length = Duration::from_secs(1);
        slice.due += 1;
        slice.latencies_ns.push(((100e6 + 10e6 * state) as u64, 1));
        state = RHO * state + libm::sqrt(1.0 - RHO * RHO) * normal();
    }
    Slices::new(slices)
}

#[test]
fn intervals_of_a_correlated_series_cover_where_independent_ones_do_not() {
    let trials = 150;
    let (mut mean_covers, mut median_covers, mut naive_covers) = (0, 0, 0);
    for trial in 0..trials {
        let slices = series(trial);
        let covers = |bounds: &Bounds| bounds.low <= 100.0 && bounds.high.unwrap() >= 100.0;
        let mean = mean_interval(&slices).unwrap();
        let median = percentile_interval(&slices, Percentile::P50).unwrap();
        mean_covers += u32::from(covers(&mean));
        median_covers += u32::from(covers(&median));
        // As if all 3000 were independent: 1.96 x 10 ms / sqrt(3000) = 0.358 ms.
        let middle = (mean.low + mean.high.unwrap()) / 2.0;
        naive_covers += u32::from((middle - 100.0).abs() < 0.358);
        // Each is worth (1 - 0.8) / (1 + 0.8) = 1/9 of an independent one: 333.
        assert!(mean.effective < 1500.0, "{mean:?}");
    }
    // 95% of 150 are 142.5, deviation 2.7: 133 is 3.5 deviations below.
    assert!((133..150).contains(&mean_covers), "{mean_covers}");
    assert!((133..150).contains(&median_covers), "{median_covers}");
    // A third of the true error covers about half.
    assert!(naive_covers < 100, "{naive_covers}");
}

#[test]
fn too_small_an_effective_sample_has_no_interval() {
    let short = Slices::new(series(1).slices()[..7].to_vec());
    assert_eq!(Intervals::new(&short), Intervals::default());
    // 600 operations leave six beyond p99, and 10 are needed.
    let few = Slices::new(series(1).slices()[..12].to_vec());
    assert_eq!(Intervals::new(&few).p99, None);
}

#[test]
fn a_bound_among_operations_that_did_not_succeed_is_unbounded() {
    let mut slices = series(3).slices().to_vec();
    // One is lost in every second slice of 50, 1% of all: p99 is the last that is known.
    for slice in slices.iter_mut().step_by(2) {
        slice.latencies_ns.pop();
    }
    let intervals = Intervals::new(&Slices::new(slices));
    let p99 = intervals.p99.unwrap();
    assert_eq!(p99.high, None);
    assert!(p99.low > 100.0);
    assert_eq!(intervals.mean, None);
}
