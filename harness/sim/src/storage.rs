//! What one replica's storage keeps.

use bytes::Bytes;
use longhaul_experiment::scenario::Durability;
use longhaul_protocol::{LogRecord, Recovered};

/// The storage of one replica: it outlives the replica's process when it is durable.
///
/// What it leaves out: torn writes, lost sectors, and disks that lie about a sync.
#[derive(Debug)]
pub struct Storage {
    durability: Durability,
    checkpoint: Option<Bytes>,
    records: Vec<Bytes>,
}

impl Storage {
    /// Returns an empty storage.
    pub fn new(durability: Durability) -> Storage {
        Storage {
            durability,
            checkpoint: None,
            records: Vec::new(),
        }
    }

    /// Keeps records that were synced; a checkpoint deletes what stood before it.
    pub fn keep(&mut self, records: Vec<LogRecord>) {
        if self.durability == Durability::Memory {
            return;
        }
        for record in records {
            match record {
                LogRecord::Append(bytes) => self.records.push(bytes),
                LogRecord::Checkpoint(bytes) => {
                    self.records.clear();
                    self.checkpoint = Some(bytes);
                }
            }
        }
    }

    /// Returns what a replica that starts again finds.
    pub fn recover(&self) -> Recovered {
        match self.durability {
            Durability::Memory => Recovered::Lost,
            Durability::Wal => Recovered::Storage {
                checkpoint: self.checkpoint.clone(),
                records: self.records.clone(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_stands_for_all_earlier_records() {
        let mut storage = Storage::new(Durability::Wal);
        let append = |byte: &'static [u8]| LogRecord::Append(Bytes::from_static(byte));
        storage.keep(vec![append(b"a"), append(b"b")]);
        storage.keep(vec![
            LogRecord::Checkpoint(Bytes::from_static(b"ab")),
            append(b"c"),
        ]);
        assert_eq!(
            storage.recover(),
            Recovered::Storage {
                checkpoint: Some(Bytes::from_static(b"ab")),
                records: vec![Bytes::from_static(b"c")],
            }
        );
    }

    #[test]
    fn memory_keeps_nothing() {
        let mut storage = Storage::new(Durability::Memory);
        storage.keep(vec![LogRecord::Append(Bytes::from_static(b"a"))]);
        assert_eq!(storage.recover(), Recovered::Lost);
    }
}
