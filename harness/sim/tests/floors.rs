//! Closed forms: on every bundled profile without jitter, every operation of every mode takes its
//! floor, to the nanosecond.

mod world;

use std::time::Duration;

use longhaul_experiment::profile::bundled::{bundled, bundled_names};
use longhaul_experiment::scenario::ScenarioFile;
use longhaul_experiment::{Backend, ModeSpec, OperationKind, Scenario, Seed};
use longhaul_sim::SimBackend;

/// The default modes, and those whose reads or quorums differ.
const MODES: [&str; 10] = [
    "leader-follower:async",
    "leader-follower:semi-sync=1",
    "leader-follower:sync",
    "leader-follower:async,read=nearest",
    "quorum:raft",
    "quorum:raft,read=lease",
    "quorum:paxos",
    "quorum:register",
    "quorum:register,phases=1",
    "eventual:lww",
];

/// A few operations a second from every region, all of one kind; keys are not written before they
/// are read, so that the repliers of a read agree. The warm-up is long enough for a leader to hold
/// its first lease on the widest profile.
fn scenario(profile: &str, read_share: f64) -> Scenario {
    let text = format!(
        "jitter = \"none\"\n\
         durations = {{ warmup = \"1s\", measured = \"1500ms\" }}\n\
         workload = {{ arrivals = \"constant\", rate = 2.0, read_share = {read_share:.1} }}\n"
    );
    let file = ScenarioFile::parse(&text, "floors.toml").unwrap();
    let mut scenario = file.resolve(bundled(profile).unwrap()).unwrap();
    scenario.modes = MODES.iter().map(|mode| mode.parse().unwrap()).collect();
    scenario
}

fn check(profile: &str, kind: OperationKind) {
    let read_share = if kind == OperationKind::Read {
        1.0
    } else {
        0.0
    };
    let scenario = scenario(profile, read_share);
    let record = SimBackend::default().run(&scenario, Seed(3)).unwrap();
    assert_eq!(record.modes.len(), MODES.len());
    for mode in &record.modes {
        let spec: &ModeSpec = &mode.mode;
        for region in &mode.regions {
            let operations = &region.kinds[&kind];
            let expected = world::floor(&mode.paths[&kind], region.region, &scenario.topology);
            let name = scenario.topology.region_name(region.region);
            let latency = &operations.latency;
            let seen = [latency.minimum_ns(), latency.maximum_ns()]
                .map(|bound| bound.map(Duration::from_nanos));
            assert!(operations.due >= 3, "{profile} {spec} {name}");
            assert_eq!(operations.ok, operations.due, "{profile} {spec} {name}");
            assert_eq!(
                seen,
                [Some(expected); 2],
                "{profile} {spec} {name} {kind:?}"
            );
        }
    }
}

#[test]
fn least_and_largest_write_latency_are_the_floor_in_every_mode_on_every_bundled_profile() {
    for profile in bundled_names() {
        check(profile, OperationKind::Write);
    }
}

#[test]
fn least_and_largest_read_latency_are_the_floor_in_every_mode_on_every_bundled_profile() {
    for profile in bundled_names() {
        check(profile, OperationKind::Read);
    }
}
