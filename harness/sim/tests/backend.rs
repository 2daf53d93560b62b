//! The `sim` backend: clients, limits, faults and what stands in the record.

mod toy;
mod world;

use std::time::Duration;

use longhaul_experiment::record::{KindRecord, ModeRecord};
use longhaul_experiment::workload::Arrivals;
use longhaul_experiment::{
    Backend, Fault, FaultKind, FaultTarget, LinkId, ModeSpec, OperationKind, Outcome, RegionIndex,
    RunError, Scenario, Seed,
};
use longhaul_sim::SimBackend;

use toy::Toy;
use world::floor;

fn spec() -> ModeSpec {
    "test:toy".parse().unwrap()
}

fn scenario(clients: &[u16], rate: f64) -> Scenario {
    world::scenario(&spec(), clients, rate)
}

fn run(scenario: &Scenario) -> Result<ModeRecord, RunError> {
    SimBackend::default().run_mode(Toy, &spec(), (scenario, Seed(1)))
}

fn writes(record: &ModeRecord, region: usize) -> &KindRecord {
    &record.regions[region].kinds[&OperationKind::Write]
}

#[test]
fn without_jitter_every_operation_under_load_takes_its_floor() {
    let scenario = scenario(&[0, 1, 2, 3, 4], 50.0);
    let record = run(&scenario).unwrap();
    for (region, &client) in scenario.topology.clients.iter().enumerate() {
        let writes = writes(&record, region);
        let path = &record.paths[&OperationKind::Write];
        let floor = floor(path, client, &scenario.topology).as_nanos() as u64;
        // 50 a second for 4 seconds.
        assert_eq!((writes.due, writes.ok), (200, 200));
        assert_eq!(writes.latency.minimum_ns(), Some(floor));
        assert_eq!(writes.latency.maximum_ns(), Some(floor));
        assert_eq!(writes.service.maximum_ns(), Some(floor));
    }
    assert_eq!(record.leaders.len(), 1);
    assert_eq!(record.leaders[0].leader, scenario.topology.leader);
    assert_eq!(record.warnings, Vec::<String>::new());
}

#[test]
fn what_the_cap_holds_back_is_counted_and_charged_from_the_instant_it_was_due() {
    let mut scenario = scenario(&[1], 100.0);
    scenario.limits.max_in_flight = 1;
    scenario.durations.drain = Duration::from_secs(60);
    let record = run(&scenario).unwrap();
    let writes = writes(&record, 0);
    assert_eq!((writes.due, writes.ok), (400, 400));
    assert_eq!(
        record.regions[0].capped,
        400 + 99,
        "all but the first of the warm-up's"
    );
    // One at a time takes 53.7 ms each and one is due every 10 ms: the last, number 500, is
    // due after 5 s and ends after 500 x 53.7 ms = 26.9 s.
    let longest = Duration::from_nanos(writes.latency.maximum_ns().unwrap());
    assert!(longest > Duration::from_secs(21), "{longest:?}");
    let service = Duration::from_nanos(writes.service.maximum_ns().unwrap());
    assert!(service < Duration::from_millis(54), "{service:?}");
}

#[test]
fn a_closed_loop_keeps_its_operations_in_flight() {
    let mut scenario = scenario(&[4], 1.0);
    scenario.workload.arrivals = Arrivals::Closed { in_flight: 3 };
    let record = run(&scenario).unwrap();
    let writes = writes(&record, 0);
    let path = &record.paths[&OperationKind::Write];
    let floor = floor(path, RegionIndex(4), &scenario.topology);
    // 3 in flight on each of 2 connections, one floor each, for 4 s.
    let expected = 6.0 * 4.0 / floor.as_secs_f64();
    assert!(
        (writes.due as f64 - expected).abs() <= 6.0,
        "{} of {expected}",
        writes.due
    );
    assert_eq!(writes.ok, writes.due);
}

#[test]
fn an_operation_without_an_answer_is_unknown_after_its_time_out() {
    let mut scenario = scenario(&[1], 100.0);
    scenario.limits.operation_timeout = Duration::from_millis(500);
    scenario.keep_history = true;
    scenario.faults = vec![Fault {
        at: Duration::from_secs(1),
        lasts: Duration::from_secs(2),
        target: FaultTarget::Leader,
        kind: FaultKind::Pause,
    }];
    let record = run(&scenario).unwrap();
    let writes = writes(&record, 0);
    // Due in the first 1.5 s of the pause; due in the 53.7 ms before it and so under way when it
    // began; due in the 53.7 ms after and so given up while the quorum was gathered.
    assert!((159..=163).contains(&writes.unknown), "{}", writes.unknown);
    assert_eq!(writes.errors["timed-out"], writes.unknown);
    assert_eq!(writes.ok + writes.unknown, 400);
    let history = record.history.unwrap();
    assert_eq!(history.len(), 400);
    assert!(history.iter().all(|operation| match operation.outcome {
        Outcome::Unknown(_) =>
            operation.completed_at.unwrap().since(operation.intended_at)
                == Duration::from_millis(500),
        _ => operation.outcome.is_ok(),
    }));
}

#[test]
fn a_crashed_leader_leaves_no_operation_unaccounted_for() {
    let mut scenario = scenario(&[0, 1], 100.0);
    scenario.durability = longhaul_experiment::scenario::Durability::Wal;
    scenario.faults = vec![Fault {
        at: Duration::from_secs(1),
        lasts: Duration::from_secs(1),
        target: FaultTarget::Leader,
        kind: FaultKind::Crash,
    }];
    let record = run(&scenario).unwrap();
    for region in 0..2 {
        let writes = writes(&record, region);
        assert_eq!(writes.due, 400);
        assert_eq!(writes.ok + writes.failed + writes.unknown, 400);
        assert!(writes.errors["connection-lost"] >= 1, "{:?}", writes.errors);
        // Refused for a second, give or take what was under way.
        assert!((85..=110).contains(&writes.failed), "{:?}", writes.errors);
        assert!(record.regions[region].redirects > 0);
    }
}

#[test]
fn the_traffic_of_the_window_is_counted_by_link() {
    let mut scenario = scenario(&[0], 100.0);
    scenario.durations.measured = Duration::from_secs(2);
    let record = run(&scenario).unwrap();
    let link = |from, to| {
        let link = LinkId {
            from: RegionIndex(from),
            to: RegionIndex(to),
        };
        record
            .traffic
            .iter()
            .find(|traffic| traffic.link == link)
            .copied()
    };
    let to_leader = link(0, 1).unwrap();
    // In 2 s at 100 a second, up to one at either edge of the window: 200 requests, 200
    // acknowledgements of a.
    assert!(
        to_leader.client_messages.abs_diff(200) <= 1,
        "{to_leader:?}"
    );
    assert!(
        to_leader.replica_messages.abs_diff(200) <= 1,
        "{to_leader:?}"
    );
    // A request holds 12 bytes of framing, a value of 16 and some numbers.
    let request_bytes = to_leader.client_bytes / to_leader.client_messages;
    assert!((28..60).contains(&request_bytes), "{request_bytes}");
    // Back: appends, executes, and 4 heartbeats.
    let from_leader = link(1, 0).unwrap();
    assert!(
        from_leader.replica_messages.abs_diff(404) <= 3,
        "{from_leader:?}"
    );
    assert_eq!(link(0, 2), None, "nothing goes from a to c");
}

#[test]
fn faults_that_hit_nothing_are_refused() {
    let fault = |target, kind| {
        let mut scenario = scenario(&[0], 1.0);
        let (at, lasts) = (Duration::ZERO, Duration::from_secs(1));
        scenario.faults = vec![Fault {
            at,
            lasts,
            target,
            kind,
        }];
        run(&scenario).unwrap_err().to_string()
    };
    let link = || FaultTarget::Link("a".to_owned(), "b".to_owned());
    let replica = |name: &str| FaultTarget::Replica(name.to_owned());
    assert!(fault(link(), FaultKind::Pause).contains("pause is done to a replica"));
    assert!(fault(link(), FaultKind::ConnectionReset).contains("both directions"));
    assert!(fault(replica("x"), FaultKind::Crash).contains("region 'x' has no replica"));
}

#[test]
fn a_partition_delays_what_enters_the_link() {
    let mut scenario = scenario(&[0], 100.0);
    scenario.faults = vec![Fault {
        at: Duration::from_secs(1),
        lasts: Duration::from_millis(900),
        target: FaultTarget::Link("a".to_owned(), "b".to_owned()),
        kind: FaultKind::Partition,
    }];
    let record = run(&scenario).unwrap();
    let writes = writes(&record, 0);
    assert_eq!((writes.due, writes.ok), (400, 400));
    let path = &record.paths[&OperationKind::Write];
    let floor = floor(path, RegionIndex(0), &scenario.topology);
    let longest = Duration::from_nanos(writes.latency.maximum_ns().unwrap());
    // The first request that enters the cut link does so within one gap of 10 ms.
    assert!(longest <= Duration::from_millis(900) + floor, "{longest:?}");
    assert!(longest >= Duration::from_millis(890) + floor, "{longest:?}");
}

#[test]
fn an_unknown_mode_is_an_error() {
    let error = SimBackend::default()
        .run(&scenario(&[0], 1.0), Seed(1))
        .unwrap_err();
    assert!(matches!(error, RunError::Mode(_)), "{error}");
}
