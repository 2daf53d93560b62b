//! What a replica persists, and who waits for it.

use std::collections::VecDeque;

use bytes::Bytes;
use longhaul_experiment::{OperationId, OperationResult, ReplicaId};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::message::Entry;
use crate::outbox::LogRecord;
use crate::replica::PersistToken;
use crate::retention::Retention;

/// A checkpoint is written when the records after the last one are larger than it and than this.
const CHECKPOINT_BYTES_MIN: usize = 16 << 20;

/// Who waits for which batch.
#[derive(Debug, Default)]
pub(super) struct Journal {
    current: Due,
    waiting: VecDeque<(PersistToken, Due)>,
    next_token: u64,
    bytes_since_checkpoint: usize,
    checkpoint_bytes: usize,
    retention: Retention,
}

/// What is due when a batch is safe.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// Answers to clients.
    pub(super) replies: Vec<(OperationId, OperationResult)>,
    /// Acknowledgements to peers.
    pub(super) acknowledge: Vec<Acknowledgement>,
}

/// An acknowledgement of replication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Acknowledgement {
    /// The sender of the replication.
    pub(super) to: ReplicaId,
    /// The connection epoch it came in; a later one has other numbers.
    pub(super) epoch: u64,
    /// The message's number.
    pub(super) number: u64,
}

impl Journal {
    /// Returns a journal of empty storage.
    pub(super) fn new(retention: Retention) -> Journal {
        Journal {
            retention,
            ..Journal::default()
        }
    }

    /// Continues storage of these sizes.
    pub(super) fn resume(&mut self, checkpoint_bytes: usize, record_bytes: usize) {
        self.checkpoint_bytes = checkpoint_bytes;
        self.bytes_since_checkpoint = record_bytes;
    }

    /// Answers a client when the current batch is safe.
    pub(super) fn reply(&mut self, id: OperationId, result: OperationResult) {
        self.current.replies.push((id, result));
    }

    /// Acknowledges replication when the current batch is safe.
    pub(super) fn acknowledge(&mut self, acknowledgement: Acknowledgement) {
        self.current.acknowledge.push(acknowledgement);
    }

    /// Ends a batch that changed something; returns the token to persist it under.
    pub(super) fn end_batch(&mut self) -> PersistToken {
        let token = PersistToken(self.next_token);
        self.next_token += 1;
        let due = std::mem::take(&mut self.current);
        self.waiting.push_back((token, due));
        token
    }

    /// Ends a batch that changed nothing: what it owes is due with the batch before it, or, when
    /// that is safe, at once.
    pub(super) fn end_empty_batch(&mut self) -> Option<Due> {
        if self.current.is_empty() {
            return None;
        }
        let mut due = std::mem::take(&mut self.current);
        match self.waiting.back_mut() {
            None => Some(due),
            Some((_, last)) => {
                last.replies.append(&mut due.replies);
                last.acknowledge.append(&mut due.acknowledge);
                None
            }
        }
    }

    /// Returns a batch's records; `None` when a checkpoint is due in their stead.
    pub(super) fn records<S: Serialize>(
        &mut self,
        parts: &[&[Entry<S>]],
    ) -> Option<Vec<LogRecord>> {
        let records: Vec<Bytes> = parts
            .iter()
            .filter(|entries| !entries.is_empty())
            .map(|entries| encode(entries))
            .collect();
        self.bytes_since_checkpoint += records.iter().map(Bytes::len).sum::<usize>();
        let least = self.retention.of(CHECKPOINT_BYTES_MIN);
        let due = self.bytes_since_checkpoint > self.checkpoint_bytes.max(least);
        (!due).then(|| records.into_iter().map(LogRecord::Append).collect())
    }

    /// Returns a checkpoint of all entries.
    pub(super) fn checkpoint<S: Serialize>(&mut self, entries: &[Entry<S>]) -> LogRecord {
        let bytes = encode(entries);
        self.checkpoint_bytes = bytes.len();
        self.bytes_since_checkpoint = 0;
        LogRecord::Checkpoint(bytes)
    }

    /// Returns what is due now that a batch and all before it are safe.
    pub(super) fn persisted(&mut self, token: PersistToken) -> Vec<Due> {
        let safe = self.waiting.partition_point(|(first, _)| *first <= token);
        self.waiting.drain(..safe).map(|(_, due)| due).collect()
    }
}

impl Due {
    fn is_empty(&self) -> bool {
        self.replies.is_empty() && self.acknowledge.is_empty()
    }
}

fn encode<S: Serialize>(entries: &[Entry<S>]) -> Bytes {
    // Encoding into memory fails only for types that state no length, and these do.
    Bytes::from(postcard::to_stdvec(entries).expect("entries encode"))
}

/// Returns the entries of a record or a checkpoint; none when it cannot be read.
pub(super) fn decode<S: DeserializeOwned>(bytes: &Bytes) -> Vec<Entry<S>> {
    postcard::from_bytes(bytes).unwrap_or_default()
}
