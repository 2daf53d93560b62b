//! The arguments of `net`, as clap sees them.

use std::ffi::OsString;

use clap::{Args, Subcommand, ValueEnum};

use crate::arguments::JitterArgument;

/// Examples in the help of `net`.
pub(crate) const NET_EXAMPLES: &str = "\
Examples:
  longhaul net up aws-5
  longhaul net exec us-east-1 -- ping -c 3 eu-west-1
  longhaul net fault delay 50ms --pair us-east-1,eu-west-1
  longhaul net fault partition --region ap-northeast-1
  longhaul net fault heal
  longhaul net probe us-east-1 eu-west-1
  longhaul net down
      Prints what passed. Nothing is left; nor is when the network's holder is killed.
  longhaul net plan aws-5
      The commands that lay the links with netem, which nothing runs.";

/// What can be done with networks.
#[derive(Debug, Subcommand)]
pub enum NetCommand {
    /// Bring a network up: a namespace for every region, a profile's links between them.
    Up(UpArguments),
    /// Run a command inside a region, as the calling user.
    Exec(ExecArguments),
    /// Break links of a network that is up, or mend them.
    #[command(subcommand)]
    Fault(FaultCommand),
    /// Show what a network is and what passed so far.
    Show(ShowArguments),
    /// List the networks that are up.
    List,
    /// Take a network down and print what passed, as JSON.
    Down(NameArguments),
    /// Measure round trips between two regions, and print them as JSON.
    Probe(ProbeArguments),
    /// Print the commands that lay a profile's links with netem; nothing runs them.
    Plan(PlanArguments),
    /// Holds a network; started by `net up`.
    #[command(hide = true)]
    Hold,
    /// The first process of a network; started by its holder.
    #[command(hide = true)]
    Init,
    /// Keeps a network's regions; started by its first process.
    #[command(hide = true)]
    Keep,
    /// Becomes a command inside a region; started by `net exec`.
    #[command(hide = true)]
    Inside(InsideArguments),
}

/// Which network.
#[derive(Clone, Debug, Args)]
pub struct NameArguments {
    /// The network's name: letters, digits, `-` and `_`. Networks of different names do not touch
    /// each other.
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub name: String,
}

/// Which links are laid.
#[derive(Debug, Args)]
pub struct LinksArguments {
    /// A bundled profile's name, or a profile file.
    pub profile: String,
    /// The profile's regions that the network has [default: all].
    #[arg(long, value_delimiter = ',', value_name = "A,B,C")]
    pub regions: Option<Vec<String>>,
    /// `none` leaves the links' base delays alone.
    #[arg(long, default_value = "profile")]
    pub jitter: JitterArgument,
}

/// The flags of `net up`.
#[derive(Debug, Args)]
pub struct UpArguments {
    /// The links.
    #[command(flatten)]
    pub links: LinksArguments,
    /// The network.
    #[command(flatten)]
    pub name: NameArguments,
    /// What delays packets: `tun` (a router of longhaul's own) or `netem` (the kernel).
    #[arg(long, default_value = "tun")]
    pub backend: NetBackendArgument,
    /// The seed of the router's jitter and loss.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// What the router subtracts from every delay, to make up for wake-ups [default: 50us].
    #[arg(long, value_name = "TIME")]
    pub compensation: Option<String>,
    /// Leave the router at normal priority.
    #[arg(long)]
    pub normal_priority: bool,
    /// Pass every segment on its own, also where no link loses packets or has a rate.
    #[arg(long)]
    pub no_offload: bool,
    /// Stay until the network ends; it ends with this command, however that ends.
    #[arg(long)]
    pub foreground: bool,
    /// Print what the network is as JSON.
    #[arg(long)]
    pub json: bool,
}

/// The flags of `net exec`.
#[derive(Debug, Args)]
pub struct ExecArguments {
    /// The network.
    #[command(flatten)]
    pub name: NameArguments,
    /// The region.
    pub region: String,
    /// The command with its arguments.
    #[arg(required = true, last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// What becomes of links.
#[derive(Debug, Subcommand)]
pub enum FaultCommand {
    /// Drop every packet.
    Partition(TargetArguments),
    /// Lose a share of packets, 0 to 1, beside what the profile says.
    Loss {
        /// The share; 0 ends it.
        share: f64,
        /// The links.
        #[command(flatten)]
        target: TargetArguments,
    },
    /// Take longer than the profile says.
    Delay {
        /// How much longer, e.g. `50ms`; `0ms` ends it.
        added: String,
        /// The links.
        #[command(flatten)]
        target: TargetArguments,
    },
    /// Make links as the profile says.
    Heal(TargetArguments),
}

/// Which links.
#[derive(Debug, Args)]
pub struct TargetArguments {
    /// The network.
    #[command(flatten)]
    pub name: NameArguments,
    /// The link from one region to another: one direction alone.
    #[arg(
        long,
        value_name = "FROM,TO",
        value_delimiter = ',',
        num_args = 1,
        group = "target"
    )]
    pub link: Option<Vec<String>>,
    /// Both links between two regions.
    #[arg(
        long,
        value_name = "A,B",
        value_delimiter = ',',
        num_args = 1,
        group = "target"
    )]
    pub pair: Option<Vec<String>>,
    /// Every link between one of these regions and any other. Without `--link`, `--pair` and
    /// `--region`: every link between two regions.
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', group = "target")]
    pub region: Option<Vec<String>>,
}

/// The flags of `net show`.
#[derive(Debug, Args)]
pub struct ShowArguments {
    /// The network.
    #[command(flatten)]
    pub name: NameArguments,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// The flags of `net probe`.
#[derive(Debug, Args)]
pub struct ProbeArguments {
    /// The network.
    #[command(flatten)]
    pub name: NameArguments,
    /// The region that asks.
    pub from: String,
    /// The region that answers; it may be the same.
    pub to: String,
    /// How many datagrams.
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub count: u64,
    /// How far apart.
    #[arg(long, default_value = "5ms", value_name = "TIME")]
    pub interval: String,
    /// Their size without headers.
    #[arg(long, default_value_t = 128, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(8..=1472))]
    pub bytes: u32,
    /// Probe at normal priority.
    #[arg(long)]
    pub normal_priority: bool,
}

/// The flags of `net plan`.
#[derive(Debug, Args)]
pub struct PlanArguments {
    /// The links.
    #[command(flatten)]
    pub links: LinksArguments,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// The flags of `net inside`.
#[derive(Debug, Args)]
pub struct InsideArguments {
    /// The calling user's id.
    #[arg(long)]
    pub user: u32,
    /// The calling user's group.
    #[arg(long)]
    pub group: u32,
    /// The command with its arguments.
    #[arg(required = true, last = true)]
    pub command: Vec<OsString>,
}

/// What delays packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NetBackendArgument {
    /// A router of longhaul's own over TUN devices.
    Tun,
    /// The kernel's emulation, set up with `tc`.
    Netem,
}
