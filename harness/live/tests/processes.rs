//! Agents in processes of their own: this very program, told to run the one test that is an agent.

mod world;

use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use longhaul_experiment::record::ModeRecord;
use longhaul_experiment::scenario::{Durability, Durations};
use longhaul_experiment::{
    Backend as _, Fault, FaultKind, FaultTarget, OperationKind, OperationRecord, RegionIndex,
    RunError, Scenario, Seed,
};
use longhaul_live::{Emulation, Launcher, LocalBackend, LocalOptions, Places, run_agent};
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

/// Starts agents on loopback.
struct Here {
    emulation: Emulation,
    /// Where a program is started that ends at once.
    dies: Option<RegionIndex>,
}

impl Launcher for Here {
    fn command(&self, region: RegionIndex) -> Command {
        if self.dies == Some(region) {
            return Command::new("true");
        }
        let mut agent = Command::new(std::env::current_exe().unwrap());
        agent
            .args(["an_agent", "--exact", "--include-ignored", "--nocapture"])
            .env(IS_AGENT, "yes")
            // What the program says of its tests.
            .stdout(Stdio::null());
        agent
    }

    fn address(&self, _region: RegionIndex) -> IpAddr {
        Ipv4Addr::LOCALHOST.into()
    }

    fn emulation(&self) -> Emulation {
        self.emulation
    }
}

fn processes(emulation: Emulation) -> Places {
    Places::Processes(Arc::new(Here {
        emulation,
        dies: None,
    }))
}

fn run_one(order: &Scenario, emulation: Emulation) -> ModeRecord {
    let mut record = run_in(processes(emulation), order);
    assert!(record.complete, "{:?}", record.failures);
    // Six links between regions, and three within.
    let links = &record.calibration.links;
    assert_eq!(links.len(), 9);
    assert!(links.iter().all(|link| link.probes > 0));
    record.modes.remove(0)
}

fn history(mode: &ModeRecord, kind: OperationKind) -> impl Iterator<Item = &OperationRecord> {
    let all = mode.history.as_ref().unwrap().iter();
    all.filter(move |record| record.operation.kind() == kind)
}

/// Checks that the parts of three processes make one record; returns the longest of the regions'
/// least write latencies.
fn check(mode: &ModeRecord) -> Duration {
    let kinds = mode.regions.iter().flat_map(|region| region.kinds.values());
    // 100/s for 0.4 s in each of three regions.
    assert_eq!(kinds.map(|kind| kind.due).sum::<u64>(), 120);
    assert_eq!(mode.history.as_ref().unwrap().len(), 120);
    let load = mode.load.as_ref().unwrap();
    assert_eq!(load.pacing.count, 120);
    if cfg!(target_os = "linux") {
        assert!(load.cpu.as_ref().unwrap().replica_cores > 0.0);
    }
    let least = mode.regions.iter().flat_map(|region| {
        let writes = &region.kinds[&OperationKind::Write];
        assert_eq!(writes.ok, writes.due, "{:?}", writes.errors);
        writes.latency.minimum_ns()
    });
    Duration::from_nanos(least.max().unwrap())
}

#[test]
fn processes_delay_frames_as_threads_do() {
    let order = Scenario {
        durability: Durability::Wal,
        ..scenario(&["quorum:raft"])
    };
    // A write from c, 10 ms from the leader in a, takes 20 ms and 10 more to b and back.
    let least = Duration::from_millis(30) - Duration::from_micros(50);
    assert!(check(&run_one(&order, Emulation::UserSpace)) >= least);
}

#[test]
fn where_the_network_delays_frames_processes_do_not() {
    let order = scenario(&["quorum:raft"]);
    // Loopback delays nothing: the quickest write of each region is far from the 20 ms and 30 ms
    // that the profile's links would take.
    let least = check(&run_one(&order, Emulation::Network));
    assert!(least < Duration::from_millis(15), "{least:?}");
    // It delays nothing within a region either, so the processes do: 50 us each way.
    let least = check(&run_one(&scenario(&["eventual:lww"]), Emulation::Network));
    assert!(least >= Duration::from_micros(50), "{least:?}");
}

#[test]
fn faults_reach_replicas_and_links_in_processes() {
    let milliseconds = Duration::from_millis;
    let slow_link = Fault {
        at: Duration::ZERO,
        lasts: milliseconds(60_000),
        target: FaultTarget::Pair("a".to_owned(), "b".to_owned()),
        kind: FaultKind::LinkDelay {
            added: milliseconds(40),
        },
    };
    let crash = Fault {
        at: milliseconds(200),
        lasts: milliseconds(300),
        target: FaultTarget::Replica("c".to_owned()),
        kind: FaultKind::Crash,
    };
    let calm = scenario(&["leader-follower:async,read=nearest"]);
    let order = Scenario {
        faults: vec![slow_link, crash],
        durability: Durability::Wal,
        durations: Durations {
            measured: milliseconds(1500),
            ..calm.durations
        },
        ..calm
    };
    let mode = run_one(&order, Emulation::UserSpace);
    let [slow_link, crash] = mode.faults.as_slice() else {
        panic!("{:?}", mode.faults);
    };
    // From b to the leader in a and back: 5 + 40 ms each way.
    let least = milliseconds(90) - Duration::from_micros(50);
    let from_b = history(&mode, OperationKind::Write).filter(|it| it.region == RegionIndex(1));
    for write in from_b.filter(|write| write.sent_at > Some(slow_link.began_at)) {
        let took = write.completed_at.unwrap().since(write.intended_at);
        assert!(took >= least, "{took:?}");
    }
    // Reads are asked of the nearest replica: while that of c is dead, those of c fail.
    let ended_at = crash.ended_at.expect("it ended");
    assert!(ended_at.since(crash.began_at) >= milliseconds(250));
    let in_c = |record: &&OperationRecord| record.region == RegionIndex(2);
    let mut reads = history(&mode, OperationKind::Read).filter(in_c);
    assert!(reads.any(|read| !read.outcome.is_ok()));
    // Half a second later it serves again.
    let later = ended_at + milliseconds(500);
    let later: Vec<_> = history(&mode, OperationKind::Read)
        .filter(in_c)
        .filter(|read| read.intended_at > later)
        .collect();
    assert!(!later.is_empty() && later.iter().all(|read| read.outcome.is_ok()));
}

#[test]
fn an_agent_that_dies_fails_the_mode_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let options = LocalOptions {
        places: Places::Processes(Arc::new(Here {
            emulation: Emulation::UserSpace,
            dies: Some(RegionIndex(2)),
        })),
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
fn faults_of_links_that_the_network_cannot_change_are_refused() {
    let order = Scenario {
        faults: vec![Fault {
            at: Duration::ZERO,
            lasts: Duration::from_secs(1),
            target: FaultTarget::Replica("a".to_owned()),
            kind: FaultKind::Partition,
        }],
        ..scenario(&["eventual:lww"])
    };
    let directory = tempfile::tempdir().unwrap();
    let options = LocalOptions {
        places: processes(Emulation::Network),
        ..options(directory.path())
    };
    let refused = LocalBackend::new(options).run(&order, Seed(7));
    assert!(matches!(refused, Err(RunError::NotSupported { .. })));
}
