//! Elle: one transaction per operation.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use longhaul_experiment::{Key, Operation, OperationKind, OperationRecord, OperationResult};

use super::events::{Event, EventKind, Names, events, jepsen_type};
use crate::checkers::calls::result;

/// Returns a history as EDN for Elle's `rw-register` (Kingsbury and Alvaro, "Elle: Inferring
/// Isolation Anomalies from Experimental Observations", VLDB 2020), one map a line.
///
/// Each operation is a transaction: a read `[[:r key value]]`, a write `[[:w key value]]`, a
/// compare-and-set both. One that found another value ends with `:fail`, for what it did find is
/// not known. Times are nanoseconds. Values are integers or named by their writer; processes are
/// not clients, as in [`to_knossos_edn()`](super::to_knossos_edn()).
///
/// `rw-register` takes every write as unique, so that keys with an add or a take, whose totals
/// repeat, are left out as a whole.
pub fn to_elle_edn(history: &[OperationRecord]) -> String {
    let names = Names::of(history);
    let counted: BTreeSet<Key> = history
        .iter()
        .filter(|record| {
            let kind = record.operation.kind();
            matches!(kind, OperationKind::Add | OperationKind::TakeIfEnough)
        })
        .map(|record| record.operation.key())
        .collect();
    let mut text = String::new();
    let events = events(history);
    let exported = events
        .iter()
        .filter(|event| !counted.contains(&event.record.operation.key()));
    for (index, event) in exported.enumerate() {
        let kind = jepsen_type(event);
        let (process, time) = (event.process, event.at.0);
        let transaction = transaction(event, &names);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{{:index {index}, :time {time}, :type {kind}, :process {process}, :f :txn, \
             :value [{transaction}]}}"
        );
    }
    text
}

fn transaction(event: &Event<'_>, names: &Names<'_>) -> String {
    let key = event.record.operation.key().0;
    let result = result(event.record).filter(|_| event.kind == EventKind::End);
    let read = match (&event.record.operation, result) {
        (Operation::Read { .. }, Some(OperationResult::Read { value, .. })) => {
            Some(names.literal(value.as_ref(), "nil"))
        }
        (
            Operation::CompareAndSet { expected, .. },
            Some(OperationResult::Swapped { swapped: true, .. }),
        ) => Some(names.literal(expected.as_ref(), "nil")),
        (Operation::Write { .. }, _) => None,
        _ => Some("nil".to_owned()),
    };
    let written = match &event.record.operation {
        Operation::Write { value, .. } | Operation::CompareAndSet { value, .. } => {
            Some(names.literal(Some(value), "nil"))
        }
        _ => None,
    };
    let parts = [
        read.map(|value| format!("[:r {key} {value}]")),
        written.map(|value| format!("[:w {key} {value}]")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}
