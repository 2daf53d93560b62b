//! What the tests share: three regions, a short scenario and a run of it.

#![allow(dead_code, reason = "each test target uses a part of it")]

use std::path::Path;
use std::time::Duration;

use longhaul_experiment::profile::{Link, Profile, Region, Source};
use longhaul_experiment::record::RunRecord;
use longhaul_experiment::scenario::{Durability, Durations, Limits};
use longhaul_experiment::workload::{Arrivals, Workload};
use longhaul_experiment::{Backend as _, Scenario, Seed, Topology};
use longhaul_live::{Interrupt, LocalBackend, LocalOptions, Places};

/// Three regions; one way: a-b 5 ms, a-c 10 ms, b-c 8 ms, and 50 us within each.
pub fn topology() -> Topology {
    let one_way_us = [[50, 5_000, 10_000], [5_000, 50, 8_000], [10_000, 8_000, 50]];
    let regions = ["a", "b", "c"].map(Region::named);
    let links = one_way_us
        .iter()
        .flatten()
        .map(|&us| Link::fixed(Duration::from_micros(us)));
    let source = Source {
        title: "made up".to_owned(),
        date: "2026-11-24".to_owned(),
        method: "by hand".to_owned(),
    };
    Topology::everywhere(Profile::new(
        "three",
        "",
        source,
        regions.to_vec(),
        links.collect(),
    ))
}

/// 100 operations/s in each region for 0.4 s, nothing kept on disk.
pub fn scenario(modes: &[&str]) -> Scenario {
    Scenario {
        name: "test".to_owned(),
        topology: topology(),
        modes: modes.iter().map(|mode| mode.parse().unwrap()).collect(),
        workload: Workload {
            arrivals: Arrivals::Constant { rate: 100.0 },
            read_share: 0.3,
            key_count: 20,
            value_size: 32,
            ..Workload::default()
        },
        faults: Vec::new(),
        durability: Durability::Memory,
        durations: Durations {
            warmup: Duration::from_millis(100),
            measured: Duration::from_millis(400),
            drain: Duration::from_secs(10),
        },
        limits: Limits {
            operation_timeout: Duration::from_secs(10),
            max_in_flight: 10_000,
            connections: 2,
        },
        service: None,
        keep_history: true,
    }
}

/// Where a run keeps its logs, and nothing else.
pub fn options(data_directory: &Path) -> LocalOptions {
    LocalOptions {
        longhaul_version: "test".to_owned(),
        command: Vec::new(),
        data_directory: data_directory.to_owned(),
        places: Places::Threads,
        interrupt: Interrupt::default(),
        on_progress: Box::new(|_| {}),
    }
}

/// Runs a scenario and checks that nothing is left of it.
pub fn run(scenario: &Scenario) -> RunRecord {
    run_in(Places::Threads, scenario)
}

/// As [`run`], with the agents in some places.
pub fn run_in(places: Places, scenario: &Scenario) -> RunRecord {
    let directory = tempfile::tempdir().unwrap();
    let options = LocalOptions {
        places,
        ..options(directory.path())
    };
    let record = LocalBackend::new(options).run(scenario, Seed(7)).unwrap();
    let left = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, 0, "a run leaves nothing in the data directory");
    record
}
