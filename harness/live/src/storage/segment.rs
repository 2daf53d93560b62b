//! One file of a write-ahead log: length, CRC-32 and kind before each record.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use bytes::{Buf, Bytes};
use longhaul_protocol::LogRecord;

use super::disk::Disk;
use super::{StorageError, file_error};

/// 4 bytes of length, 4 of CRC-32 (over kind and payload), 1 of kind.
const HEADER_BYTES: usize = 9;
const APPEND: u8 = 0;
const CHECKPOINT: u8 = 1;

/// Writes a segment.
#[derive(Debug)]
pub(super) struct SegmentWriter {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
    /// Bytes of the file that are safe.
    synced: u64,
}

impl SegmentWriter {
    /// Creates the file, and makes its name safe by syncing the directory.
    pub(super) fn create(path: &Path) -> Result<SegmentWriter, StorageError> {
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(path)
            .map_err(|why| file_error("create", path, why))?;
        if let Some(directory) = path.parent() {
            File::open(directory)
                .and_then(|directory| directory.sync_all())
                .map_err(|why| file_error("sync", directory, why))?;
        }
        Ok(SegmentWriter {
            path: path.to_owned(),
            file,
            buffer: Vec::new(),
            synced: 0,
        })
    }

    /// Buffers a record.
    pub(super) fn append(&mut self, record: &LogRecord) {
        let (kind, payload) = match record {
            LogRecord::Append(bytes) => (APPEND, bytes),
            LogRecord::Checkpoint(bytes) => (CHECKPOINT, bytes),
        };
        self.buffer
            .extend_from_slice(&(payload.len() as u32).to_le_bytes());
        self.buffer
            .extend_from_slice(&checksum(kind, payload).to_le_bytes());
        self.buffer.push(kind);
        self.buffer.extend_from_slice(payload);
    }

    /// Writes what is buffered and waits until it is safe. A process that is killed meanwhile
    /// takes with it what was not.
    pub(super) fn sync(&mut self, disk: &Disk) -> Result<(), StorageError> {
        if self.buffer.is_empty() || disk.is_killed() {
            return Ok(());
        }
        self.file
            .write_all(&self.buffer)
            .map_err(|why| file_error("write", &self.path, why))?;
        if !disk.outlive_delay() {
            return cut(&self.path, self.synced);
        }
        self.file
            .sync_data()
            .map_err(|why| file_error("sync", &self.path, why))?;
        self.synced += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// What a segment holds.
#[derive(Debug)]
pub(super) struct Contents {
    /// The whole records, in order.
    pub(super) records: Vec<LogRecord>,
    /// Where the first record that is not whole begins, if there is one.
    pub(super) damaged_at: Option<u64>,
}

/// Reads a segment up to its end or its first damaged record.
pub(super) fn read(path: &Path) -> Result<Contents, StorageError> {
    let bytes = fs::read(path).map_err(|why| file_error("read", path, why))?;
    let whole = bytes.len();
    let mut rest = Bytes::from(bytes);
    let mut records = Vec::new();
    while !rest.is_empty() {
        let offset = (whole - rest.len()) as u64;
        match take_record(&mut rest) {
            Some(record) => records.push(record),
            None => {
                return Ok(Contents {
                    records,
                    damaged_at: Some(offset),
                });
            }
        }
    }
    Ok(Contents {
        records,
        damaged_at: None,
    })
}

/// Cuts a segment's end off: torn, so that what is written later never follows damage, or not
/// safe when its process died.
pub(super) fn cut(path: &Path, length: u64) -> Result<(), StorageError> {
    OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|file| file.set_len(length).and_then(|()| file.sync_all()))
        .map_err(|why| file_error("cut the end off", path, why))
}

fn take_record(rest: &mut Bytes) -> Option<LogRecord> {
    if rest.len() < HEADER_BYTES {
        return None;
    }
    let length = rest.get_u32_le() as usize;
    let expected = rest.get_u32_le();
    let kind = rest.get_u8();
    if rest.len() < length {
        return None;
    }
    let payload = rest.split_to(length);
    if checksum(kind, &payload) != expected {
        return None;
    }
    match kind {
        APPEND => Some(LogRecord::Append(payload)),
        CHECKPOINT => Some(LogRecord::Checkpoint(payload)),
        _ => None,
    }
}

fn checksum(kind: u8, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[kind]);
    hasher.update(payload);
    hasher.finalize()
}
