//! Small records built by hand, for tests.

use std::collections::BTreeMap;
use std::time::Duration;

use longhaul_experiment::histogram::Histogram;
use longhaul_experiment::profile::{Link, Region, Source};
use longhaul_experiment::record::{
    BackendKind, Calibration, Environment, KindRecord, LinkCalibration, LoadCalibration,
    ModeRecord, RECORD_VERSION, RegionRecord,
};
use longhaul_experiment::scenario::{Durability, Durations, Limits};
use longhaul_experiment::{
    Contact, OperationKind, Path, Profile, RegionIndex, Round, RunRecord, Scenario, Seed, Time,
    Topology, Workload,
};

/// Three regions a, b, c with replicas and clients; one-way delays a-b 10 ms, a-c 40 ms,
/// b-c 35 ms, 0.25 ms within a region; the leader in a.
pub(crate) fn topology() -> Topology {
    let one_way_us = [
        [250, 10_000, 40_000],
        [10_000, 250, 35_000],
        [40_000, 35_000, 250],
    ];
    let links = one_way_us
        .iter()
        .flatten()
        .map(|&micros| Link::fixed(Duration::from_micros(micros)));
    let region = |name: &str| Region::named(name);
    let source = Source {
        title: "made up".to_owned(),
        date: "2026-11".to_owned(),
        method: "by hand".to_owned(),
    };
    Topology::everywhere(Profile::new(
        "three",
        "Three regions.",
        source,
        vec![region("a"), region("b"), region("c")],
        links.collect(),
    ))
}

/// A kind's record with these successes in milliseconds and as many operations without success
/// on top.
pub(crate) fn kind(successes_ms: &[u64], failed: u64, unknown: u64) -> KindRecord {
    let mut latency = Histogram::new();
    for &milliseconds in successes_ms {
        latency.record(Duration::from_millis(milliseconds));
    }
    let ok = successes_ms.len() as u64;
    let mut errors = BTreeMap::new();
    if failed > 0 {
        errors.insert("overloaded".to_owned(), failed);
    }
    if unknown > 0 {
        errors.insert("timed-out".to_owned(), unknown);
    }
    KindRecord {
        due: ok + failed + unknown,
        ok,
        failed,
        unknown,
        errors,
        service: latency.clone(),
        latency,
        intervals: Vec::new(),
    }
}

/// A mode's record: per region, in order, its kinds. The path is a majority round at the leader,
/// the window the ten seconds from 1 s on.
pub(crate) fn mode(name: &str, regions: &[&[(OperationKind, KindRecord)]]) -> ModeRecord {
    let majority = Path {
        contact: Contact::Leader,
        rounds: vec![Round {
            acknowledgements: 2,
            among: 3,
        }],
    };
    let region = |(index, kinds): (usize, &&[(OperationKind, KindRecord)])| RegionRecord {
        region: RegionIndex(index as u16),
        kinds: kinds.iter().cloned().collect(),
        capped: 0,
        redirects: 0,
    };
    ModeRecord {
        mode: name.parse().expect("a mode string"),
        paths: OperationKind::ALL
            .into_iter()
            .map(|kind| (kind, majority.clone()))
            .collect(),
        leaders: Vec::new(),
        faults: Vec::new(),
        window_start: Time::from_millis(1000),
        window: Duration::from_secs(10),
        regions: regions.iter().enumerate().map(region).collect(),
        traffic: Vec::new(),
        load: Some(LoadCalibration::default()),
        warnings: Vec::new(),
        history: None,
    }
}

/// A complete, calibrated local run of these modes.
pub(crate) fn record(modes: Vec<ModeRecord>) -> RunRecord {
    let second = Duration::from_secs(1);
    RunRecord {
        record_version: RECORD_VERSION,
        scenario: Scenario {
            name: "default".to_owned(),
            topology: topology(),
            modes: modes.iter().map(|mode| mode.mode.clone()).collect(),
            workload: Workload::default(),
            faults: Vec::new(),
            durability: Durability::Memory,
            durations: Durations {
                warmup: second,
                measured: 10 * second,
                drain: second,
            },
            limits: Limits {
                operation_timeout: Limits::OPERATION_TIMEOUT,
                max_in_flight: 1024,
                connections: 4,
            },
            service: None,
            keep_history: false,
        },
        backend: BackendKind::Local,
        seed: Seed(1),
        complete: true,
        failures: Vec::new(),
        calibration: Calibration {
            scheduling: "SCHED_FIFO 20".to_owned(),
            compensation_ns: 0,
            links: vec![LinkCalibration {
                from: "a".to_owned(),
                to: "b".to_owned(),
                probes: 100,
                asked_p50_ms: 10.0,
                asked_p99_ms: 10.0,
                achieved_p50_ms: 10.01,
                achieved_p99_ms: 10.03,
            }],
        },
        environment: Environment::default(),
        modes,
    }
}
