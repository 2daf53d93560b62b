//! How long syncs take on a disk.

use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use longhaul_experiment::histogram::Histogram;
use longhaul_protocol::LogRecord;

use super::StorageError;
use super::segment::SegmentWriter;

/// Writes and syncs records of this many bytes one after the other, as a replica's log does, and
/// returns how long each took. The file is removed.
///
/// # Errors
///
/// The directory cannot be written.
pub fn sync_times(
    directory: &Path,
    count: u32,
    record_bytes: usize,
) -> Result<Histogram, StorageError> {
    std::fs::create_dir_all(directory)
        .map_err(|why| super::file_error("create the directory", directory, why))?;
    let path = directory.join("sync-times.wal");
    let outcome = measure(&path, count, record_bytes);
    let _ = std::fs::remove_file(&path);
    outcome
}

fn measure(path: &Path, count: u32, record_bytes: usize) -> Result<Histogram, StorageError> {
    let mut segment = SegmentWriter::create(path)?;
    let record = LogRecord::Append(Bytes::from(vec![0x5a; record_bytes]));
    let mut times = Histogram::new();
    for _ in 0..count {
        segment.append(&record);
        let began = Instant::now();
        segment.sync()?;
        times.record(began.elapsed());
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sync_is_timed_and_nothing_is_left_behind() {
        let directory = tempfile::tempdir().unwrap();
        let times = sync_times(directory.path(), 5, 512).unwrap();
        assert_eq!(times.count(), 5);
        assert!(times.minimum_ns() > Some(0));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
