//! The sequential specification: what each operation does to a key, and answers, on its own.
//!
//! It is stated here once more, apart from the replicas' store, so that an error there is not
//! repeated in its judge.

use std::collections::BTreeMap;

use bytes::Bytes;
use longhaul_experiment::operation::integer_value;
use longhaul_experiment::{Operation, OperationResult};

use super::calls::Call;

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Held {
    /// Nothing.
    Nothing,
    /// An integer: a value of 8 bytes.
    Integer(i64),
    /// Any other value, by its number in [`Values`].
    Other(u32),
}

/// The distinct values of a history that are no integers.
#[derive(Debug, Default)]
pub(super) struct Values<'a> {
    numbers: BTreeMap<&'a [u8], u32>,
    values: Vec<&'a Bytes>,
}

impl<'a> Values<'a> {
    fn held(&mut self, value: Option<&'a Bytes>) -> Held {
        let Some(bytes) = value else {
            return Held::Nothing;
        };
        if let Some(integer) = integer_value(value) {
            return Held::Integer(integer);
        }
        let next = self.values.len() as u32;
        let number = *self.numbers.entry(bytes.as_ref()).or_insert(next);
        if number == next {
            self.values.push(bytes);
        }
        Held::Other(number)
    }

    /// Tells what a key holds.
    pub(super) fn told(&self, held: Held) -> String {
        match held {
            Held::Nothing => "no value".to_owned(),
            Held::Integer(integer) => format!("the integer {integer}"),
            Held::Other(number) => super::calls::value_told(Some(self.values[number as usize])),
        }
    }
}

/// An operation together with what its client heard (`None`: nothing).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Read {
        returned: Held,
    },
    Write {
        value: Held,
    },
    CompareAndSet {
        expected: Held,
        value: Held,
        swapped: Option<bool>,
    },
    Add {
        amount: i64,
        total: Option<i64>,
    },
    Take {
        amount: u64,
        answer: Option<(bool, i64)>,
    },
}

impl Step {
    /// Returns the step of a call; `None` for a read without an answer.
    pub(super) fn of<'a>(call: &Call<'a>, values: &mut Values<'a>) -> Option<Step> {
        let result = call.result();
        Some(match &call.record.operation {
            Operation::Read { .. } => match result {
                Some(OperationResult::Read { value, .. }) => Step::Read {
                    returned: values.held(value.as_ref()),
                },
                _ => return None,
            },
            Operation::Write { value, .. } => Step::Write {
                value: values.held(Some(value)),
            },
            Operation::CompareAndSet {
                expected, value, ..
            } => Step::CompareAndSet {
                expected: values.held(expected.as_ref()),
                value: values.held(Some(value)),
                swapped: match result {
                    Some(OperationResult::Swapped { swapped, .. }) => Some(*swapped),
                    _ => None,
                },
            },
            Operation::Add { amount, .. } => Step::Add {
                amount: *amount,
                total: match result {
                    Some(OperationResult::Added { total, .. }) => Some(*total),
                    _ => None,
                },
            },
            Operation::TakeIfEnough { amount, .. } => Step::Take {
                amount: *amount,
                answer: match result {
                    Some(OperationResult::Taken { taken, left, .. }) => Some((*taken, *left)),
                    _ => None,
                },
            },
        })
    }

    /// Returns what the key holds after the step; `None` when the step cannot have been answered
    /// as it was while the key held `held`.
    pub(super) fn apply(self, held: Held) -> Option<Held> {
        match self {
            Step::Read { returned } => (returned == held).then_some(held),
            Step::Write { value } => Some(value),
            Step::CompareAndSet {
                expected,
                value,
                swapped,
            } => {
                let swaps = held == expected;
                swapped
                    .is_none_or(|swapped| swapped == swaps)
                    .then_some(if swaps { value } else { held })
            }
            Step::Add { amount, total } => {
                let sum = integer(held)?.saturating_add(amount);
                total
                    .is_none_or(|total| total == sum)
                    .then_some(Held::Integer(sum))
            }
            Step::Take { amount, answer } => {
                let integer = integer(held)?;
                let left = i64::try_from(amount)
                    .ok()
                    .and_then(|amount| integer.checked_sub(amount))
                    .filter(|&left| left >= 0);
                let (taken, left) = (left.is_some(), left.unwrap_or(integer));
                answer
                    .is_none_or(|answer| answer == (taken, left))
                    .then_some(if taken { Held::Integer(left) } else { held })
            }
        }
    }

    /// Says whether the step, answered as it was, leaves every key as it finds it.
    pub(super) const fn only_observes(self) -> bool {
        matches!(
            self,
            Step::Read { .. }
                | Step::CompareAndSet {
                    swapped: Some(false),
                    ..
                }
                | Step::Take {
                    answer: Some((false, _)),
                    ..
                }
        )
    }

    /// Says whether the step's effect does not depend on what the key holds.
    pub(super) const fn overwrites(self) -> bool {
        matches!(self, Step::Write { .. })
    }
}

fn integer(held: Held) -> Option<i64> {
    match held {
        Held::Nothing => Some(0),
        Held::Integer(integer) => Some(integer),
        Held::Other(_) => None,
    }
}
