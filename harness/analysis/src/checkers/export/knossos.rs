//! Knossos: one map per event.

use std::fmt::Write as _;

use longhaul_experiment::{Operation, OperationRecord, OperationResult};

use super::events::{Event, EventKind, Names, events, jepsen_type};
use crate::checkers::calls::result;

/// Returns a history as EDN for Knossos (github.com/jepsen-io/knossos), one map a line.
///
/// `:f` is `:read`, `:write` or `:cas` (`[expected new]`) as in its models `register` and
/// `cas-register`, which begin at `nil`; and `:add` (`[amount total]`) and `:take`
/// (`[amount left]`), for which it has no model. With more than one key, `:value` is `[key value]`,
/// as Jepsen's `independent` has it. Times are nanoseconds.
///
/// A compare-and-set that found another value and a take that found too little end with `:fail`,
/// so that Knossos judges less here than [`linearizability()`](crate::checkers::linearizability()).
/// Values other than integers are named by their writer. Processes are not clients: a client that
/// pipelines, or has lost track of an operation, is several.
pub fn to_knossos_edn(history: &[OperationRecord]) -> String {
    let names = Names::of(history);
    let first_key = history.first().map(|record| record.operation.key());
    let one_key = history
        .iter()
        .all(|record| Some(record.operation.key()) == first_key);
    let mut text = String::new();
    for (index, event) in events(history).iter().enumerate() {
        let (function, value) = function_and_value(event, &names);
        let value = if one_key {
            value
        } else {
            format!("[{} {value}]", event.record.operation.key().0)
        };
        let kind = jepsen_type(event);
        let (process, time) = (event.process, event.at.0);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{{:process {process}, :type {kind}, :f {function}, :value {value}, :time {time}, \
             :index {index}}}"
        );
    }
    text
}

fn function_and_value(event: &Event<'_>, names: &Names<'_>) -> (&'static str, String) {
    let result = result(event.record).filter(|_| event.kind == EventKind::End);
    match (&event.record.operation, result) {
        (Operation::Read { .. }, Some(OperationResult::Read { value, .. })) => {
            (":read", names.literal(value.as_ref(), "nil"))
        }
        (Operation::Read { .. }, _) => (":read", "nil".to_owned()),
        (Operation::Write { value, .. }, _) => (":write", names.literal(Some(value), "nil")),
        (
            Operation::CompareAndSet {
                expected, value, ..
            },
            _,
        ) => {
            let expected = names.literal(expected.as_ref(), "nil");
            let value = names.literal(Some(value), "nil");
            (":cas", format!("[{expected} {value}]"))
        }
        (Operation::Add { amount, .. }, Some(OperationResult::Added { total, .. })) => {
            (":add", format!("[{amount} {total}]"))
        }
        (Operation::Add { amount, .. }, _) => (":add", format!("[{amount} nil]")),
        (Operation::TakeIfEnough { amount, .. }, Some(OperationResult::Taken { left, .. })) => {
            (":take", format!("[{amount} {left}]"))
        }
        (Operation::TakeIfEnough { amount, .. }, _) => (":take", format!("[{amount} nil]")),
    }
}
