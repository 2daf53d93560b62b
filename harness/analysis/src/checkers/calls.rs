//! From records to calls: what of a history a checker may rely on, and how it is told.

use bytes::Bytes;
use longhaul_experiment::operation::{integer_bytes, integer_value};
use longhaul_experiment::workload::writer_of;
use longhaul_experiment::{
    Operation, OperationKind, OperationRecord, OperationResult, Outcome, Time, Version,
};

use super::SameInstant;

/// The end of a call that may take effect at any time, or never.
pub(super) const NEVER: u64 = u64::MAX;

/// The last instant a checker can place, in nanoseconds: 146 years. Calls double it.
const LAST_INSTANT: u64 = u64::MAX >> 2;

/// An operation that may have taken effect, with its beginning and end on one scale.
///
/// The scale has two places per nanosecond, so that it says what comes first at one instant. The
/// initial value of every key is older than place 2.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub(super) record: &'a OperationRecord,
    pub(super) start: u64,
    pub(super) finish: u64,
}

impl<'a> Call<'a> {
    /// Returns the result, `None` when the call's end is unknown.
    pub(super) fn result(&self) -> Option<&'a OperationResult> {
        result(self.record)
    }

    /// Returns the value that a plain write wrote or a read returned.
    pub(super) fn register_value(&self) -> Option<&'a Bytes> {
        match (&self.record.operation, &self.record.outcome) {
            (Operation::Write { value, .. }, _) => Some(value),
            (_, Outcome::Ok(OperationResult::Read { value, .. })) => value.as_ref(),
            _ => None,
        }
    }
}

/// Returns a success's result.
pub(super) const fn result(record: &OperationRecord) -> Option<&OperationResult> {
    match &record.outcome {
        Outcome::Ok(result) => Some(result),
        Outcome::Fail(_) | Outcome::Unknown(_) => None,
    }
}

/// Returns what a successful operation left at its key; `None` when it wrote nothing.
pub(super) fn left(operation: &Operation, result: &OperationResult) -> Option<Bytes> {
    match (operation, result) {
        (Operation::Write { value, .. }, _)
        | (
            Operation::CompareAndSet { value, .. },
            OperationResult::Swapped { swapped: true, .. },
        ) => Some(value.clone()),
        (_, OperationResult::Added { total, .. }) => Some(integer_bytes(*total)),
        (
            _,
            OperationResult::Taken {
                taken: true, left, ..
            },
        ) => Some(integer_bytes(*left)),
        _ => None,
    }
}

/// Returns the calls of a history, in its order.
///
/// # Errors
///
/// Says which record contradicts itself.
pub(super) fn calls(
    history: &[OperationRecord],
    same_instant: SameInstant,
) -> Result<Vec<Call<'_>>, String> {
    let (start_place, finish_place) = match same_instant {
        SameInstant::Concurrent => (0, 1),
        SameInstant::Ordered => (1, 0),
    };
    let mut calls = Vec::with_capacity(history.len());
    for record in history {
        let Some((sent_at, answered_at)) = span(record)? else {
            continue;
        };
        let start = 2 + 2 * sent_at.0 + start_place;
        // An operation without duration still ends no earlier than it begins.
        let finish = answered_at.map_or(NEVER, |at| (2 + 2 * at.0 + finish_place).max(start));
        calls.push(Call {
            record,
            start,
            finish,
        });
    }
    Ok(calls)
}

/// Returns when an operation that may have taken effect was sent, and when its success was known;
/// `None` when it took no effect or, a read, says nothing.
///
/// # Errors
///
/// Says in what the record contradicts itself.
pub(super) fn span(record: &OperationRecord) -> Result<Option<(Time, Option<Time>)>, String> {
    let kind = record.operation.kind();
    let result = match &record.outcome {
        Outcome::Fail(_) => return Ok(None),
        Outcome::Unknown(_) if kind == OperationKind::Read => return Ok(None),
        Outcome::Unknown(_) => None,
        Outcome::Ok(result) => Some(result),
    };
    let Some(sent_at) = record.sent_at else {
        return match result {
            None => Ok(None),
            Some(_) => contradiction(record, "succeeded but was never sent"),
        };
    };
    if sent_at.0 > LAST_INSTANT {
        return contradiction(record, "was sent more than 146 years after the run began");
    }
    let Some(result) = result else {
        return Ok(Some((sent_at, None)));
    };
    if result.kind() != kind {
        return contradiction(record, "was answered as if it were of another kind");
    }
    match record.completed_at {
        None => contradiction(record, "succeeded but has no end"),
        Some(end) if end < sent_at => contradiction(record, "ended before it was sent"),
        Some(end) if end.0 > LAST_INSTANT => {
            contradiction(record, "ended more than 146 years after the run began")
        }
        Some(end) => Ok(Some((sent_at, Some(end)))),
    }
}

fn contradiction<T>(record: &OperationRecord, what: &str) -> Result<T, String> {
    Err(format!(
        "the record of {} contradicts itself: the {} {what}",
        record.id,
        record.operation.kind().name()
    ))
}

/// Tells an operation: what it asked, what it heard, and when.
pub(super) fn told(record: &OperationRecord) -> String {
    let asked = match &record.operation {
        Operation::Read { .. } => "read".to_owned(),
        Operation::Write { value, .. } => format!("write of {}", value_told(Some(value))),
        Operation::CompareAndSet {
            expected, value, ..
        } => format!(
            "compare-and-set from {} to {}",
            value_told(expected.as_ref()),
            value_told(Some(value))
        ),
        Operation::Add { amount, .. } => format!("add of {amount}"),
        Operation::TakeIfEnough { amount, .. } => format!("take-if-enough of {amount}"),
    };
    let heard = match &record.outcome {
        Outcome::Ok(OperationResult::Read { value, .. }) => {
            format!(" that returned {}", value_told(value.as_ref()))
        }
        Outcome::Ok(OperationResult::Written { .. }) => String::new(),
        Outcome::Ok(OperationResult::Swapped { swapped: true, .. }) => " that swapped".to_owned(),
        Outcome::Ok(OperationResult::Swapped { swapped: false, .. }) => {
            " that found another value".to_owned()
        }
        Outcome::Ok(OperationResult::Added { total, .. }) => format!(" that returned {total}"),
        Outcome::Ok(OperationResult::Taken { taken, left, .. }) => {
            format!(
                " that {} {left}",
                if *taken { "left" } else { "found only" }
            )
        }
        Outcome::Fail(kind) => format!(" that failed ({})", kind.name()),
        Outcome::Unknown(kind) => format!(" of unknown outcome ({})", kind.name()),
    };
    let sent = instant(record.sent_at, "never sent");
    let ended = match record.outcome {
        Outcome::Ok(_) => instant(record.completed_at, "no end"),
        Outcome::Fail(_) | Outcome::Unknown(_) => "no end".to_owned(),
    };
    format!("{} ({asked}{heard}, {sent} to {ended})", record.id)
}

fn instant(time: Option<Time>, otherwise: &str) -> String {
    time.map_or_else(|| otherwise.to_owned(), |time| time.to_string())
}

/// Tells a value: an integer, its writer, or its first bytes.
pub(super) fn value_told(value: Option<&Bytes>) -> String {
    let Some(bytes) = value else {
        return "no value".to_owned();
    };
    if let Some(integer) = integer_value(value) {
        return format!("the integer {integer}");
    }
    if let Some(writer) = writer_of(bytes) {
        return format!("the value of {writer}");
    }
    let shown: String = bytes
        .iter()
        .take(12)
        .flat_map(|byte| byte.escape_ascii())
        .map(char::from)
        .collect();
    let more = if bytes.len() > 12 { "..." } else { "" };
    format!("\"{shown}{more}\"")
}

/// Tells a version.
pub(super) fn version_told(version: Version) -> String {
    format!("{}.{}", version.major, version.minor)
}
