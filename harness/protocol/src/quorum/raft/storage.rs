//! The log and the store that a raft node works on, and what of them is written down.

use std::collections::VecDeque;

use bytes::Bytes;
use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Storage, StorageError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::adapter;
use super::wire::{RaftEntry, RaftSnapshot};
use crate::retention::Retention;
use crate::store::Store;

/// A place in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The index, from 1; 0 is before the log.
    pub index: u64,
    /// The term of the entry there.
    pub term: u64,
}

/// What a vote and a term promise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Promise {
    term: u64,
    vote: u64,
    commit: u64,
}

/// One record of the write-ahead log.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    promise: Promise,
    /// The index of the first of `entries`; what the log had from there on is replaced.
    first: u64,
    entries: Vec<RaftEntry>,
}

/// What stands for all earlier records.
#[derive(Debug, Serialize, Deserialize)]
struct Checkpoint<S> {
    promise: Promise,
    applied: Position,
    store: S,
    entries: Vec<RaftEntry>,
}

/// Why storage cannot be read back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecoveryError {
    /// A checkpoint or record has not the expected form.
    #[error("a checkpoint or log record is damaged: {0}")]
    Damaged(#[from] postcard::Error),
    /// A record does not follow from those before it.
    #[error("a log record begins at entry {first} where the log ends at {last}")]
    Gap {
        /// The record's first entry.
        first: u64,
        /// The log's last entry.
        last: u64,
    },
}

/// How much a log may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogLimit {
    /// The most entries.
    pub entries: usize,
    /// The most bytes, by [`entry_bytes`].
    pub bytes: u64,
}

impl LogLimit {
    /// Returns the share of this that a replica keeps.
    pub(crate) fn of(self, retention: Retention) -> LogLimit {
        LogLimit {
            entries: retention.of(self.entries),
            bytes: retention.of(self.bytes as usize) as u64,
        }
    }
}

/// What the entries of a log change.
pub(crate) trait State: Clone + Default + Serialize + DeserializeOwned {}

impl<S: Clone + Default + Serialize + DeserializeOwned> State for S {}

/// Log, votes and state of one replica; the state is a [`Store`] unless another is meant.
#[derive(Debug)]
pub(crate) struct LogStorage<S = Store> {
    voters: Vec<u64>,
    hard_state: HardState,
    /// The last position that the log no longer holds.
    compacted: Position,
    entries: VecDeque<Entry>,
    /// What the entries take, by [`entry_bytes`].
    bytes: u64,
    store: S,
    applied: Position,
}

impl<S: State> LogStorage<S> {
    /// Returns an empty log.
    pub(crate) fn new(voters: Vec<u64>) -> LogStorage<S> {
        LogStorage {
            voters,
            hard_state: HardState::default(),
            compacted: Position::default(),
            entries: VecDeque::new(),
            bytes: 0,
            store: S::default(),
            applied: Position::default(),
        }
    }

    /// Reads back what was written down.
    pub(crate) fn recover(
        voters: Vec<u64>,
        checkpoint: Option<&Bytes>,
        records: &[Bytes],
    ) -> Result<LogStorage<S>, RecoveryError> {
        let mut storage = LogStorage::new(voters);
        if let Some(bytes) = checkpoint {
            let checkpoint: Checkpoint<S> = postcard::from_bytes(bytes)?;
            storage.compacted = checkpoint.applied;
            storage.applied = checkpoint.applied;
            storage.store = checkpoint.store;
            storage.set_promise(checkpoint.promise);
            storage.append(checkpoint.applied.index + 1, checkpoint.entries);
        }
        for bytes in records {
            let record: Record = postcard::from_bytes(bytes)?;
            storage.set_promise(record.promise);
            if record.entries.is_empty() {
                continue;
            }
            let last = storage.last().index;
            if record.first > last + 1 || record.first <= storage.compacted.index {
                let first = record.first;
                return Err(RecoveryError::Gap { first, last });
            }
            storage.append(record.first, record.entries);
        }
        // The commit index is written with the entries of a later batch, so it may name entries
        // that a torn tail no longer has.
        storage.hard_state.commit = storage
            .hard_state
            .commit
            .clamp(storage.applied.index, storage.last().index);
        Ok(storage)
    }

    fn append(&mut self, first: u64, entries: Vec<RaftEntry>) {
        let entries = entries
            .into_iter()
            .zip(first..)
            .map(|(entry, index)| adapter::entry_in(index, entry))
            .collect();
        self.append_entries(entries);
    }

    fn set_promise(&mut self, promise: Promise) {
        self.hard_state.term = promise.term;
        self.hard_state.vote = promise.vote;
        self.hard_state.commit = promise.commit;
    }

    fn promise(&self) -> Promise {
        Promise {
            term: self.hard_state.term,
            vote: self.hard_state.vote,
            commit: self.hard_state.commit,
        }
    }

    /// Takes over the node's term, vote and commit index.
    pub(crate) fn set_hard_state(&mut self, hard_state: HardState) {
        self.hard_state = hard_state;
    }

    /// Appends entries, replacing what the log has from the first of them on.
    pub(crate) fn append_entries(&mut self, entries: Vec<Entry>) {
        let Some(first) = entries.first() else { return };
        let kept = first.index.saturating_sub(self.compacted.index + 1) as usize;
        if kept < self.entries.len() {
            let replaced = self.entries.drain(kept..);
            self.bytes -= replaced.map(|entry| entry_bytes(&entry)).sum::<u64>();
        }
        self.bytes += entries.iter().map(entry_bytes).sum::<u64>();
        self.entries.extend(entries);
    }

    /// Replaces log and store by a snapshot whose store was decoded already.
    pub(crate) fn install(&mut self, snapshot: &RaftSnapshot, store: S) {
        let position = Position {
            index: snapshot.index,
            term: snapshot.term,
        };
        self.entries.clear();
        self.bytes = 0;
        self.compacted = position;
        self.applied = position;
        self.store = store;
        self.hard_state.commit = self.hard_state.commit.max(position.index);
        self.hard_state.term = self.hard_state.term.max(position.term);
    }

    /// Returns the record of the last `count` entries and of term and vote.
    pub(crate) fn record(&self, count: usize) -> Bytes {
        let from = self.entries.len() - count;
        let record = Record {
            promise: self.promise(),
            first: self.compacted.index + 1 + from as u64,
            entries: self.entries.range(from..).map(adapter::entry_out).collect(),
        };
        encode(&record)
    }

    /// Returns what stands for everything written down so far.
    pub(crate) fn checkpoint(&self) -> Bytes {
        let unapplied = (self.applied.index - self.compacted.index) as usize;
        let entries = self.entries.range(unapplied.min(self.entries.len())..);
        encode(&Checkpoint {
            promise: self.promise(),
            applied: self.applied,
            store: self.store.clone(),
            entries: entries.map(adapter::entry_out).collect(),
        })
    }

    /// Returns the store, and the place it stands at.
    pub(crate) fn store(&self) -> &S {
        &self.store
    }

    /// Returns the store to execute the entry at `position` with, which becomes the last applied.
    pub(crate) fn apply_at(&mut self, position: Position) -> &mut S {
        self.applied = position;
        &mut self.store
    }

    /// Returns the last position that the store has executed.
    pub(crate) fn applied(&self) -> Position {
        self.applied
    }

    /// Returns how many entries the log holds.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Says whether the log holds more than this.
    pub(crate) fn exceeds(&self, limit: LogLimit) -> bool {
        self.entries.len() > limit.entries || self.bytes > limit.bytes
    }

    /// Forgets applied entries up to `index` as long as the log holds more than this.
    pub(crate) fn compact(&mut self, index: u64, limit: LogLimit) {
        let index = index.min(self.applied.index);
        while self.compacted.index < index
            && self.exceeds(limit)
            && let Some(entry) = self.entries.pop_front()
        {
            self.bytes -= entry_bytes(&entry);
            self.compacted = position_of(&entry);
        }
    }

    fn last(&self) -> Position {
        self.entries.back().map_or(self.compacted, position_of)
    }

    fn offset(&self, index: u64) -> Option<usize> {
        let offset = index.checked_sub(self.compacted.index + 1)?;
        Some(offset as usize)
    }
}

fn position_of(entry: &Entry) -> Position {
    Position {
        index: entry.index,
        term: entry.term,
    }
}

fn encode<T: Serialize>(value: &T) -> Bytes {
    postcard::to_stdvec(value)
        .expect("encoding into memory succeeds")
        .into()
}

impl<S: State> Storage for LogStorage<S> {
    fn initial_state(&self) -> raft::Result<RaftState> {
        let conf_state = ConfState {
            voters: self.voters.clone(),
            ..ConfState::default()
        };
        Ok(RaftState::new(self.hard_state.clone(), conf_state))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        let from = self
            .offset(low)
            .ok_or(Error::Store(StorageError::Compacted))?;
        let to = self
            .offset(high)
            .filter(|&to| to <= self.entries.len())
            .ok_or(Error::Store(StorageError::Unavailable))?;
        let max_size = max_size.into().unwrap_or(u64::MAX);
        let mut size = 0;
        let within = self.entries.range(from..to).take_while(|entry| {
            // The first entry is always returned, whatever its size.
            let fits = size == 0 || size + entry_bytes(entry) <= max_size;
            size += entry_bytes(entry);
            fits
        });
        Ok(within.cloned().collect())
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index == self.compacted.index {
            return Ok(self.compacted.term);
        }
        let offset = self
            .offset(index)
            .ok_or(Error::Store(StorageError::Compacted))?;
        let entry = self.entries.get(offset);
        entry
            .map(|entry| entry.term)
            .ok_or(Error::Store(StorageError::Unavailable))
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.compacted.index + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last().index)
    }

    fn snapshot(&self, request_index: u64, _to: u64) -> raft::Result<Snapshot> {
        if self.applied.index == 0 || self.applied.index < request_index {
            let error = StorageError::SnapshotTemporarilyUnavailable;
            return Err(Error::Store(error));
        }
        let snapshot = RaftSnapshot {
            index: self.applied.index,
            term: self.applied.term,
            data: encode(&self.store),
        };
        Ok(adapter::snapshot_in(snapshot, &self.voters))
    }
}

/// Returns about how many bytes an entry takes in a message: its data, term and index.
pub(crate) fn entry_bytes(entry: &Entry) -> u64 {
    entry.data.len() as u64 + 16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(index: u64, term: u64) -> Entry {
        Entry {
            index,
            term,
            data: Bytes::from_static(b"0123456789abcdef"),
            ..Entry::default()
        }
    }

    fn log(count: u64) -> LogStorage {
        let mut storage = LogStorage::new(vec![1, 2, 3]);
        storage.append_entries((1..=count).map(|index| entry(index, 1)).collect());
        storage
    }

    #[test]
    fn records_read_back_with_replaced_entries() {
        let mut storage = log(3);
        let first = storage.record(3);
        storage.append_entries(vec![entry(2, 2)]);
        let second = storage.record(1);
        let copy = LogStorage::<Store>::recover(vec![1, 2, 3], None, &[first, second]).unwrap();
        assert_eq!(copy.entries, storage.entries);
        assert_eq!(copy.last(), Position { index: 2, term: 2 });
    }

    #[test]
    fn a_checkpoint_stands_for_the_records_before_it() {
        let mut storage = log(5);
        storage.apply_at(Position { index: 3, term: 1 });
        let checkpoint = storage.checkpoint();
        storage.append_entries(vec![entry(6, 1)]);
        let record = storage.record(1);
        let copy = LogStorage::<Store>::recover(vec![1], Some(&checkpoint), &[record]).unwrap();
        assert_eq!(copy.applied(), Position { index: 3, term: 1 });
        assert_eq!(copy.len(), 3);
        assert_eq!(copy.last().index, 6);
    }

    #[test]
    fn a_record_with_a_gap_before_it_is_refused() {
        let mut storage = log(1);
        storage.append_entries(vec![entry(2, 1)]);
        let second = storage.record(1);
        let recovered = LogStorage::<Store>::recover(vec![1], None, &[second]);
        assert!(matches!(
            recovered,
            Err(RecoveryError::Gap { first: 2, last: 0 })
        ));
    }

    #[test]
    fn entries_are_limited_in_bytes_but_never_to_none() {
        let storage = log(4);
        let read = |max_size| {
            let context = GetEntriesContext::empty(false);
            storage.entries(1, 5, max_size, context).unwrap().len()
        };
        // An entry counts 16 bytes of data and 16 more.
        assert_eq!(read(1), 1);
        assert_eq!(read(64), 2);
        assert_eq!(read(1000), 4);
    }

    #[test]
    fn bytes_are_counted_through_replacement_compaction_and_snapshots() {
        let mut storage = log(4);
        assert_eq!(storage.bytes, 4 * 32);
        storage.append_entries(vec![entry(3, 2)]);
        assert_eq!(storage.bytes, 3 * 32);
        storage.apply_at(Position { index: 2, term: 1 });
        let limit = LogLimit {
            entries: 2,
            bytes: u64::MAX,
        };
        storage.compact(3, limit);
        assert_eq!(storage.bytes, 2 * 32);
        let snapshot = RaftSnapshot {
            index: 9,
            term: 2,
            data: Bytes::new(),
        };
        storage.install(&snapshot, Store::default());
        assert_eq!(storage.bytes, 0);
    }

    #[test]
    fn compaction_stops_at_what_was_applied() {
        let mut storage = log(4);
        storage.apply_at(Position { index: 2, term: 1 });
        let limit = |entries, bytes| LogLimit { entries, bytes };
        // Four entries of 32 bytes each.
        storage.compact(4, limit(4, 128));
        assert_eq!(storage.first_index().unwrap(), 1);
        storage.compact(4, limit(4, 127));
        assert_eq!(storage.first_index().unwrap(), 2);
        storage.compact(4, limit(0, 0));
        assert_eq!(storage.first_index().unwrap(), 3);
        assert_eq!(storage.term(2).unwrap(), 1);
        assert!(storage.term(1).is_err());
    }
}
