//! The project's own form of raft's messages. Nothing of the library crosses the wire: its codec
//! has a known weakness in parsing (RUSTSEC-2024-0437).

use bytes::Bytes;
use raft::eraftpb::{Entry, Message, MessageType};
use serde::de::{Deserializer, Error as _};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::adapter;

/// A message between raft replicas: the library's in memory, so that whoever sends and receives
/// it moves it alone, and of a form of the project's where serde writes and reads it.
///
/// Sender and receiver are not in that form, nor are the indexes of entries and the voters of a
/// snapshot: who receives it knows them.
#[derive(Clone, Debug, PartialEq)]
pub struct RaftMessage {
    kind: RaftMessageKind,
    message: Message,
}

/// A message's form. One type is written and read, with references in the one case.
#[derive(Serialize, Deserialize)]
struct Form<Context, Entries, Snapshot> {
    /// What it is.
    kind: RaftMessageKind,
    /// The sender's term, or the term it campaigns for.
    term: u64,
    /// The term of the entry at `index`.
    log_term: u64,
    /// The position before the entries, or the position answered for.
    index: u64,
    /// The sender's committed position.
    commit: u64,
    /// The term of the entry at `commit`, in vote requests.
    commit_term: u64,
    /// Whether an answer is a refusal.
    reject: bool,
    /// Where the refuser's log may agree.
    reject_hint: u64,
    /// The position from which the sender asks for a snapshot.
    request_snapshot: u64,
    /// The candidate's priority.
    priority: i64,
    /// The number of the read round that a heartbeat carries.
    context: Context,
    /// The entries that follow `index`.
    entries: Entries,
    /// The state that stands for a compacted log.
    snapshot: Option<Snapshot>,
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
pub(crate) struct EntryForm<Data> {
    /// The term in which it was proposed.
    pub term: u64,
    /// A request in postcard's form, or nothing for a leader's first entry.
    pub data: Data,
}

/// The state at a position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SnapshotForm<Data> {
    /// The position.
    pub index: u64,
    /// The term of the entry there.
    pub term: u64,
    /// The store in postcard's form.
    pub data: Data,
}

/// An entry's form.
pub(crate) type RaftEntry = EntryForm<Bytes>;

/// A snapshot's form.
pub(crate) type RaftSnapshot = SnapshotForm<Bytes>;

impl RaftMessage {
    /// Takes the library's message; `None` for what a node says to itself.
    pub(super) fn new(message: Message) -> Option<RaftMessage> {
        let kind = kind_of(message.msg_type)?;
        Some(RaftMessage { kind, message })
    }

    /// Returns what it is.
    pub fn kind(&self) -> RaftMessageKind {
        self.kind
    }

    /// Returns the state in postcard's form that its snapshot carries, if it has one.
    pub(crate) fn state(&self) -> Option<&Bytes> {
        self.message
            .snapshot
            .as_ref()
            .map(|snapshot| &snapshot.data)
    }

    /// Returns the library's message.
    pub(super) fn into_message(self) -> Message {
        self.message
    }

    /// Returns a follower's consent to a heartbeat.
    #[cfg(feature = "mutations")]
    pub(crate) fn consent(&self) -> RaftMessage {
        let mut consent = self.clone();
        consent.kind = RaftMessageKind::HeartbeatResponse;
        consent.message.msg_type = type_of(consent.kind);
        consent
    }

    /// Makes a candidate's log the longest there can be.
    #[cfg(feature = "mutations")]
    pub(crate) fn claim_longest_log(&mut self) {
        self.message.log_term = u64::MAX >> 1;
        self.message.index = u64::MAX >> 1;
    }

    /// Returns the sender's term.
    #[cfg(feature = "mutations")]
    pub(crate) fn term(&self) -> u64 {
        self.message.term
    }
}

impl Serialize for RaftMessage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Whole, so that a field that the library gains is not left behind unseen.
        let Message {
            msg_type: _,
            to: _,
            from: _,
            term,
            log_term,
            index,
            entries,
            commit,
            commit_term,
            snapshot,
            request_snapshot,
            reject,
            reject_hint,
            context,
            // Written beside `priority` for older nodes, and read where that is zero.
            deprecated_priority: _,
            priority,
            unknown_fields: _,
            cached_size: _,
        } = &self.message;
        let snapshot = snapshot.as_ref().map(|snapshot| {
            let metadata = snapshot.get_metadata();
            SnapshotForm {
                index: metadata.index,
                term: metadata.term,
                data: &snapshot.data,
            }
        });
        let form = Form {
            kind: self.kind,
            term: *term,
            log_term: *log_term,
            index: *index,
            commit: *commit,
            commit_term: *commit_term,
            reject: *reject,
            reject_hint: *reject_hint,
            request_snapshot: *request_snapshot,
            priority: *priority,
            context,
            entries: Entries(entries),
            snapshot,
        };
        form.serialize(serializer)
    }
}

/// Entries of the library's, to be written.
struct Entries<'a>(&'a [Entry]);

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|entry| EntryForm {
            term: entry.term,
            data: &entry.data,
        }))
    }
}

impl<'de> Deserialize<'de> for RaftMessage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RaftMessage, D::Error> {
        let form = Form::<Bytes, Vec<RaftEntry>, RaftSnapshot>::deserialize(deserializer)?;
        let after = form.index.checked_add(form.entries.len() as u64 + 1);
        after.ok_or_else(|| D::Error::custom("its entries are beyond the largest index"))?;
        let entries = form.entries.into_iter().zip(form.index + 1..);
        let entries = entries.map(|(entry, index)| adapter::entry_in(index, entry));
        let message = Message {
            msg_type: type_of(form.kind),
            term: form.term,
            log_term: form.log_term,
            index: form.index,
            commit: form.commit,
            commit_term: form.commit_term,
            reject: form.reject,
            reject_hint: form.reject_hint,
            request_snapshot: form.request_snapshot,
            priority: form.priority,
            context: form.context,
            entries: entries.collect::<Vec<Entry>>().into(),
            snapshot: form
                .snapshot
                .map(|snapshot| adapter::snapshot_in(snapshot, &[]))
                .into(),
            ..Message::default()
        };
        let kind = form.kind;
        Ok(RaftMessage { kind, message })
    }
}

fn kind_of(message_type: MessageType) -> Option<RaftMessageKind> {
    Some(match message_type {
        MessageType::MsgAppend => RaftMessageKind::Append,
        MessageType::MsgAppendResponse => RaftMessageKind::AppendResponse,
        MessageType::MsgRequestVote => RaftMessageKind::RequestVote,
        MessageType::MsgRequestVoteResponse => RaftMessageKind::RequestVoteResponse,
        MessageType::MsgRequestPreVote => RaftMessageKind::RequestPreVote,
        MessageType::MsgRequestPreVoteResponse => RaftMessageKind::RequestPreVoteResponse,
        MessageType::MsgSnapshot => RaftMessageKind::Snapshot,
        MessageType::MsgHeartbeat => RaftMessageKind::Heartbeat,
        MessageType::MsgHeartbeatResponse => RaftMessageKind::HeartbeatResponse,
        MessageType::MsgHup
        | MessageType::MsgBeat
        | MessageType::MsgPropose
        | MessageType::MsgUnreachable
        | MessageType::MsgSnapStatus
        | MessageType::MsgCheckQuorum
        | MessageType::MsgTransferLeader
        | MessageType::MsgTimeoutNow
        | MessageType::MsgReadIndex
        | MessageType::MsgReadIndexResp => return None,
    })
}

fn type_of(kind: RaftMessageKind) -> MessageType {
    match kind {
        RaftMessageKind::Append => MessageType::MsgAppend,
        RaftMessageKind::AppendResponse => MessageType::MsgAppendResponse,
        RaftMessageKind::RequestVote => MessageType::MsgRequestVote,
        RaftMessageKind::RequestVoteResponse => MessageType::MsgRequestVoteResponse,
        RaftMessageKind::RequestPreVote => MessageType::MsgRequestPreVote,
        RaftMessageKind::RequestPreVoteResponse => MessageType::MsgRequestPreVoteResponse,
        RaftMessageKind::Snapshot => MessageType::MsgSnapshot,
        RaftMessageKind::Heartbeat => MessageType::MsgHeartbeat,
        RaftMessageKind::HeartbeatResponse => MessageType::MsgHeartbeatResponse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_beyond_the_largest_index_are_refused() {
        let read = |index, entries: Vec<RaftEntry>| {
            let message = Message {
                msg_type: MessageType::MsgAppend,
                index,
                entries: (entries.into_iter().zip(1..))
                    .map(|(entry, index)| adapter::entry_in(index, entry))
                    .collect::<Vec<Entry>>()
                    .into(),
                ..Message::default()
            };
            let bytes = postcard::to_stdvec(&RaftMessage::new(message)).unwrap();
            postcard::from_bytes::<Option<RaftMessage>>(&bytes)
        };
        let entry = RaftEntry {
            term: 1,
            data: Bytes::new(),
        };
        assert!(read(u64::MAX - 2, vec![entry.clone()]).is_ok());
        assert!(read(u64::MAX - 1, vec![entry]).is_err());
        assert!(read(u64::MAX, Vec::new()).is_err());
    }
}
