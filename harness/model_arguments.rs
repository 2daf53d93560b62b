//! The flags of the commands that ask models: `pbs` and `leaderless`.

use clap::Args;

/// Examples of `pbs`.
pub const PBS_EXAMPLES: &str = "\
Examples:
  longhaul pbs --fit lnkd-disk
  longhaul pbs --fit ymmr --r 2 --samples 100000
  longhaul pbs --fit wan --json";

/// Examples of `leaderless`.
pub const LEADERLESS_EXAMPLES: &str = "\
Examples:
  longhaul leaderless --mode quorum:raft --replicas 3,5,7
  longhaul leaderless --mode quorum:raft,election=150ms-300ms --replicas 5 --delay 7500us --seeds 1000
  longhaul leaderless --mode quorum:paxos --profile aws-5 --replicas 3,5";

/// The flags of `pbs`.
#[derive(Debug, Args)]
pub struct PbsArguments {
    /// The delays of the four messages: lnkd-ssd, lnkd-disk, ymmr or wan.
    #[arg(long, value_name = "NAME")]
    pub fit: String,
    /// How many replicas store data.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub n: usize,
    /// How many responses end a read.
    #[arg(long, value_name = "R", default_value_t = 1)]
    pub r: usize,
    /// How many acknowledgements end a write.
    #[arg(long, value_name = "W", default_value_t = 1)]
    pub w: usize,
    /// How many writes are made; each is followed by about 16 reads.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    pub samples: usize,
    /// The seed of every random draw.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// The flags of `leaderless`.
#[derive(Debug, Args)]
pub struct LeaderlessArguments {
    /// The mode, as `family:variant[,key=value...]`; one with a leader.
    #[arg(long, value_name = "MODE", default_value = "quorum:raft")]
    pub mode: String,
    /// The numbers of replicas to measure.
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "N,N",
        default_value = "3,5,7,9"
    )]
    pub replicas: Vec<u16>,
    /// Place replicas in this profile's first regions, jitter left out.
    #[arg(long, value_name = "NAME|FILE", conflicts_with = "delay")]
    pub profile: Option<String>,
    /// Place replicas this one-way delay apart [default: 7500us, a broadcast time of 15 ms].
    #[arg(long, value_name = "TIME")]
    pub delay: Option<String>,
    /// How many seeds are tried for each number of replicas.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub seeds: u64,
    /// The first seed.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How long to wait for a new leader, in virtual time.
    #[arg(long, value_name = "TIME", default_value = "120s")]
    pub patience: String,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}
