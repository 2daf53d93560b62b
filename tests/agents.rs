//! Agents in the regions of a network: the built program, real namespaces, real packets.
//!
//! Where the system permits no namespaces or no TUN device the test says so and passes;
//! `LONGHAUL_DEMAND_NET=1` makes that a failure.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use longhaul::network_launcher::NetworkLauncher;
use longhaul_analysis::{Route, floor};
use longhaul_experiment::record::ModeRecord;
use longhaul_experiment::scenario::ScenarioFile;
use longhaul_experiment::{Backend as _, OperationKind, Profile, RegionIndex, Scenario, Seed};
use longhaul_live::{Interrupt, LocalBackend, LocalOptions, Places};
use longhaul_wan::namespaces::{NetRequest, Place};

const PROFILE: &str = r#"
format = 1
name = "three"
description = "Three regions, far enough apart to tell them from what a machine adds."
source.title = "made up for this test"
source.date = "2026-11"
source.method = "round trips that tell message patterns apart"
defaults.lan = { rtt_ms = 0.2 }
regions = [{ name = "east" }, { name = "west" }, { name = "south" }]
links = [
  { between = ["east", "west"], rtt_ms = 40 },
  { between = ["east", "south"], rtt_ms = 60 },
  { between = ["west", "south"], rtt_ms = 80 },
]
"#;

/// Halfway through each mode's window a pair of links becomes slower.
const SCENARIO: &str = r#"
name = "agents"
leader = "east"
jitter = "none"
modes = ["quorum:raft", "eventual:lww"]
durations = { warmup = "300ms", measured = "1500ms" }
workload = { arrivals = "constant", rate = 20.0, read_share = 0.0 }
history = true

[[faults]]
at = "700ms"
lasts = "60s"
kind = "link-delay"
added = "50ms"
target = { pair = ["east", "west"] }
"#;

fn scenario() -> Scenario {
    let profile = Profile::parse(PROFILE, "the profile above").unwrap();
    let file = ScenarioFile::parse(SCENARIO, "the scenario above").unwrap();
    file.resolve(profile).unwrap()
}

/// Returns a network for a scenario; `None`: the system does not permit it, which has been said.
fn network(scenario: &Scenario) -> Option<NetworkLauncher> {
    let place = Place::of_user(&format!("test-agents-{}", std::process::id())).unwrap();
    let request = NetRequest::new(scenario.topology.profile.clone());
    let program = Path::new(env!("CARGO_BIN_EXE_longhaul"));
    match NetworkLauncher::start(program, &place, &request) {
        Ok(network) => Some(network),
        Err(why) => {
            let is_demanded = std::env::var_os("LONGHAUL_DEMAND_NET").is_some();
            assert!(!is_demanded, "{why}");
            eprintln!("skipped: {why}");
            None
        }
    }
}

/// The latencies of writes from a region that were due in a part of the window.
fn latencies(mode: &ModeRecord, region: u16, part: (u64, u64)) -> Vec<Duration> {
    let at = |ms| mode.window_start + Duration::from_millis(ms);
    let mut latencies: Vec<Duration> = mode
        .history
        .iter()
        .flatten()
        .filter(|record| record.region == RegionIndex(region))
        .filter(|record| at(part.0) <= record.intended_at && record.intended_at < at(part.1))
        .map(|record| record.completed_at.unwrap().since(record.intended_at))
        .collect();
    latencies.sort();
    latencies
}

#[test]
fn modes_run_over_a_network_that_delays_packets_and_its_links_can_be_made_slower() {
    let scenario = scenario();
    let Some(network) = network(&scenario) else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let mut backend = LocalBackend::new(LocalOptions {
        longhaul_version: "test".to_owned(),
        command: Vec::new(),
        data_directory: directory.path().to_owned(),
        places: Places::Processes(Arc::new(network)),
        interrupt: Interrupt::default(),
        on_progress: Box::new(|_| {}),
    });
    let record = backend.run(&scenario, Seed(1)).unwrap();
    assert!(record.complete, "{:?}", record.failures);
    for link in &record.calibration.links {
        eprintln!("{link:?}");
        // Probes of a network are late by what the machine adds, never early.
        assert!(link.achieved_p50_ms > link.asked_p50_ms - 0.1, "{link:?}");
    }
    let topology = &scenario.topology;
    for mode in &record.modes {
        for region in 0..3 {
            let route = Route {
                topology,
                leader: topology.leader,
                region: RegionIndex(region),
            };
            let least = floor(&mode.paths[&OperationKind::Write], &route);
            let latencies = latencies(mode, region, (0, 1500));
            eprintln!("{} {region}: {latencies:?}, floor {least:?}", mode.mode);
            // 20/s for 1.5 s.
            assert_eq!(latencies.len(), 30);
            assert!(latencies[0] + Duration::from_micros(100) >= least);
        }
    }
    // A write from west takes 40 ms to the leader in east and back; with 50 ms more each way 140 ms,
    // and the leader then waits 60 ms for south. The network is told a little after 700 ms.
    let slowed = latencies(&record.modes[0], 1, (800, 1500));
    assert!(slowed[0] >= Duration::from_millis(200) - Duration::from_micros(100));
    assert_eq!(record.modes[0].faults.len(), 1);
}
