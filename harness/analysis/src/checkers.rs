//! Checkers: from the history of a run to a verdict on each guarantee that its mode gives.
//!
//! A checker sees what clients saw, [`OperationRecord`]s, and what a final read of every key at
//! every replica returned, [`FinalRead`]s. It knows nothing of the protocol.
//!
//! 1. [`linearizability()`]: per key, by zones for registers with unique values and by search for
//!    all other operations;
//! 2. [`session_guarantee()`]: the four guarantees of Terry et al., per client and key;
//! 3. [`convergence()`], [`acknowledged_writes_kept()`]: what replicas hold once all is quiet;
//! 4. [`to_knossos_edn()`], [`to_elle_edn()`], [`to_porcupine()`]: the same history for other
//!    checkers, so that a verdict need not be taken on trust.
//!
//! # What counts
//!
//! An operation begins when it was first sent and ends when its success was known. One that was
//! never sent did not happen, and one that failed took no effect: both are left out. One whose end
//! is unknown may take effect at any instant after it was sent, or never, so that it has no end;
//! a read whose answer nobody heard says nothing and is left out.
//!
//! A history that contradicts itself (a success without an end, an end before the beginning, an
//! answer to another kind of question) gets no verdict but [`Verdict::Unknown`].

mod calls;
mod convergence;
mod durability;
mod export;
mod linearizability;
mod search;
mod sessions;
mod specification;
mod zones;

use std::fmt;

use bytes::Bytes;
use longhaul_experiment::{Key, OperationId, OperationRecord, ReplicaId, Version};

pub use convergence::convergence;
pub use durability::acknowledged_writes_kept;
pub use export::{to_elle_edn, to_knossos_edn, to_porcupine};
pub use linearizability::{LinearizabilityOptions, Method, SameInstant, linearizability};
pub use sessions::session_guarantee;

/// What a checker found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The history keeps the guarantee.
    Holds,
    /// The history breaks the guarantee, and here is the witness.
    Violated(Violation),
    /// The checker cannot tell, for this reason. It is never a pass.
    Unknown(String),
}

/// A broken guarantee and the operations that show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What was broken.
    pub guarantee: Guarantee,
    /// Why, in sentences that name operations, values and instants.
    pub explanation: String,
    /// The operations that show it, without repetition, in the order in which the explanation
    /// needs them.
    pub operations: Vec<OperationId>,
}

/// What a mode may promise and a checker can judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guarantee {
    /// Each operation seems to take effect at one instant between its beginning and its end
    /// (Herlihy and Wing, "Linearizability: A Correctness Condition for Concurrent Objects", 1990).
    Linearizability,
    /// A read after a session's own acknowledged write of the key returns that write or a later one.
    ReadYourWrites,
    /// What a session reads of a key never goes back.
    MonotonicReads,
    /// A session's writes of a key take their places in the order in which it made them.
    MonotonicWrites,
    /// A session's write of a key comes after every write of the key that the session had read.
    WritesFollowReads,
    /// Once all is quiet, every replica holds the same.
    Convergence,
    /// Once all is quiet, every acknowledged write is still there.
    AcknowledgedWritesKept,
}

impl Guarantee {
    /// All guarantees, in reporting order.
    pub const ALL: [Guarantee; 7] = [
        Guarantee::Linearizability,
        Guarantee::ReadYourWrites,
        Guarantee::MonotonicReads,
        Guarantee::MonotonicWrites,
        Guarantee::WritesFollowReads,
        Guarantee::Convergence,
        Guarantee::AcknowledgedWritesKept,
    ];

    /// Returns the guarantee's name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Guarantee::Linearizability => "linearizability",
            Guarantee::ReadYourWrites => "read your writes",
            Guarantee::MonotonicReads => "monotonic reads",
            Guarantee::MonotonicWrites => "monotonic writes",
            Guarantee::WritesFollowReads => "writes follow reads",
            Guarantee::Convergence => "convergence",
            Guarantee::AcknowledgedWritesKept => "acknowledged writes kept",
        }
    }
}

impl fmt::Display for Guarantee {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// What one replica returned for one key after the load had ended and all was quiet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalRead {
    /// The replica asked.
    pub replica: ReplicaId,
    /// The key read.
    pub key: Key,
    /// Its value, `None` when the key has none.
    pub value: Option<Bytes>,
    /// The value's version.
    pub version: Version,
}

impl Violation {
    /// Builds a violation whose witness are these records, dropping repetitions.
    fn new<'a>(
        guarantee: Guarantee,
        explanation: String,
        witness: impl IntoIterator<Item = &'a OperationRecord>,
    ) -> Violation {
        let mut operations = Vec::new();
        for record in witness {
            if !operations.contains(&record.id) {
                operations.push(record.id);
            }
        }
        Violation {
            guarantee,
            explanation,
            operations,
        }
    }
}
