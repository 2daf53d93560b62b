//! What becomes of concurrent writes: the seam between replication and conflict resolution.

use std::fmt::Debug;

use bytes::Bytes;
use longhaul_experiment::{ErrorKind, Key, Operation, OperationKind, OperationResult, Version};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// How a key's state takes writes and meets its copies.
///
/// States of one key form a join semilattice under [`Resolver::merge`]: merging is commutative,
/// associative and idempotent, so replicas that saw the same writes hold the same state in
/// whatever order, and however often, they saw them (Shapiro, Preguica, Baquero and Zawirski,
/// "Conflict-free Replicated Data Types", SSS 2011).
pub trait Resolver: Clone + Debug + Send + 'static {
    /// What a replica keeps for a key.
    type State: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + 'static;
    /// What tells states of one key apart without their values.
    type Summary: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + 'static;

    /// Says whether an operation of this kind is possible at one replica alone.
    fn supports(&self, kind: OperationKind) -> bool;

    /// Applies a client's operation that changes the key, as the write called `version`; returns
    /// the state that the key has from then on and what the client hears.
    ///
    /// # Errors
    ///
    /// The operation is not supported or does not fit the state; nothing changes.
    fn apply(
        &self,
        current: Option<&Self::State>,
        operation: &Operation,
        version: Version,
    ) -> Result<(Self::State, OperationResult), ErrorKind>;

    /// Merges another copy into a state; says whether that changed it.
    fn merge(&self, state: &mut Self::State, other: &Self::State) -> bool;

    /// Returns what a client reads.
    fn read(&self, state: Option<&Self::State>) -> OperationResult;

    /// Returns the newest version in a state.
    fn version(&self, state: &Self::State) -> Version;

    /// Returns about how many bytes a state takes in a message.
    fn size(&self, state: &Self::State) -> usize;

    /// Returns a state's summary.
    fn summary(&self, state: &Self::State) -> Self::Summary;

    /// Returns a number that equal states share, and unequal ones with a chance of about 2^-64.
    fn fingerprint(&self, key: Key, state: &Self::State) -> u64;

    /// Compares a state with another replica's, of which the summary is known.
    fn compare(&self, own: &Self::State, other: &Self::Summary) -> Comparison;
}

/// Who lacks what of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The other replica lacks something of the own state.
    pub other_lacks: bool,
    /// This replica lacks something of the other's state.
    pub own_lacks: bool,
}

/// The last writer wins: the state with the greater version stays, and the other is lost.
///
/// "Last" is by hybrid logical clocks: a write that knew of another has the greater version, and
/// of two that did not know of each other the one whose clock was ahead wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastWriterWins;

/// A value and its version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// The version: a hybrid clock's reading, and the write's number.
    pub version: Version,
    /// The value.
    pub value: Bytes,
}

impl Resolver for LastWriterWins {
    type State = Written;
    type Summary = Version;

    fn supports(&self, kind: OperationKind) -> bool {
        matches!(kind, OperationKind::Read | OperationKind::Write)
    }

    fn apply(
        &self,
        _current: Option<&Written>,
        operation: &Operation,
        version: Version,
    ) -> Result<(Written, OperationResult), ErrorKind> {
        match operation {
            Operation::Write { value, .. } => {
                let value = value.clone();
                let result = OperationResult::Written { version };
                Ok((Written { version, value }, result))
            }
            _ => Err(ErrorKind::NotSupported),
        }
    }

    fn merge(&self, state: &mut Written, other: &Written) -> bool {
        let newer = other.version > state.version;
        if newer {
            state.clone_from(other);
        }
        newer
    }

    fn read(&self, state: Option<&Written>) -> OperationResult {
        OperationResult::Read {
            value: state.map(|state| state.value.clone()),
            version: state.map_or(Version::NONE, |state| state.version),
        }
    }

    fn version(&self, state: &Written) -> Version {
        state.version
    }

    fn size(&self, state: &Written) -> usize {
        // A version takes at most 20 bytes on the wire and a length at most 4.
        24 + state.value.len()
    }

    fn summary(&self, state: &Written) -> Version {
        state.version
    }

    fn fingerprint(&self, key: Key, state: &Written) -> u64 {
        let Version { major, minor } = state.version;
        mix(mix(mix(key.0) ^ major) ^ minor)
    }

    fn compare(&self, own: &Written, other: &Version) -> Comparison {
        Comparison {
            other_lacks: own.version > *other,
            own_lacks: own.version < *other,
        }
    }
}

/// Spreads a number over 64 bits: the finalizer of SplitMix64 (Steele, Lea and Flood, "Fast
/// Splittable Pseudorandom Number Generators", OOPSLA 2014).
pub(super) fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
