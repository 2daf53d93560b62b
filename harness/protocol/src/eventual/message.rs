//! What eventual replicas say to each other.

use bytes::Bytes;
use longhaul_experiment::Key;
use serde::{Deserialize, Serialize};

/// A message between replicas, for states `S` with summaries `U`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Message<S, U> {
    /// New states, to be acknowledged under their number.
    Replicate {
        /// The message's number among those from this sender's life.
        number: u64,
        /// The states.
        entries: Vec<Entry<S>>,
    },
    /// All replication up to this number is safe at the receiver.
    Acknowledge {
        /// The number.
        through: u64,
    },
    /// Begins a round of anti-entropy.
    Compare {
        /// Every bucket's sum of fingerprints, 8 bytes each, little-endian.
        sums: Bytes,
    },
    /// Answers a comparison with buckets whose sums differ; with none when all agree.
    List {
        /// The buckets, as many as a round lists.
        buckets: Vec<ListedBucket<U>>,
        /// Whether further buckets differ, beyond what a round lists.
        more: bool,
    },
    /// States that the receiver was found to lack.
    Repair {
        /// The states.
        entries: Vec<Entry<S>>,
    },
    /// Ends a round: asks for the states of keys.
    Want {
        /// The keys; there may be none.
        keys: Vec<Key>,
        /// Whether the receiver is to begin the next round at once.
        again: bool,
    },
}

/// A key's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry<S> {
    /// The key.
    pub key: Key,
    /// The state.
    pub state: S,
}

/// A bucket's keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListedBucket<U> {
    /// The bucket's number.
    pub bucket: u16,
    /// All its keys in order, each with its summary; `None` when the state changed so lately that
    /// its replication is probably still under way.
    pub keys: Vec<(Key, Option<U>)>,
}
