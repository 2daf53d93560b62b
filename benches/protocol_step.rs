//! What a replicated write costs in processor time, mode by mode: `cargo bench --bench
//! protocol_step`.
//!
//! Three replicas of each default mode in virtual time, with messages that arrive at the instant
//! they are sent: the whole of a write on all three replicas, from the client's request to its
//! answer and what follows it. It bounds the writes a second that one processor can carry.
//!
//! The simulation's event queue has a share in it, alike for equally many messages; encoding,
//! sockets, threads and logs on disk have none. Batches of writes arrive together, as under load,
//! and what a mode does once for many of them is shared among them: a lone write costs more. Memory
//! stays warm, which flatters. Criterion measures wall time; one thread that never waits makes that
//! processor time, as long as the machine has a processor free.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use longhaul_experiment::profile::bundled::bundled;
use longhaul_experiment::scenario::ScenarioFile;
use longhaul_experiment::{
    ClientId, Contact, Key, ModeSpec, Operation, OperationId, OperationKind, RegionIndex,
    ReplicaId, Seed, Topology,
};
use longhaul_protocol::modes::with_mode;
use longhaul_protocol::{Mode, ModeVisitor, Request};
use longhaul_sim::backend::agree_on_leader;
use longhaul_sim::simulation::{
    Batching, ClientAddress, OccurrenceKind, Simulation, SimulationOptions,
};

const VALUE_BYTES: usize = 128;
const KEYS: u64 = 10_000;
/// Writes that arrive at one instant.
const BATCH: u64 = 64;

/// Batches of writes arrive at one instant each, a millisecond of virtual time apart: the timers
/// of a system under 64 000 writes a second go off as well.
fn protocol_step(criterion: &mut Criterion) {
    let profile = bundled("lan-3").expect("it is bundled");
    let scenario = ScenarioFile::default()
        .resolve(profile)
        .expect("the defaults are a valid scenario");
    let mut group = criterion.benchmark_group("protocol-step-in-simulation");
    group.throughput(Throughput::Elements(BATCH));
    for spec in &scenario.modes {
        let visitor = MeasureMode {
            group: &mut group,
            topology: &scenario.topology,
            spec,
        };
        with_mode(spec, &scenario.topology, visitor).expect("the default modes are known");
    }
    group.finish();
}

struct MeasureMode<'a, 'b> {
    group: &'a mut BenchmarkGroup<'b, WallTime>,
    topology: &'a Topology,
    spec: &'a ModeSpec,
}

impl ModeVisitor for MeasureMode<'_, '_> {
    type Output = ();

    fn visit<M: Mode>(self, mode: M) {
        let path = mode.path(OperationKind::Write, self.topology);
        let contact = path.expect("every mode has writes").contact;
        let options = SimulationOptions {
            batching: Batching::EveryInstant,
            ..SimulationOptions::default()
        };
        let topology = Arc::new(self.topology.clone());
        let mut simulation = Simulation::new(mode, topology, Seed(1), options);
        if contact == Contact::Leader {
            agree_on_leader(&mut simulation, self.spec).expect("the replicas agree");
        }
        simulation.set_delays(false);
        // With delays off all replicas are equally near.
        let replica = self.topology.leader;
        let mut sequence = 0;
        self.group.bench_function(self.spec.to_string(), |bencher| {
            bencher.iter(|| {
                write_batch(&mut simulation, replica, sequence);
                sequence += BATCH;
            });
        });
    }
}

fn write_batch<M: Mode>(simulation: &mut Simulation<M>, replica: ReplicaId, first: u64) {
    let client = ClientAddress {
        region: RegionIndex(0),
        connection: 0,
    };
    let now = simulation.now();
    for sequence in first..first + BATCH {
        simulation.submit(now, client, replica, write(sequence, first));
    }
    simulation.run_until(now + Duration::from_millis(1));
    let mut written = 0;
    while let Some(occurrence) = simulation.next_occurrence() {
        if let OccurrenceKind::Reply { outcome, .. } = occurrence.kind {
            assert!(outcome.is_ok(), "{outcome:?}");
            written += 1;
        }
    }
    assert_eq!(written, BATCH, "every write is answered");
}

/// The write of that number of client 0, whose earlier ones before `first_incomplete` have ended.
fn write(sequence: u64, first_incomplete: u64) -> Request {
    let mut value = vec![0; VALUE_BYTES];
    value[..8].copy_from_slice(&sequence.to_le_bytes());
    let client = ClientId(0);
    Request {
        id: OperationId { client, sequence },
        first_incomplete,
        operation: Operation::Write {
            key: Key(sequence % KEYS),
            value: Bytes::from(value),
        },
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .sample_size(30);
    targets = protocol_step
}
criterion_main!(benches);
