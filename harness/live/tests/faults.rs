//! What faults do on real connections, with the arithmetic behind each bound.
//!
//! Bounds from below hold on any machine; those from above leave a busy machine half a second.

mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use longhaul_experiment::record::{FaultRecord, ModeRecord};
use longhaul_experiment::scenario::{Durability, Durations};
use longhaul_experiment::workload::Workload;
use longhaul_experiment::{
    ErrorKind, Fault, FaultKind, FaultTarget, OperationKind, OperationRecord, OperationResult,
    Outcome, RegionIndex, ReplicaId, Scenario, Time, Version,
};
use world::{run, scenario};

fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn fault(at: u64, lasts: u64, target: FaultTarget, kind: FaultKind) -> Fault {
    Fault {
        at: milliseconds(at),
        lasts: milliseconds(lasts),
        target,
        kind,
    }
}

fn replica(region: &str) -> FaultTarget {
    FaultTarget::Replica(region.to_owned())
}

/// A window of so many milliseconds in which faults happen, half of the operations reads.
fn broken(mode: &str, window: u64, faults: Vec<Fault>) -> Scenario {
    let calm = scenario(&[mode]);
    Scenario {
        faults,
        workload: Workload {
            read_share: 0.5,
            ..calm.workload.clone()
        },
        durations: Durations {
            measured: milliseconds(window),
            ..calm.durations
        },
        ..calm
    }
}

fn run_one(scenario: &Scenario) -> ModeRecord {
    let record = run(scenario);
    assert!(record.complete, "{:?}", record.failures);
    let mut mode = record.modes.into_iter().next().expect("it ran");
    check_instants(&mode, scenario);
    mode.history.get_or_insert_default();
    mode
}

/// Every fault happened, not before its time.
fn check_instants(mode: &ModeRecord, scenario: &Scenario) {
    assert_eq!(mode.faults.len(), scenario.faults.len());
    for (record, fault) in mode.faults.iter().zip(&scenario.faults) {
        let planned = mode.window_start + fault.at;
        // Instants are made up for the wake-up of a thread by 20 us.
        let earliest = planned - Duration::from_micros(20);
        assert!(record.began_at >= earliest, "{record:?} at {planned:?}");
        assert!(record.began_at < planned + milliseconds(500), "{record:?}");
        let ended_at = record.ended_at.expect("it ended within the run");
        assert!(ended_at >= earliest + fault.lasts, "{record:?}");
        let late = |at: Time, planned: Time| at.since(planned).as_micros();
        println!(
            "{}: began {} us late, ended {} us late",
            fault.kind.name(),
            late(record.began_at, planned),
            late(ended_at, planned + fault.lasts)
        );
    }
}

fn history(mode: &ModeRecord) -> &[OperationRecord] {
    mode.history.as_deref().unwrap_or_default()
}

fn version(record: &OperationRecord) -> Option<Version> {
    match &record.outcome {
        Outcome::Ok(result) => Some(result.version()),
        _ => None,
    }
}

/// A read sees every write of its key that was acknowledged before it was sent. Versions order
/// the writes of a key.
fn check_no_acknowledged_write_is_lost(mode: &ModeRecord) {
    let mut writes: BTreeMap<_, Vec<(Time, Version)>> = BTreeMap::new();
    let of_kind = |kind| {
        let records = history(mode).iter();
        records.filter(move |record| record.operation.kind() == kind)
    };
    for record in of_kind(OperationKind::Write) {
        if let (Some(version), Some(at)) = (version(record), record.completed_at) {
            let of_key = writes.entry(record.operation.key()).or_default();
            assert!(of_key.iter().all(|&(_, other)| other != version));
            of_key.push((at, version));
        }
    }
    for record in of_kind(OperationKind::Read) {
        let (Some(seen), Some(sent_at)) = (version(record), record.sent_at) else {
            continue;
        };
        let acknowledged = writes.get(&record.operation.key()).into_iter().flatten();
        for &(at, written) in acknowledged {
            assert!(
                at >= sent_at || written <= seen,
                "{record:?} missed {written:?}"
            );
        }
    }
}

fn due_after(mode: &ModeRecord, at: Time) -> impl Iterator<Item = &OperationRecord> {
    history(mode)
        .iter()
        .filter(move |record| record.intended_at >= at)
}

fn of_region(records: &mut dyn Iterator<Item = &OperationRecord>, region: u16) -> (usize, usize) {
    let all: Vec<_> = records
        .filter(|record| record.region == RegionIndex(region))
        .collect();
    let succeeded = all.iter().filter(|record| record.outcome.is_ok()).count();
    (succeeded, all.len())
}

/// When all clients had found the leader that was elected last: it takes them three redirects, of
/// 20 ms and less each, and followers hear of it within 10 ms.
fn led_anew(mode: &ModeRecord) -> Time {
    assert!(mode.leaders.len() >= 2, "{:?}", mode.leaders);
    mode.leaders[mode.leaders.len() - 1].at + milliseconds(100)
}

fn end_of(fault: &FaultRecord) -> Time {
    fault.ended_at.expect("it ended")
}

#[test]
fn a_log_brings_back_every_acknowledged_write_when_all_replicas_die_at_once() {
    for mode in ["quorum:raft", "quorum:paxos"] {
        let crash = |region| fault(300, 100, replica(region), FaultKind::Crash);
        let order = Scenario {
            durability: Durability::Wal,
            ..broken(mode, 2300, ["a", "b", "c"].map(crash).to_vec())
        };
        let mode = run_one(&order);
        check_no_acknowledged_write_is_lost(&mode);
        for region in 0..3 {
            let (succeeded, due) = of_region(&mut due_after(&mode, led_anew(&mode)), region);
            assert!(
                due > 0 && succeeded == due,
                "{}: {succeeded} of {due}",
                mode.mode
            );
        }
    }
}

#[test]
fn what_a_dead_leader_was_asked_ends_at_once_and_another_takes_over() {
    let crash = fault(300, 400, FaultTarget::Leader, FaultKind::Crash);
    let mode = run_one(&broken("quorum:raft", 2200, vec![crash]));
    let hit = mode.faults[0];
    assert_eq!(hit.replica, Some(ReplicaId(0)));
    let lost = Outcome::Unknown(ErrorKind::ConnectionLost);
    let ends = history(&mode)
        .iter()
        .filter(|record| record.outcome == lost)
        .map(|record| (record.region, record.completed_at.expect("it ended")));
    let mut count = 0;
    for (region, at) in ends {
        count += 1;
        // The end of the connection is under way for 50 us, 5 ms or 10 ms.
        let one_way = Duration::from_micros([50, 5_000, 10_000][region.index()]);
        assert!(at >= hit.began_at + one_way, "{region:?} learned at {at:?}");
        // The time-out would be 10 s.
        assert!(at < hit.began_at + one_way + milliseconds(500));
    }
    // At 100/s, an operation from c is under way at every instant: it takes 20 ms and more.
    assert!(count > 0);
    check_no_acknowledged_write_is_lost(&mode);
    for region in 0..3 {
        let (succeeded, due) = of_region(&mut due_after(&mode, led_anew(&mode)), region);
        assert!(
            due > 0 && succeeded == due,
            "{succeeded} of {due} in {region}"
        );
    }
}

#[test]
fn a_replica_that_lost_its_memory_is_caught_up_before_it_serves() {
    let crash = fault(300, 200, replica("c"), FaultKind::Crash);
    let mode = run_one(&broken("eventual:lww", 1500, vec![crash]));
    let hit = mode.faults[0];
    // Nobody listens in c meanwhile: its clients are refused.
    let dead = |record: &&OperationRecord| {
        record.region == RegionIndex(2)
            && record.intended_at >= hit.began_at + milliseconds(5)
            && record.intended_at < end_of(&hit)
    };
    let refused = Outcome::Fail(ErrorKind::NotReady);
    let outcomes: Vec<_> = history(&mode).iter().filter(dead).collect();
    assert!(!outcomes.is_empty());
    assert!(outcomes.iter().all(|record| record.outcome == refused));
    // Connecting takes 20 ms and catching up some round trips; then it serves, and knows what
    // was written long before it died.
    let calm = end_of(&hit) + milliseconds(500);
    let (succeeded, due) = of_region(&mut due_after(&mode, calm), 2);
    assert!(due >= 40 && succeeded == due, "{succeeded} of {due}");
    let known: Vec<_> = history(&mode)
        .iter()
        .filter(|record| record.operation.kind() == OperationKind::Write)
        .filter(|record| {
            let at = record.completed_at;
            record.outcome.is_ok() && at.is_some_and(|at| at + milliseconds(100) < hit.began_at)
        })
        .map(|record| record.operation.key())
        .collect();
    for record in due_after(&mode, calm).filter(|record| record.region == RegionIndex(2)) {
        if let Outcome::Ok(OperationResult::Read { value, .. }) = &record.outcome {
            assert!(value.is_some() || !known.contains(&record.operation.key()));
        }
    }
}

#[test]
fn clients_leave_a_leader_that_is_cut_off_when_nothing_was_heard_for_the_time_out() {
    // The time-out is 1 s: the round trips are 20 ms and less.
    let partition = fault(100, 1900, replica("a"), FaultKind::Partition);
    let mode = run_one(&broken("quorum:raft", 2500, vec![partition]));
    let hit = mode.faults[0];
    check_no_acknowledged_write_is_lost(&mode);
    // What b and c asked of a ends with the connections.
    let lost = Outcome::Unknown(ErrorKind::ConnectionLost);
    let mut count = 0;
    for record in history(&mode)
        .iter()
        .filter(|record| record.outcome == lost)
    {
        count += 1;
        assert_ne!(record.region, RegionIndex(0));
        assert!(record.completed_at >= Some(hit.began_at + Duration::from_secs(1)));
    }
    assert!(count > 0);
    // From then on they find the other leader, while a is still apart.
    let from = led_anew(&mode).max(hit.began_at + milliseconds(1100));
    let apart = || due_after(&mode, from).filter(|record| record.intended_at < end_of(&hit));
    for region in 1..3 {
        let (succeeded, due) = of_region(&mut apart(), region);
        assert!(
            due > 0 && succeeded == due,
            "{succeeded} of {due} in {region}"
        );
    }
    // A connection stands a round trip after the partition, and a follows again.
    let (succeeded, due) = of_region(&mut due_after(&mode, end_of(&hit) + milliseconds(400)), 0);
    assert!(due > 0 && succeeded == due, "{succeeded} of {due}");
}

#[test]
fn a_short_partition_holds_frames_up_and_loses_nothing() {
    let target = FaultTarget::Link("b".to_owned(), "a".to_owned());
    let partition = fault(200, 300, target, FaultKind::Partition);
    let mode = run_one(&broken("leader-follower:async", 700, vec![partition]));
    let (succeeded, due) = of_region(&mut history(&mode).iter(), 1);
    assert_eq!((succeeded, due), (70, 70));
    let hit = mode.faults[0];
    let held = |record: &&OperationRecord| {
        record.region == RegionIndex(1)
            && record.operation.kind() == OperationKind::Write
            && record.sent_at > Some(hit.began_at)
            && record.sent_at < hit.ended_at
    };
    let held: Vec<_> = history(&mode).iter().filter(held).collect();
    assert!(!held.is_empty());
    for record in held {
        // It sets out when the link heals, and is answered 10 ms later.
        assert!(record.completed_at >= Some(end_of(&hit) + milliseconds(10)));
    }
}

#[test]
fn a_reset_costs_what_was_under_way_and_a_round_trip() {
    let reset = fault(200, 10, replica("a"), FaultKind::ConnectionReset);
    let mode = run_one(&broken("leader-follower:async", 700, vec![reset]));
    let hit = mode.faults[0];
    for record in history(&mode) {
        if record.outcome.is_ok() {
            continue;
        }
        assert_eq!(record.outcome, Outcome::Unknown(ErrorKind::ConnectionLost));
        assert!(record.intended_at < hit.began_at + milliseconds(100));
        assert!(record.completed_at >= Some(hit.began_at));
    }
    let (succeeded, due) = of_region(&mut due_after(&mode, hit.began_at + milliseconds(300)), 2);
    assert!(due > 0 && succeeded == due, "{succeeded} of {due}");
}

/// The latencies of a region's writes that were due in a fault's time but for its last part.
fn writes_during(mode: &ModeRecord, region: u16, last: Duration) -> impl Iterator<Item = Duration> {
    let hit = mode.faults[0];
    due_after(mode, hit.began_at)
        .filter(move |record| record.intended_at + last < end_of(&hit))
        .filter(move |record| record.region == RegionIndex(region))
        .filter(|record| record.operation.kind() == OperationKind::Write)
        .map(|record| {
            assert!(record.outcome.is_ok(), "{record:?}");
            let completed_at = record.completed_at.expect("it ended");
            completed_at.since(record.intended_at)
        })
}

#[test]
fn a_longer_link_a_lossy_link_and_a_slow_disk_show_in_what_depends_on_them() {
    let to_leader = || FaultTarget::Link("b".to_owned(), "a".to_owned());
    let added = milliseconds(50);
    let delay = fault(100, 300, to_leader(), FaultKind::LinkDelay { added });
    let mode = run_one(&broken("leader-follower:async", 500, vec![delay]));
    // One way of two takes 50 ms more: 60 ms instead of 10.
    let slowed: Vec<_> = writes_during(&mode, 1, Duration::ZERO).collect();
    assert!(slowed.len() > 5);
    assert!(slowed.iter().all(|&latency| latency >= milliseconds(60)));
    assert!(writes_during(&mode, 2, Duration::ZERO).any(|latency| latency < milliseconds(60)));

    let loss = fault(100, 300, to_leader(), FaultKind::LinkLoss { loss: 0.2 });
    let mode = run_one(&broken("leader-follower:async", 500, vec![loss]));
    // A retransmission takes 200 ms and more; of some 15 writes and as many reads on the link 6
    // are lost in the mean, and none in one run of 800. This seed loses some.
    let longest = writes_during(&mode, 1, Duration::ZERO).max();
    assert!(longest >= Some(milliseconds(200)), "{longest:?}");

    let disk = fault(100, 300, FaultTarget::Leader, FaultKind::SlowDisk { added });
    let order = Scenario {
        durability: Durability::Wal,
        ..broken("leader-follower:async", 500, vec![disk])
    };
    let mode = run_one(&order);
    // A write waits for the sync under way, if there is one, and then its own begins: in the
    // fault's time if the write was due 50 ms before its end.
    let slowed: Vec<_> = writes_during(&mode, 0, added).collect();
    assert!(slowed.len() > 5);
    assert!(slowed.iter().all(|&latency| latency >= added), "{slowed:?}");
}

#[test]
fn a_slow_replica_answers_later() {
    let factor = 100.0;
    let slow = fault(
        300,
        300,
        FaultTarget::Leader,
        FaultKind::SlowReplica { factor },
    );
    let mode = run_one(&broken("leader-follower:async", 700, vec![slow]));
    let least = |records: &mut dyn Iterator<Item = &OperationRecord>| {
        let at_leader = records.filter(|record| record.region == RegionIndex(0));
        at_leader
            .filter_map(|record| Some(record.completed_at?.since(record.intended_at)))
            .min()
            .expect("some were due")
    };
    let hit = mode.faults[0];
    let before = history(&mode).iter();
    let before = least(&mut before.filter(|record| record.completed_at < Some(hit.began_at)));
    let during = due_after(&mode, hit.began_at);
    let during = least(&mut during.filter(|record| record.intended_at < end_of(&hit)));
    // What the leader computes for one operation is more than a hundredth of its latency in its
    // own region, 100 us of which are the link's.
    assert!(during > 2 * before, "{during:?} after {before:?}");
}

#[test]
fn a_clock_that_jumps_ahead_shows_in_the_versions_that_its_replica_gives() {
    let by = "2s".parse().expect("it is a shift");
    let jump = fault(300, 200, replica("b"), FaultKind::ClockJump { by });
    let mode = run_one(&broken("eventual:lww", 600, vec![jump]));
    let hit = mode.faults[0];
    // A version's first part is a hybrid clock's reading: microseconds above 12 bits.
    let reading = |record: &OperationRecord| version(record).map(|version| version.major >> 12);
    let writes = || {
        let writes = |record: &&OperationRecord| record.operation.kind() == OperationKind::Write;
        history(&mode).iter().filter(writes)
    };
    let before = writes().filter(|record| record.completed_at < Some(hit.began_at));
    let latest = before.filter_map(reading).max();
    let during = writes().filter(|record| {
        record.region == RegionIndex(1)
            && record.sent_at > Some(hit.began_at)
            && record.completed_at < hit.ended_at
    });
    let earliest = during.filter_map(reading).min();
    // All hosts read one clock when they start, at most some milliseconds apart from each other.
    let (latest, earliest) = latest.zip(earliest).expect("there were writes");
    assert!(earliest >= latest + 1_990_000, "{earliest} after {latest}");
}

#[test]
fn faults_that_outlast_the_run_are_torn_down_with_it() {
    let minute = 60_000;
    let faults = vec![
        fault(100, minute, replica("a"), FaultKind::Pause),
        fault(100, minute, replica("b"), FaultKind::Crash),
        fault(100, minute, replica("c"), FaultKind::Partition),
        fault(
            100,
            minute,
            replica("c"),
            FaultKind::SlowReplica { factor: 2.0 },
        ),
    ];
    let mut order = Scenario {
        durability: Durability::Wal,
        ..broken("eventual:lww", 300, faults)
    };
    order.durations.drain = milliseconds(100);
    let record = run(&order);
    let ends: Vec<_> = record.modes[0]
        .faults
        .iter()
        .map(|fault| fault.ended_at)
        .collect();
    assert_eq!(ends, [None; 4]);
}
