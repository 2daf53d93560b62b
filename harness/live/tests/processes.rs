//! Agents in processes of their own: this very program, told to run the one test that is an agent.

mod world;

use std::io;
use std::net::IpAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use longhaul_experiment::scenario::{Durability, Durations};
use longhaul_experiment::{
    Backend as _, Fault, FaultKind, FaultTarget, OperationKind, RegionIndex, RunError, Scenario,
    Seed,
};
use longhaul_live::{
    Emulation, Launcher, LocalBackend, LocalOptions, Loopback, Places, Processes, run_agent,
};
use world::{options, run_in, scenario};

/// Set in the processes that are agents.
const IS_AGENT: &str = "LONGHAUL_TEST_IS_AGENT";

#[test]
#[ignore = "an agent's process, which the other tests start"]
fn an_agent() {
    if std::env::var_os(IS_AGENT).is_some() {
        run_agent().expect("the coordinator ends it");
    }
}

/// Starts agents on loopback, without what the test's program says of its tests.
struct Quiet(Loopback);

impl Launcher for Quiet {
    fn launch(&mut self, region: RegionIndex, mut agent: Command) -> io::Result<Child> {
        agent.env(IS_AGENT, "yes").stdout(Stdio::null());
        self.0.launch(region, agent)
    }

    fn address(&self, region: RegionIndex) -> IpAddr {
        self.0.address(region)
    }

    fn emulation(&self) -> Emulation {
        self.0.emulation()
    }
}

fn processes(emulation: Emulation) -> Places {
    let arguments = ["an_agent", "--exact", "--include-ignored", "--nocapture"];
    Places::Processes(Processes {
        program: std::env::current_exe().unwrap(),
        arguments: arguments.map(Into::into).into(),
        launcher: Box::new(Quiet(Loopback { emulation })),
    })
}

fn slowest(order: &Scenario, emulation: Emulation) -> Duration {
    let record = run_in(processes(emulation), order);
    assert!(record.complete, "{:?}", record.failures);
    let mode = &record.modes[0];
    // 100/s for 0.4 s in each of three regions, from three processes.
    let due: u64 = mode
        .regions
        .iter()
        .map(|region| region.kinds.values().map(|kind| kind.due).sum::<u64>())
        .sum();
    assert_eq!(due, 120);
    assert_eq!(mode.history.as_ref().unwrap().len(), 120);
    assert_eq!(record.calibration.links.len(), 9);
    assert!(record.calibration.links.iter().all(|link| link.probes > 0));
    let load = mode.load.as_ref().unwrap();
    assert_eq!(load.pacing.count, 120);
    if cfg!(target_os = "linux") {
        assert!(load.cpu.as_ref().unwrap().replica_cores > 0.0);
    }
    let slowest = mode.regions.iter().flat_map(|region| {
        let writes = &region.kinds[&OperationKind::Write];
        assert_eq!(writes.ok, writes.due, "{:?}", writes.errors);
        writes.latency.minimum_ns()
    });
    Duration::from_nanos(slowest.max().unwrap())
}

#[test]
fn processes_delay_frames_as_threads_do() {
    let order = Scenario {
        durability: Durability::Wal,
        ..scenario(&["quorum:raft"])
    };
    // A write from c, 10 ms from the leader in a, takes 20 ms and 10 more to b and back.
    let least = Duration::from_millis(30) - Duration::from_micros(50);
    assert!(slowest(&order, Emulation::UserSpace) >= least);
}

#[test]
fn where_the_network_delays_frames_processes_do_not() {
    let order = scenario(&["quorum:raft"]);
    // Loopback delays nothing: the quickest write of each region is far from the 20 ms and 30 ms
    // that the profile's links would take.
    let slowest = slowest(&order, Emulation::Network);
    assert!(slowest < Duration::from_millis(15), "{slowest:?}");
}

#[test]
fn an_agent_that_dies_fails_the_mode_and_leaves_nothing() {
    /// Starts a program that ends at once where c is.
    struct OneDies(Quiet);
    impl Launcher for OneDies {
        fn launch(&mut self, region: RegionIndex, agent: Command) -> io::Result<Child> {
            if region == RegionIndex(2) {
                return Command::new("true").spawn();
            }
            self.0.launch(region, agent)
        }
        fn address(&self, region: RegionIndex) -> IpAddr {
            self.0.address(region)
        }
        fn emulation(&self) -> Emulation {
            self.0.emulation()
        }
    }
    let Places::Processes(processes) = processes(Emulation::UserSpace) else {
        unreachable!("they are");
    };
    let quiet = Quiet(Loopback {
        emulation: Emulation::UserSpace,
    });
    let places = Places::Processes(Processes {
        launcher: Box::new(OneDies(quiet)),
        ..processes
    });
    let directory = tempfile::tempdir().unwrap();
    let options = LocalOptions {
        places,
        ..options(directory.path())
    };
    let order = Scenario {
        durability: Durability::Wal,
        ..scenario(&["eventual:lww"])
    };
    let outcome = LocalBackend::new(options).run(&order, Seed(7));
    let Err(RunError::Failed { why, .. }) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(why.contains("the agent of c"), "{why}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn faults_that_would_not_reach_processes_are_refused() {
    let order = Scenario {
        faults: vec![Fault {
            at: Duration::ZERO,
            lasts: Duration::from_secs(1),
            target: FaultTarget::Replica("a".to_owned()),
            kind: FaultKind::Crash,
        }],
        durations: Durations {
            measured: Duration::from_secs(2),
            ..scenario(&[]).durations
        },
        ..scenario(&["eventual:lww"])
    };
    let directory = tempfile::tempdir().unwrap();
    let options = LocalOptions {
        places: processes(Emulation::UserSpace),
        ..options(directory.path())
    };
    let refused = LocalBackend::new(options).run(&order, Seed(7));
    assert!(matches!(refused, Err(RunError::NotSupported { .. })));
}
