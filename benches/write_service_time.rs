//! The service time of a write, mode by mode, behind a small WAN: `cargo bench --bench
//! write_service_time`.
//!
//! Real replicas and one client on TCP connections of this machine's loopback, with the delays of
//! three made-up regions 8, 12 and 16 ms apart added in user space: what `longhaul run` does, in
//! miniature. The client is in `south`, the leader in `east`, so that no two message patterns of
//! different cost coincide:
//!
//! | mode | floor of a write in ms |
//! | --- | --- |
//! | `leader-follower:async` | 12 |
//! | `leader-follower:semi-sync=1`, `quorum:raft`, `quorum:paxos` | 12 + 8 = 20 |
//! | `leader-follower:sync` | 12 + 12 = 24 |
//! | `quorum:register` | 0.2 + 12 + 12 = 24.2 |
//! | `eventual:lww` | 0.2 |
//!
//! The loop is closed: one connection, one write in flight. What stands in Criterion's report is
//! therefore service time, from sent to answered, and never latency: a slow answer delays the next
//! question instead of being charged for it. A sample is the mean over the writes of one run of
//! 0.3 s, so an interval tells how runs differ, not how writes do; for percentiles of latency use
//! `longhaul run`. Left out: jitter, loss, rates, load, contention, logs on disk, failures.
//!
//! Each run first watches the machine for 0.3 s and probes its links for 0.3 s, which with
//! warm-up and window makes about a second for each of 11 samples and seven modes.

use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use longhaul::wiring::{self, RunOptions};
use longhaul_experiment::histogram::Histogram;
use longhaul_experiment::record::BackendKind;
use longhaul_experiment::scenario::ScenarioFile;
use longhaul_experiment::{ModeSpec, OperationKind, Profile, RunRecord, Scenario, Seed};
use longhaul_live::Interrupt;

const PROFILE: &str = r#"
format = 1
name = "bench-3"
description = "Three regions a few milliseconds apart."
source.title = "made up for this benchmark"
source.date = "2026-01"
source.method = "short round trips, all different, so that a run is quick and modes differ"
defaults.lan = { rtt_ms = 0.2 }
regions = [{ name = "east" }, { name = "west" }, { name = "south" }]
links = [
  { between = ["east", "west"], rtt_ms = 8 },
  { between = ["east", "south"], rtt_ms = 12 },
  { between = ["west", "south"], rtt_ms = 16 },
]
"#;

/// All default modes: none are named.
const SCENARIO: &str = r#"
name = "write-service-time"
clients = ["south"]
leader = "east"
jitter = "none"
durability = "memory"
durations = { warmup = "50ms", measured = "300ms" }
limits = { connections = 1 }
workload = { arrivals = "closed", in_flight = 1, read_share = 0 }
"#;

/// Twice what ten samples take: Criterion warns about a budget that is only just enough.
const SAMPLING_BUDGET: Duration = Duration::from_secs(20);

fn scenario() -> Scenario {
    let profile = Profile::parse(PROFILE, "the profile above").expect("it is well-formed");
    ScenarioFile::parse(SCENARIO, "the scenario above")
        .expect("it is well-formed")
        .resolve(profile)
        .expect("it fits its profile")
}

fn write_service_time(criterion: &mut Criterion) {
    let scenario = scenario();
    let data_directory = tempfile::tempdir().expect("a temporary folder can be made");
    let mut group = criterion.benchmark_group("write-service-time-closed-loop");
    group
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(Duration::from_millis(1))
        .measurement_time(SAMPLING_BUDGET);
    for mode in &scenario.modes {
        let alone = Scenario {
            modes: vec![mode.clone()],
            ..scenario.clone()
        };
        // One run a sample, however many iterations it stands for: its mean is over many writes.
        group.bench_function(mode.to_string(), |bencher| {
            bencher.iter_custom(|iterations| {
                let mean = mean_service_time(&alone, mode, data_directory.path());
                mean.mul_f64(iterations as f64)
            });
        });
    }
    group.finish();
}

/// Runs a scenario of one mode and returns the mean service time of its writes.
///
/// # Panics
///
/// Panics when the run fails, measures nothing, or a write does not succeed: such a mean would
/// flatter.
fn mean_service_time(scenario: &Scenario, mode: &ModeSpec, data_directory: &Path) -> Duration {
    let options = RunOptions {
        attempts: 1,
        backend: BackendKind::Local,
        seed: Seed(1),
        data_directory: data_directory.to_owned(),
        interrupt: Interrupt::default(),
        on_progress: Box::new(|_| {}),
    };
    let record = wiring::run(scenario, options)
        .unwrap_or_else(|why| panic!("mode {mode} does not run: {why}"))
        .expect("nobody interrupts it");
    let mean_ns = service_times(&record)
        .mean_ns()
        .unwrap_or_else(|| panic!("mode {mode}: no write ended in the measured window"));
    Duration::from_nanos(mean_ns as u64)
}

fn service_times(record: &RunRecord) -> Histogram {
    let mut service = Histogram::new();
    for region in record.modes.iter().flat_map(|mode| &mode.regions) {
        if let Some(writes) = region.kinds.get(&OperationKind::Write) {
            assert_eq!(writes.ok, writes.due, "every write succeeds");
            service.merge(&writes.service);
        }
    }
    service
}

criterion_group!(benches, write_service_time);
criterion_main!(benches);
