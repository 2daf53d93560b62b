//! Measures how often the 95% intervals of mean, p50 and p99 contain the true value, on AR(1)
//! series whose true values are known.
//!
//! `cargo run --release -p longhaul-analysis --example coverage [TRIALS]`

use std::time::Duration;

use longhaul_analysis::Percentile;
use longhaul_analysis::statistics::intervals::{mean_interval, percentile_interval};
use longhaul_analysis::statistics::{Bounds, Slice, Slices};
use longhaul_experiment::{Seed, Stream};
use rand_chacha::rand_core::Rng;

/// Operations of a series.
const OPERATIONS: usize = 20_000;
/// Time slices that they fall into.
const SLICES: usize = 60;
/// The true mean and median in nanoseconds.
const CENTRE_NS: f64 = 100e6;
/// The marginal deviation in nanoseconds.
const DEVIATION_NS: f64 = 10e6;
/// The standard normal 99th percentile.
const NORMAL_P99: f64 = 2.326_347_874;

fn main() {
    let trials: u64 = std::env::args()
        .nth(1)
        .map_or(1000, |text| text.parse().expect("a number of trials"));
    println!("rho   figure  covered  no interval  mean effective");
    for rho in [0.0, 0.5, 0.9] {
        let mut tallies = [Tally::default(); 3];
        for trial in 0..trials {
            let slices = series(rho, trial);
            let p99 = CENTRE_NS + NORMAL_P99 * DEVIATION_NS;
            let found = [
                (mean_interval(&slices), CENTRE_NS),
                (percentile_interval(&slices, Percentile::P50), CENTRE_NS),
                (percentile_interval(&slices, Percentile::P99), p99),
            ];
            for (tally, (bounds, truth)) in tallies.iter_mut().zip(found) {
                tally.add(bounds, truth / 1e6);
            }
        }
        for (name, tally) in ["mean", "p50", "p99"].into_iter().zip(tallies) {
            println!(
                "{rho:<5} {name:<7} {:>6.1}%  {:>11}  {:>14.0}",
                100.0 * tally.covered / tally.stated,
                trials as f64 - tally.stated,
                tally.effective / tally.stated
            );
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Tally {
    stated: f64,
    covered: f64,
    effective: f64,
}

impl Tally {
    fn add(&mut self, bounds: Option<Bounds>, truth: f64) {
        let Some(bounds) = bounds else { return };
        self.stated += 1.0;
        self.effective += bounds.effective;
        let below = bounds.high.is_none_or(|high| truth <= high);
        self.covered += f64::from(u8::from(bounds.low <= truth && below));
    }
}

/// A stationary AR(1) series with normal marginals, cut into equal time slices.
fn series(rho: f64, trial: u64) -> Slices {
    let mut generator = Seed(trial).stream(Stream::MonteCarlo, (rho * 10.0) as u64);
    let mut unit = || (generator.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    // Box and Muller.
    let mut normal = || {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - unit()));
        radius * libm::cos(2.0 * std::f64::consts::PI * unit())
    };
    let mut state = normal();
    let fresh = libm::sqrt(1.0 - rho * rho);
    let mut slices = vec![Slice::default(); SLICES];
    for operation in 0..OPERATIONS {
        let slice = &mut slices[operation * SLICES / OPERATIONS];
        slice.length = Duration::from_secs(1);
        slice.due += 1;
        let latency = CENTRE_NS + state * DEVIATION_NS;
        slice.latencies_ns.push((latency as u64, 1));
        state = rho * state + fresh * normal();
    }
    Slices::new(slices)
}
