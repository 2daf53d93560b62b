//! The log and the store that a Paxos node works on, and what of them is written down.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use omnipaxos::ballot_leader_election::Ballot;
use omnipaxos::storage::{StopSign, Storage, StorageOp, StorageResult};
use serde::{Deserialize, Serialize};

use super::entry::{Command, StoreSnapshot};
use crate::store::Store;

/// One change that must outlive the process. The decided index is not among them: others tell it.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Change {
    /// Entries follow the log.
    Append(Vec<Command>),
    /// Entries replace what the log has after that many.
    AppendAfter(u64, Vec<Command>),
    /// A ballot was promised.
    Promise(Ballot),
    /// Entries were accepted in a ballot.
    Accepted(Ballot),
}

/// What stands for all earlier changes.
#[derive(Debug, Serialize, Deserialize)]
struct Checkpoint {
    promise: Ballot,
    accepted: Ballot,
    executed: u64,
    store: Store,
    entries: Vec<Command>,
}

/// Why storage cannot be read back.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecoveryError {
    /// A checkpoint or record has not the expected form.
    #[error("a checkpoint or log record is damaged: {0}")]
    Damaged(#[from] postcard::Error),
    /// A record does not follow from those before it.
    #[error("a log record begins after {after} entries where the log holds {start} to {end}")]
    Gap {
        /// How many entries come before the record's.
        after: u64,
        /// How many entries come before the log's.
        start: u64,
        /// How many entries there are.
        end: u64,
    },
}

/// Ballots, log and store of one replica. Entries are counted from the log's beginning: the
/// first entry's index is 0, as the library has it.
#[derive(Debug, Default)]
pub(super) struct State {
    promise: Ballot,
    accepted: Ballot,
    decided: u64,
    /// How many entries the log no longer holds.
    compacted: u64,
    log: VecDeque<Command>,
    store: Store,
    /// How many entries the store has executed.
    executed: u64,
    /// Whether changes are collected to be written down.
    journaled: bool,
    journal: Vec<Change>,
    /// A store that came from another replica and replaced ours: ours, for comparison.
    replaced: Option<Store>,
    /// Whether the log was overwritten since the last batch.
    overwritten: bool,
}

impl State {
    /// Returns the state of a first start.
    pub(super) fn new(journaled: bool) -> State {
        State {
            journaled,
            ..State::default()
        }
    }

    /// Reads back what was written down.
    pub(super) fn recover(
        checkpoint: Option<&Bytes>,
        records: &[Bytes],
    ) -> Result<State, RecoveryError> {
        let mut state = State::default();
        if let Some(bytes) = checkpoint {
            let checkpoint: Checkpoint = postcard::from_bytes(bytes)?;
            state.promise = checkpoint.promise;
            state.accepted = checkpoint.accepted;
            state.decided = checkpoint.executed;
            state.executed = checkpoint.executed;
            state.compacted = checkpoint.executed;
            state.store = checkpoint.store;
            state.log = checkpoint.entries.into();
        }
        for bytes in records {
            for change in postcard::from_bytes::<Vec<Change>>(bytes)? {
                state.redo(change)?;
            }
        }
        state.journaled = true;
        Ok(state)
    }

    fn redo(&mut self, change: Change) -> Result<(), RecoveryError> {
        match change {
            Change::Append(entries) => self.log.extend(entries),
            Change::AppendAfter(after, entries) => {
                if after < self.compacted || after > self.end() {
                    return Err(RecoveryError::Gap {
                        after,
                        start: self.compacted,
                        end: self.end(),
                    });
                }
                self.log.truncate((after - self.compacted) as usize);
                self.log.extend(entries);
            }
            Change::Promise(ballot) => self.promise = ballot,
            Change::Accepted(ballot) => self.accepted = ballot,
        }
        Ok(())
    }

    /// Returns how many entries there are, those that were compacted included.
    pub(super) fn end(&self) -> u64 {
        self.compacted + self.log.len() as u64
    }

    /// Returns how many entries the log holds.
    pub(super) fn len(&self) -> usize {
        self.log.len()
    }

    /// Returns how many entries the store has executed.
    pub(super) fn executed(&self) -> u64 {
        self.executed
    }

    /// Returns the next decided entry, to be executed with the store.
    pub(super) fn next_decided(&mut self) -> Option<(&Command, &mut Store)> {
        if self.executed >= self.decided {
            return None;
        }
        let offset = self.executed.checked_sub(self.compacted)? as usize;
        let command = self.log.get(offset)?;
        self.executed += 1;
        Some((command, &mut self.store))
    }

    /// Returns the store.
    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Returns the store that another replica's replaced since the last call.
    pub(super) fn take_replaced(&mut self) -> Option<Store> {
        self.replaced.take()
    }

    /// Says whether the log was overwritten since the last call.
    pub(super) fn take_overwritten(&mut self) -> bool {
        std::mem::take(&mut self.overwritten)
    }

    /// Returns the changes since the last call as one record; `None` when there are none.
    pub(super) fn take_record(&mut self) -> Option<Bytes> {
        if self.journal.is_empty() {
            return None;
        }
        let record = encode(&self.journal);
        self.journal.clear();
        Some(record)
    }

    /// Returns what stands for all changes so far.
    pub(super) fn checkpoint(&mut self) -> Bytes {
        self.journal.clear();
        let unexecuted = self.executed.saturating_sub(self.compacted) as usize;
        let entries = self.log.range(unexecuted.min(self.log.len())..);
        encode(&Checkpoint {
            promise: self.promise,
            accepted: self.accepted,
            executed: self.executed,
            store: self.store.clone(),
            entries: entries.cloned().collect(),
        })
    }

    fn note(&mut self, change: impl FnOnce() -> Change) {
        if self.journaled {
            self.journal.push(change());
        }
    }

    fn append(&mut self, entries: Vec<Command>) {
        // A batch's entries become one change.
        if self.journaled {
            if let Some(Change::Append(earlier)) = self.journal.last_mut() {
                earlier.extend(entries.iter().cloned());
            } else {
                self.journal.push(Change::Append(entries.clone()));
            }
        }
        self.log.extend(entries);
    }

    fn append_after(&mut self, after: u64, entries: Vec<Command>) {
        let kept = after.saturating_sub(self.compacted) as usize;
        self.log.truncate(kept);
        self.overwritten = true;
        self.note(|| Change::AppendAfter(after, entries.clone()));
        self.log.extend(entries);
    }

    fn trim(&mut self, until: u64) {
        let count = until.saturating_sub(self.compacted) as usize;
        self.log.drain(..count.min(self.log.len()));
        self.compacted = self.compacted.max(until);
    }

    fn install(&mut self, snapshot: StoreSnapshot) {
        let Some((store, executed)) = snapshot.into_store() else {
            return;
        };
        if executed < self.executed {
            return;
        }
        self.executed = executed;
        let ours = std::mem::replace(&mut self.store, store);
        self.replaced.get_or_insert(ours);
    }

    fn change(&mut self, operation: StorageOp<Command>) {
        match operation {
            StorageOp::AppendEntry(entry) => self.append(vec![entry]),
            StorageOp::AppendEntries(entries) => self.append(entries),
            StorageOp::AppendOnPrefix(after, entries) => self.append_after(after as u64, entries),
            StorageOp::SetPromise(ballot) => {
                if ballot != self.promise {
                    self.note(|| Change::Promise(ballot));
                }
                self.promise = ballot;
            }
            StorageOp::SetDecidedIndex(decided) => self.decided = decided as u64,
            StorageOp::SetAcceptedRound(ballot) => {
                self.note(|| Change::Accepted(ballot));
                self.accepted = ballot;
            }
            StorageOp::SetCompactedIdx(compacted) => {
                self.compacted = self.compacted.max(compacted as u64);
            }
            StorageOp::Trim(until) => self.trim(until as u64),
            // Reconfiguration is not used: no stop sign is ever proposed.
            StorageOp::SetStopsign(_) => {}
            StorageOp::SetSnapshot(snapshot) => {
                if let Some(snapshot) = snapshot {
                    self.install(snapshot);
                }
            }
        }
    }

    fn entries(&self, from: u64, to: u64) -> Vec<Command> {
        if from < self.compacted || to > self.end() || from > to {
            return Vec::new();
        }
        let (from, to) = (from - self.compacted, to - self.compacted);
        self.log
            .range(from as usize..to as usize)
            .cloned()
            .collect()
    }
}

fn encode<T: Serialize>(value: &T) -> Bytes {
    postcard::to_stdvec(value)
        .expect("encoding into memory succeeds")
        .into()
}

/// The state as the library and the replica share it. The library owns its storage and shows it
/// to nobody, and the replica executes decided entries where they lie.
#[derive(Clone, Debug)]
pub(super) struct SharedState(Arc<Mutex<State>>);

impl SharedState {
    pub(super) fn new(state: State) -> SharedState {
        SharedState(Arc::new(Mutex::new(state)))
    }

    /// Returns the state. There is one thread, so the lock is always free.
    pub(super) fn get(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage<Command> for SharedState {
    fn write_atomically(&mut self, operations: Vec<StorageOp<Command>>) -> StorageResult<()> {
        let mut state = self.get();
        for operation in operations {
            state.change(operation);
        }
        Ok(())
    }

    fn append_entry(&mut self, entry: Command) -> StorageResult<()> {
        self.get().change(StorageOp::AppendEntry(entry));
        Ok(())
    }

    fn append_entries(&mut self, entries: Vec<Command>) -> StorageResult<()> {
        if !entries.is_empty() {
            self.get().change(StorageOp::AppendEntries(entries));
        }
        Ok(())
    }

    fn append_on_prefix(&mut self, from_idx: usize, entries: Vec<Command>) -> StorageResult<()> {
        let operation = StorageOp::AppendOnPrefix(from_idx, entries);
        self.get().change(operation);
        Ok(())
    }

    fn set_promise(&mut self, promise: Ballot) -> StorageResult<()> {
        self.get().change(StorageOp::SetPromise(promise));
        Ok(())
    }

    fn set_decided_idx(&mut self, decided: usize) -> StorageResult<()> {
        self.get().change(StorageOp::SetDecidedIndex(decided));
        Ok(())
    }

    fn get_decided_idx(&self) -> StorageResult<usize> {
        Ok(self.get().decided as usize)
    }

    fn set_accepted_round(&mut self, accepted: Ballot) -> StorageResult<()> {
        self.get().change(StorageOp::SetAcceptedRound(accepted));
        Ok(())
    }

    fn get_accepted_round(&self) -> StorageResult<Option<Ballot>> {
        Ok(Some(self.get().accepted))
    }

    fn get_entries(&self, from: usize, to: usize) -> StorageResult<Vec<Command>> {
        Ok(self.get().entries(from as u64, to as u64))
    }

    fn get_log_len(&self) -> StorageResult<usize> {
        Ok(self.get().log.len())
    }

    fn get_suffix(&self, from: usize) -> StorageResult<Vec<Command>> {
        let state = self.get();
        Ok(state.entries(from as u64, state.end()))
    }

    fn get_promise(&self) -> StorageResult<Option<Ballot>> {
        let promise = self.get().promise;
        // A node with a promise has a past and asks for what it missed.
        Ok((promise != Ballot::default()).then_some(promise))
    }

    fn set_stopsign(&mut self, _stop_sign: Option<StopSign>) -> StorageResult<()> {
        Ok(())
    }

    fn get_stopsign(&self) -> StorageResult<Option<StopSign>> {
        Ok(None)
    }

    fn trim(&mut self, until: usize) -> StorageResult<()> {
        self.get().change(StorageOp::Trim(until));
        Ok(())
    }

    fn set_compacted_idx(&mut self, compacted: usize) -> StorageResult<()> {
        self.get().change(StorageOp::SetCompactedIdx(compacted));
        Ok(())
    }

    fn get_compacted_idx(&self) -> StorageResult<usize> {
        Ok(self.get().compacted as usize)
    }

    fn set_snapshot(&mut self, snapshot: Option<StoreSnapshot>) -> StorageResult<()> {
        self.get().change(StorageOp::SetSnapshot(snapshot));
        Ok(())
    }

    fn get_snapshot(&self) -> StorageResult<Option<StoreSnapshot>> {
        let state = self.get();
        let snapshot = StoreSnapshot::of(state.store.clone(), state.executed, state.decided);
        Ok(Some(snapshot))
    }
}
