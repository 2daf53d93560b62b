//! The flags of the commands that make many runs: `sweep` and `saturate`.

use clap::{Args, ValueEnum};

use crate::arguments::RunArguments;

/// Examples of `sweep`.
pub const SWEEP_EXAMPLES: &str = "\
Examples:
  longhaul sweep --mode quorum:raft --mode eventual:lww --rates 200,400,800,1600
  longhaul sweep --from 100 --to 12800 --steps 15 --profile gcp-5 --duration 5s
  longhaul sweep --backend sim --service machine.toml --from 1000 --to 64000 --steps 13
      Capacity with the cores and times of one replica that machine.toml states;
      `longhaul calibrate --service` prints them.";

/// Examples of `saturate`.
pub const SATURATE_EXAMPLES: &str = "\
Examples:
  longhaul saturate --slo p99=250ms,errors=0.1%
  longhaul saturate --slo p99=400ms --backend sim --service machine.toml --mode quorum:raft
  longhaul saturate --slo p50=5ms,p99=20ms --region us-east-1 --mode eventual:lww

The limit must hold in every client region by itself, over all operations due there: those
that did not succeed rank above every success.";

/// The flags of `sweep`. Those of `run` say what is run.
#[derive(Debug, Args)]
#[command(
    mut_arg("rate", |flag| flag.hide(true)),
    mut_arg("closed_loop", |flag| flag.hide(true)),
    mut_arg("repeat", |flag| flag.hide(true)),
    mut_arg("history", |flag| flag.hide(true)),
)]
pub struct SweepArguments {
    /// The rates: operations per second and client region.
    #[arg(long, value_delimiter = ',', value_name = "N,N", conflicts_with_all = ["from", "to", "steps"])]
    pub rates: Vec<f64>,
    /// The lowest rate of a range with equal factors.
    #[arg(long, value_name = "N", default_value_t = 100.0)]
    pub from: f64,
    /// The highest.
    #[arg(long, value_name = "N", default_value_t = 6400.0)]
    pub to: f64,
    /// How many rates the range has, its ends included.
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub steps: usize,
    /// The order of the runs.
    #[arg(long, value_enum, default_value_t = OrderArgument::Shuffled)]
    pub order: OrderArgument,
    /// A limit to judge at each rate, as in `saturate`.
    #[arg(long, value_name = "LIMIT")]
    pub slo: Option<String>,
    /// The client region in which alone the limit must hold [default: in every one].
    #[arg(long, value_name = "REGION", requires = "slo")]
    pub region: Option<String>,
    /// What is run.
    #[command(flatten)]
    pub run: RunArguments,
}

/// In which order rates and modes are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OrderArgument {
    /// All rates of all modes in an order that the seed shuffles.
    Shuffled,
    /// Mode after mode, from the lowest rate to the highest.
    Ramp,
}

/// The flags of `saturate`. Those of `run` say what is run.
#[derive(Debug, Args)]
#[command(
    mut_arg("rate", |flag| flag.hide(true)),
    mut_arg("closed_loop", |flag| flag.hide(true)),
    mut_arg("repeat", |flag| flag.hide(true)),
    mut_arg("history", |flag| flag.hide(true)),
)]
pub struct SaturateArguments {
    /// The limit: figures (p50, p90, p95, p99, p99.9, p99.99, mean, max, errors), each with the most
    /// it may be, e.g. `p99=250ms,errors=0.1%`.
    #[arg(long, value_name = "LIMIT")]
    pub slo: String,
    /// The client region in which alone the limit must hold [default: in every one].
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// The rate to begin at: operations per second and client region. Raised to where the limit's
    /// percentile has operations enough.
    #[arg(long, value_name = "N", default_value_t = 100.0)]
    pub from: f64,
    /// The highest rate to try.
    #[arg(long, value_name = "N", default_value_t = 100_000.0)]
    pub to: f64,
    /// How many runs, each with a seed of its own, decide at the edge.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub repeats: u32,
    /// What is run.
    #[command(flatten)]
    pub run: RunArguments,
}
