//! Run records: what a backend leaves behind, before any analysis.
//!
//! What depends on the machine stands under [`RunRecord::environment`] and
//! [`RunRecord::calibration`]; everything else of a run in virtual time is a function of scenario
//! and seed.

mod directory;
mod interval_log;
mod names;
mod recorder;
mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::histogram::{EncodedHistogram, Histogram};
use crate::history::OperationRecord;
use crate::ids::{LinkId, RegionIndex, ReplicaId};
use crate::mode::ModeSpec;
use crate::operation::OperationKind;
use crate::path::Path;
use crate::random::Seed;
use crate::scenario::Scenario;
use crate::time::Time;

pub use directory::{DirectoryError, RunDirectory};
pub use names::{file_stem, run_name};
pub use recorder::{Completion, Recorder};
pub use support::{
    REPORTED_QUANTILES, TAIL_COUNT_MIN, highest_reported_quantile, percentile_support,
    supports_quantile,
};

/// The version of the record's form. A reader refuses a newer one.
pub const RECORD_VERSION: u32 = 1;

/// All that one run left behind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunRecord {
    /// [`RECORD_VERSION`] when it was written.
    pub record_version: u32,
    /// The run's order.
    pub scenario: Scenario,
    /// Where it ran.
    pub backend: BackendKind,
    /// Its seed.
    pub seed: Seed,
    /// Whether it ran to its end; `false` after an interrupt, when the last mode may be cut
    /// short, and when a mode failed.
    pub complete: bool,
    /// The modes that failed, and why.
    pub failures: Vec<ModeFailure>,
    /// How exact the emulation was, before load.
    pub calibration: Calibration,
    /// The machine and the program.
    pub environment: Environment,
    /// One per mode that ran.
    pub modes: Vec<ModeRecord>,
}

impl RunRecord {
    /// Returns a copy without the histories of its modes, which are stored apart.
    pub fn without_histories(&self) -> RunRecord {
        let without_history = |mode: &ModeRecord| ModeRecord {
            mode: mode.mode.clone(),
            paths: mode.paths.clone(),
            leaders: mode.leaders.clone(),
            faults: mode.faults.clone(),
            window_start: mode.window_start,
            window: mode.window,
            regions: mode.regions.clone(),
            traffic: mode.traffic.clone(),
            load: mode.load.clone(),
            warnings: mode.warnings.clone(),
            history: None,
        };
        RunRecord {
            record_version: self.record_version,
            scenario: self.scenario.clone(),
            backend: self.backend,
            seed: self.seed,
            complete: self.complete,
            failures: self.failures.clone(),
            calibration: self.calibration.clone(),
            environment: self.environment.clone(),
            modes: self.modes.iter().map(without_history).collect(),
        }
    }
}

/// A mode that could not be measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModeFailure {
    /// The mode.
    pub mode: String,
    /// Why.
    pub why: String,
}

/// Where a scenario runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BackendKind {
    /// Virtual time.
    Sim,
    /// TCP on loopback, delay added in user space.
    Local,
    /// TCP between network namespaces, packets delayed by a router in user space (Linux).
    Tun,
    /// TCP between network namespaces, packets delayed by the kernel's netem (Linux).
    Netem,
}

impl BackendKind {
    /// Returns the backend's name in commands and records.
    pub const fn name(self) -> &'static str {
        match self {
            BackendKind::Sim => "sim",
            BackendKind::Local => "local",
            BackendKind::Tun => "tun",
            BackendKind::Netem => "netem",
        }
    }
}

/// The machine and the program that made a record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Environment {
    /// longhaul's version.
    pub longhaul_version: String,
    /// The command line, program name first.
    pub command: Vec<String>,
    /// When the run began, seconds since the Unix epoch.
    pub started_unix_s: u64,
    /// The operating system and kernel.
    pub system: String,
    /// The processor's name.
    pub processor: String,
    /// Logical processors that the run could use.
    pub processors: u32,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// The share of the processors busy just before the run, 0 to 1; `None` when unmeasured.
    pub busy_before: Option<f64>,
}

/// How exact the emulation was, measured before load.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Calibration {
    /// The scheduling of the precise thread, e.g. `SCHED_FIFO 20` or `normal: not permitted`.
    pub scheduling: String,
    /// A constant subtracted from every deadline for the wake-up, in nanoseconds.
    pub compensation_ns: u64,
    /// One-way delays of probes, link by link.
    pub links: Vec<LinkCalibration>,
}

/// What probes of one directed link saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LinkCalibration {
    /// Where probes entered.
    pub from: String,
    /// Where they left.
    pub to: String,
    /// How many there were.
    pub probes: u64,
    /// The median of the delays that the link core asked for, in milliseconds.
    pub asked_p50_ms: f64,
    /// Their 99th percentile.
    pub asked_p99_ms: f64,
    /// The median of the delays that receivers saw.
    pub achieved_p50_ms: f64,
    /// Their 99th percentile.
    pub achieved_p99_ms: f64,
}

/// How exact the emulation was under the load of one mode, and who used the processors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoadCalibration {
    /// How often the mode was measured. Earlier attempts were given up because the machine could
    /// not carry their figures, and for no other reason: latencies were not looked at.
    #[serde(default = "one_attempt")]
    pub attempts: u32,
    /// How late the delay line released frames.
    pub release: Lateness,
    /// How late operations were sent after they were due, while the cap allowed it.
    pub pacing: Lateness,
    /// Processor use in the measured window; `None` where the system does not tell.
    pub cpu: Option<CpuUse>,
}

impl Default for LoadCalibration {
    fn default() -> LoadCalibration {
        LoadCalibration {
            attempts: one_attempt(),
            release: Lateness::default(),
            pacing: Lateness::default(),
            cpu: None,
        }
    }
}

const fn one_attempt() -> u32 {
    1
}

/// A summary of lateness in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Lateness {
    /// How many were measured.
    pub count: u64,
    /// The median.
    pub p50_us: f64,
    /// The 99th percentile.
    pub p99_us: f64,
    /// The 99.9th percentile.
    pub p999_us: f64,
    /// The maximum.
    pub max_us: f64,
}

impl From<&Histogram> for Lateness {
    fn from(histogram: &Histogram) -> Lateness {
        let at = |q| histogram.quantile_ns(q).unwrap_or(0) as f64 / 1e3;
        Lateness {
            count: histogram.count(),
            p50_us: at(0.5),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: histogram.maximum_ns().unwrap_or(0) as f64 / 1e3,
        }
    }
}

/// Processor use in cores (1.0 = one core fully busy).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CpuUse {
    /// Clients: schedule, codec, recording.
    pub generator_cores: f64,
    /// The precise thread.
    pub delay_line_cores: f64,
    /// Replicas: protocol, codec, storage.
    pub replica_cores: f64,
    /// The share of the whole machine that was busy, other programs included, 0 to 1.
    pub machine_busy: f64,
    /// The share of the whole machine's time that its hypervisor gave to other machines, 0 to 1;
    /// part of `machine_busy`. While it is gone, nothing here runs, whatever its priority.
    pub machine_stolen: f64,
}

/// What one mode left behind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModeRecord {
    /// The mode.
    pub mode: ModeSpec,
    /// The message pattern of each operation kind that the workload asks for.
    pub paths: BTreeMap<OperationKind, Path>,
    /// Who led, from when: empty for modes without a leader.
    pub leaders: Vec<Leadership>,
    /// When the scenario's faults really happened, in its order; those that did not begin are
    /// missing.
    #[serde(default)]
    pub faults: Vec<FaultRecord>,
    /// When the measured window began.
    pub window_start: Time,
    /// How long it was; shorter than asked after an interrupt.
    pub window: Duration,
    /// One per client region, in the topology's order.
    pub regions: Vec<RegionRecord>,
    /// What crossed the links in the measured window, one per directed link that carried
    /// anything.
    pub traffic: Vec<LinkTraffic>,
    /// How exact the emulation was meanwhile; `None` in virtual time.
    pub load: Option<LoadCalibration>,
    /// What the user should know of this mode's run, each saying what to do.
    pub warnings: Vec<String>,
    /// Every operation due in the window, when asked for.
    pub history: Option<Vec<OperationRecord>>,
}

/// When a fault really happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultRecord {
    /// The fault's position in the scenario, from 0.
    pub number: usize,
    /// The replica that it hit, if its target stands for one: of the leader, whoever led then.
    pub replica: Option<ReplicaId>,
    /// When it began.
    pub began_at: Time,
    /// When it ended, of a crash: when the replica had read its storage back; `None`: not before
    /// the run did.
    pub ended_at: Option<Time>,
}

/// A leader as its followers learned of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leadership {
    /// When it began.
    pub at: Time,
    /// The term or ballot.
    pub term: u64,
    /// The leader.
    pub leader: ReplicaId,
}

/// What crossed one directed link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkTraffic {
    /// The link.
    pub link: LinkId,
    /// Frames between replicas.
    pub replica_messages: u64,
    /// Bytes of those, framing included.
    pub replica_bytes: u64,
    /// Frames between clients and replicas.
    pub client_messages: u64,
    /// Bytes of those, framing included.
    pub client_bytes: u64,
}

/// What the clients of one region saw.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RegionRecord {
    /// The clients' region.
    pub region: RegionIndex,
    /// Per kind of operation.
    pub kinds: BTreeMap<OperationKind, KindRecord>,
    /// Operations that waited because the cap on operations in flight was reached.
    pub capped: u64,
    /// Answers that sent a client on to another leader.
    pub redirects: u64,
}

/// What the clients of one region saw of one kind of operation, among those due in the window.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct KindRecord {
    /// Operations due.
    pub due: u64,
    /// Those that succeeded.
    pub ok: u64,
    /// Those that certainly had no effect.
    pub failed: u64,
    /// Those that may have had one, unfinished ones included.
    pub unknown: u64,
    /// Failed and unknown operations by error kind.
    pub errors: BTreeMap<String, u64>,
    /// Latency of the successes, from the instant due.
    pub latency: Histogram,
    /// Service time of the successes, from the instant first sent.
    pub service: Histogram,
    /// Latency of the successes by the instant due, in intervals of
    /// [`Recorder::interval_length`].
    pub intervals: Vec<Interval>,
}

/// One interval of a latency log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Interval {
    /// Its beginning, after the start of the window.
    pub start: Duration,
    /// Its length.
    pub length: Duration,
    /// Operations due in it.
    pub due: u64,
    /// Latency of those that succeeded.
    pub latency: EncodedHistogram,
}
