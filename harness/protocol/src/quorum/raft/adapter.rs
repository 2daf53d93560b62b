//! The one file that knows the raft library's message types, and how a node of it is configured.

use longhaul_experiment::ReplicaId;
use protobuf::{RepeatedField, SingularPtrField};
use raft::eraftpb::{Entry, Message, MessageType, Snapshot};
use raft::{Config, RawNode, ReadOnlyOption};

use super::storage::{LogStorage, State};
use super::ticking::Ticking;
use super::wire::{RaftEntry, RaftMessage, RaftMessageKind, RaftSnapshot};

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

/// Returns entries' form outside the library, without copies.
fn entries_out(entries: RepeatedField<Entry>) -> Vec<RaftEntry> {
    let mut out = Vec::with_capacity(entries.len());
    out.extend(entries.into_vec().into_iter().map(|entry| RaftEntry {
        term: entry.term,
        data: entry.data,
    }));
    out
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

/// Returns a message's receiver and its form outside the library; `None` for kinds that never
/// leave a node here (forwarded proposals and reads, leadership transfer).
pub(crate) fn message_out(message: Message) -> Option<(ReplicaId, Box<RaftMessage>)> {
    // Whole, so that a field that the library gains is not left behind unseen.
    let Message {
        msg_type,
        to,
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
    } = message;
    let kind = match msg_type {
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
    };
    let wire = Box::new(RaftMessage {
        kind,
        term,
        log_term,
        index,
        commit,
        commit_term,
        reject,
        reject_hint,
        request_snapshot,
        priority,
        entries: entries_out(entries),
        snapshot: snapshot.as_ref().map(snapshot_out),
        context,
    });
    Some((replica_id(to)?, wire))
}

/// Returns the library's form of a message.
pub(crate) fn message_in(from: ReplicaId, to: u64, wire: RaftMessage, voters: &[u64]) -> Message {
    let msg_type = match wire.kind {
        RaftMessageKind::Append => MessageType::MsgAppend,
        RaftMessageKind::AppendResponse => MessageType::MsgAppendResponse,
        RaftMessageKind::RequestVote => MessageType::MsgRequestVote,
        RaftMessageKind::RequestVoteResponse => MessageType::MsgRequestVoteResponse,
        RaftMessageKind::RequestPreVote => MessageType::MsgRequestPreVote,
        RaftMessageKind::RequestPreVoteResponse => MessageType::MsgRequestPreVoteResponse,
        RaftMessageKind::Snapshot => MessageType::MsgSnapshot,
        RaftMessageKind::Heartbeat => MessageType::MsgHeartbeat,
        RaftMessageKind::HeartbeatResponse => MessageType::MsgHeartbeatResponse,
    };
    let entries: Vec<Entry> = wire
        .entries
        .into_iter()
        .zip(wire.index + 1..)
        .map(|(entry, index)| entry_in(index, entry))
        .collect();
    Message {
        msg_type,
        to,
        from: node_id(from),
        term: wire.term,
        log_term: wire.log_term,
        index: wire.index,
        commit: wire.commit,
        commit_term: wire.commit_term,
        reject: wire.reject,
        reject_hint: wire.reject_hint,
        request_snapshot: wire.request_snapshot,
        priority: wire.priority,
        context: wire.context,
        entries: entries.into(),
        snapshot: wire
            .snapshot
            .map(|snapshot| snapshot_in(snapshot, voters))
            .map_or_else(SingularPtrField::none, SingularPtrField::some),
        ..Message::default()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use protobuf::{CachedSize, UnknownFields};
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
            let (to, wire) = message_out(message(kind)).expect("it leaves the node");
            assert_eq!(to, ReplicaId(1));
            let bytes = postcard::to_stdvec(&wire).unwrap();
            let read = postcard::from_bytes::<RaftMessage>(&bytes).unwrap();
            assert_eq!(message_in(ReplicaId(0), 2, read, &VOTERS), message(kind));
        }
    }

    #[test]
    fn what_a_node_says_to_itself_does_not_leave_it() {
        for kind in [MessageType::MsgHup, MessageType::MsgPropose] {
            assert!(message_out(message(kind)).is_none());
        }
    }
}
