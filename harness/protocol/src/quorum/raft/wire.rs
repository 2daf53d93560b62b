//! The project's own form of raft's messages. Nothing of the library crosses the wire: its codec
//! has a known weakness in parsing (RUSTSEC-2024-0437).

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A message between raft replicas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RaftMessage {
    /// What it is.
    pub kind: RaftMessageKind,
    /// The sender's term, or the term it campaigns for.
    pub term: u64,
    /// The term of the entry at `index`.
    pub log_term: u64,
    /// The position before the entries, or the position answered for.
    pub index: u64,
    /// The sender's committed position.
    pub commit: u64,
    /// The term of the entry at `commit`, in vote requests.
    pub commit_term: u64,
    /// Whether an answer is a refusal.
    pub reject: bool,
    /// Where the refuser's log may agree.
    pub reject_hint: u64,
    /// The position from which the sender asks for a snapshot.
    pub request_snapshot: u64,
    /// The candidate's priority.
    pub priority: i64,
    /// The number of the read round that a heartbeat carries.
    pub context: Bytes,
    /// The entries that follow `index`.
    pub entries: Vec<RaftEntry>,
    /// The state that stands for a compacted log.
    pub snapshot: Option<RaftSnapshot>,
}

/// The kinds of message that raft replicas send each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RaftMessageKind {
    /// Entries, or news of what is committed.
    Append,
    /// The answer to [`RaftMessageKind::Append`] and [`RaftMessageKind::Snapshot`].
    AppendResponse,
    /// A candidate's request for a vote.
    RequestVote,
    /// The answer.
    RequestVoteResponse,
    /// The question whether a vote would be granted.
    RequestPreVote,
    /// The answer.
    RequestPreVoteResponse,
    /// A snapshot.
    Snapshot,
    /// A leader's sign of life.
    Heartbeat,
    /// The answer.
    HeartbeatResponse,
}

/// One entry of the log; its index follows from its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RaftEntry {
    /// The term in which it was proposed.
    pub term: u64,
    /// A request in postcard's form, or nothing for a leader's first entry.
    pub data: Bytes,
}

/// The state at a position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RaftSnapshot {
    /// The position.
    pub index: u64,
    /// The term of the entry there.
    pub term: u64,
    /// The store in postcard's form.
    pub data: Bytes,
}
