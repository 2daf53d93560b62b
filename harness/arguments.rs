//! The command line, as clap sees it: raw text and numbers, checked later.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::exit_codes;
use crate::model_arguments::{
    LEADERLESS_EXAMPLES, LeaderlessArguments, PBS_EXAMPLES, PbsArguments,
};
use crate::net_arguments::{NET_EXAMPLES, NetCommand};
use crate::sweep_arguments::{
    SATURATE_EXAMPLES, SWEEP_EXAMPLES, SaturateArguments, SweepArguments,
};

/// A geo-replication latency benchmark: what a replicated write costs, and what is given up to
/// make it cheaper.
#[derive(Debug, Parser)]
#[command(name = "longhaul", version, max_term_width = 100, after_help = exit_codes::help())]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What longhaul can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Measure replication modes behind a WAN profile; leaves a folder with the record, a table,
    /// charts and report.html, one page to open in a browser.
    #[command(after_help = RUN_EXAMPLES)]
    Run(Box<RunArguments>),
    /// Print the table of a run and make its charts and report.html again, from its record.
    Report(ReportArguments),
    /// List, show, check and import WAN profiles.
    #[command(subcommand)]
    Profile(ProfileCommand),
    /// Show the replication modes.
    #[command(subcommand)]
    Mode(ModeCommand),
    /// Follow one write of a mode hop by hop, against its floor.
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(ExplainArguments),
    /// Hunt for protocol bugs: random cases with faults in virtual time, judged by checkers.
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(VerifyArguments),
    /// How stale partial quorums read: the register's replicas against the PBS model.
    #[command(after_help = PBS_EXAMPLES)]
    Pbs(PbsArguments),
    /// How long a mode has no leader after its leader dies, over many seeds.
    #[command(after_help = LEADERLESS_EXAMPLES)]
    Leaderless(LeaderlessArguments),
    /// Latency against throughput: each mode at several offered rates.
    #[command(after_help = SWEEP_EXAMPLES)]
    Sweep(Box<SweepArguments>),
    /// The highest offered rate of each mode at which a limit holds.
    #[command(after_help = SATURATE_EXAMPLES)]
    Saturate(Box<SaturateArguments>),
    /// Compare runs figure by figure, with the uncertainty of each change.
    #[command(after_help = COMPARE_EXAMPLES)]
    Compare(CompareArguments),
    /// Publish runs, with an index page in Markdown and HTML.
    #[command(subcommand)]
    Results(ResultsCommand),
    /// Measure what the model of virtual time needs to know of this machine.
    Calibrate(CalibrateArguments),
    /// Lay a profile's links between network namespaces and run any program behind them (Linux).
    #[command(subcommand, after_help = NET_EXAMPLES)]
    Net(NetCommand),
    /// Say what this machine can do: timers, priorities, namespaces, netem.
    Doctor,
    /// Be the agent of a region, for the run that started this process.
    #[command(hide = true)]
    Agent,
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual page.
    Man,
}

const RUN_EXAMPLES: &str = "\
Examples:
  longhaul run
      The seven default modes on five AWS regions, 200 writes per second and region.
  longhaul run --mode quorum:raft --mode eventual:lww --profile gcp-5 --duration 20s
  longhaul run --profile aws-19 --regions us-east-1,eu-west-1,ap-south-1 --leader eu-west-1
  longhaul run --jitter none --arrivals constant --read-share 0.5 --keys zipfian
  longhaul run --profile loopback-3 --closed-loop 64 --connections 8 --mode quorum:raft
      The harness's own capacity: service times of a closed loop without added delay.
  longhaul run --scenario my.toml --json > summary.json";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  longhaul explain quorum:raft
  longhaul explain quorum:register --region ap-northeast-1
  longhaul explain leader-follower:semi-sync=2 --profile gcp-5";

const VERIFY_EXAMPLES: &str = "\
Examples:
  longhaul verify --mode quorum:raft --seeds 1000
  longhaul verify --mode eventual:lww --demand linearizable
      A weaker mode is caught breaking what it does not promise.
  longhaul verify --replay counterexample.json
  longhaul verify --for 2min --seeds 1000000
      The seven default modes in turn, two minutes in all.
      Exit code 3: a violation was found; 4: none was, but not all was decided.";

/// The flags of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArguments {
    /// A mode, as `family:variant[,key=value...]`; may be repeated [default: the seven of
    /// `longhaul mode list`].
    #[arg(long = "mode", value_name = "MODE")]
    pub modes: Vec<String>,
    /// How many seeds each mode is tried with.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub seeds: u64,
    /// The first seed; the others follow it. Other commands state their only seed as `--seed`.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub from: u64,
    /// Stop after this time, e.g. `60s`, of which each mode has an equal share; the seeds that were
    /// run are reported.
    #[arg(long = "for", value_name = "TIME")]
    pub lasts: Option<String>,
    /// Demand this besides what the mode promises: `linearizable`, `read-your-writes`,
    /// `monotonic-reads`, `monotonic-writes`, `writes-follow-reads`, `convergence`; may be
    /// repeated.
    #[arg(long, value_name = "GUARANTEE")]
    pub demand: Vec<String>,
    /// Run the case of this file again instead, and write its trace and diagram.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["modes", "lasts", "demand"])]
    pub replay: Option<PathBuf>,
    /// How many threads share the seeds [default: all processors].
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// The folder that gets counterexamples.
    #[arg(long, default_value = "results/verify", value_name = "DIR")]
    pub out: PathBuf,
}

/// Which regions, who leads.
#[derive(Clone, Debug, Default, Args)]
pub struct PlacementArguments {
    /// A bundled profile's name, or a profile file [default: aws-5].
    #[arg(long, value_name = "NAME|FILE")]
    pub profile: Option<String>,
    /// The profile's regions that hold a replica and clients [default: all].
    #[arg(long, value_delimiter = ',', value_name = "A,B,C")]
    pub regions: Option<Vec<String>>,
    /// The regions that have clients [default: all that hold a replica].
    #[arg(long, value_delimiter = ',', value_name = "A,B,C")]
    pub clients: Option<Vec<String>>,
    /// The region whose replica leads, in modes with a leader [default: the first].
    #[arg(long, value_name = "REGION")]
    pub leader: Option<String>,
}

/// The flags of `run`. They override the scenario file.
#[derive(Debug, Default, Args)]
pub struct RunArguments {
    /// A scenario file (TOML); flags override what it says.
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// Where replicas and clients are.
    #[command(flatten)]
    pub placement: PlacementArguments,
    /// A mode, as `family:variant[,key=value...]`; may be repeated [default: the seven of
    /// `longhaul mode list`].
    #[arg(long = "mode", value_name = "MODE")]
    pub modes: Vec<String>,
    /// Where the scenario runs: `local` (TCP on loopback, delays added), `sim` (virtual time), or
    /// on Linux in a network namespace per region, a process each, behind `tun` (a router in user
    /// space) or `netem` (the kernel's emulation) [default: local].
    #[arg(long)]
    pub backend: Option<BackendArgument>,
    /// Operations per second and client region [default: 200].
    #[arg(long, value_name = "N")]
    pub rate: Option<f64>,
    /// How operations arrive in the open loop [default: poisson].
    #[arg(long)]
    pub arrivals: Option<ArrivalsArgument>,
    /// A closed loop instead: operations in flight per connection. Its figures are service times.
    #[arg(long, value_name = "N", conflicts_with_all = ["rate", "arrivals"])]
    pub closed_loop: Option<u32>,
    /// Connections from each client region to each replica it asks [default: 1].
    #[arg(long, value_name = "N")]
    pub connections: Option<u32>,
    /// How long each mode is measured, e.g. `8s` [default: 8s].
    #[arg(long, value_name = "TIME")]
    pub duration: Option<String>,
    /// Load before that which is not measured [default: 1500ms].
    #[arg(long, value_name = "TIME")]
    pub warmup: Option<String>,
    /// When an operation without an answer is given up [default: 10s].
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<String>,
    /// A YCSB workload by its letter (a, b, c, d, f); other flags override it.
    #[arg(long, value_name = "LETTER")]
    pub ycsb: Option<char>,
    /// The share of reads, 0 to 1 [default: 0].
    #[arg(long, value_name = "SHARE")]
    pub read_share: Option<f64>,
    /// Bytes of a written value [default: 128].
    #[arg(long, value_name = "BYTES")]
    pub value_size: Option<u32>,
    /// Which keys are asked for [default: uniform].
    #[arg(long, value_name = "DISTRIBUTION")]
    pub keys: Option<KeysArgument>,
    /// How many keys there are [default: 10000].
    #[arg(long, value_name = "N")]
    pub key_count: Option<u64>,
    /// The share of operations on one key common to all clients, 0 to 1 [default: 0].
    #[arg(long, value_name = "SHARE")]
    pub conflict_rate: Option<f64>,
    /// The share of operations on the keys of the client's own region, 0 to 1 [default: 0].
    #[arg(long, value_name = "SHARE")]
    pub locality: Option<f64>,
    /// What replicas keep: nothing, or a write-ahead log synced before acknowledgements
    /// [default: memory].
    #[arg(long)]
    pub durability: Option<DurabilityArgument>,
    /// What replicas' work costs in virtual time: a file that `calibrate --service` printed, or a
    /// scenario file's [service] [default: nothing].
    #[arg(long, value_name = "FILE")]
    pub service: Option<PathBuf>,
    /// `none` leaves the links' base delays alone [default: profile].
    #[arg(long)]
    pub jitter: Option<JitterArgument>,
    /// The seed of every random draw.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Measure a mode again, this often in all, while the machine was too late or too busy to
    /// carry its figures; latencies are not looked at, and the record counts the attempts.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub attempts: u32,
    /// Run the whole scenario this often, with seeds of its own and the modes in shuffled order, and
    /// leave a folder for each: NAME-1, NAME-2, ... `compare` takes them together, so a name that
    /// former runs have used is refused.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1000), conflicts_with = "json")]
    pub repeat: Option<u32>,
    /// Keep one record per operation (`history-*.jsonl`); memory then grows with the run.
    #[arg(long)]
    pub history: bool,
    /// The folder that gets the run's folder.
    #[arg(long, default_value = "results/runs", value_name = "DIR")]
    pub out: PathBuf,
    /// The run's name [default: from date and scenario].
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Print `summary.json` alone on standard output.
    #[arg(long)]
    pub json: bool,
}

const COMPARE_EXAMPLES: &str = "\
Examples:
  longhaul run --repeat 5 --name before
  longhaul run --repeat 5 --name after
  longhaul compare results/runs/before results/runs/after --fail-if p99+10%
      Exit code 3: the lower 95% bound of a change exceeds the limit; 4: it could not be judged,
      because a side has fewer than three runs or too few operations.";

/// The flags of `compare`.
#[derive(Debug, Args)]
pub struct CompareArguments {
    /// The sides, the first being what the others are compared with: a run's folder, several
    /// separated by commas, or NAME for the folders NAME-1, NAME-2, ... that `run --repeat` left.
    #[arg(required = true, num_args = 2.., value_name = "RUNS")]
    pub sides: Vec<String>,
    /// A limit on the change for the worse, such as `p99+10%`, `p50+5ms`, `goodput-5%`,
    /// `errors+0.1%`; may be repeated.
    #[arg(long, value_name = "RULE")]
    pub fail_if: Vec<String>,
    /// Compare runs that differ in ways that matter, and say so, instead of refusing.
    #[arg(long)]
    pub despite_differences: bool,
    /// Print JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

/// The flags of `calibrate`.
#[derive(Debug, Args)]
pub struct CalibrateArguments {
    /// Measure what replicas' work costs (processor time of messages and bytes, time of a sync)
    /// and print it for `run --backend sim --service FILE`.
    #[arg(long, required = true)]
    pub service: bool,
    /// A mode to measure; may be repeated [default: the seven of `longhaul mode list`].
    #[arg(long = "mode", value_name = "MODE")]
    pub modes: Vec<String>,
    /// How long each mode is driven with each value size.
    #[arg(long, default_value = "2s", value_name = "TIME")]
    pub duration: String,
    /// The folder on the disk whose syncs are timed.
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub directory: PathBuf,
}

/// The flags of `report`.
#[derive(Debug, Args)]
pub struct ReportArguments {
    /// The run's folder, e.g. `results/runs/latest`.
    pub directory: PathBuf,
    /// Print `summary.json` alone on standard output, and draw nothing.
    #[arg(long)]
    pub json: bool,
    /// Print figures in a form for other tools, and draw nothing: `csv` has every row of the
    /// report's table, `openmetrics` what has at least 10 operations beyond it, `markdown` and
    /// `latex` the main percentiles of all operations due; `percentiles` writes the successes of
    /// each mode and client region to a file of its own in the folder instead, and `knossos`,
    /// `elle` and `porcupine` one a mode whose history was kept (`run --history`).
    #[arg(long, value_enum, conflicts_with = "json")]
    pub export: Option<ExportFormat>,
    /// `paper` draws the charts for papers instead, as `paper-*` in the run's folder: 84 mm wide, or
    /// 174 mm where that is too narrow, 7 pt DejaVu Sans, to be read in black and white.
    #[arg(long, value_enum, default_value_t = StyleArgument::Screen, conflicts_with_all = ["json", "export"])]
    pub style: StyleArgument,
}

/// What charts are drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StyleArgument {
    /// Screens.
    Screen,
    /// Papers.
    Paper,
}

/// What can be done with published runs.
#[derive(Debug, Subcommand)]
pub enum ResultsCommand {
    /// Publish runs: copy figures, charts and report.html, and make the index again. A run that
    /// doubts its own precision is refused.
    Publish {
        /// The runs' folders; each is published under its name.
        #[arg(required = true, value_name = "RUN")]
        runs: Vec<PathBuf>,
        /// The folder of published runs.
        #[arg(long, default_value = "results", value_name = "DIR")]
        to: PathBuf,
    },
    /// Make the index of published runs again, README.md and index.html, from their summaries.
    Index {
        /// The folder of published runs.
        #[arg(default_value = "results")]
        folder: PathBuf,
    },
}

/// A form of a run's figures for other tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// Tidy CSV, one row a figure.
    Csv,
    /// Markdown tables.
    Markdown,
    /// LaTeX tables for booktabs.
    Latex,
    /// OpenMetrics text for Prometheus.
    Openmetrics,
    /// HdrHistogram's percentile text, for its plotter.
    Percentiles,
    /// Histories as EDN for Knossos.
    Knossos,
    /// Histories as EDN for Elle's rw-register.
    Elle,
    /// Histories as JSON lines for Porcupine.
    Porcupine,
}

/// What can be done with profiles.
#[derive(Debug, Subcommand)]
pub enum ProfileCommand {
    /// List the bundled profiles.
    List,
    /// Show a profile's round trips and where they come from.
    Show {
        /// A bundled profile's name, or a profile file.
        profile: String,
        /// Print it as a profile file instead.
        #[arg(long)]
        toml: bool,
    },
    /// Check a profile file.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Make a profile from a table of round trips (CSV with a header: from,to,...), printed on
    /// standard output.
    Import(ImportArguments),
    /// Generate a profile of real cities: delays from great-circle distance in fibre, inflated as
    /// fitted on the measured matrices. The fit goes to standard error, the profile to standard
    /// output.
    Generate(GenerateArguments),
}

/// The flags of `profile generate`.
#[derive(Debug, Args)]
pub struct GenerateArguments {
    /// How many cities, drawn by population: 2 or more.
    #[arg(long, value_name = "N")]
    pub regions: usize,
    /// The seed of every draw.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// The profile's name [default: generated-<regions>-seed-<seed>].
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Write the profile to this file instead of standard output.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// The flags of `profile import`.
#[derive(Debug, Args)]
pub struct ImportArguments {
    /// The table.
    pub file: PathBuf,
    /// The column with the round trip in milliseconds.
    #[arg(long, value_name = "NAME")]
    pub column: String,
    /// The column with the least round trip; the base delay then comes from it.
    #[arg(long, value_name = "NAME")]
    pub minimum_column: Option<String>,
    /// The column with the mean deviation; jitter then comes from it.
    #[arg(long, value_name = "NAME")]
    pub deviation_column: Option<String>,
    /// The profile's name [default: the file's].
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Keep these regions alone.
    #[arg(long, value_delimiter = ',', value_name = "A,B,C")]
    pub regions: Option<Vec<String>>,
    /// Leave out regions until every pair is measured, instead of refusing missing pairs.
    #[arg(long)]
    pub complete_only: bool,
}

/// What can be done with modes.
#[derive(Debug, Subcommand)]
pub enum ModeCommand {
    /// List the modes with their parameters, guarantees, floors and sources.
    List,
}

/// The flags of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArguments {
    /// The mode, as `family:variant[,key=value...]`.
    pub mode: String,
    /// Where replicas and clients are.
    #[command(flatten)]
    pub placement: PlacementArguments,
    /// The region of the client that writes [default: each client region in turn].
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// Follow a read instead.
    #[arg(long)]
    pub read: bool,
}

/// Where a scenario runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BackendArgument {
    /// Real TCP on loopback, delays added in user space.
    Local,
    /// Virtual time.
    Sim,
    /// Real TCP between network namespaces, packets delayed by a router in user space (Linux).
    Tun,
    /// Real TCP between network namespaces, packets delayed by the kernel's netem (Linux).
    Netem,
}

/// How operations arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ArrivalsArgument {
    /// Exponential gaps.
    Poisson,
    /// Equal gaps.
    Constant,
}

/// Which keys are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeysArgument {
    /// Every key equally.
    Uniform,
    /// Zipf with exponent 0.99.
    Zipfian,
    /// 90% of the operations on 10% of the keys.
    Hotspot,
    /// The latest written most.
    Latest,
}

/// What replicas keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DurabilityArgument {
    /// Nothing.
    Memory,
    /// A write-ahead log.
    Wal,
}

/// Which jitter links have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum JitterArgument {
    /// The profile's.
    Profile,
    /// None: base delays alone.
    None,
}
