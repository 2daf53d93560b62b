//! Measures how often the rule p99+10% fires on repeated runs of a heavy-tailed latency whose
//! true change is known: 0, +10% and +25% in every region.
//!
//! Each run has five regions; a write takes a base delay and a jitter with a lognormal tail that
//! lasts (an AR(1) process under the quantile function). The other side's whole latency is
//! stretched by the true change.
//!
//! `cargo run --release -p longhaul-analysis --example gate [TRIALS]`

use longhaul_analysis::Percentile;
use longhaul_analysis::comparison::{
    Cell, FailIf, Figure, Level, Metric, Outcome, Pair, Samples, gate,
};
use longhaul_experiment::random::Generator;
use longhaul_experiment::{Seed, Stream};
use rand_chacha::rand_core::Rng;

/// Base latencies of the regions' writes in milliseconds.
const BASES_MS: [f64; 5] = [20.0, 70.0, 90.0, 150.0, 220.0];
/// The jitter's median in milliseconds.
const JITTER_P50_MS: f64 = 1.0;
/// The deviation of the jitter's logarithm: with 1.4 its p99 is 26 times its median.
const JITTER_SHAPE: f64 = 1.4;
/// Repeats of each side.
const REPEATS: usize = 5;
/// Neighbouring operations' correlation, before the tail is bent.
const RHO: f64 = 0.9;

fn main() {
    let trials: u64 = std::env::args()
        .nth(1)
        .map_or(200, |text| text.parse().expect("a number of trials"));
    let rule: FailIf = "p99+10%".parse().expect("a rule");
    println!("operations  true change  fired  of");
    for operations in [1600, 12_000] {
        for change in [0.0, 0.10, 0.25] {
            let fired = (0..trials).filter(|&trial| {
                let samples = comparison(trial, operations, change);
                let pair = Pair {
                    samples: &samples,
                    level: Level::Runs,
                };
                gate::judge(&[pair], &[rule])[0][0].outcome == Outcome::Fires
            });
            println!(
                "{operations:<11} {:>10.0}%  {:>5}  {trials}",
                100.0 * change,
                fired.count()
            );
        }
    }
}

/// The p99 of every region in every run of both sides.
fn comparison(trial: u64, operations: usize, change: f64) -> Vec<Samples> {
    let cell = |region: usize| Cell {
        mode: "quorum:raft".to_owned(),
        region: format!("region {region}"),
        kind: "write",
        metric: Metric::Percentile(Percentile::P99),
    };
    let figures = |region: usize, first_run: usize, stretch: f64| {
        let run = |repeat: usize| {
            let index = (first_run + repeat) * BASES_MS.len() + region;
            let mut generator = Seed(trial).stream(Stream::MonteCarlo, index as u64);
            let p99 = p99_ms(&mut generator, BASES_MS[region], operations);
            Figure::Known(p99 * stretch, None)
        };
        (0..REPEATS).map(run).collect()
    };
    let regions = 0..BASES_MS.len();
    regions
        .map(|region| Samples {
            cell: cell(region),
            base: figures(region, 0, 1.0),
            other: figures(region, REPEATS, 1.0 + change),
        })
        .collect()
}

fn p99_ms(generator: &mut Generator, base_ms: f64, operations: usize) -> f64 {
    let mut unit = || (generator.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    // Box and Muller.
    let mut normal = || {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - unit()));
        radius * libm::cos(2.0 * std::f64::consts::PI * unit())
    };
    let fresh = libm::sqrt(1.0 - RHO * RHO);
    let mut state = normal();
    let mut states: Vec<f64> = (0..operations)
        .map(|_| {
            state = RHO * state + fresh * normal();
            state
        })
        .collect();
    // The latency rises with the state, so the state's p99 is the latency's.
    let rank = operations * 99 / 100 - 1;
    let (_, at_rank, _) = states.select_nth_unstable_by(rank, f64::total_cmp);
    base_ms + JITTER_P50_MS * libm::exp(JITTER_SHAPE * *at_rank)
}
