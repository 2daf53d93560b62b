//! What a replica persists, when, and how it reads it back.

use std::collections::VecDeque;

use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};

use super::leadership::consensus::Agreements;
use super::leadership::watch::Standing;
use super::log::{Entry, Log, Position};
use super::message::{Message, Timer};
use crate::outbox::{LogRecord, Outbox};
use crate::replica::PersistToken;
use crate::retention::Retention;
use crate::store::Store;

/// A checkpoint is written when the records after the last one exceed this many bytes, and
/// [`CHECKPOINT_SPACING`] times its size: encoding the store then costs a bounded share of
/// persisting the log.
const CHECKPOINT_BYTES: usize = 64 << 20;

/// How many times its own size must be persisted between one checkpoint and the next.
const CHECKPOINT_SPACING: usize = 4;

/// Which part of the log was handed to the storage, and which part is safe.
#[derive(Debug, Default)]
pub(super) struct Journal {
    last_token: PersistToken,
    /// Each persist under way and the last index that is safe when it ends. There are never more
    /// than batches with entries that are not yet safe.
    under_way: VecDeque<(PersistToken, u64)>,
    submitted: u64,
    persisted: u64,
    bytes: usize,
    checkpoint_bytes: usize,
    retention: Retention,
}

/// All that a replica persists, borrowed for writing it.
pub(super) struct Image<'a> {
    pub(super) standing: &'a Standing,
    /// The log of agreements; `None`: the replica has no part in it.
    pub(super) agreements: Option<&'a Agreements>,
    pub(super) executed: Position,
    pub(super) store: &'a Store,
    pub(super) log: &'a Log,
}

/// All that a replica persists, as it was read back.
#[derive(Debug, Default)]
pub(super) struct Restored {
    pub(super) standing: Standing,
    /// What stands for the agreements before `agreements`.
    pub(super) agreements_checkpoint: Option<Bytes>,
    /// Records of the log of agreements.
    pub(super) agreements: Vec<Bytes>,
    pub(super) executed: Position,
    pub(super) store: Store,
    pub(super) log: Log,
    bytes: usize,
    checkpoint_bytes: usize,
}

/// Why storage could not be read back.
#[derive(Debug, thiserror::Error)]
pub(super) enum RestoreError {
    /// A record has not the form of one.
    #[error("a record of the storage cannot be read; rejoin without it")]
    Unreadable(#[from] postcard::Error),
    /// Records do not follow each other.
    #[error(
        "the storage's entries from {first} do not follow the log up to {last}; rejoin without it"
    )]
    Gap { first: u64, last: u64 },
}

#[derive(Serialize, Deserialize)]
enum Record<E> {
    Standing(Standing),
    /// A record of the log of agreements.
    Agreement(Bytes),
    /// What stands for all earlier records of the log of agreements.
    Agreements(Bytes),
    /// The log ends before `first`, and goes on with these.
    Entries {
        first: u64,
        entries: E,
    },
}

#[derive(Serialize)]
struct CheckpointView<'a> {
    standing: &'a Standing,
    agreements: Option<Bytes>,
    executed: Position,
    store: &'a Store,
    entries: EntriesFrom<'a>,
}

#[derive(Deserialize)]
struct Checkpoint {
    standing: Standing,
    agreements: Option<Bytes>,
    executed: Position,
    store: Store,
    entries: Vec<Entry>,
}

/// The entries of a log from an index on, written like a list of entries.
struct EntriesFrom<'a>(&'a Log, u64);

impl Serialize for EntriesFrom<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.from(self.1))
    }
}

impl Journal {
    /// Returns an empty journal.
    pub(super) fn new(retention: Retention) -> Journal {
        Journal {
            retention,
            ..Journal::default()
        }
    }

    /// Returns the last index that is safe with all before it.
    pub(super) fn persisted(&self) -> u64 {
        self.persisted
    }

    /// Says whether everything handed over is safe, and that is all of `log`.
    pub(super) fn is_settled(&self, log: &Log) -> bool {
        self.under_way.is_empty() && self.submitted == log.last().index
    }

    /// Says whether the log has entries that were not handed over yet.
    pub(super) fn is_behind(&self, log: &Log) -> bool {
        self.submitted < log.last().index
    }

    /// Says whether what was persisted under a token is safe.
    pub(super) fn is_safe(&self, token: PersistToken) -> bool {
        self.under_way
            .front()
            .is_none_or(|&(first, _)| first > token)
    }

    /// Persists what the replica stands by.
    pub(super) fn persist_standing(
        &mut self,
        standing: &Standing,
        out: &mut Outbox<Message, Timer>,
    ) -> PersistToken {
        self.persist_record(|| Record::Standing(standing.clone()), out)
    }

    /// Persists a record of the log of agreements.
    pub(super) fn persist_agreement(
        &mut self,
        record: Bytes,
        out: &mut Outbox<Message, Timer>,
    ) -> PersistToken {
        self.persist_record(|| Record::Agreement(record), out)
    }

    /// Persists what stands for the log of agreements so far.
    pub(super) fn persist_agreements(
        &mut self,
        checkpoint: Bytes,
        out: &mut Outbox<Message, Timer>,
    ) -> PersistToken {
        self.persist_record(|| Record::Agreements(checkpoint), out)
    }

    fn persist_record(
        &mut self,
        record: impl FnOnce() -> Record<Vec<Entry>>,
        out: &mut Outbox<Message, Timer>,
    ) -> PersistToken {
        let token = self.begin(self.submitted);
        let bytes = &mut self.bytes;
        out.persist(token, || {
            let record = encode(&record());
            *bytes += record.len();
            vec![LogRecord::Append(record)]
        });
        token
    }

    /// Persists all entries that were not handed over yet, or a checkpoint when one is due.
    pub(super) fn persist_entries(&mut self, image: &Image<'_>, out: &mut Outbox<Message, Timer>) {
        if !self.is_behind(image.log) {
            return;
        }
        let last = image.log.last().index;
        let least = self.retention.of(CHECKPOINT_BYTES);
        if self.bytes > least.max(CHECKPOINT_SPACING * self.checkpoint_bytes) {
            return self.persist_checkpoint(image, out);
        }
        let first = self.submitted + 1;
        let token = self.begin(last);
        let bytes = &mut self.bytes;
        out.persist(token, || {
            let record = encode(&Record::Entries {
                first,
                entries: EntriesFrom(image.log, first),
            });
            *bytes += record.len();
            vec![LogRecord::Append(record)]
        });
    }

    /// Persists everything in one checkpoint, which replaces all that was persisted before.
    pub(super) fn persist_checkpoint(
        &mut self,
        image: &Image<'_>,
        out: &mut Outbox<Message, Timer>,
    ) {
        let token = self.begin(image.log.last().index);
        out.persist(token, || {
            let checkpoint = encode(&CheckpointView {
                standing: image.standing,
                agreements: image.agreements.map(Agreements::checkpoint),
                executed: image.executed,
                store: image.store,
                entries: EntriesFrom(image.log, image.executed.index + 1),
            });
            self.bytes = 0;
            self.checkpoint_bytes = checkpoint.len();
            vec![LogRecord::Checkpoint(checkpoint)]
        });
    }

    /// Takes the news that everything up to a token is safe.
    pub(super) fn on_persisted(&mut self, token: PersistToken) {
        while let Some(&(first, index)) = self.under_way.front()
            && first <= token
        {
            self.persisted = self.persisted.max(index);
            self.under_way.pop_front();
        }
    }

    /// Follows a cut of the log: what lies after `index` is not, and will not be, persisted.
    pub(super) fn truncate_after(&mut self, index: u64) {
        self.submitted = self.submitted.min(index);
        self.persisted = self.persisted.min(index);
        for (_, safe) in &mut self.under_way {
            *safe = (*safe).min(index);
        }
    }

    /// Continues after what was read back.
    pub(super) fn resume(&mut self, restored: &Restored) {
        let last = restored.log.last().index;
        *self = Journal {
            submitted: last,
            persisted: last,
            bytes: restored.bytes,
            checkpoint_bytes: restored.checkpoint_bytes,
            ..Journal::new(self.retention)
        };
    }

    fn begin(&mut self, index: u64) -> PersistToken {
        self.last_token.0 += 1;
        self.submitted = index;
        self.under_way.push_back((self.last_token, index));
        self.last_token
    }
}

impl Restored {
    /// Reads back what storage kept.
    ///
    /// # Errors
    ///
    /// A record cannot be decoded, or the entries have a gap.
    pub(super) fn read(
        checkpoint: Option<&Bytes>,
        records: &[Bytes],
    ) -> Result<Restored, RestoreError> {
        let mut restored = Restored::default();
        if let Some(bytes) = checkpoint {
            let checkpoint: Checkpoint = postcard::from_bytes(bytes)?;
            restored = Restored {
                standing: checkpoint.standing,
                agreements_checkpoint: checkpoint.agreements,
                agreements: Vec::new(),
                executed: checkpoint.executed,
                store: checkpoint.store,
                log: Log::new(checkpoint.executed),
                bytes: 0,
                checkpoint_bytes: bytes.len(),
            };
            for entry in checkpoint.entries {
                restored.log.push(entry);
            }
        }
        for bytes in records {
            restored.bytes += bytes.len();
            match postcard::from_bytes::<Record<Vec<Entry>>>(bytes)? {
                Record::Standing(standing) => restored.standing = standing,
                Record::Agreement(record) => restored.agreements.push(record),
                Record::Agreements(checkpoint) => {
                    restored.agreements_checkpoint = Some(checkpoint);
                    restored.agreements.clear();
                }
                Record::Entries { first, entries } => restored.append(first, entries)?,
            }
        }
        Ok(restored)
    }

    fn append(&mut self, first: u64, entries: Vec<Entry>) -> Result<(), RestoreError> {
        let last = self.log.last().index;
        if first <= self.log.base().index || first > last + 1 {
            return Err(RestoreError::Gap { first, last });
        }
        self.log.truncate_after(first - 1);
        for entry in entries {
            self.log.push(entry);
        }
        Ok(())
    }
}

/// Encodes what is persisted or shipped.
pub(super) fn encode<T: Serialize>(value: &T) -> Bytes {
    postcard::to_stdvec(value)
        .expect("lists of known length and plain data always have an encoding")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(first: u64, terms: &[u64]) -> Bytes {
        let entries: Vec<Entry> = terms
            .iter()
            .map(|&term| Entry {
                term,
                request: None,
            })
            .collect();
        encode(&Record::Entries { first, entries })
    }

    #[test]
    fn a_later_record_replaces_the_tail_that_it_overlaps() {
        let restored =
            Restored::read(None, &[entries(1, &[1, 1, 1]), entries(3, &[2, 2])]).unwrap();
        assert_eq!(restored.log.last(), Position { term: 2, index: 4 });
        assert_eq!(restored.log.position_at(2).unwrap().term, 1);
    }

    #[test]
    fn storage_with_a_gap_or_with_garbage_is_refused() {
        assert!(matches!(
            Restored::read(None, &[entries(2, &[1])]),
            Err(RestoreError::Gap { first: 2, last: 0 })
        ));
        let garbage = Bytes::from_static(&[3, 1, 255, 255, 255, 255, 3]);
        assert!(Restored::read(None, &[garbage]).is_err());
    }

    #[test]
    fn a_persist_that_ends_after_a_cut_makes_nothing_beyond_the_cut_safe() {
        let mut journal = Journal::default();
        let token = journal.begin(5);
        journal.truncate_after(3);
        let later = journal.begin(4);
        journal.on_persisted(token);
        assert_eq!(journal.persisted(), 3);
        assert!(journal.is_safe(token) && !journal.is_safe(later));
        journal.on_persisted(later);
        assert_eq!(journal.persisted(), 4);
    }
}
