//! Small histories, written down operation by operation.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use longhaul_analysis::checkers::{Verdict, Violation};
use longhaul_experiment::{
    ClientId, ErrorKind, Key, Operation, OperationId, OperationRecord, OperationResult, Outcome,
    RegionIndex, ReplicaId, Time, Version,
};

/// The key that histories speak of unless they say otherwise.
pub const KEY: Key = Key(7);

/// A history under construction. Instants are milliseconds; a client's operations are numbered
/// from 0 in the order in which they are written down.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub records: Vec<OperationRecord>,
    next: BTreeMap<u32, u64>,
    key: Option<Key>,
}

pub fn history() -> History {
    History::default()
}

pub fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

pub fn version(number: u64) -> Version {
    Version {
        major: number,
        minor: 0,
    }
}

pub fn id(client: u32, sequence: u64) -> OperationId {
    OperationId {
        client: ClientId(client),
        sequence,
    }
}

impl History {
    /// Makes what follows speak of another key.
    pub fn on(mut self, key: u64) -> History {
        self.key = Some(Key(key));
        self
    }

    pub fn key(&self) -> Key {
        self.key.unwrap_or(KEY)
    }

    fn push(mut self, client: u32, operation: Operation, at: Range<u64>, outcome: Outcome) -> Self {
        let next = self.next.entry(client).or_default();
        let ended = !matches!(outcome, Outcome::Unknown(ErrorKind::Unfinished));
        self.records.push(OperationRecord {
            id: id(client, *next),
            region: RegionIndex(0),
            replica: ReplicaId(0),
            operation,
            attempts: 1,
            intended_at: Time::from_millis(at.start),
            sent_at: Some(Time::from_millis(at.start)),
            completed_at: ended.then_some(Time::from_millis(at.end)),
            outcome,
        });
        *next += 1;
        self
    }

    /// A successful operation.
    pub fn ok(
        self,
        client: u32,
        operation: Operation,
        result: OperationResult,
        at: Range<u64>,
    ) -> Self {
        self.push(client, operation, at, Outcome::Ok(result))
    }

    pub fn write(self, client: u32, value: &str, at: Range<u64>) -> Self {
        let operation = self.writing(value);
        let version = version(at.start + 1);
        self.ok(client, operation, OperationResult::Written { version }, at)
    }

    pub fn read(self, client: u32, value: Option<&str>, at: Range<u64>) -> Self {
        let operation = Operation::Read { key: self.key() };
        let result = OperationResult::Read {
            value: value.map(bytes),
            version: version(at.start + 1),
        };
        self.ok(client, operation, result, at)
    }

    pub fn swap(
        self,
        client: u32,
        (expected, value): (Option<&str>, &str),
        swapped: bool,
        at: Range<u64>,
    ) -> Self {
        let operation = self.swapping(expected, value);
        let version = version(at.start + 1);
        self.ok(
            client,
            operation,
            OperationResult::Swapped { swapped, version },
            at,
        )
    }

    pub fn add(self, client: u32, amount: i64, total: i64, at: Range<u64>) -> Self {
        let operation = Operation::Add {
            key: self.key(),
            amount,
        };
        let version = version(at.start + 1);
        self.ok(
            client,
            operation,
            OperationResult::Added { total, version },
            at,
        )
    }

    pub fn take(self, client: u32, amount: u64, answer: (bool, i64), at: Range<u64>) -> Self {
        let operation = Operation::TakeIfEnough {
            key: self.key(),
            amount,
        };
        let result = OperationResult::Taken {
            taken: answer.0,
            left: answer.1,
            version: version(at.start + 1),
        };
        self.ok(client, operation, result, at)
    }

    /// An operation whose end the client gave up waiting for.
    pub fn unknown(self, client: u32, operation: Operation, at: Range<u64>) -> Self {
        self.push(client, operation, at, Outcome::Unknown(ErrorKind::TimedOut))
    }

    /// An operation that was under way when the run ended.
    pub fn pending(self, client: u32, operation: Operation, from: u64) -> Self {
        let outcome = Outcome::Unknown(ErrorKind::Unfinished);
        self.push(client, operation, from..from, outcome)
    }

    pub fn failed(self, client: u32, operation: Operation, at: Range<u64>) -> Self {
        self.push(client, operation, at, Outcome::Fail(ErrorKind::Overloaded))
    }

    pub fn writing(&self, value: &str) -> Operation {
        Operation::Write {
            key: self.key(),
            value: bytes(value),
        }
    }

    pub fn swapping(&self, expected: Option<&str>, value: &str) -> Operation {
        Operation::CompareAndSet {
            key: self.key(),
            expected: expected.map(bytes),
            value: bytes(value),
        }
    }

    /// Gives the last operation's result this version.
    pub fn version(mut self, number: u64) -> Self {
        let last = self.records.last_mut().expect("a record");
        let Outcome::Ok(result) = &mut last.outcome else {
            panic!("a result has a version, {:?} has none", last.outcome);
        };
        match result {
            OperationResult::Read { version, .. }
            | OperationResult::Written { version }
            | OperationResult::Swapped { version, .. }
            | OperationResult::Added { version, .. }
            | OperationResult::Taken { version, .. } => *version = self::version(number),
        }
        self
    }
}

/// Returns the violation that a verdict must be.
pub fn violation(verdict: Verdict) -> Violation {
    match verdict {
        Verdict::Violated(violation) => violation,
        other => panic!("expected a violation, got {other:?}"),
    }
}

/// Returns the reason of a verdict that must be unknown.
pub fn reason(verdict: Verdict) -> String {
    match verdict {
        Verdict::Unknown(reason) => reason,
        other => panic!("expected an unknown verdict, got {other:?}"),
    }
}
