//! Every kind of fault, on a primary that waits for a majority.
//!
//! The primary is b. One-way delays in milliseconds: a to b 10.1 and back 12.4, b to c 25.9 and
//! back 27.2, b to d 50.6 and back 49.9, and 0.3 within b. A majority of five is the primary, a
//! (a round trip of 22.5) and c (53.1). A few nanoseconds tell the links apart, so that sums are
//! taken from the topology.

mod toy;
mod world;

use std::sync::Arc;
use std::time::Duration;

use longhaul_experiment::fault::{FaultAction, FaultPlan};
use longhaul_experiment::scenario::Durability;
use longhaul_experiment::service::ServiceTimes;
use longhaul_experiment::{
    Backend, ErrorKind, Fault, FaultKind, FaultTarget, Key, LinkId, Operation, OperationResult,
    Outcome, RegionIndex, ReplicaId, RunRecord, Seed, Time,
};
use longhaul_sim::SimBackend;
use longhaul_sim::simulation::{
    ClientAddress, Occurrence, OccurrenceKind, Simulation, SimulationOptions,
};

use toy::Toy;
use world::{answers, ask, floor, ready, request, scenario, submit, topology, write, write_path};

const A: RegionIndex = RegionIndex(0);
const B: RegionIndex = RegionIndex(1);
const C: RegionIndex = RegionIndex(2);
const PRIMARY: ReplicaId = ReplicaId(1);

fn toy(durability: Durability) -> Simulation<Toy> {
    ready(Toy, &"test:toy".parse().unwrap(), durability)
}

fn link(from: RegionIndex, to: RegionIndex) -> LinkId {
    LinkId { from, to }
}

fn one_way(simulation: &Simulation<Toy>, from: RegionIndex, to: RegionIndex) -> Duration {
    simulation.topology().profile.link(link(from, to)).one_way
}

fn round_trip(simulation: &Simulation<Toy>, a: RegionIndex, b: RegionIndex) -> Duration {
    simulation.topology().profile.round_trip(a, b)
}

fn write_floor(simulation: &Simulation<Toy>, client: RegionIndex) -> Duration {
    floor(&write_path(simulation), client, simulation.topology())
}

/// Sends one write from a region, now, and returns how long its answer took.
fn time_write(
    simulation: &mut Simulation<Toy>,
    client: RegionIndex,
    sequence: u64,
) -> Option<Duration> {
    let start = simulation.now();
    submit(simulation, client, sequence, write(sequence, sequence));
    let answers = answers(simulation, start + Duration::from_secs(5));
    answers.first().map(|(_, _, at)| at.since(start))
}

fn run_for(simulation: &mut Simulation<Toy>, milliseconds: u64) -> Time {
    let until = simulation.now() + Duration::from_millis(milliseconds);
    simulation.run_until(until);
    until
}

fn occurrences(simulation: &mut Simulation<Toy>) -> Vec<Occurrence> {
    std::iter::from_fn(|| simulation.next_occurrence()).collect()
}

fn read(simulation: &mut Simulation<Toy>, sequence: u64) -> Option<Vec<u8>> {
    let read = Operation::Read { key: Key(0) };
    match ask(simulation, B, sequence, read) {
        Outcome::Ok(OperationResult::Read { value, .. }) => value.map(|value| value.to_vec()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_restarted_replica_is_connected_after_a_round_trip() {
    let mut simulation = toy(Durability::Wal);
    simulation.suffer(FaultAction::Crash(PRIMARY));
    run_for(&mut simulation, 1000);
    simulation.suffer(FaultAction::Restart(PRIMARY));
    // c is connected after 53.1 ms, is sent the write then, and acknowledges it after 53.1 ms
    // more; a is long done by then. The answer takes 0.3 ms within b.
    let expected = 2 * round_trip(&simulation, B, C) + one_way(&simulation, B, B);
    assert_eq!(time_write(&mut simulation, B, 0), Some(expected));
}

#[test]
fn a_crash_takes_what_was_in_memory_and_leaves_what_was_synced() {
    for (durability, is_kept) in [(Durability::Memory, false), (Durability::Wal, true)] {
        let mut simulation = toy(durability);
        assert!(time_write(&mut simulation, B, 0).is_some());
        simulation.suffer(FaultAction::Crash(PRIMARY));
        run_for(&mut simulation, 1000);
        simulation.suffer(FaultAction::Restart(PRIMARY));
        occurrences(&mut simulation);
        if is_kept {
            // The primary executes its log when it hears that a majority has stored it.
            assert!(time_write(&mut simulation, B, 1).is_some());
        }
        let found = read(&mut simulation, 2).is_some();
        assert_eq!(found, is_kept, "{durability:?}");
    }
}

#[test]
fn a_paused_replica_finds_what_came_meanwhile() {
    let mut simulation = toy(Durability::Memory);
    simulation.suffer(FaultAction::Pause(PRIMARY));
    let start = simulation.now();
    submit(&mut simulation, B, 0, write(0, 0));
    let resumed = run_for(&mut simulation, 700);
    simulation.suffer(FaultAction::Resume(PRIMARY));
    // The request came after 0.3 ms; the majority takes 53.1 ms from the resumption.
    let expected = resumed + round_trip(&simulation, B, C) + one_way(&simulation, B, B);
    let answers = answers(&mut simulation, start + Duration::from_secs(3));
    assert_eq!(answers[0].2, expected);
}

#[test]
fn a_cut_shorter_than_the_time_out_delays_and_loses_nothing() {
    let mut simulation = toy(Durability::Memory);
    let start = simulation.now();
    simulation.suffer(FaultAction::CutLink(link(B, A)));
    submit(&mut simulation, A, 0, write(0, 0));
    // The other direction carries the request, and c and d make the majority; the answer waits at
    // b until the link heals.
    let healed = run_for(&mut simulation, 900);
    simulation.suffer(FaultAction::HealLink(link(B, A)));
    let expected = healed + one_way(&simulation, B, A);
    let answers = answers(&mut simulation, start + Duration::from_secs(3));
    assert_eq!(answers[0].2, expected);
}

#[test]
fn a_cut_longer_than_the_time_out_ends_connections_in_both_directions() {
    let mut simulation = toy(Durability::Memory);
    let start = simulation.now();
    let second = Duration::from_secs(1);
    simulation.suffer(FaultAction::CutLink(link(A, B)));
    run_for(&mut simulation, 500);
    submit(&mut simulation, A, 0, write(0, 0));
    run_for(&mut simulation, 700);
    // Ten round trips of 22.5 ms are under a second, so a second is what clients bear.
    let lost = OccurrenceKind::ConnectionLost {
        region: A,
        connection: None,
        replica: PRIMARY,
    };
    let seen = occurrences(&mut simulation);
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].at, &seen[0].kind), (start + second, &lost));

    // Sent at 1.2 s: it waits for the connection for a second, and was sent to nobody.
    submit(&mut simulation, A, 1, write(1, 1));
    let given_up = answers(&mut simulation, start + Duration::from_millis(2300));
    assert_eq!(given_up.len(), 1);
    let refused = Outcome::Fail(ErrorKind::NotReady);
    let expected = start + Duration::from_millis(1200) + second;
    assert_eq!((&given_up[0].1, given_up[0].2), (&refused, expected));

    // Sent at 2.3 s and healed at 3 s: the connection is up after a round trip, and then the write
    // takes what writes from a take. The first request is never answered.
    submit(&mut simulation, A, 2, write(2, 2));
    let healed = run_for(&mut simulation, 700);
    simulation.suffer(FaultAction::HealLink(link(A, B)));
    let expected = healed + round_trip(&simulation, A, B) + write_floor(&simulation, A);
    let answered = answers(&mut simulation, start + 9 * second);
    assert_eq!(answered.len(), 1);
    assert_eq!((answered[0].0.sequence, answered[0].2), (2, expected));
}

#[test]
fn replicas_apart_for_longer_than_the_time_out_catch_up_over_a_new_connection() {
    let mut simulation = toy(Durability::Memory);
    let start = simulation.now();
    // Only e stays with the primary: two of five are no majority.
    let apart = [A, C, RegionIndex(3)];
    for region in apart {
        simulation.suffer(FaultAction::CutLink(link(B, region)));
    }
    submit(&mut simulation, B, 0, write(0, 0));
    // The appends are lost when the connections end, after 1 s and, for d, 10 x 100.5 ms.
    let healed = run_for(&mut simulation, 2000);
    for region in apart {
        simulation.suffer(FaultAction::HealLink(link(B, region)));
    }
    // e has it already; a is connected after 22.5 ms, is sent the log then, and acknowledges it
    // after 22.5 ms more.
    let expected = healed + 2 * round_trip(&simulation, B, A) + one_way(&simulation, B, B);
    let answers = answers(&mut simulation, start + Duration::from_secs(5));
    assert_eq!(answers[0].2, expected);
}

#[test]
fn a_slower_link_delays_by_what_was_added() {
    let mut simulation = toy(Durability::Memory);
    let floor = write_floor(&simulation, B);
    let added = Duration::from_millis(40);
    let slower = link(B, C);
    assert_eq!(time_write(&mut simulation, B, 0), Some(floor));
    simulation.suffer(FaultAction::LinkDelay {
        link: slower,
        added,
    });
    // c now acknowledges after 53.1 + 40 = 93.1 ms, still before d (100.5).
    assert_eq!(time_write(&mut simulation, B, 1), Some(floor + added));
    let added = Duration::ZERO;
    simulation.suffer(FaultAction::LinkDelay {
        link: slower,
        added,
    });
    // What was sent before the change still goes first.
    run_for(&mut simulation, 100);
    assert_eq!(time_write(&mut simulation, B, 2), Some(floor));
}

#[test]
fn a_lossy_link_costs_retransmissions() {
    let mut simulation = toy(Durability::Memory);
    let floor = write_floor(&simulation, A);
    assert_eq!(time_write(&mut simulation, A, 0), Some(floor));
    let lossy = link(A, B);
    let loss = 0.25;
    simulation.suffer(FaultAction::LinkLoss { link: lossy, loss });
    let writes = 200;
    let (mut delayed, mut given_up) = (0, 0);
    for sequence in 1..=writes {
        let start = simulation.now();
        submit(&mut simulation, A, sequence, write(0, sequence));
        let answers = answers(&mut simulation, start + Duration::from_secs(20));
        // A lone request whose first n transmissions are lost waits for the time-out of
        // 22.5 + 200 ms and its doublings: 222.5 ms x (2^n - 1). When a's acknowledgement is lost,
        // that of d completes the majority, 100.5 - 53.1 ms later than that of c.
        let later = round_trip(&simulation, B, RegionIndex(3)) - round_trip(&simulation, B, C);
        let timeout = round_trip(&simulation, A, B) + Duration::from_millis(200);
        let Some(answer) = answers.first() else {
            given_up += 1;
            continue;
        };
        let waited = answer.2.since(start) - floor;
        let waits = |lost: &u32| timeout * ((1 << lost) - 1);
        // The third time-out ends after 1557 ms, and patience after a second.
        let lost = (0..=2).find(|lost| [waits(lost), waits(lost) + later].contains(&waited));
        delayed += u64::from(lost.unwrap_or_else(|| panic!("{waited:?}")) > 0);
    }
    // A quarter of 200 with a standard deviation of 6.1: within four of them.
    assert!(delayed.abs_diff(writes / 4) <= 24, "{delayed}");
    // 1 in 64 of 200, three in the mean, is lost three times: none with a probability of 4%, more
    // than 9 with one of 0.2%.
    assert!((1..=9).contains(&given_up), "{given_up}");
    let loss = 0.0;
    simulation.suffer(FaultAction::LinkLoss { link: lossy, loss });
    run_for(&mut simulation, 600_000);
    assert_eq!(time_write(&mut simulation, A, writes + 1), Some(floor));
}

#[test]
fn a_connection_that_loses_too_much_is_given_up_alone() {
    let mut simulation = toy(Durability::Memory);
    let floor = write_floor(&simulation, A);
    let own = |connection| ClientAddress {
        region: A,
        connection,
    };
    let lossy = link(A, B);
    simulation.suffer(FaultAction::LinkLoss {
        link: lossy,
        loss: 0.999_999,
    });
    let start = simulation.now();
    simulation.submit(start, own(0), PRIMARY, request(A, 0, write(0, 0)));
    // Once the link is clean again, another connection of the region does not notice.
    let clean = run_for(&mut simulation, 10);
    simulation.suffer(FaultAction::LinkLoss {
        link: lossy,
        loss: 0.0,
    });
    simulation.submit(clean, own(1), PRIMARY, request(C, 0, write(1, 1)));
    // Ten round trips of 22.5 ms are less than the least patience of a second.
    let given_up = start + Duration::from_secs(1);
    simulation.run_until(given_up);
    let told = occurrences(&mut simulation);
    let lost = OccurrenceKind::ConnectionLost {
        region: A,
        connection: Some(0),
        replica: PRIMARY,
    };
    assert_eq!(told.len(), 2);
    assert!(matches!(told[0].kind, OccurrenceKind::Reply { client, .. } if client == own(1)));
    assert_eq!(told[0].at, clean + floor);
    assert_eq!((told[1].at, &told[1].kind), (given_up, &lost));
    // It is up again after a round trip, and the first request is lost.
    simulation.submit(given_up, own(0), PRIMARY, request(A, 1, write(0, 2)));
    let answers = answers(&mut simulation, given_up + Duration::from_secs(2));
    assert_eq!(answers.len(), 1);
    let expected = given_up + round_trip(&simulation, A, B) + floor;
    assert_eq!((answers[0].0.sequence, answers[0].2), (1, expected));
}

#[test]
fn replicas_whose_connection_was_given_up_connect_anew() {
    let mut simulation = toy(Durability::Wal);
    let floor = write_floor(&simulation, B);
    let lossy = link(B, C);
    let (loss, none) = (0.999_999, 0.0);
    simulation.suffer(FaultAction::LinkLoss { link: lossy, loss });
    // Without c the primary waits for d.
    let with_d = round_trip(&simulation, B, RegionIndex(3)) + round_trip(&simulation, B, B);
    assert_eq!(time_write(&mut simulation, B, 0), Some(with_d));
    simulation.suffer(FaultAction::LinkLoss {
        link: lossy,
        loss: none,
    });
    // Whatever was sent on the lossy link is given up within a second, and a round trip later c is
    // connected for good.
    run_for(&mut simulation, 2_000);
    assert_eq!(time_write(&mut simulation, B, 1), Some(floor));
}

#[test]
fn a_frame_that_leaves_after_its_link_healed_is_not_sent_before() {
    let mut simulation = toy(Durability::Memory);
    let factor = 1001.0;
    simulation.suffer(FaultAction::Slow {
        replica: PRIMARY,
        factor,
    });
    // The primary takes 20 ms for each of two batches (as above): the answer leaves at the end of
    // the second, long after it was handed to the link to a, which is cut and healed meanwhile.
    let expected = write_floor(&simulation, A) + 2 * Duration::from_millis(20);
    let start = simulation.now();
    submit(&mut simulation, A, 0, write(0, 0));
    let known_to_c = one_way(&simulation, A, B) + Duration::from_millis(20);
    let handed_over = start + known_to_c + round_trip(&simulation, B, C);
    simulation.run_until(handed_over - Duration::from_millis(1));
    simulation.suffer(FaultAction::CutLink(link(B, A)));
    simulation.run_until(handed_over + Duration::from_millis(1));
    simulation.suffer(FaultAction::HealLink(link(B, A)));
    let answers = answers(&mut simulation, start + Duration::from_secs(1));
    assert_eq!(answers[0].2.since(start), expected);
}

#[test]
fn a_fast_clock_has_its_timers_early_and_both_readings_ahead() {
    let options = SimulationOptions {
        clocks_faster_ppm: vec![0, 250_000],
        ..SimulationOptions::default()
    };
    let mut simulation = Simulation::new(Toy, Arc::new(topology()), Seed(1), options);
    simulation.run_until(Time::from_millis(4_000));
    let (true_clock, fast) = (simulation.clocks(ReplicaId(0)), simulation.clocks(PRIMARY));
    assert_eq!(true_clock.monotonic, Time::from_millis(4_000));
    // A quarter of 4 s ahead.
    assert_eq!(fast.monotonic, Time::from_millis(5_000));
    assert_eq!(fast.wall.0 - true_clock.wall.0, 1_000_000_000);
}

#[test]
fn a_slow_replica_takes_longer_for_every_batch() {
    let mut simulation = toy(Durability::Memory);
    let floor = write_floor(&simulation, B);
    // 20 us a batch, 1001 times as long: 20 ms more.
    let slow = |factor| FaultAction::Slow {
        replica: PRIMARY,
        factor,
    };
    let added = Duration::from_millis(20);
    simulation.suffer(slow(1001.0));
    // On the way of a write the primary handles its request and c's acknowledgement; the one of a
    // comes 30.6 ms before that of c and is done with by then.
    assert_eq!(time_write(&mut simulation, B, 0), Some(floor + 2 * added));
    simulation.suffer(slow(1.0));
    run_for(&mut simulation, 100);
    assert_eq!(time_write(&mut simulation, B, 1), Some(floor));
}

#[test]
fn a_slow_disk_makes_every_sync_longer() {
    let sync_delay = Duration::from_millis(3);
    let options = SimulationOptions {
        durability: Durability::Wal,
        service: ServiceTimes::of_syncs(sync_delay),
        ..SimulationOptions::default()
    };
    let mut simulation = Simulation::new(Toy, Arc::new(topology()), Seed(1), options);
    simulation.run_until(Time::from_millis(1));
    let slow_disk = |added| FaultAction::SlowDisk {
        replica: PRIMARY,
        added,
    };
    let added = Duration::from_millis(100);
    simulation.suffer(slow_disk(added));
    // The followers have synced after 53.1 + 3 ms, the primary after 103 ms, and it answers only
    // then.
    let expected = round_trip(&simulation, B, B) + sync_delay + added;
    assert_eq!(time_write(&mut simulation, B, 0), Some(expected));
    simulation.suffer(slow_disk(Duration::ZERO));
    let floor = write_floor(&simulation, B);
    assert_eq!(time_write(&mut simulation, B, 1), Some(floor + sync_delay));
}

#[test]
fn a_sync_never_ends_before_an_earlier_one() {
    let mut simulation = toy(Durability::Wal);
    let slow_disk = |added| FaultAction::SlowDisk {
        replica: PRIMARY,
        added,
    };
    let start = simulation.now();
    simulation.suffer(slow_disk(Duration::from_millis(200)));
    submit(&mut simulation, B, 0, write(0, 0));
    run_for(&mut simulation, 100);
    simulation.suffer(slow_disk(Duration::ZERO));
    submit(&mut simulation, B, 1, write(0, 1));
    // Both are safe when the first is, after 0.3 + 200 ms; c acknowledged the second at
    // 0.3 + 100 + 53.1.
    let expected = start + Duration::from_millis(200) + round_trip(&simulation, B, B);
    let answers = answers(&mut simulation, start + Duration::from_secs(3));
    let ends: Vec<Time> = answers.iter().map(|(_, _, at)| *at).collect();
    assert_eq!(ends, [expected, expected]);
}

#[test]
fn a_clock_jump_moves_the_wall_clock_alone_and_back() {
    let mut simulation = toy(Durability::Memory);
    let before = simulation.clocks(PRIMARY);
    simulation.set_wall_offset(PRIMARY, 1_000);
    let jump = |milliseconds: i64| FaultAction::ClockShift {
        replica: PRIMARY,
        by: longhaul_experiment::fault::ClockShift(milliseconds * 1_000_000),
    };
    simulation.suffer(jump(-500));
    let during = simulation.clocks(PRIMARY);
    assert_eq!(during.monotonic, before.monotonic);
    // Its own error of 1 us and the jump add up, and the error stays when the jump ends.
    assert_eq!(during.wall.0 + 500_000_000, before.wall.0 + 1_000);
    assert_eq!(simulation.clocks(ReplicaId(0)), before);
    simulation.suffer(jump(0));
    assert_eq!(simulation.clocks(PRIMARY).wall.0, before.wall.0 + 1_000);
    simulation.set_wall_offset(PRIMARY, 0);
    assert_eq!(simulation.clocks(PRIMARY), before);
}

#[test]
fn a_reset_loses_what_is_under_way_and_lasts_a_round_trip_at_least() {
    // Ended at once, after a round trip of 22.5 ms; and after the 300 ms that it lasts.
    for lasts_ms in [0, 300] {
        let mut simulation = toy(Durability::Memory);
        submit(&mut simulation, A, 0, write(0, 0));
        // On its way of 10.1 ms.
        let reset = run_for(&mut simulation, 5);
        simulation.suffer(FaultAction::EndConnections { a: A, b: B });
        let told = occurrences(&mut simulation);
        assert_eq!(told.len(), 1);
        let lost = OccurrenceKind::ConnectionLost {
            region: A,
            connection: None,
            replica: PRIMARY,
        };
        assert_eq!((told[0].at, &told[0].kind), (reset, &lost));
        submit(&mut simulation, A, 1, write(1, 1));
        run_for(&mut simulation, lasts_ms);
        simulation.suffer(FaultAction::RestoreConnections { a: A, b: B });
        let down_for = round_trip(&simulation, A, B).max(Duration::from_millis(lasts_ms));
        let expected = reset + down_for + write_floor(&simulation, A);
        let answers = answers(&mut simulation, reset + Duration::from_secs(3));
        assert_eq!(answers.len(), 1, "the first request was lost");
        assert_eq!((answers[0].0.sequence, answers[0].2), (1, expected));
    }
}

#[test]
fn a_replica_that_restarts_behind_a_cut_link_is_connected_when_it_heals() {
    let mut simulation = toy(Durability::Wal);
    let start = simulation.now();
    let others = [0, 2, 3, 4].map(RegionIndex);
    for region in others {
        simulation.suffer(FaultAction::CutLink(link(region, B)));
    }
    run_for(&mut simulation, 100);
    simulation.suffer(FaultAction::Crash(PRIMARY));
    run_for(&mut simulation, 100);
    simulation.suffer(FaultAction::Restart(PRIMARY));
    submit(&mut simulation, B, 0, write(0, 0));
    let healed = run_for(&mut simulation, 300);
    for region in others {
        simulation.suffer(FaultAction::HealLink(link(region, B)));
    }
    // As after a restart without a cut, from the healing on: connected and acknowledged by c after
    // a round trip each.
    let expected = healed + 2 * round_trip(&simulation, B, C) + one_way(&simulation, B, B);
    let answers = answers(&mut simulation, start + Duration::from_secs(5));
    assert_eq!(answers[0].2, expected);
}

fn fault(kind: FaultKind, target: FaultTarget, at_ms: u64, lasts_ms: u64) -> Fault {
    Fault {
        at: Duration::from_millis(at_ms),
        lasts: Duration::from_millis(lasts_ms),
        target,
        kind,
    }
}

fn named(region: &str) -> String {
    region.to_owned()
}

/// All kinds, overlapping, within 4 s.
fn all_faults() -> Vec<Fault> {
    let leader = || FaultTarget::Leader;
    let replica = |region| FaultTarget::Replica(named(region));
    let pair = |a, b| FaultTarget::Pair(named(a), named(b));
    let milliseconds = Duration::from_millis;
    let by = longhaul_experiment::fault::ClockShift(-300_000_000);
    let added = milliseconds(30);
    vec![
        fault(FaultKind::SlowReplica { factor: 50.0 }, leader(), 100, 500),
        fault(FaultKind::LinkLoss { loss: 0.1 }, pair("a", "b"), 200, 900),
        fault(FaultKind::Pause, replica("c"), 300, 400),
        fault(FaultKind::ConnectionReset, replica("a"), 500, 10),
        fault(FaultKind::Crash, leader(), 700, 900),
        fault(FaultKind::SlowDisk { added }, replica("d"), 800, 1000),
        fault(FaultKind::ClockJump { by }, replica("e"), 900, 800),
        fault(FaultKind::LinkDelay { added }, replica("e"), 1000, 900),
        fault(FaultKind::Partition, leader(), 1800, 1500),
        fault(FaultKind::Crash, replica("e"), 2000, 300),
    ]
}

fn run(mode: &str, faults: Vec<Fault>, seed: u64) -> RunRecord {
    let mut scenario = scenario(&mode.parse().unwrap(), &[0, 1, 4], 50.0);
    scenario.durability = Durability::Wal;
    scenario.faults = faults;
    scenario.keep_history = true;
    SimBackend::default().run(&scenario, Seed(seed)).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_record_under_all_faults() {
    for mode in ["quorum:raft", "eventual:lww"] {
        let record = run(mode, all_faults(), 3);
        let printed = format!("{record:?}");
        assert!(
            printed == format!("{:?}", run(mode, all_faults(), 3)),
            "{mode}"
        );
        for region in &record.modes[0].regions {
            for counts in region.kinds.values() {
                assert_eq!(counts.ok + counts.failed + counts.unknown, counts.due);
            }
        }
        let calm = run(mode, Vec::new(), 3);
        let histories = [&record, &calm].map(|record| format!("{:?}", record.modes[0].history));
        assert!(histories[0] != histories[1], "{mode}");
    }
}

/// Six faults of any kind within 3 s.
fn some_faults(seed: u64) -> Vec<Fault> {
    // A multiplicative generator (Lehmer's) is random enough to choose faults.
    let mut state = (seed + 1) * 48_271 % 0x7fff_ffff;
    let mut below = |bound: u64| {
        state = state * 48_271 % 0x7fff_ffff;
        state % bound
    };
    let kinds: Vec<FaultKind> = all_faults().iter().map(|fault| fault.kind).collect();
    let names = ["a", "b", "c", "d", "e"];
    (0..6)
        .map(|_| {
            let kind = kinds[below(kinds.len() as u64) as usize];
            let one = below(5) as usize;
            let other = (one + 1 + below(4) as usize) % 5;
            let (one, other) = (named(names[one]), named(names[other]));
            let target = match below(3) {
                _ if kind.is_of_replica() => FaultTarget::Replica(one),
                0 => FaultTarget::Regions(vec![one, other]),
                1 => FaultTarget::Pair(one, other),
                _ => FaultTarget::Replica(one),
            };
            fault(kind, target, below(2000), 1 + below(1500))
        })
        .collect()
}

#[test]
fn after_any_faults_a_write_takes_what_it_always_takes() {
    for seed in 0..40 {
        let mut simulation = toy(Durability::Wal);
        let start = simulation.now();
        let faults = some_faults(seed);
        let mut plan = FaultPlan::new(&faults, simulation.topology(), start).unwrap();
        let mut sequence = 0;
        for position in 0..plan.steps().len() {
            simulation.run_until(plan.steps()[position].at);
            for command in plan.take_step(position, None) {
                simulation.suffer(command.action);
            }
            submit(&mut simulation, A, sequence, write(0, sequence));
            sequence += 1;
        }
        // The longest silence time-out is 10 x 179 ms; clients that waited, appends that were lost
        // and their acknowledgements have come by then.
        run_for(&mut simulation, 5000);
        occurrences(&mut simulation);
        let floor = write_floor(&simulation, A);
        let took = time_write(&mut simulation, A, sequence);
        assert_eq!(took, Some(floor), "seed {seed}: {faults:?}");
    }
}

#[test]
fn clients_outlast_the_partition_of_their_leader() {
    // The leader's region is apart from 0.5 s to 3 s of 4 s. Clients in a lose it at 1.5 s, wait
    // for it until 2.5 s, and then ask another replica, which knows or is the new leader.
    let partition = fault(FaultKind::Partition, FaultTarget::Leader, 500, 2500);
    let record = run("quorum:raft", vec![partition], 5);
    let mode = &record.modes[0];
    assert!(mode.leaders.len() >= 2, "another replica leads meanwhile");
    let history = mode.history.as_ref().expect("it was kept");
    let late = mode.window_start + Duration::from_millis(3500);
    let due_late = || history.iter().filter(|record| record.intended_at >= late);
    // Half a second at 50 a second in three regions.
    assert!(due_late().count() >= 72);
    assert!(due_late().all(|record| record.outcome.is_ok()));
    let before_its_end = mode.window_start + Duration::from_millis(2900);
    let served = history.iter().any(|record| {
        record.outcome.is_ok()
            && record.replica != ReplicaId(1)
            && record.completed_at.is_some_and(|at| at < before_its_end)
    });
    assert!(served);
}
