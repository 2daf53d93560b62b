//! What it takes to judge histories: `cargo bench --bench checkers`.
//!
//! The histories are made up and valid: operations are executed at a replica's store, each at an
//! instant of its own between its beginning and its end. Registers are judged by zones, over many
//! keys and on one, and operations of all kinds by search; a history with a violation may end
//! sooner, or, by search, take far longer. One thread, and memory stays warm, which flatters.

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use longhaul_analysis::checkers::{LinearizabilityOptions, Method, Verdict, linearizability};
use longhaul_experiment::operation::integer_bytes;
use longhaul_experiment::random::{Generator, open_unit};
use longhaul_experiment::workload::ValueMaker;
use longhaul_experiment::{
    ClientId, ErrorKind, Key, Operation, OperationId, OperationRecord, Outcome, RegionIndex,
    ReplicaId, Seed, Stream, Time,
};
use longhaul_protocol::Request;
use longhaul_protocol::store::Store;

/// Clients, each with one operation under way at a time.
const CLIENTS: u64 = 16;
/// Every so many operations one has an unknown outcome.
const UNKNOWN_EVERY: u64 = 1000;

/// What clients ask for.
#[derive(Clone, Copy)]
enum Kinds {
    ReadsAndWrites,
    All,
}

fn check_linearizability(criterion: &mut Criterion) {
    let search = Method::Search;
    let automatic = Method::Automatic;
    let cases = [
        ("zones", automatic, Kinds::ReadsAndWrites, 100_000, 100),
        ("zones", automatic, Kinds::ReadsAndWrites, 100_000, 1),
        (
            "search-registers",
            search,
            Kinds::ReadsAndWrites,
            10_000,
            10,
        ),
        ("search-registers", search, Kinds::ReadsAndWrites, 10_000, 1),
        ("search-all-kinds", search, Kinds::All, 10_000, 10),
        ("search-all-kinds", search, Kinds::All, 10_000, 1),
    ];
    let mut group = criterion.benchmark_group("linearizability");
    group.sampling_mode(SamplingMode::Flat);
    for (name, method, kinds, operations, keys) in cases {
        let history = history(operations, keys, kinds);
        let options = LinearizabilityOptions {
            method,
            ..LinearizabilityOptions::default()
        };
        group.throughput(Throughput::Elements(operations));
        let id = BenchmarkId::new(name, format!("{operations}-operations-{keys}-keys"));
        group.bench_with_input(id, &history, |bencher, history| {
            bencher.iter(|| {
                let verdict = linearizability(black_box(history), options);
                assert_eq!(verdict, Verdict::Holds, "the history was made to be valid");
            });
        });
    }
    group.finish();
}

/// Makes a history by executing operations one after the other.
fn history(operations: u64, keys: u64, kinds: Kinds) -> Vec<OperationRecord> {
    let values = ValueMaker::new(128);
    let mut draws = Draws(Seed(7).stream(Stream::MonteCarlo, 0));
    let mut store = Store::default();
    let mut free_at = [0; CLIENTS as usize];
    let mut records = Vec::with_capacity(operations as usize);
    for index in 0..operations {
        // Effects are 1 us apart; an operation takes up to 20 us to either side of its own.
        let effect = 1_000_000 + index * 1_000;
        let client = index % CLIENTS;
        let sent_at = (effect - draws.below(20_000)).max(free_at[client as usize]);
        let completed_at = effect + draws.below(20_000).min((CLIENTS - 1) * 1_000);
        free_at[client as usize] = completed_at;
        let id = OperationId {
            client: ClientId(client as u32),
            sequence: index / CLIENTS,
        };
        let key = Key(draws.below(keys));
        let request = Request {
            id,
            first_incomplete: id.sequence,
            operation: operation(key, values.value(id), kinds, &mut draws),
        };
        let outcome = match store.execute(&request, index + 1).outcome {
            Outcome::Ok(_) if index % UNKNOWN_EVERY == 1 => Outcome::Unknown(ErrorKind::TimedOut),
            outcome => outcome,
        };
        records.push(OperationRecord {
            id,
            region: RegionIndex(0),
            replica: ReplicaId(0),
            operation: request.operation,
            attempts: 1,
            intended_at: Time(sent_at),
            sent_at: Some(Time(sent_at)),
            completed_at: Some(Time(completed_at)),
            outcome,
        });
    }
    records
}

fn operation(key: Key, value: Bytes, kinds: Kinds, draws: &mut Draws) -> Operation {
    let kind = match kinds {
        Kinds::ReadsAndWrites => draws.below(2),
        Kinds::All => draws.below(8),
    };
    match kind {
        0 | 4 => Operation::Read { key },
        1 => Operation::Write { key, value },
        2 => Operation::CompareAndSet {
            key,
            expected: Some(integer_bytes(5)),
            value,
        },
        3 => Operation::Write {
            key,
            value: integer_bytes(draws.below(10) as i64),
        },
        5 | 6 => Operation::Add {
            key,
            amount: draws.below(3) as i64,
        },
        _ => Operation::TakeIfEnough {
            key,
            amount: draws.below(5),
        },
    }
}

/// A stream of small numbers.
struct Draws(Generator);

impl Draws {
    fn below(&mut self, bound: u64) -> u64 {
        (open_unit(&mut self.0) * bound as f64) as u64
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .sample_size(10);
    targets = check_linearizability
}
criterion_main!(benches);
