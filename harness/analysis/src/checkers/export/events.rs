//! What the exported forms share: events in order, processes, and short names for values.

use std::collections::BTreeMap;

use bytes::Bytes;
use longhaul_experiment::operation::integer_value;
use longhaul_experiment::{
    ClientId, Operation, OperationKind, OperationRecord, OperationResult, Outcome, Time,
};

use crate::checkers::calls::result;

/// The beginning or the end of an operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event<'a> {
    pub(super) at: Time,
    pub(super) kind: EventKind,
    pub(super) record: &'a OperationRecord,
    /// The process that the operation belongs to.
    pub(super) process: usize,
}

/// Which of an operation's events it is. At one instant, beginnings come first: operations that
/// touch are concurrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum EventKind {
    Begin,
    End,
}

/// Returns the events of the operations that were sent, in order of time.
///
/// Other checkers think in processes, which do one thing at a time and are never heard of again
/// after an operation of unknown outcome. So a client's operations are dealt to as many processes
/// as it has operations under way at once, and each unknown outcome costs it one more. An
/// operation that was still under way when the run ended has no end.
pub(super) fn events(history: &[OperationRecord]) -> Vec<Event<'_>> {
    let mut sent: Vec<(Time, &OperationRecord)> = history
        .iter()
        .filter_map(|record| Some((record.sent_at?, record)))
        .collect();
    sent.sort_by_key(|&(sent_at, record)| (sent_at, record.id));
    let mut processes = Processes::default();
    let mut events = Vec::with_capacity(2 * sent.len());
    for (sent_at, record) in sent {
        let process = processes.assign(sent_at, record);
        let event = |at, kind| Event {
            at,
            kind,
            record,
            process,
        };
        events.push(event(sent_at, EventKind::Begin));
        if let Some(completed_at) = record.completed_at {
            events.push(event(completed_at.max(sent_at), EventKind::End));
        }
    }
    events.sort_by_key(|event| (event.at, event.kind, event.record.id));
    events
}

/// Which processes are free, and since when.
#[derive(Debug, Default)]
struct Processes {
    count: usize,
    free: BTreeMap<ClientId, Vec<(Time, usize)>>,
}

impl Processes {
    fn assign(&mut self, sent_at: Time, record: &OperationRecord) -> usize {
        let free = self.free.entry(record.id.client).or_default();
        let process = match free.iter().position(|&(since, _)| since < sent_at) {
            Some(position) => free.remove(position).1,
            None => {
                self.count += 1;
                self.count - 1
            }
        };
        let known = !matches!(record.outcome, Outcome::Unknown(_));
        if let Some(since) = record.completed_at.filter(|_| known) {
            free.push((since, process));
        }
        process
    }
}

/// Names for values: an integer is itself; any other value is named by the operation that first
/// asked to write it, or `unwritten-N` when none did.
#[derive(Debug)]
pub(super) struct Names<'a> {
    names: BTreeMap<&'a [u8], String>,
}

impl<'a> Names<'a> {
    /// Names all values of a history.
    pub(super) fn of(history: &'a [OperationRecord]) -> Names<'a> {
        let mut names: BTreeMap<&[u8], String> = BTreeMap::new();
        for record in history {
            if let Operation::Write { value, .. } | Operation::CompareAndSet { value, .. } =
                &record.operation
            {
                names.entry(value).or_insert_with(|| record.id.to_string());
            }
        }
        let mut unwritten = 0;
        for value in history.iter().filter_map(asked_about) {
            names.entry(value).or_insert_with(|| {
                unwritten += 1;
                format!("unwritten-{unwritten}")
            });
        }
        Names { names }
    }

    /// Returns a value as a literal of EDN and of JSON alike: an integer or a string; `nothing`
    /// when the key has none.
    pub(super) fn literal(&self, value: Option<&Bytes>, nothing: &str) -> String {
        let Some(bytes) = value else {
            return nothing.to_owned();
        };
        match (integer_value(value), self.names.get(bytes.as_ref())) {
            (Some(integer), _) => integer.to_string(),
            (None, Some(name)) => format!("\"{name}\""),
            (None, None) => nothing.to_owned(),
        }
    }
}

/// Returns the value that an operation returned or expected.
fn asked_about(record: &OperationRecord) -> Option<&Bytes> {
    match (&record.operation, result(record)) {
        (_, Some(OperationResult::Read { value, .. })) => value.as_ref(),
        (Operation::CompareAndSet { expected, .. }, _) => expected.as_ref(),
        _ => None,
    }
}

/// Returns the type of an end in Jepsen's words.
pub(super) fn jepsen_type(event: &Event<'_>) -> &'static str {
    let refused = matches!(
        result(event.record),
        Some(
            OperationResult::Swapped { swapped: false, .. }
                | OperationResult::Taken { taken: false, .. }
        )
    );
    match (event.kind, &event.record.outcome) {
        (EventKind::Begin, _) => ":invoke",
        (EventKind::End, Outcome::Ok(_)) if !refused => ":ok",
        (EventKind::End, Outcome::Ok(_) | Outcome::Fail(_)) => ":fail",
        // A read that nobody heard of changed nothing.
        (EventKind::End, Outcome::Unknown(_))
            if event.record.operation.kind() == OperationKind::Read =>
        {
            ":fail"
        }
        (EventKind::End, Outcome::Unknown(_)) => ":info",
    }
}
