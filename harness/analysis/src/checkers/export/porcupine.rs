//! Porcupine: calls and returns as JSON lines.

use std::fmt::Write as _;

use longhaul_experiment::{
    Operation, OperationKind, OperationRecord, OperationResult, Outcome, Time,
};

use super::events::{Event, EventKind, Names, events};
use crate::checkers::calls::result;

/// Returns a history as JSON lines, each an `Event` of Porcupine
/// (github.com/anishathalye/porcupine).
///
/// | field | meaning |
/// | --- | --- |
/// | `kind` | `"call"` or `"return"`: `Kind` |
/// | `client` | the process, from 0: `ClientId` |
/// | `id` | the same number in a call and its return, from 0: `Id` |
/// | `time` | nanoseconds since the run's epoch |
/// | `key` | what to partition by |
/// | `input` | of a call: `{"op": "read"}`, `{"op": "write", "value": V}`, `{"op": "compare-and-set", "expected": V, "value": V}`, `{"op": "add", "amount": N}`, `{"op": "take-if-enough", "amount": N}` |
/// | `output` | of a return: `{"value": V}`, `{}`, `{"swapped": B}`, `{"total": N}`, `{"taken": B, "left": N}`, or `{"unknown": true}` |
///
/// `V` is an integer, the name of the value's writer as a string, or `null` for none, which every
/// key holds at first. Operations that failed and reads whose answer nobody heard are left out.
/// An operation of unknown outcome returns after all others with `{"unknown": true}`: a model must
/// accept it whether or not it took effect.
pub fn to_porcupine(history: &[OperationRecord]) -> String {
    let names = Names::of(history);
    let mut events = events(history);
    events.retain(|event| happened(event.record));
    let is_open = |event: &Event<'_>| matches!(event.record.outcome, Outcome::Unknown(_));
    events.retain(|event| event.kind == EventKind::Begin || !is_open(event));
    let last = events.last().map_or(Time::ZERO, |event| event.at);
    let open: Vec<Event<'_>> = events
        .iter()
        .filter(|event| is_open(event))
        .copied()
        .collect();
    events.extend(open.into_iter().map(|event| Event {
        at: last,
        kind: EventKind::End,
        ..event
    }));
    let mut numbers = std::collections::BTreeMap::new();
    let mut text = String::new();
    for event in &events {
        let next = numbers.len();
        let id = *numbers.entry(event.record.id).or_insert(next);
        let (kind, what) = match event.kind {
            EventKind::Begin => ("call", format!("\"input\":{}", input(event, &names))),
            EventKind::End => ("return", format!("\"output\":{}", output(event, &names))),
        };
        let (client, time) = (event.process, event.at.0);
        let key = event.record.operation.key().0;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{{\"kind\":\"{kind}\",\"client\":{client},\"id\":{id},\"time\":{time},\"key\":{key},\
             {what}}}"
        );
    }
    text
}

fn happened(record: &OperationRecord) -> bool {
    match record.outcome {
        Outcome::Ok(_) => true,
        Outcome::Fail(_) => false,
        Outcome::Unknown(_) => record.operation.kind() != OperationKind::Read,
    }
}

fn input(event: &Event<'_>, names: &Names<'_>) -> String {
    let literal = |value| names.literal(value, "null");
    let details = match &event.record.operation {
        Operation::Read { .. } => String::new(),
        Operation::Write { value, .. } => format!(",\"value\":{}", literal(Some(value))),
        Operation::CompareAndSet {
            expected, value, ..
        } => format!(
            ",\"expected\":{},\"value\":{}",
            literal(expected.as_ref()),
            literal(Some(value))
        ),
        Operation::Add { amount, .. } => format!(",\"amount\":{amount}"),
        Operation::TakeIfEnough { amount, .. } => format!(",\"amount\":{amount}"),
    };
    format!(
        "{{\"op\":\"{}\"{details}}}",
        event.record.operation.kind().name()
    )
}

fn output(event: &Event<'_>, names: &Names<'_>) -> String {
    match result(event.record) {
        None => "{\"unknown\":true}".to_owned(),
        Some(OperationResult::Read { value, .. }) => {
            format!("{{\"value\":{}}}", names.literal(value.as_ref(), "null"))
        }
        Some(OperationResult::Written { .. }) => "{}".to_owned(),
        Some(OperationResult::Swapped { swapped, .. }) => format!("{{\"swapped\":{swapped}}}"),
        Some(OperationResult::Added { total, .. }) => format!("{{\"total\":{total}}}"),
        Some(OperationResult::Taken { taken, left, .. }) => {
            format!("{{\"taken\":{taken},\"left\":{left}}}")
        }
    }
}
