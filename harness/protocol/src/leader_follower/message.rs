//! What replicas send each other.

use bytes::Bytes;
use longhaul_experiment::Time;
use serde::{Deserialize, Serialize};

use super::entries::Entries;
use super::leadership::Leadership;
use super::log::Position;
use crate::quorum::raft::RaftMessage;

/// A message between replicas. What is rare and large is boxed, since every message is moved
/// several times.
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
        /// what it holds.
        position: Option<Position>,
        /// What it has executed: if the two logs agree only up to before that, a snapshot has to
        /// replace it.
        executed: u64,
        /// The follower's life, as in [`Leadership::lives`].
        life: u32,
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
    /// The leader's sign of life.
    Heartbeat(Box<Heartbeat>),
    /// A replica heard its leader, in a [`Message::Heartbeat`] or a [`Message::Lead`].
    Heard {
        /// The follower's term.
        term: u64,
        /// When the leader sent it, by its own clock.
        sent_at: Time,
        /// The follower's life, as in [`Leadership::lives`].
        life: u32,
    },
    /// A replica misses its leader.
    Missing {
        /// The agreement that it knows of.
        version: u64,
        /// Its life, as in [`Leadership::lives`].
        life: u32,
    },
    /// The controller asks for a replica's position, to choose another leader.
    Gather(Box<Gather>),
    /// A replica's answer to [`Message::Gather`], sent when all it holds is safe.
    Report(Box<Report>),
    /// The leader wants something agreed on.
    Propose(Box<Propose>),
    /// What was agreed on, for whom may not have heard.
    News(Box<Leadership>),
    /// The consensus among replicas about agreements.
    Consensus(Box<RaftMessage>),
}

/// Who leads, and the question how far the follower's log agrees with the leader's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lead {
    /// What was agreed on; the term is the leader's.
    pub leadership: Leadership,
    /// When it was sent, by the leader's clock: it is a sign of life too.
    pub sent_at: Time,
    /// Numbers the leader's probes of this follower.
    pub round: u64,
    /// The follower is asked for its greatest position within this one.
    pub limit: Position,
    /// A follower that restarted answers reads when it has executed this index: nothing that any
    /// replica made visible lies beyond it.
    pub readable_at: u64,
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

/// A leader's sign of life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The leader's term.
    pub term: u64,
    /// When it was sent, by the leader's clock.
    pub sent_at: Time,
    /// The commit index, for a follower that is shipped the log.
    pub append: Option<Append>,
}

/// The controller's question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gather {
    /// The last agreement, whose leader is missing.
    pub leadership: Leadership,
    /// The term of the leader that will be chosen.
    pub term: u64,
}

/// How far a replica's log reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The agreement that it knows of.
    pub version: u64,
    /// The term that it promised itself to: it takes nothing from leaders of earlier terms.
    pub term: u64,
    /// The last position of its log, which is persisted.
    pub position: Position,
    /// Its life, as in [`Leadership::lives`].
    pub life: u32,
}

/// What the leader wants agreed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Propose {
    /// What is to succeed the last agreement.
    pub leadership: Leadership,
    /// Whether whoever is not the controller passes it on.
    pub relay: bool,
}

/// The timers of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// Time passes: for heartbeats, for what waits for one, and for the consensus.
    Tick,
}
