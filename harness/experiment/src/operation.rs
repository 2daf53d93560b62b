//! What a client asks of the replicated store, and what it hears back.

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{Key, ReplicaId, Version};

/// An operation on one key.
///
/// Written values are unique: the workload puts the writer's operation id into their first 16
/// bytes. `Add` and `TakeIfEnough` read the value as an integer ([`integer_value`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Returns the key's value.
    Read {
        /// The key read.
        key: Key,
    },
    /// Replaces the key's value.
    Write {
        /// The key written.
        key: Key,
        /// The new value.
        value: Bytes,
    },
    /// Replaces the value if it equals `expected` (`None`: the key has none).
    CompareAndSet {
        /// The key written.
        key: Key,
        /// The value the key must have.
        expected: Option<Bytes>,
        /// The new value.
        value: Bytes,
    },
    /// Adds to the integer at the key; a missing value counts as 0. Saturates.
    Add {
        /// The key changed.
        key: Key,
        /// What is added; may be negative.
        amount: i64,
    },
    /// Takes `amount` from the integer at the key if it holds at least that much.
    TakeIfEnough {
        /// The key changed.
        key: Key,
        /// What is taken.
        amount: u64,
    },
}

/// The kind of an operation: what modes declare support for and what is reported apart.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum OperationKind {
    /// [`Operation::Read`].
    Read,
    /// [`Operation::Write`].
    Write,
    /// [`Operation::CompareAndSet`].
    CompareAndSet,
    /// [`Operation::Add`].
    Add,
    /// [`Operation::TakeIfEnough`].
    TakeIfEnough,
}

impl OperationKind {
    /// All kinds, in reporting order.
    pub const ALL: [OperationKind; 5] = [
        OperationKind::Read,
        OperationKind::Write,
        OperationKind::CompareAndSet,
        OperationKind::Add,
        OperationKind::TakeIfEnough,
    ];

    /// Returns the kind's name in records.
    pub const fn name(self) -> &'static str {
        match self {
            OperationKind::Read => "read",
            OperationKind::Write => "write",
            OperationKind::CompareAndSet => "compare-and-set",
            OperationKind::Add => "add",
            OperationKind::TakeIfEnough => "take-if-enough",
        }
    }

    /// Says whether the kind changes the store.
    pub const fn is_write(self) -> bool {
        !matches!(self, OperationKind::Read)
    }
}

impl Operation {
    /// Returns the operation's key.
    pub const fn key(&self) -> Key {
        match self {
            Operation::Read { key }
            | Operation::Write { key, .. }
            | Operation::CompareAndSet { key, .. }
            | Operation::Add { key, .. }
            | Operation::TakeIfEnough { key, .. } => *key,
        }
    }

    /// Returns the operation's kind.
    pub const fn kind(&self) -> OperationKind {
        match self {
            Operation::Read { .. } => OperationKind::Read,
            Operation::Write { .. } => OperationKind::Write,
            Operation::CompareAndSet { .. } => OperationKind::CompareAndSet,
            Operation::Add { .. } => OperationKind::Add,
            Operation::TakeIfEnough { .. } => OperationKind::TakeIfEnough,
        }
    }
}

/// What is known of an operation's end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It took effect and this is its result.
    Ok(OperationResult),
    /// It certainly did not and will not take effect.
    Fail(ErrorKind),
    /// It may have taken effect, or may yet: a time-out or a reset connection.
    Unknown(ErrorKind),
}

impl Outcome {
    /// Says whether the operation succeeded.
    pub const fn is_ok(&self) -> bool {
        matches!(self, Outcome::Ok(_))
    }
}

/// The result of an operation that took effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OperationResult {
    /// Of a read.
    Read {
        /// The value, `None` when the key has none.
        value: Option<Bytes>,
        /// The value's version.
        version: Version,
    },
    /// Of a write.
    Written {
        /// The version that the write gave the key.
        version: Version,
    },
    /// Of a compare-and-set.
    Swapped {
        /// Whether the value was as expected, and was replaced.
        swapped: bool,
        /// The key's version afterwards.
        version: Version,
    },
    /// Of an add.
    Added {
        /// The integer afterwards.
        total: i64,
        /// The key's version afterwards.
        version: Version,
    },
    /// Of a take-if-enough.
    Taken {
        /// Whether there was enough, and it was taken.
        taken: bool,
        /// The integer afterwards.
        left: i64,
        /// The key's version afterwards.
        version: Version,
    },
}

impl OperationResult {
    /// Returns the kind of operation that it answers.
    pub const fn kind(&self) -> OperationKind {
        match self {
            OperationResult::Read { .. } => OperationKind::Read,
            OperationResult::Written { .. } => OperationKind::Write,
            OperationResult::Swapped { .. } => OperationKind::CompareAndSet,
            OperationResult::Added { .. } => OperationKind::Add,
            OperationResult::Taken { .. } => OperationKind::TakeIfEnough,
        }
    }

    /// Returns the key's version after the operation.
    pub const fn version(&self) -> Version {
        match self {
            OperationResult::Read { version, .. }
            | OperationResult::Written { version }
            | OperationResult::Swapped { version, .. }
            | OperationResult::Added { version, .. }
            | OperationResult::Taken { version, .. } => *version,
        }
    }
}

/// Why an operation did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ErrorKind {
    /// The replica does not lead; `hint` is whom it believes to lead.
    NotLeader {
        /// The replica to ask next, when known.
        hint: Option<ReplicaId>,
    },
    /// The mode does not support the operation.
    NotSupported,
    /// A bounded queue or session table was full.
    Overloaded,
    /// The value at the key is not an integer.
    WrongType,
    /// The replica is not (or no longer) able to serve: it is being caught up or stopped.
    NotReady,
    /// No answer within the operation's time-out.
    TimedOut,
    /// The connection ended while the operation was under way.
    ConnectionLost,
    /// The run ended before the operation did.
    Unfinished,
}

impl ErrorKind {
    /// Returns the kind's name in records.
    pub const fn name(self) -> &'static str {
        match self {
            ErrorKind::NotLeader { .. } => "not-leader",
            ErrorKind::NotSupported => "not-supported",
            ErrorKind::Overloaded => "overloaded",
            ErrorKind::WrongType => "wrong-type",
            ErrorKind::NotReady => "not-ready",
            ErrorKind::TimedOut => "timed-out",
            ErrorKind::ConnectionLost => "connection-lost",
            ErrorKind::Unfinished => "unfinished",
        }
    }
}

/// Returns the stored form of an integer: 8 bytes, little-endian.
pub fn integer_bytes(integer: i64) -> Bytes {
    Bytes::copy_from_slice(&integer.to_le_bytes())
}

/// Returns the integer that a stored value holds; a missing value is 0, and a value of any
/// other length than 8 bytes is no integer.
pub fn integer_value(value: Option<&Bytes>) -> Option<i64> {
    match value {
        None => Some(0),
        Some(bytes) => bytes.as_ref().try_into().ok().map(i64::from_le_bytes),
    }
}
