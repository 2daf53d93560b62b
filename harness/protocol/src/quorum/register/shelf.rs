//! What a member keeps: the entries that are safe, and those on their way to storage.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use longhaul_experiment::{Key, ReplicaId, Version};
use serde::{Deserialize, Serialize};

use super::message::{Ask, Entry};
use super::replica::RegisterOutbox;
use crate::outbox::LogRecord;
use crate::replica::{PersistToken, Recovered};
use crate::retention::Retention;

/// A checkpoint is written when the records after the last one are larger than it and than this.
const CHECKPOINT_BYTES_MIN: usize = 16 << 20;

/// About the size of one answer to a pull.
const CHUNK_BYTES: usize = 256 << 10;

/// Whether a member counts in quorums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Standing {
    /// It does.
    Serving,
    /// Its storage was lost: not before it has been caught up.
    CatchingUp,
}

/// A member's entries.
///
/// An entry is visible to queries only when it is safe. So a query never waits for storage, and
/// what it reports cannot vanish in a crash; a store that is not yet safe here is not acknowledged
/// either, and no quorum counts on it.
#[derive(Debug)]
pub(super) struct Shelf {
    entries: BTreeMap<Key, (Version, Bytes)>,
    batch: Batch,
    unsafe_batches: VecDeque<(PersistToken, Batch)>,
    next_token: u64,
    standing: Standing,
    bytes_since_checkpoint: usize,
    checkpoint_bytes: usize,
    retention: Retention,
}

/// What is persisted together.
#[derive(Debug, Default)]
struct Batch {
    entries: Vec<Entry>,
    acknowledge: Vec<(ReplicaId, Ask)>,
    standing: Option<Standing>,
}

/// A batch as a record, and all of the shelf as a checkpoint.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    standing: Option<Standing>,
    entries: Vec<Entry>,
}

/// What became safe.
#[derive(Debug, Default)]
pub(super) struct Safe {
    /// Who is owed which acknowledgement.
    pub(super) acknowledge: Vec<(ReplicaId, Ask)>,
    /// Whether the member was caught up and counts from now on.
    pub(super) joined: bool,
}

impl Shelf {
    /// Returns what storage kept. Storage that cannot be read counts as lost.
    pub(super) fn recover(recovered: Recovered, retention: Retention) -> Shelf {
        let mut shelf = Shelf {
            entries: BTreeMap::new(),
            batch: Batch::default(),
            unsafe_batches: VecDeque::new(),
            next_token: 0,
            standing: Standing::Serving,
            bytes_since_checkpoint: 0,
            checkpoint_bytes: 0,
            retention,
        };
        match recovered {
            Recovered::Nothing => {}
            Recovered::Lost => shelf.stand(Standing::CatchingUp),
            Recovered::Storage {
                checkpoint,
                records,
            } => {
                let mut unreadable = false;
                for bytes in checkpoint.iter().chain(&records) {
                    match postcard::from_bytes::<Record>(bytes) {
                        Ok(record) => shelf.replay(record),
                        Err(_) => unreadable = true,
                    }
                }
                if unreadable {
                    shelf.stand(Standing::CatchingUp);
                }
                shelf.checkpoint_bytes = checkpoint.map_or(0, |bytes| bytes.len());
                shelf.bytes_since_checkpoint = records.iter().map(Bytes::len).sum();
            }
        }
        shelf
    }

    fn replay(&mut self, record: Record) {
        for entry in record.entries {
            self.keep(entry);
        }
        if let Some(standing) = record.standing {
            self.standing = standing;
        }
    }

    fn keep(&mut self, entry: Entry) -> bool {
        let newer = entry.version > self.query(entry.key).0;
        if newer {
            self.entries.insert(entry.key, (entry.version, entry.value));
        }
        newer
    }

    /// Returns how much of its past the member keeps.
    pub(super) fn retention(&self) -> Retention {
        self.retention
    }

    /// Says whether the member counts in quorums.
    pub(super) fn standing(&self) -> Standing {
        self.standing
    }

    /// Changes the standing: to catching up at once, to serving when that is safe.
    pub(super) fn stand(&mut self, standing: Standing) {
        self.batch.standing = Some(standing);
        if standing == Standing::CatchingUp {
            self.standing = standing;
        }
    }

    /// Returns a key's newest safe tag and its value.
    pub(super) fn query(&self, key: Key) -> (Version, Option<&Bytes>) {
        match self.entries.get(&key) {
            Some((version, value)) => (*version, Some(value)),
            None => (Version::NONE, None),
        }
    }

    /// Takes an entry with this batch; `owed` is acknowledged when it is safe. Returns `true` when
    /// it, or a newer one, is safe already: nothing is taken and nobody remembered.
    pub(super) fn store(&mut self, entry: Entry, owed: Option<(ReplicaId, Ask)>) -> bool {
        if self.query(entry.key).0 >= entry.version {
            return true;
        }
        self.batch.entries.push(entry);
        self.batch.acknowledge.extend(owed);
        false
    }

    /// Persists the batch.
    pub(super) fn flush(&mut self, out: &mut RegisterOutbox) {
        if self.batch.entries.is_empty() && self.batch.standing.is_none() {
            return;
        }
        let token = PersistToken(self.next_token);
        self.next_token += 1;
        let batch = std::mem::take(&mut self.batch);
        self.unsafe_batches.push_back((token, batch));
        out.persist(token, || vec![self.record()]);
    }

    /// Returns the newest batch as a record, or all there is when a checkpoint is due.
    fn record(&mut self) -> LogRecord {
        let batch = self.unsafe_batches.back().map(|(_, batch)| batch);
        let bytes = encode(
            batch.and_then(|batch| batch.standing),
            batch.iter().flat_map(|batch| batch.entries.iter().cloned()),
        );
        self.bytes_since_checkpoint += bytes.len();
        let least = self.retention.of(CHECKPOINT_BYTES_MIN);
        if self.bytes_since_checkpoint <= self.checkpoint_bytes.max(least) {
            return LogRecord::Append(bytes);
        }
        // The checkpoint replaces the records of batches that are not yet safe, too.
        let visible = self.entries.iter().map(|(&key, (version, value))| Entry {
            key,
            version: *version,
            value: value.clone(),
        });
        let on_their_way = self
            .unsafe_batches
            .iter()
            .flat_map(|(_, batch)| batch.entries.iter().cloned());
        let standing = self
            .unsafe_batches
            .iter()
            .rev()
            .find_map(|(_, batch)| batch.standing)
            .unwrap_or(self.standing);
        let bytes = encode(Some(standing), visible.chain(on_their_way));
        self.checkpoint_bytes = bytes.len();
        self.bytes_since_checkpoint = 0;
        LogRecord::Checkpoint(bytes)
    }

    /// Makes visible what is safe.
    pub(super) fn persisted(&mut self, token: PersistToken, out: &mut RegisterOutbox) -> Safe {
        let mut safe = Safe::default();
        while let Some((first, _)) = self.unsafe_batches.front() {
            if *first > token {
                break;
            }
            let Some((_, batch)) = self.unsafe_batches.pop_front() else {
                break;
            };
            for entry in batch.entries {
                let (key, version) = (entry.key, entry.version);
                if self.keep(entry) {
                    out.applied(key, version);
                }
            }
            safe.acknowledge.extend(batch.acknowledge);
            if batch.standing == Some(Standing::Serving) && self.standing == Standing::CatchingUp {
                self.standing = Standing::Serving;
                safe.joined = true;
            }
        }
        safe
    }

    /// Returns the next entries in key order, and whether they are the last.
    pub(super) fn chunk(&self, after: Option<Key>) -> (Vec<Entry>, bool) {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        let mut entries = Vec::new();
        let mut bytes = 0;
        for (&key, (version, value)) in self.entries.range((from, Unbounded)) {
            if bytes >= CHUNK_BYTES {
                return (entries, false);
            }
            bytes += 40 + value.len();
            entries.push(Entry {
                key,
                version: *version,
                value: value.clone(),
            });
        }
        (entries, true)
    }
}

fn encode(standing: Option<Standing>, entries: impl Iterator<Item = Entry>) -> Bytes {
    let record = Record {
        standing,
        entries: entries.collect(),
    };
    // Encoding into memory fails only for types that state no length, and these do.
    Bytes::from(postcard::to_stdvec(&record).expect("a record encodes"))
}
