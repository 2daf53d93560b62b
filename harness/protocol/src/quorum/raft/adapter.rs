//! How a node of the raft library is configured, and what it takes in and gives out.

use longhaul_experiment::ReplicaId;
use raft::eraftpb::{Entry, Message, MessageType, Snapshot};
use raft::{Config, RawNode, ReadOnlyOption};

use super::storage::{LogStorage, State};
use super::ticking::Ticking;
use super::wire::{RaftEntry, RaftMessage, RaftSnapshot};

/// The most bytes of entries in one message, as the library counts them.
pub(super) const APPEND_BYTES_MAX: u64 = 1 << 20;

/// The most bytes of entries that one proposal appends: with the library's overhead for each
/// entry counted, it fits into one message, so no part of it waits for an answer.
pub(super) const PROPOSAL_BYTES_MAX: usize = 512 << 10;

/// The most messages under way to one follower. A leader that sends one for every 20
/// microseconds fills it at a round trip of 330 ms.
const INFLIGHT_MAX: usize = 1 << 14;

/// The most bytes of entries without a majority; beyond it, requests are refused.
const UNCOMMITTED_BYTES_MAX: u64 = 256 << 20;

/// Returns the library's id of a replica; 0 means nobody there.
pub(crate) fn node_id(replica: ReplicaId) -> u64 {
    u64::from(replica.0) + 1
}

/// Returns the replica with the library's id.
pub(crate) fn replica_id(node: u64) -> Option<ReplicaId> {
    Some(ReplicaId(u16::try_from(node.checked_sub(1)?).ok()?))
}

/// Makes a node on its storage.
pub(crate) fn node<S: State>(
    id: ReplicaId,
    storage: LogStorage<S>,
    ticking: &Ticking,
) -> RawNode<LogStorage<S>> {
    let election_tick = ticking.election_least as usize;
    let config = Config {
        id: node_id(id),
        election_tick,
        max_election_tick: election_tick + ticking.election_choices as usize,
        heartbeat_tick: ticking.per_heartbeat as usize,
        applied: storage.applied().index,
        max_size_per_msg: APPEND_BYTES_MAX,
        max_inflight_msgs: INFLIGHT_MAX,
        check_quorum: true,
        pre_vote: true,
        // Leases are kept outside the library: its own lets a leader serve reads up to twice the
        // election time-out after it last heard of a majority.
        read_only_option: ReadOnlyOption::Safe,
        max_uncommitted_size: UNCOMMITTED_BYTES_MAX,
        ..Config::default()
    };
    let logger = slog::Logger::root(slog::Discard, slog::o!());
    RawNode::new(&config, storage, &logger).expect("a heartbeat has fewer ticks than an election")
}

/// Returns an entry to propose.
pub(super) fn proposal(data: Vec<u8>) -> Entry {
    Entry {
        data: data.into(),
        ..Entry::default()
    }
}

/// Returns a proposal of several entries.
pub(super) fn propose(from: u64, entries: Vec<Entry>) -> Message {
    Message {
        msg_type: MessageType::MsgPropose,
        from,
        entries: entries.into(),
        ..Message::default()
    }
}

/// Returns an entry's form outside the library.
pub(super) fn entry_out(entry: &Entry) -> RaftEntry {
    RaftEntry {
        term: entry.term,
        data: entry.data.clone(),
    }
}

/// Returns the library's form of an entry at a position.
pub(super) fn entry_in(index: u64, entry: RaftEntry) -> Entry {
    Entry {
        term: entry.term,
        index,
        data: entry.data,
        ..Entry::default()
    }
}

/// Returns a snapshot's form outside the library.
pub(crate) fn snapshot_out(snapshot: &Snapshot) -> RaftSnapshot {
    let metadata = snapshot.get_metadata();
    RaftSnapshot {
        index: metadata.index,
        term: metadata.term,
        data: snapshot.data.clone(),
    }
}

/// Returns the library's form of a snapshot.
pub(super) fn snapshot_in(snapshot: RaftSnapshot, voters: &[u64]) -> Snapshot {
    let mut result = Snapshot {
        data: snapshot.data,
        ..Snapshot::default()
    };
    let metadata = result.mut_metadata();
    metadata.index = snapshot.index;
    metadata.term = snapshot.term;
    metadata.mut_conf_state().voters = voters.to_vec();
    result
}

/// Returns a message's receiver and what is sent to it; `None` for kinds that never leave a node
/// here (forwarded proposals and reads, leadership transfer).
pub(crate) fn outgoing(message: Message) -> Option<(ReplicaId, Box<RaftMessage>)> {
    let to = replica_id(message.to)?;
    Some((to, Box::new(RaftMessage::new(message)?)))
}

/// Returns what was received as the library's message.
pub(crate) fn incoming(from: ReplicaId, to: u64, message: RaftMessage, voters: &[u64]) -> Message {
    let mut message = message.into_message();
    message.from = node_id(from);
    message.to = to;
    if let Some(snapshot) = message.snapshot.as_mut() {
        let metadata = snapshot.mut_metadata();
        metadata.mut_conf_state().voters = voters.to_vec();
    }
    message
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use protobuf::{CachedSize, SingularPtrField, UnknownFields};
    use raft::eraftpb::{ConfState, EntryType, SnapshotMetadata};

    use super::*;

    const VOTERS: [u64; 3] = [1, 2, 3];

    const KINDS: [MessageType; 9] = [
        MessageType::MsgAppend,
        MessageType::MsgAppendResponse,
        MessageType::MsgRequestVote,
        MessageType::MsgRequestVoteResponse,
        MessageType::MsgRequestPreVote,
        MessageType::MsgRequestPreVoteResponse,
        MessageType::MsgSnapshot,
        MessageType::MsgHeartbeat,
        MessageType::MsgHeartbeatResponse,
    ];

    /// Returns an entry as nodes here make them, in which no field of the library's is forgotten.
    fn entry(index: u64) -> Entry {
        Entry {
            entry_type: EntryType::EntryNormal,
            term: 7,
            index,
            data: Bytes::from_static(b"data"),
            context: Bytes::new(),
            sync_log: false,
            unknown_fields: UnknownFields::default(),
            cached_size: CachedSize::default(),
        }
    }

    /// Returns a message in which every field that nodes here use has a value of its own.
    fn message(msg_type: MessageType) -> Message {
        let metadata = SnapshotMetadata {
            conf_state: SingularPtrField::some(ConfState {
                voters: VOTERS.to_vec(),
                ..ConfState::default()
            }),
            index: 21,
            term: 22,
            ..SnapshotMetadata::default()
        };
        Message {
            msg_type,
            to: 2,
            from: 1,
            term: 10,
            log_term: 11,
            index: 12,
            entries: vec![entry(13), entry(14)].into(),
            commit: 15,
            commit_term: 16,
            snapshot: SingularPtrField::some(Snapshot {
                data: Bytes::from_static(b"store"),
                metadata: SingularPtrField::some(metadata),
                ..Snapshot::default()
            }),
            request_snapshot: 17,
            reject: true,
            reject_hint: 18,
            context: Bytes::from_static(b"round"),
            deprecated_priority: 0,
            priority: -19,
            unknown_fields: UnknownFields::default(),
            cached_size: CachedSize::default(),
        }
    }

    #[test]
    fn a_message_comes_out_of_the_wire_form_as_it_went_in() {
        for kind in KINDS {
            let (to, sent) = outgoing(message(kind)).expect("it leaves the node");
            assert_eq!(to, ReplicaId(1));
            let bytes = postcard::to_stdvec(&sent).unwrap();
            let read = postcard::from_bytes::<RaftMessage>(&bytes).unwrap();
            assert_eq!(incoming(ReplicaId(0), 2, read, &VOTERS), message(kind));
            assert_eq!(incoming(ReplicaId(0), 2, *sent, &VOTERS), message(kind));
        }
    }

    #[test]
    fn what_a_node_says_to_itself_does_not_leave_it() {
        for kind in [MessageType::MsgHup, MessageType::MsgPropose] {
            assert!(outgoing(message(kind)).is_none());
        }
    }
}
