//! How fast virtual time runs on one core, and in how much memory.
//!
//! `cargo run --release -p longhaul-sim --example throughput [CASE]...`
//!
//! Each case runs in a process of its own, so that its peak memory is its own. Rates are per
//! second of processor time: other programs on the machine do not slow them. The whole of a run is
//! measured: replicas, network, clients, recording, and the record at its end. Outside Linux neither
//! processor time nor memory is known, and what follows from them prints as NaN.

use std::process::{Command, ExitCode};
use std::time::Duration;

use longhaul_experiment::profile::bundled::bundled;
use longhaul_experiment::profile::{Link, Profile, Region, Source};
use longhaul_experiment::scenario::{Durability, Durations, Limits};
use longhaul_experiment::workload::{Arrivals, Workload};
use longhaul_experiment::{OperationKind, RegionIndex, ReplicaId, Scenario, Seed, Topology};
use longhaul_protocol::modes::with_mode;
use longhaul_protocol::{Mode, ModeVisitor};
use longhaul_sim::SimBackend;
use longhaul_sim::backend::ModeRun;
use longhaul_sim::simulation::Batching;

/// One measurement.
struct Case {
    name: &'static str,
    mode: &'static str,
    batching: Batching,
    place: Place,
    /// Virtual seconds of load.
    seconds: f64,
}

#[derive(Clone, Copy)]
enum Place {
    /// Five AWS regions with a replica and 32 clients in each, no jitter.
    Aws,
    /// 300 regions on a grid with 1000 clients in each, five of them with a replica.
    Grid,
}

const CASES: [Case; 9] = [
    Case {
        name: "semi-sync",
        mode: "leader-follower:semi-sync=2",
        batching: Batching::EveryEvent,
        place: Place::Aws,
        seconds: 900.0,
    },
    Case {
        name: "semi-sync-batched",
        mode: "leader-follower:semi-sync=2",
        batching: Batching::EveryInstant,
        place: Place::Aws,
        seconds: 900.0,
    },
    Case {
        name: "raft",
        mode: "quorum:raft",
        batching: Batching::EveryEvent,
        place: Place::Aws,
        seconds: 400.0,
    },
    Case {
        name: "raft-batched",
        mode: "quorum:raft",
        batching: Batching::EveryInstant,
        place: Place::Aws,
        seconds: 900.0,
    },
    Case {
        name: "paxos-batched",
        mode: "quorum:paxos",
        batching: Batching::EveryInstant,
        place: Place::Aws,
        seconds: 400.0,
    },
    Case {
        name: "register",
        mode: "quorum:register",
        batching: Batching::EveryEvent,
        place: Place::Aws,
        seconds: 400.0,
    },
    Case {
        name: "grid-async",
        mode: "leader-follower:async",
        batching: Batching::EveryInstant,
        place: Place::Grid,
        seconds: 0.1,
    },
    Case {
        name: "grid-raft",
        mode: "quorum:raft",
        batching: Batching::EveryInstant,
        place: Place::Grid,
        seconds: 0.15,
    },
    Case {
        name: "grid-lww",
        mode: "eventual:lww",
        batching: Batching::EveryInstant,
        place: Place::Grid,
        seconds: 0.04,
    },
];

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    if let [name] = asked.as_slice() {
        let Some(case) = CASES.iter().find(|case| case.name == name) else {
            let names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
            eprintln!("no case '{name}'; there are: {}", names.join(", "));
            return ExitCode::FAILURE;
        };
        measure(case);
        return ExitCode::SUCCESS;
    }
    let names = CASES.iter().map(|case| case.name.to_owned());
    let names: Vec<String> = if asked.is_empty() {
        names.collect()
    } else {
        asked
    };
    let this = std::env::current_exe().expect("the program knows where it is");
    for name in names {
        let ended = Command::new(&this).arg(&name).status();
        if !ended.is_ok_and(|status| status.success()) {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn measure(case: &Case) {
    let scenario = scenario(case);
    let spec = &scenario.modes[0];
    let backend = SimBackend {
        batching: case.batching,
        ..SimBackend::default()
    };
    let before = processor_seconds();
    let visitor = Visitor {
        backend,
        scenario: &scenario,
    };
    let run = with_mode(spec, &scenario.topology, visitor).expect("the mode exists");
    let seconds = processor_seconds() - before;
    let writes: u64 = run
        .record
        .regions
        .iter()
        .filter_map(|region| region.kinds.get(&OperationKind::Write))
        .map(|kind| kind.ok)
        .sum();
    println!(
        "{:<18} {writes:>8} writes {:>9} events {seconds:>6.2} s  {:>7.0} writes/s {:>6.2} M events/s  peak {:>6.1} MB",
        case.name,
        run.events,
        writes as f64 / seconds,
        run.events as f64 / seconds / 1e6,
        peak_memory_mb(),
    );
}

struct Visitor<'a> {
    backend: SimBackend,
    scenario: &'a Scenario,
}

impl ModeVisitor for Visitor<'_> {
    type Output = ModeRun;

    fn visit<M: Mode>(self, mode: M) -> ModeRun {
        let spec = &self.scenario.modes[0];
        self.backend
            .run_mode_counting(mode, spec, (self.scenario, Seed(1)))
            .expect("the scenario is sound")
    }
}

fn scenario(case: &Case) -> Scenario {
    let (topology, connections) = match case.place {
        Place::Aws => {
            let profile = bundled("aws-5").expect("the profile is bundled");
            (Topology::everywhere(profile.without_jitter()), 32)
        }
        Place::Grid => (grid(), 1000),
    };
    Scenario {
        name: case.name.to_owned(),
        topology,
        modes: vec![case.mode.parse().expect("the mode is well formed")],
        workload: Workload {
            arrivals: Arrivals::Closed { in_flight: 1 },
            ..Workload::default()
        },
        faults: Vec::new(),
        durability: Durability::Memory,
        durations: Durations {
            warmup: Duration::ZERO,
            measured: Duration::from_secs_f64(case.seconds),
            drain: Duration::from_secs(10),
        },
        limits: Limits {
            operation_timeout: Duration::from_secs(10),
            max_in_flight: 1024,
            connections,
        },
        service: None,
        keep_history: false,
    }
}

const COLUMNS: u16 = 20;
const ROWS: u16 = 15;

/// Returns a world of 300 regions, 5 ms one way from each to the next, over the edges too.
fn grid() -> Topology {
    let count = COLUMNS * ROWS;
    let apart = |a: u16, b: u16, circle: u16| {
        let straight = a.abs_diff(b);
        f64::from(straight.min(circle - straight))
    };
    let one_way = |a: u16, b: u16| {
        let across = apart(a % COLUMNS, b % COLUMNS, COLUMNS);
        let down = apart(a / COLUMNS, b / COLUMNS, ROWS);
        Duration::from_micros(250 + (5_000.0 * (across * across + down * down).sqrt()) as u64)
    };
    let links = (0..count).flat_map(|a| (0..count).map(move |b| Link::fixed(one_way(a, b))));
    let profile = Profile::new(
        "grid-300",
        "300 regions on a torus",
        Source {
            title: "made up".to_owned(),
            date: "2025-01-01".to_owned(),
            method: "5 ms one way from each region to the next".to_owned(),
        },
        (0..count)
            .map(|region| Region::named(format!("g{region}")))
            .collect(),
        links.collect(),
    );
    Topology {
        profile,
        replicas: [0, 64, 128, 192, 256].map(RegionIndex).to_vec(),
        leader: ReplicaId(0),
        clients: (0..count).map(RegionIndex).collect(),
    }
}

/// Returns how long this thread has run.
#[cfg(target_os = "linux")]
fn processor_seconds() -> f64 {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = times
        .split_whitespace()
        .next()
        .and_then(|text| text.parse().ok());
    nanoseconds.unwrap_or(0.0) / 1e9
}

/// Returns the largest resident set so far.
#[cfg(target_os = "linux")]
fn peak_memory_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next());
    kibibytes
        .and_then(|text| text.parse::<f64>().ok())
        .unwrap_or(f64::NAN)
        * 1024.0
        / 1e6
}

/// Returns that it is not known: other systems do not tell it in a file.
#[cfg(not(target_os = "linux"))]
fn processor_seconds() -> f64 {
    f64::NAN
}

/// Returns that it is not known.
#[cfg(not(target_os = "linux"))]
fn peak_memory_mb() -> f64 {
    f64::NAN
}
