//! What the replicas of the register say to each other.

use bytes::Bytes;
use longhaul_experiment::{Key, Version};
use serde::{Deserialize, Serialize};

/// What one replica has to say to another at the end of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The parts, in order.
    pub parts: Vec<Part>,
}

impl Message {
    /// Returns the names of its parts, each once, joined.
    pub(super) fn name(&self) -> String {
        let mut names: Vec<&str> = self
            .parts
            .iter()
            .map(|part| match part {
                Part::Query { .. } => "Query",
                Part::Answer { .. } => "Answer",
                Part::Store { .. } => "Store",
                Part::Stored { .. } => "Stored",
                Part::Pull { .. } => "Pull",
                Part::Pulled { .. } => "Pulled",
            })
            .collect();
        names.dedup();
        names.join("+")
    }
}

/// Names one coordination. The incarnation tells a coordinator's lives apart: an answer that a
/// member owed an earlier life names no coordination of this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ask {
    /// The coordinator's incarnation.
    pub incarnation: u32,
    /// The coordination's number in that life.
    pub number: u64,
}

/// A value and its tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// The tag.
    pub version: Version,
    /// The value.
    pub value: Bytes,
}

/// One request or answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// Asks a member for a key's tag.
    Query {
        /// The coordination.
        ask: Ask,
        /// The key.
        key: Key,
        /// Whether the value is wanted too.
        with_value: bool,
    },
    /// Answers a query.
    Answer {
        /// The coordination.
        ask: Ask,
        /// The newest tag that is safe at the member.
        version: Version,
        /// Its value, if asked for.
        value: Option<Bytes>,
    },
    /// Asks a member to keep a value unless it has a newer one.
    Store {
        /// The coordination.
        ask: Ask,
        /// The value and its tag.
        entry: Entry,
    },
    /// Says that the value, or a newer one, is safe at the member.
    Stored {
        /// The coordination.
        ask: Ask,
    },
    /// Asks a member for its entries, in key order.
    Pull {
        /// Only those with greater keys.
        after: Option<Key>,
    },
    /// Answers a pull.
    Pulled {
        /// What the pull named.
        after: Option<Key>,
        /// The entries, as many as fit a message.
        entries: Vec<Entry>,
        /// Whether these were the last.
        last: bool,
    },
}

impl Part {
    /// Returns about how many bytes the part takes in a message.
    pub(super) fn size(&self) -> usize {
        // Tags, keys and numbers together stay below this.
        const HEAD: usize = 40;
        let payload = match self {
            Part::Answer { value, .. } => value.as_ref().map_or(0, Bytes::len),
            Part::Store { entry, .. } => entry.value.len(),
            Part::Pulled { entries, .. } => {
                entries.iter().map(|entry| HEAD + entry.value.len()).sum()
            }
            Part::Query { .. } | Part::Stored { .. } | Part::Pull { .. } => 0,
        };
        HEAD + payload
    }
}
