//! What every mode must do, in virtual time: one suite for all of them.

mod toy;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use longhaul_experiment::record::{KindRecord, ModeRecord};
use longhaul_experiment::scenario::Durability;
use longhaul_experiment::workload::Arrivals;
use longhaul_experiment::{
    Fault, FaultKind, FaultTarget, Key, ModeSpec, Operation, OperationKind, OperationResult,
    Outcome, ReplicaId, Scenario, Seed, Topology, Version,
};
use longhaul_protocol::modes::{descriptions, with_mode};
use longhaul_protocol::{Mode, ModeVisitor};
use longhaul_sim::SimBackend;
use longhaul_sim::explain::{ExplainOrder, explain_mode};
use longhaul_sim::simulation::Simulation;
use longhaul_sim::trace::{TraceEvent, TraceKind};

use toy::Toy;
use world::{answers, ask, floor, ready, scenario, submit, topology, write};

/// The modes and parameters that are checked, as far as there are such modes.
const MODES: &[&str] = &[
    "leader-follower:async",
    "leader-follower:async,read=nearest",
    "leader-follower:semi-sync=1",
    "leader-follower:semi-sync=2",
    "leader-follower:sync",
    "quorum:raft",
    "quorum:raft,read=lease",
    "quorum:raft,read=log",
    "quorum:paxos",
    "quorum:register",
    "quorum:register,phases=1",
    "quorum:register,r=4,w=2",
    "eventual:lww",
];

/// Something that every mode must do.
trait Check: Copy {
    fn check<M: Mode>(self, mode: M, spec: &ModeSpec);
}

/// Checks the toy, which tests the suite, and then every mode.
fn every_mode(check: impl Check) {
    struct Visitor<'a, C>(C, &'a ModeSpec);
    impl<C: Check> ModeVisitor for Visitor<'_, C> {
        type Output = ();

        fn visit<M: Mode>(self, mode: M) {
            println!("{}", self.1);
            self.0.check(mode, self.1);
        }
    }
    check.check(Toy, &"test:toy".parse().unwrap());
    for spec in specs() {
        with_mode(&spec, &topology(), Visitor(check, &spec)).unwrap();
    }
}

fn specs() -> Vec<ModeSpec> {
    let exists = |spec: &ModeSpec| {
        descriptions()
            .iter()
            .any(|mode| mode.family == spec.family && mode.variant == spec.variant)
    };
    MODES
        .iter()
        .map(|text| text.parse().unwrap())
        .filter(exists)
        .collect()
}

#[test]
fn every_described_mode_is_checked() {
    for mode in descriptions() {
        let is_checked = specs()
            .iter()
            .any(|spec| spec.family == mode.family && spec.variant == mode.variant);
        assert!(is_checked, "{} is in no row of the suite", mode.form);
    }
}

#[test]
fn reads_in_a_quiet_system_return_the_last_write() {
    #[derive(Clone, Copy)]
    struct LastWrite;
    impl Check for LastWrite {
        fn check<M: Mode>(self, mode: M, spec: &ModeSpec) {
            let mut simulation = ready(mode, spec, Durability::Memory);
            let regions = simulation.topology().clients.clone();
            for (round, &writer) in regions.iter().enumerate() {
                let operation = write(3, 100 + round as u64);
                let written = ask(&mut simulation, writer, 2 * round as u64, operation.clone());
                assert!(written.is_ok(), "{spec}: {written:?}");
                let Operation::Write { value, .. } = operation else {
                    unreachable!()
                };
                for &reader in &regions {
                    let sequence = 2 * round as u64 + 1;
                    let read = ask(
                        &mut simulation,
                        reader,
                        sequence,
                        Operation::Read { key: Key(3) },
                    );
                    let Outcome::Ok(OperationResult::Read { value: seen, .. }) = read else {
                        panic!("{spec}: {read:?}");
                    };
                    assert_eq!(seen.as_ref(), Some(&value), "{spec}: {writer:?} {reader:?}");
                }
            }
        }
    }
    every_mode(LastWrite);
}

/// The latest version of every key at every replica, by the replicas' own account.
fn applied(trace: &[TraceEvent]) -> BTreeMap<ReplicaId, BTreeMap<Key, Version>> {
    let mut latest: BTreeMap<ReplicaId, BTreeMap<Key, Version>> = BTreeMap::new();
    for event in trace {
        if let TraceKind::Applied {
            at_replica,
            key,
            version,
        } = event.kind
        {
            latest.entry(at_replica).or_default().insert(key, version);
        }
    }
    latest
}

#[test]
fn replicas_converge_after_concurrent_writes() {
    #[derive(Clone, Copy)]
    struct Converge;
    impl Check for Converge {
        fn check<M: Mode>(self, mode: M, spec: &ModeSpec) {
            let mut simulation = ready(mode, spec, Durability::Memory);
            simulation.start_trace();
            let regions = simulation.topology().clients.clone();
            for sequence in 0..40 {
                for &region in &regions {
                    let operation = write(sequence % 3, 1000 * u64::from(region.0) + sequence);
                    submit(&mut simulation, region, sequence, operation);
                }
                let pause = simulation.now() + Duration::from_millis(7);
                simulation.run_until(pause);
            }
            let quiet = simulation.now() + Duration::from_secs(20);
            let answers = answers(&mut simulation, quiet);
            assert_eq!(answers.len(), 200, "{spec}");
            assert!(
                answers.iter().all(|(_, outcome, _)| outcome.is_ok()),
                "{spec}"
            );
            let latest = applied(&simulation.take_trace());
            assert_eq!(latest.len(), 5, "{spec}: every replica applies");
            assert_eq!(latest[&ReplicaId(0)].len(), 3, "{spec}: all keys");
            assert!(
                latest.values().all(|keys| keys == &latest[&ReplicaId(0)]),
                "{spec}: {latest:?}"
            );
        }
    }
    every_mode(Converge);
}

#[test]
fn operations_in_a_quiet_system_take_their_floor_to_the_nanosecond() {
    #[derive(Clone, Copy)]
    struct Floors;
    impl Check for Floors {
        fn check<M: Mode>(self, mode: M, spec: &ModeSpec) {
            let topology = topology();
            for &client in &topology.clients {
                for kind in [OperationKind::Write, OperationKind::Read] {
                    let seed = Seed(1);
                    let order = ExplainOrder {
                        topology: &topology,
                        mode: spec,
                        client,
                        kind,
                        seed,
                    };
                    let explanation = explain_mode(mode.clone(), &order).unwrap();
                    assert!(
                        explanation.outcome.is_ok(),
                        "{spec}: {:?}",
                        explanation.outcome
                    );
                    let expected = floor(&explanation.path, client, &topology);
                    let latency = explanation.latency;
                    assert_eq!(
                        latency, expected,
                        "{spec} {kind:?} {client:?}: {explanation:#?}"
                    );
                }
            }
        }
    }
    every_mode(Floors);
}

fn run<M: Mode>(mode: M, spec: &ModeSpec, scenario: &Scenario, seed: u64) -> ModeRecord {
    SimBackend::default()
        .run_mode(mode, spec, (scenario, Seed(seed)))
        .unwrap()
}

#[test]
fn two_runs_of_one_seed_are_identical_and_of_two_seeds_are_not() {
    #[derive(Clone, Copy)]
    struct Repeat;
    impl Check for Repeat {
        fn check<M: Mode>(self, mode: M, spec: &ModeSpec) {
            // Few histograms: an unoptimised build takes long to clear them.
            let mut scenario = scenario(spec, &[2], 50.0);
            let clients = scenario.topology.clients.clone();
            scenario.topology = Topology {
                clients,
                ..world::topology_with_jitter()
            };
            scenario.workload.arrivals = Arrivals::Poisson { rate: 50.0 };
            scenario.workload.read_share = 0.5;
            scenario.durations.measured = Duration::from_secs(1);
            scenario.keep_history = true;
            let bytes =
                |seed| postcard::to_stdvec(&run(mode.clone(), spec, &scenario, seed)).unwrap();
            let first = bytes(1);
            assert!(first == bytes(1), "{spec}");
            assert!(first != bytes(2), "{spec}");
        }
    }
    every_mode(Repeat);
}

fn writes(record: &ModeRecord) -> &KindRecord {
    &record.regions[0].kinds[&OperationKind::Write]
}

#[test]
fn a_healthy_run_loses_nothing_and_no_operation_beats_its_floor() {
    #[derive(Clone, Copy)]
    struct Healthy;
    impl Check for Healthy {
        fn check<M: Mode>(self, mode: M, spec: &ModeSpec) {
            let mut scenario = scenario(spec, &[0, 3], 50.0);
            scenario.workload.read_share = 0.5;
            let record = run(mode, spec, &scenario, 1);
            assert!(record.leaders.len() <= 1, "{spec}: {:?}", record.leaders);
            assert!(record.warnings.is_empty(), "{spec}: {:?}", record.warnings);
            for region in &record.regions {
                assert_eq!((region.capped, region.redirects), (0, 0), "{spec}");
                for (kind, seen) in &region.kinds {
                    let floor = floor(&record.paths[kind], region.region, &scenario.topology);
                    let least = seen.latency.minimum_ns().map(Duration::from_nanos);
                    assert_eq!(seen.ok, seen.due, "{spec} {kind:?}: {:?}", seen.errors);
                    assert!(seen.due > 50, "{spec} {kind:?}");
                    assert_eq!(least, Some(floor), "{spec} {kind:?}");
                }
            }
        }
    }
    every_mode(Healthy);
}

/// A pause of the replica of a region, two seconds long, one second into the window.
fn pause(region: &str) -> Fault {
    Fault {
        at: Duration::from_secs(1),
        lasts: Duration::from_secs(2),
        target: FaultTarget::Replica(region.to_owned()),
        kind: FaultKind::Pause,
    }
}

/// Whether another replica takes over from a paused one before it goes on: the election time-out
/// of these regions is ten times 179 ms.
fn fails_over(spec: &ModeSpec) -> bool {
    spec.family == "leader-follower" || matches!(spec.variant.as_str(), "raft" | "paxos")
}

#[test]
fn a_paused_leader_or_coordinator_fills_the_tail() {
    #[derive(Clone, Copy)]
    struct Paused;
    impl Check for Paused {
        fn check<M: Mode>(self, mode: M, spec: &ModeSpec) {
            // The clients are in the leader's region, so whichever replica they ask is paused.
            let mut scenario = scenario(spec, &[1], 100.0);
            scenario.faults = vec![pause("b")];
            let record = run(mode, spec, &scenario, 1);
            let writes = writes(&record);
            assert_eq!(writes.due, 400, "{spec}: a due operation is never skipped");
            let topology = &scenario.topology;
            let path = &record.paths[&OperationKind::Write];
            let floor = floor(path, topology.clients[0], topology);
            let longest = Duration::from_nanos(writes.latency.maximum_ns().unwrap());
            // An operation that reaches the replica just after it was paused waits 2 s; the one
            // that came first did so at most one arrival gap, 10 ms, after that.
            let least = Duration::from_millis(1990);
            if fails_over(spec) {
                // What came meanwhile succeeded late, or was refused where nobody leads yet.
                let has_waited = longest >= least || writes.ok + 190 <= writes.due;
                assert!(has_waited, "{spec}: {longest:?}, {} succeeded", writes.ok);
                return;
            }
            assert_eq!(writes.ok, 400, "{spec}: {:?}", writes.errors);
            assert!(
                longest >= least + floor,
                "{spec}: {longest:?}, floor {floor:?}"
            );
            assert!(
                longest <= Duration::from_secs(2) + floor,
                "{spec}: {longest:?}"
            );
            // 100 a second were due in the pause's first second, and waited more than one; and
            // so did those under way when it began, due in the floor before it.
            let under_way = (floor.as_nanos() / 10_000_000) as u64;
            let beyond_1s: u64 = writes
                .latency
                .occupied()
                .filter(|&(nanoseconds, _)| nanoseconds > 1_000_000_000 + floor.as_nanos() as u64)
                .map(|(_, count)| count)
                .sum();
            assert!(
                (98..=102 + under_way).contains(&beyond_1s),
                "{spec}: {beyond_1s}"
            );
        }
    }
    every_mode(Paused);
}

#[test]
fn a_paused_follower_outside_the_quorum_costs_nothing() {
    #[derive(Clone, Copy)]
    struct Outside;
    impl Check for Outside {
        fn check<M: Mode>(self, mode: M, spec: &ModeSpec) {
            let mut scenario = scenario(spec, &[1], 100.0);
            let path = mode.path(OperationKind::Write, &scenario.topology).unwrap();
            if path
                .rounds
                .iter()
                .any(|round| round.acknowledgements == round.among)
            {
                return;
            }
            // Region e is the farthest from b: no quorum short of all replicas waits for it.
            scenario.faults = vec![pause("e")];
            let record = run(mode, spec, &scenario, 1);
            let writes = writes(&record);
            let floor = floor(&path, scenario.topology.clients[0], &scenario.topology);
            assert_eq!((writes.due, writes.ok), (400, 400), "{spec}");
            let longest = writes.latency.maximum_ns().map(Duration::from_nanos);
            assert_eq!(longest, Some(floor), "{spec}");
        }
    }
    every_mode(Outside);
}

fn write_many<M: Mode>(simulation: &mut Simulation<M>, sequences: std::ops::Range<u64>) {
    let region = simulation.topology().clients[1];
    for sequence in sequences {
        submit(simulation, region, sequence, write(sequence % 7, sequence));
        let next = simulation.now() + Duration::from_millis(20);
        simulation.run_until(next);
    }
}

#[test]
fn a_follower_that_died_and_started_again_catches_up() {
    #[derive(Clone, Copy)]
    struct CatchUp;
    impl Check for CatchUp {
        fn check<M: Mode>(self, mode: M, spec: &ModeSpec) {
            if spec.variant == "register" {
                // What a register's replica missed, it learns from reads and writes of the key.
                return;
            }
            let mut simulation = ready(mode, spec, Durability::Wal);
            simulation.start_trace();
            let follower = ReplicaId(4);
            write_many(&mut simulation, 0..30);
            simulation.crash(follower);
            write_many(&mut simulation, 30..60);
            simulation.restart(follower);
            write_many(&mut simulation, 60..70);
            let quiet = simulation.now() + Duration::from_secs(30);
            let answers = answers(&mut simulation, quiet);
            assert_eq!(answers.len(), 70, "{spec}");
            let latest = applied(&simulation.take_trace());
            assert_eq!(latest[&follower], latest[&ReplicaId(1)], "{spec}");
        }
    }
    every_mode(CatchUp);
}

#[test]
fn a_retry_hears_its_first_outcome_and_is_not_executed_again() {
    #[derive(Clone, Copy)]
    struct Retry;
    impl Check for Retry {
        fn check<M: Mode>(self, mode: M, spec: &ModeSpec) {
            if mode.path(OperationKind::Add, &topology()).is_none() {
                return;
            }
            let mut simulation = ready(mode, spec, Durability::Memory);
            let region = simulation.topology().clients[3];
            let add = |amount| Operation::Add {
                key: Key(1),
                amount,
            };
            let first = ask(&mut simulation, region, 0, add(5));
            let again = ask(&mut simulation, region, 0, add(5));
            assert_eq!(first, again, "{spec}");
            let next = ask(&mut simulation, region, 1, add(1));
            let Outcome::Ok(OperationResult::Added { total, .. }) = next else {
                panic!("{spec}: {next:?}");
            };
            assert_eq!(total, 6, "{spec}");
        }
    }
    every_mode(Retry);
}
