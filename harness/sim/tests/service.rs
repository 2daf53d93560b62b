//! Processors that take time: saturation, and how much it takes.

mod world;

use std::time::Duration;

use longhaul_experiment::record::ModeRecord;
use longhaul_experiment::service::{Service, ServiceTimes};
use longhaul_experiment::workload::Arrivals;
use longhaul_experiment::{
    Backend, Fault, FaultKind, FaultTarget, OperationKind, RegionIndex, Scenario, Seed,
};
use longhaul_sim::SimBackend;

/// Its time-out is longer than any queue here: a leader whose heartbeats wait behind its requests
/// for that long is taken for missing.
const MODE: &str = "leader-follower:async,election=30s-60s";

/// Clients in region 1, where the leader is; a message takes a millisecond.
fn scenario(arrivals: Arrivals, cores: u32) -> Scenario {
    let mut scenario = world::scenario(&MODE.parse().unwrap(), &[1], 1.0);
    scenario.workload.arrivals = arrivals;
    scenario.service = Some(Service {
        default: ServiceTimes {
            per_message: Duration::from_millis(1),
            cores,
            ..ServiceTimes::default()
        },
        modes: Default::default(),
    });
    scenario
}

fn run(scenario: &Scenario) -> ModeRecord {
    let mut record = SimBackend::default().run(scenario, Seed(1)).unwrap();
    record.modes.remove(0)
}

/// Writes that succeeded, per second of the window of four.
fn goodput(scenario: &Scenario) -> f64 {
    run(scenario).regions[0].kinds[&OperationKind::Write].ok as f64 / 4.0
}

#[test]
fn a_lone_write_takes_its_floor_and_the_messages_on_its_way() {
    // Far below saturation: 5 writes a second.
    let scenario = scenario(Arrivals::Constant { rate: 5.0 }, 1);
    let leader = scenario.topology.region_of(scenario.topology.leader);
    assert_eq!(leader, RegionIndex(1));
    let record = run(&scenario);
    let writes = &record.regions[0].kinds[&OperationKind::Write];
    let path = &record.paths[&OperationKind::Write];
    let floor = world::floor(path, leader, &scenario.topology);
    // The request is received, 1 ms, and the answer is sent, 1 ms, after at most the four
    // appends, 4 ms; a heartbeat or an acknowledgement may be ahead of it.
    let least = writes.latency.minimum_ns().unwrap();
    let messages = (Duration::from_nanos(least) - floor).as_nanos();
    assert!((2_000_000..=6_000_000).contains(&messages), "{messages}");
}

#[test]
fn a_leader_is_saturated_by_its_messages_and_twice_the_processors_carry_twice_as_much() {
    let closed = Arrivals::Closed { in_flight: 64 };
    // Request and answer are messages of their own, 2 ms a write: at most 500 a second. Appends
    // to four followers and their acknowledgements are shared by the writes of a batch, and cost
    // at most 8 ms each: at least 100 a second.
    let one = goodput(&scenario(closed, 1));
    assert!((100.0..=500.0).contains(&one), "{one}");
    let two = goodput(&scenario(closed, 2));
    assert!((1.7..=2.3).contains(&(two / one)), "{one} {two}");
}

#[test]
fn beyond_saturation_an_open_loop_piles_up_and_its_latency_shows_it() {
    let mut over = scenario(Arrivals::Constant { rate: 1000.0 }, 1);
    over.limits.max_in_flight = 100_000;
    over.durations.drain = Duration::from_secs(10);
    let record = run(&over);
    let writes = &record.regions[0].kinds[&OperationKind::Write];
    assert_eq!(writes.due, 4000);
    // At most half of what is due is carried: those of the last second wait for two seconds.
    let worst = writes.latency.maximum_ns().unwrap();
    assert!(worst > 2_000_000_000, "{worst}");
}

#[test]
fn a_slow_replica_carries_so_many_times_less() {
    let closed = Arrivals::Closed { in_flight: 64 };
    let mut slowed = scenario(closed, 1);
    let usual = goodput(&slowed);
    slowed.faults = vec![Fault {
        at: Duration::ZERO,
        lasts: Duration::from_secs(4),
        target: FaultTarget::Leader,
        kind: FaultKind::SlowReplica { factor: 4.0 },
    }];
    let slow = goodput(&slowed);
    assert!((3.5..=4.5).contains(&(usual / slow)), "{usual} {slow}");
}

#[test]
fn what_a_byte_costs_tells_large_values_from_small_ones() {
    let closed = Arrivals::Closed { in_flight: 2 };
    let mut large = scenario(closed, 1);
    if let Some(service) = &mut large.service {
        service.default.per_kib = Duration::from_millis(1);
    }
    let mut small = large.clone();
    large.workload.value_size = 8192;
    small.workload.value_size = 16;
    // A large write is received once and sent to four followers, 8 ms each time: at most 25 a
    // second, and one more for each of the four in flight when the window ends.
    let (large, small) = (goodput(&large), goodput(&small));
    assert!(large <= 26.0 && small > 100.0, "{large} {small}");
}
