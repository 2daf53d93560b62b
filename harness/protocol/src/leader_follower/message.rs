//! What replicas send each other.

use bytes::Bytes;
use longhaul_experiment::ReplicaId;
use serde::{Deserialize, Serialize};

use super::entries::Entries;
use super::log::Position;

/// A message between leader and follower. What is rare and large is boxed, since every message is
/// moved several times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// The leader opens a connection epoch with a follower.
    Lead(Box<Lead>),
    /// A follower's answer to [`Message::Lead`], sent when all it holds is safe.
    Match {
        /// The follower's term.
        term: u64,
        /// The probe that is answered.
        round: u64,
        /// The follower's greatest position within [`Lead::limit`]; `None` when that lies before
        /// what it has executed, so that only a snapshot helps.
        position: Option<Position>,
    },
    /// The leader ships entries, or only its commit index.
    Append(Append),
    /// A follower's log is safe up to an index.
    Acknowledge {
        /// The follower's term.
        term: u64,
        /// The last index of the leader's log that is persisted at the follower, with all
        /// before it.
        persisted: u64,
    },
    /// The receiver of a leader's message cannot use it: it knows of a later term, or its log
    /// does not reach to where the message goes on.
    Reject {
        /// The sender's term.
        term: u64,
    },
    /// The leader ships a piece of its store, for a follower that needs what the log has
    /// forgotten.
    Piece(Box<Piece>),
    /// A follower received pieces of a snapshot.
    PieceReceived {
        /// The follower's term.
        term: u64,
        /// Which snapshot.
        position: Position,
        /// How many bytes of it have arrived.
        received: u64,
    },
}

impl Message {
    /// Returns the sender's term.
    pub fn term(&self) -> u64 {
        match self {
            Message::Lead(lead) => lead.leadership.term,
            Message::Append(append) => append.term,
            Message::Piece(piece) => piece.term,
            Message::Match { term, .. }
            | Message::Acknowledge { term, .. }
            | Message::Reject { term }
            | Message::PieceReceived { term, .. } => *term,
        }
    }
}

/// Who leads, and the question how far the follower's log agrees with the leader's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lead {
    /// The leader's term and the in-sync set.
    pub leadership: Leadership,
    /// Numbers the leader's probes of this follower.
    pub round: u64,
    /// The follower is asked for its greatest position within this one.
    pub limit: Position,
    /// A follower that restarted answers reads when it has executed this index: nothing that any
    /// replica made visible lies beyond it.
    pub readable_at: u64,
}

/// What replicas agree on besides the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leadership {
    /// The term; each has one leader.
    pub term: u64,
    /// The replicas that must have persisted a synchronous write before it is acknowledged,
    /// the leader included.
    pub in_sync: Vec<ReplicaId>,
}

/// Entries on their way to a follower.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Append {
    /// The leader's term.
    pub term: u64,
    /// The position that the entries follow.
    pub previous: Position,
    /// The entries; none in a heartbeat.
    pub entries: Entries,
    /// The leader's commit index: what may be executed.
    pub commit: u64,
}

/// A piece of an encoded store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The leader's term.
    pub term: u64,
    /// The last position that the store has executed.
    pub position: Position,
    /// Where the piece begins, in bytes.
    pub offset: u64,
    /// The length of the whole, in bytes.
    pub total: u64,
    /// The piece.
    pub bytes: Bytes,
}

/// The timers of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The leader tells followers its commit index although nothing happens.
    Heartbeat,
}
