//! The event loop itself, on a primary that waits for a majority.

mod toy;
mod world;

use std::sync::Arc;
use std::time::Duration;

use longhaul_experiment::scenario::Durability;
use longhaul_experiment::service::ServiceTimes;
use longhaul_experiment::{
    LinkId, ModeSpec, Operation, OperationKind, OperationResult, Outcome, RegionIndex, ReplicaId,
    Seed, Time,
};
use longhaul_sim::explain::{ExplainOrder, Station, explain_mode};
use longhaul_sim::simulation::{Batching, OccurrenceKind, Simulation, SimulationOptions, Verdict};
use longhaul_sim::trace::{TraceEvent, TraceKind};

use toy::{Message, Toy};
use world::{
    answers, ask, floor, ready, submit, topology, topology_with_jitter, write, write_path,
};

const B: RegionIndex = RegionIndex(1);
const PRIMARY: ReplicaId = ReplicaId(1);

fn spec() -> ModeSpec {
    "test:toy".parse().unwrap()
}

fn toy(durability: Durability) -> Simulation<Toy> {
    ready(Toy, &spec(), durability)
}

/// Sends one write from region b, now, and returns how long its answer took.
fn time_write(simulation: &mut Simulation<Toy>, sequence: u64) -> Option<Duration> {
    let start = simulation.now();
    submit(simulation, B, sequence, write(sequence, sequence));
    let answers = answers(simulation, start + Duration::from_secs(5));
    answers.first().map(|(_, _, at)| at.since(start))
}

fn write_floor(simulation: &Simulation<Toy>) -> Duration {
    floor(&write_path(simulation), B, simulation.topology())
}

#[test]
fn messages_of_a_connection_stay_in_order_under_jitter() {
    let topology = Arc::new(topology_with_jitter());
    let options = SimulationOptions::default();
    let mut simulation = Simulation::new(Toy, topology, Seed(3), options);
    simulation.run_until(Time::from_millis(1));
    simulation.start_trace();
    for sequence in 0..500 {
        submit(&mut simulation, B, sequence, write(sequence, sequence));
        let next = simulation.now() + Duration::from_micros(200);
        simulation.run_until(next);
    }
    simulation.run_until(Time::from_millis(5000));
    let trace = simulation.take_trace();
    for follower in [0, 2, 3, 4].map(ReplicaId) {
        let causes: Vec<_> = trace
            .iter()
            .filter(|event| {
                matches!(event.kind, TraceKind::Delivered { from, to, .. }
                    if from == PRIMARY && to == follower)
            })
            .map(|event| event.cause)
            .collect();
        assert!(
            causes.len() >= 1000,
            "an append and an execute for every write"
        );
        assert!(causes.is_sorted(), "{follower}");
    }
}

#[test]
fn a_sync_adds_its_time_once_to_a_write_that_syncs_in_parallel() {
    let sync_delay = Duration::from_millis(3);
    let options = SimulationOptions {
        durability: Durability::Wal,
        service: ServiceTimes::of_syncs(sync_delay),
        ..SimulationOptions::default()
    };
    let mut simulation = Simulation::new(Toy, Arc::new(topology()), Seed(1), options);
    simulation.run_until(Time::from_millis(1));
    let floor = write_floor(&simulation);
    assert_eq!(time_write(&mut simulation, 0), Some(floor + sync_delay));
}

#[test]
fn records_that_were_not_synced_die_with_the_process() {
    let options = SimulationOptions {
        durability: Durability::Wal,
        service: ServiceTimes::of_syncs(Duration::from_millis(100)),
        ..SimulationOptions::default()
    };
    let mut simulation = Simulation::new(Toy, Arc::new(topology()), Seed(1), options);
    simulation.run_until(Time::from_millis(1));
    submit(&mut simulation, B, 0, write(0, 0));
    // The request arrives after 0.3 ms and would be synced after 100 ms.
    simulation.run_until(Time::from_millis(50));
    for id in [0, 1, 2, 3, 4].map(ReplicaId) {
        simulation.crash(id);
    }
    simulation.run_until(Time::from_millis(500));
    for id in [0, 1, 2, 3, 4].map(ReplicaId) {
        simulation.restart(id);
    }
    simulation.run_until(Time::from_millis(2000));
    while simulation.next_occurrence().is_some() {}
    let read = ask(
        &mut simulation,
        B,
        1,
        Operation::Read {
            key: longhaul_experiment::Key(0),
        },
    );
    let Outcome::Ok(OperationResult::Read { value, .. }) = read else {
        panic!("{read:?}")
    };
    assert_eq!(value, None);
}

#[test]
fn what_was_synced_outlives_the_crash_of_all_replicas() {
    let mut simulation = toy(Durability::Wal);
    assert!(time_write(&mut simulation, 0).is_some());
    for id in [0, 1, 2, 3, 4].map(ReplicaId) {
        simulation.crash(id);
    }
    let later = simulation.now() + Duration::from_secs(1);
    simulation.run_until(later);
    for id in [0, 1, 2, 3, 4].map(ReplicaId) {
        simulation.restart(id);
    }
    // A write makes the primary execute what it recovered.
    while simulation.next_occurrence().is_some() {}
    let later = simulation.now() + Duration::from_secs(1);
    simulation.run_until(later);
    let until = simulation.now() + Duration::from_secs(5);
    submit(&mut simulation, B, 1, write(1, 1));
    answers(&mut simulation, until);
    let read = ask(
        &mut simulation,
        B,
        2,
        Operation::Read {
            key: longhaul_experiment::Key(0),
        },
    );
    let Outcome::Ok(OperationResult::Read { value, .. }) = read else {
        panic!("{read:?}")
    };
    assert!(value.is_some());
}

#[test]
fn clients_learn_of_a_death_after_the_way_back_and_are_then_refused() {
    let mut simulation = toy(Durability::Memory);
    let region = RegionIndex(0);
    ask(&mut simulation, region, 0, write(0, 0));
    let crashed_at = simulation.now();
    simulation.crash(PRIMARY);
    assert!(!simulation.is_alive(PRIMARY));
    let back = LinkId {
        from: B,
        to: region,
    };
    let one_way = simulation.topology().profile.link(back).one_way;
    simulation.run_until(crashed_at + Duration::from_secs(1));
    let told = simulation.next_occurrence().unwrap();
    assert_eq!(told.at, crashed_at + one_way);
    assert_eq!(
        told.kind,
        OccurrenceKind::ConnectionLost {
            region,
            connection: None,
            replica: PRIMARY
        }
    );
    let refused = ask(&mut simulation, region, 1, write(0, 1));
    assert!(matches!(refused, Outcome::Fail(_)), "{refused:?}");
}

#[test]
fn a_cut_link_keeps_messages_and_releases_them_when_healed() {
    let mut simulation = toy(Durability::Memory);
    let cut = [0, 2, 3].map(|to| LinkId {
        from: B,
        to: RegionIndex(to),
    });
    for link in cut {
        simulation.cut(link);
    }
    let start = simulation.now();
    submit(&mut simulation, B, 0, write(0, 0));
    let cut_for = Duration::from_millis(500);
    // Only e hears of it, and two replicas of five are no majority.
    assert!(answers(&mut simulation, start + cut_for).is_empty());
    for link in cut {
        simulation.heal(link);
    }
    let answers = answers(&mut simulation, start + 4 * cut_for);
    // The append to a, the nearest, sets out when the link heals and completes the majority.
    let topology = simulation.topology();
    let lan = topology.profile.link(LinkId { from: B, to: B }).one_way;
    let to_a = topology.replica_round_trip(PRIMARY, ReplicaId(0));
    assert_eq!(answers[0].2, start + cut_for + to_a + lan);
}

#[test]
fn a_verdict_delays_or_drops_single_messages() {
    let mut simulation = toy(Durability::Memory);
    let floor = write_floor(&simulation);
    let longer = Duration::from_millis(5);
    simulation.set_judge(Box::new(move |_, _, _, message| match message {
        Message::Append { index: 1, .. } => Verdict::Hold(longer),
        Message::Append { index: 2, .. } => Verdict::Drop,
        _ => Verdict::Deliver,
    }));
    assert_eq!(time_write(&mut simulation, 0), Some(floor + longer));
    assert_eq!(time_write(&mut simulation, 1), None);
}

#[test]
fn a_datagram_overtakes_what_was_sent_before_it() {
    let mut simulation = toy(Durability::Memory);
    let late = Duration::from_millis(700);
    simulation.set_judge(Box::new(move |_, _, _, message| match message {
        Message::Append { index: 1, .. } => Verdict::DeliverAfter(late),
        _ => Verdict::DeliverAfter(Duration::ZERO),
    }));
    let start = simulation.now();
    submit(&mut simulation, B, 0, write(0, 0));
    submit(&mut simulation, B, 1, write(1, 1));
    simulation.start_trace();
    simulation.run_until(start + Duration::from_secs(1));
    let lan = {
        let topology = simulation.topology();
        topology.profile.link(LinkId { from: B, to: B }).one_way
    };
    let to_e = |event: &TraceEvent| match &event.kind {
        TraceKind::Delivered { from, to, name }
            if *from == PRIMARY && *to == ReplicaId(4) && name == "Append" =>
        {
            Some(event.at)
        }
        _ => None,
    };
    let arrivals: Vec<Time> = simulation.take_trace().iter().filter_map(to_e).collect();
    // Both set out when the requests arrive; the second takes no time, the first 700 ms.
    assert_eq!(arrivals, [start + lan, start + lan + late]);
}

#[test]
fn clocks_that_are_wrong_are_the_replicas_own() {
    let mut simulation = toy(Durability::Memory);
    simulation.set_wall_offset(PRIMARY, -1_000_000_000);
    let floor = write_floor(&simulation);
    assert_eq!(time_write(&mut simulation, 0), Some(floor));
}

#[test]
fn batching_by_instant_changes_no_latency_of_a_quiet_system() {
    let options = SimulationOptions {
        batching: Batching::EveryInstant,
        ..SimulationOptions::default()
    };
    let mut simulation = Simulation::new(Toy, Arc::new(topology()), Seed(1), options);
    simulation.run_until(Time::from_millis(1));
    let floor = write_floor(&simulation);
    assert_eq!(time_write(&mut simulation, 0), Some(floor));
}

#[test]
fn without_a_trace_nothing_is_kept() {
    let mut simulation = toy(Durability::Memory);
    time_write(&mut simulation, 0);
    assert_eq!(simulation.take_trace(), Vec::<TraceEvent>::new());
}

#[test]
fn an_explanation_names_the_message_that_completed_the_quorum() {
    let topology = topology();
    let order = ExplainOrder {
        topology: &topology,
        mode: &spec(),
        client: RegionIndex(4),
        kind: OperationKind::Write,
        seed: Seed(1),
    };
    let explanation = explain_mode(Toy, &order).unwrap();
    // A majority of five is the primary and two: a (22.5 ms) and then c (53.1 ms).
    let completing = &explanation.hops[explanation.completed_by.unwrap()];
    assert_eq!(completing.from, Station::Replica(ReplicaId(2)));
    assert_eq!(completing.to, Station::Replica(PRIMARY));
    assert_eq!(completing.name, "Stored");
    let critical: Vec<&str> = explanation
        .hops
        .iter()
        .filter(|hop| hop.is_critical)
        .map(|hop| hop.name.as_str())
        .collect();
    assert_eq!(critical, ["write", "Append", "Stored", "answer"]);
    let total: Duration = explanation
        .hops
        .iter()
        .filter(|hop| hop.is_critical)
        .map(|hop| hop.arrived_at - hop.sent_at)
        .sum();
    assert_eq!(total, explanation.latency);
    // Every append and its acknowledgement, the request and the answer, and what tells the
    // followers to execute. The primary had answered before the last acknowledgements came.
    let named = |name: &str| {
        explanation
            .hops
            .iter()
            .filter(|hop| hop.name == name)
            .count()
    };
    assert_eq!((named("Append"), named("Stored")), (4, 4));
    assert!(named("Execute") >= 4);
}
