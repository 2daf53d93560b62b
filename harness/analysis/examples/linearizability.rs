//! Measures the linearizability checker on synthetic valid histories: a million operations on
//! registers by zones, over many keys and on one, and ten thousand of all kinds by search.
//!
//! ```text
//! cargo run --release -p longhaul-analysis --example linearizability
//! ```

use std::time::{Duration, Instant};

use bytes::Bytes;
use longhaul_analysis::checkers::{LinearizabilityOptions, Method, Verdict, linearizability};
use longhaul_experiment::operation::{integer_bytes, integer_value};
use longhaul_experiment::workload::ValueMaker;
use longhaul_experiment::{
    ClientId, ErrorKind, Key, Operation, OperationId, OperationRecord, OperationResult, Outcome,
    RegionIndex, ReplicaId, Time, Version,
};

/// Clients, each with one operation under way at a time.
const CLIENTS: u32 = 16;
/// Every so many operations one has an unknown outcome.
const UNKNOWN_EVERY: u64 = 1000;

/// What clients ask for.
#[derive(Clone, Copy)]
enum Kinds {
    ReadsAndWrites,
    All,
}

fn main() {
    let automatic = LinearizabilityOptions::default();
    let search = LinearizabilityOptions {
        method: Method::Search,
        ..automatic
    };
    for (operations, keys) in [(1_000_000, 100), (1_000_000, 1)] {
        let history = history(operations, keys, Kinds::ReadsAndWrites);
        measure("zones", &history, keys, automatic);
    }
    for (operations, keys) in [(10_000, 10), (10_000, 1)] {
        let registers = history(operations, keys, Kinds::ReadsAndWrites);
        measure("search, reads and writes", &registers, keys, search);
        let all = history(operations, keys, Kinds::All);
        measure("search, all kinds", &all, keys, search);
    }
}

fn measure(what: &str, history: &[OperationRecord], keys: u64, options: LinearizabilityOptions) {
    let runs = 5;
    let mut times: Vec<Duration> = (0..runs)
        .map(|_| {
            // An example may look at the clock; the library may not.
            #[allow(clippy::disallowed_methods)]
            let began = Instant::now();
            let verdict = linearizability(history, options);
            let took = began.elapsed();
            assert_eq!(verdict, Verdict::Holds, "the history was made to be valid");
            took
        })
        .collect();
    times.sort();
    println!(
        "{what}: {} operations, {keys} keys: {:.3} s (median of {runs}; {:.3} to {:.3})",
        history.len(),
        times[runs / 2].as_secs_f64(),
        times[0].as_secs_f64(),
        times[runs - 1].as_secs_f64()
    );
}

/// Makes a history by executing operations at a true store, each at an instant of its own between
/// its beginning and its end.
fn history(operations: u64, keys: u64, kinds: Kinds) -> Vec<OperationRecord> {
    let values = ValueMaker::new(128);
    let mut draws = Draws(7);
    let mut held: Vec<Option<Bytes>> = vec![None; keys as usize];
    let mut free_at = vec![0; CLIENTS as usize];
    let mut records = Vec::with_capacity(operations as usize);
    for index in 0..operations {
        // Effects are 1 us apart; an operation takes up to 20 us to either side of its own.
        let effect = 1_000_000 + index * 1_000;
        let client = index % u64::from(CLIENTS);
        let sent_at = (effect - draws.below(20_000)).max(free_at[client as usize]);
        let completed_at = effect + draws.below(20_000).min(u64::from(CLIENTS - 1) * 1_000);
        free_at[client as usize] = completed_at;
        let id = OperationId {
            client: ClientId(client as u32),
            sequence: index / u64::from(CLIENTS),
        };
        let key = Key(draws.below(keys));
        let operation = operation(key, values.value(id), kinds, &mut draws);
        let (after, result) = execute(&operation, held[key.0 as usize].clone());
        held[key.0 as usize] = after;
        let outcome = match result {
            None => Outcome::Fail(ErrorKind::WrongType),
            Some(_) if index % UNKNOWN_EVERY == 1 => Outcome::Unknown(ErrorKind::TimedOut),
            Some(result) => Outcome::Ok(result),
        };
        records.push(OperationRecord {
            id,
            region: RegionIndex(0),
            replica: ReplicaId(0),
            operation,
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

/// Executes an operation; no result where the value is of the wrong type.
fn execute(operation: &Operation, held: Option<Bytes>) -> (Option<Bytes>, Option<OperationResult>) {
    let version = Version::NONE;
    match operation {
        Operation::Read { .. } => {
            let value = held.clone();
            (held, Some(OperationResult::Read { value, version }))
        }
        Operation::Write { value, .. } => (
            Some(value.clone()),
            Some(OperationResult::Written { version }),
        ),
        Operation::CompareAndSet {
            expected, value, ..
        } => {
            let swapped = held == *expected;
            let after = if swapped { Some(value.clone()) } else { held };
            (after, Some(OperationResult::Swapped { swapped, version }))
        }
        Operation::Add { amount, .. } => match integer_value(held.as_ref()) {
            None => (held, None),
            Some(integer) => {
                let total = integer + amount;
                let result = OperationResult::Added { total, version };
                (Some(integer_bytes(total)), Some(result))
            }
        },
        Operation::TakeIfEnough { amount, .. } => match integer_value(held.as_ref()) {
            None => (held, None),
            Some(integer) => {
                let taken = integer >= *amount as i64;
                let left = if taken {
                    integer - *amount as i64
                } else {
                    integer
                };
                let result = OperationResult::Taken {
                    taken,
                    left,
                    version,
                };
                let after = if taken {
                    Some(integer_bytes(left))
                } else {
                    held
                };
                (after, Some(result))
            }
        },
    }
}

/// A fixed stream of numbers (splitmix64: Steele, Lea and Flood, "Fast Splittable Pseudorandom
/// Number Generators", OOPSLA 2014).
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}
