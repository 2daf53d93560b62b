//! Linearizability by its definition: some order of some of the operations explains everything.

use bytes::Bytes;
use longhaul_experiment::operation::{integer_bytes, integer_value};
use longhaul_experiment::{Operation, OperationRecord, OperationResult, Outcome, Time, Version};

/// Says whether a history on one key is linearizable, by trying all orders: up to some ten
/// operations. What ends at the instant at which another begins is concurrent with it.
pub fn is_linearizable(history: &[OperationRecord]) -> bool {
    let happened: Vec<&OperationRecord> = history
        .iter()
        .filter(|record| !matches!(record.outcome, Outcome::Fail(_)))
        .collect();
    goes_on(&happened, None)
}

fn end(record: &OperationRecord) -> Time {
    match record.outcome {
        Outcome::Ok(_) => record.completed_at.expect("a success has an end"),
        _ => Time::MAX,
    }
}

fn goes_on(rest: &[&OperationRecord], held: Option<Bytes>) -> bool {
    if rest
        .iter()
        .all(|record| matches!(record.outcome, Outcome::Unknown(_)))
    {
        return true;
    }
    (0..rest.len()).any(|index| {
        let next = rest[index];
        let sent_at = next.sent_at.expect("it was sent");
        let others: Vec<&OperationRecord> = rest
            .iter()
            .filter(|other| other.id != next.id)
            .copied()
            .collect();
        if others.iter().any(|other| end(other) < sent_at) {
            return false;
        }
        let (after, result) = execute(&next.operation, held.clone());
        let agrees = match &next.outcome {
            Outcome::Ok(heard) => Some(without_version(heard.clone())) == result,
            _ => true,
        };
        agrees && goes_on(&others, after)
    })
}

/// What the operation does and answers; no answer where it is of the wrong type.
pub fn execute(
    operation: &Operation,
    held: Option<Bytes>,
) -> (Option<Bytes>, Option<OperationResult>) {
    let version = Version::NONE;
    match operation {
        Operation::Read { .. } => (
            held.clone(),
            Some(OperationResult::Read {
                value: held,
                version,
            }),
        ),
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

fn without_version(mut result: OperationResult) -> OperationResult {
    match &mut result {
        OperationResult::Read { version, .. }
        | OperationResult::Written { version }
        | OperationResult::Swapped { version, .. }
        | OperationResult::Added { version, .. }
        | OperationResult::Taken { version, .. } => *version = Version::NONE,
    }
    result
}
