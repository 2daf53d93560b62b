//! Five regions with distinct, asymmetric delays, and what tests do in them.

#![allow(dead_code, reason = "every test target uses a part of it")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use longhaul_experiment::profile::{Jitter, Link, Marginal, Profile, Region, Source};
use longhaul_experiment::scenario::{Durability, Durations, Limits};
use longhaul_experiment::workload::{Arrivals, Workload};
use longhaul_experiment::{
    ClientId, Contact, Key, ModeSpec, Operation, OperationId, Outcome, Path, RegionIndex,
    ReplicaId, Scenario, Seed, Time, Topology,
};
use longhaul_protocol::{Mode, Request};
use longhaul_sim::backend::agree_on_leader;
use longhaul_sim::simulation::{ClientAddress, OccurrenceKind, Simulation, SimulationOptions};

/// One-way delays in microseconds, from row to column.
const ONE_WAY_US: [[u64; 5]; 5] = [
    [250, 10_100, 35_300, 60_700, 90_200],
    [12_400, 300, 25_900, 50_600, 80_800],
    [34_100, 27_200, 200, 20_500, 55_500],
    [63_300, 49_900, 21_700, 350, 40_400],
    [88_800, 83_600, 57_100, 42_900, 150],
];

/// Five regions, replicas and clients in all of them, the leader in the second.
pub fn topology() -> Topology {
    place(|from, to| {
        // A few nanoseconds tell every link from every other.
        let odd = (7 * from + to) as u64;
        Link::fixed(Duration::from_nanos(ONE_WAY_US[from][to] * 1000 + odd))
    })
}

/// The same with a jitter of 1 ms on average on every link.
pub fn topology_with_jitter() -> Topology {
    place(|from, to| {
        let mean = Duration::from_millis(1);
        let marginal = Marginal::Exponential { mean };
        let jitter = Jitter {
            marginal,
            ..Jitter::NONE
        };
        let one_way = Duration::from_micros(ONE_WAY_US[from][to]);
        Link {
            jitter,
            ..Link::fixed(one_way)
        }
    })
}

fn place(link: impl Fn(usize, usize) -> Link) -> Topology {
    let names = ["a", "b", "c", "d", "e"];
    let regions = names.map(Region::named);
    let link = &link;
    let links = (0..5)
        .flat_map(|from| (0..5).map(move |to| link(from, to)))
        .collect();
    let source = Source {
        title: "made by hand".to_owned(),
        date: "2026-01-01".to_owned(),
        method: "none".to_owned(),
    };
    let profile = Profile::new("five", "Five regions.", source, regions.into(), links);
    let mut topology = Topology::everywhere(profile);
    topology.leader = ReplicaId(1);
    topology
}

/// The floor that a path states: d(client, contact) and for each round the k-th smallest
/// d(contact, member), the contact's own being zero.
pub fn floor(path: &Path, client: RegionIndex, topology: &Topology) -> Duration {
    let contact = contact(path, client, topology);
    let to_contact = topology
        .profile
        .round_trip(client, topology.region_of(contact));
    let rounds = path.rounds.iter().map(|round| {
        let members = topology.replica_ids().take(round.among);
        let mut trips: Vec<Duration> = members
            .map(|member| topology.replica_round_trip(contact, member))
            .collect();
        trips.sort_unstable();
        trips[round.acknowledgements - 1]
    });
    to_contact + rounds.sum::<Duration>()
}

/// Whom a client asks on a path.
pub fn contact(path: &Path, client: RegionIndex, topology: &Topology) -> ReplicaId {
    match path.contact {
        Contact::Leader => topology.leader,
        Contact::Nearest => topology.nearest_replica(client),
    }
}

/// A simulation whose replicas know the leader.
pub fn ready<M: Mode>(mode: M, spec: &ModeSpec, durability: Durability) -> Simulation<M> {
    let options = SimulationOptions {
        durability,
        ..SimulationOptions::default()
    };
    let mut simulation = Simulation::new(mode, Arc::new(topology()), Seed(7), options);
    let path = write_path(&simulation);
    if path.contact == Contact::Leader {
        agree_on_leader(&mut simulation, spec).unwrap();
    }
    simulation
}

pub fn write_path<M: Mode>(simulation: &Simulation<M>) -> Path {
    let kind = longhaul_experiment::OperationKind::Write;
    simulation.mode().path(kind, simulation.topology()).unwrap()
}

/// One client session in each region, its id the region's index.
pub fn request(region: RegionIndex, sequence: u64, operation: Operation) -> Request {
    let client = ClientId(u32::from(region.0));
    Request {
        id: OperationId { client, sequence },
        first_incomplete: 0,
        operation,
    }
}

/// A write whose value names it.
pub fn write(key: u64, name: u64) -> Operation {
    let value = Bytes::copy_from_slice(&u128::from(name).to_le_bytes());
    Operation::Write {
        key: Key(key),
        value,
    }
}

/// Sends an operation along its path, now.
pub fn submit<M: Mode>(
    simulation: &mut Simulation<M>,
    region: RegionIndex,
    sequence: u64,
    operation: Operation,
) {
    let topology = Arc::clone(simulation.topology());
    let path = simulation.mode().path(operation.kind(), &topology).unwrap();
    let to = contact(&path, region, &topology);
    let client = ClientAddress {
        region,
        connection: 0,
    };
    let request = request(region, sequence, operation);
    simulation.submit(simulation.now(), client, to, request);
}

/// The answers that came until an instant, in order.
pub fn answers<M: Mode>(
    simulation: &mut Simulation<M>,
    until: Time,
) -> Vec<(OperationId, Outcome, Time)> {
    simulation.run_until(until);
    let mut answers = Vec::new();
    while let Some(occurrence) = simulation.next_occurrence() {
        if let OccurrenceKind::Reply {
            operation, outcome, ..
        } = occurrence.kind
        {
            answers.push((operation, outcome, occurrence.at));
        }
    }
    answers
}

/// Sends an operation, runs for three seconds, and returns its outcome.
pub fn ask<M: Mode>(
    simulation: &mut Simulation<M>,
    region: RegionIndex,
    sequence: u64,
    operation: Operation,
) -> Outcome {
    submit(simulation, region, sequence, operation);
    let until = simulation.now() + Duration::from_secs(3);
    let mut answers = answers(simulation, until);
    assert_eq!(answers.len(), 1, "one answer");
    answers.remove(0).1
}

/// A scenario on the five regions: constant arrivals in the named client regions, writes alone.
pub fn scenario(spec: &ModeSpec, clients: &[u16], rate: f64) -> Scenario {
    let mut topology = topology();
    topology.clients = clients.iter().copied().map(RegionIndex).collect();
    Scenario {
        name: "test".to_owned(),
        topology,
        modes: vec![spec.clone()],
        workload: Workload {
            arrivals: Arrivals::Constant { rate },
            key_count: 10,
            value_size: 16,
            ..Workload::default()
        },
        faults: Vec::new(),
        durability: Durability::Memory,
        durations: Durations {
            warmup: Duration::from_secs(1),
            measured: Duration::from_secs(4),
            drain: Duration::from_secs(10),
        },
        limits: Limits {
            operation_timeout: Duration::from_secs(10),
            max_in_flight: 4096,
            connections: 2,
        },
        service: None,
        keep_history: false,
    }
}
