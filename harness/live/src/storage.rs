//! What a replica's storage keeps: a write-ahead log with group commit, checkpoints and recovery.
//!
//! One thread per replica writes. It takes everything that waits, writes it, syncs once and then
//! reports the last token: the more waits, the larger the group. A checkpoint begins a new
//! segment; older segments are deleted once the checkpoint is safe.

mod segment;
mod sync_times;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use bytes::Bytes;
use longhaul_protocol::{LogRecord, PersistToken, Recovered};

use segment::SegmentWriter;
pub use sync_times::sync_times;

/// Why storage failed. The replica cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// A file operation failed.
    #[error("{doing} '{path}': {why}; check that the disk has room and may be written")]
    File {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
    /// A segment other than the last is damaged.
    #[error("'{path}' is damaged at byte {offset} and later segments follow: records are missing")]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where.
        offset: u64,
    },
}

/// A replica's write-ahead log, and the thread that writes it.
#[derive(Debug)]
pub struct WriteAheadLog {
    /// `None` once it is being closed.
    requests: Option<mpsc::Sender<(PersistToken, Vec<LogRecord>)>>,
    writer: Option<thread::JoinHandle<()>>,
}

/// What the writing thread reports: the last token that is safe, or why there will be none.
pub type Persisted = Result<PersistToken, StorageError>;

impl WriteAheadLog {
    /// Opens the log in a directory, which is made when missing, and returns what it kept.
    ///
    /// `report` is called from the writing thread.
    ///
    /// # Errors
    ///
    /// The directory or a segment cannot be read or written.
    pub fn open(
        directory: &Path,
        mut report: impl FnMut(Persisted) + Send + 'static,
    ) -> Result<(WriteAheadLog, Recovered), StorageError> {
        fs::create_dir_all(directory)
            .map_err(|why| file_error("create the directory", directory, why))?;
        let (recovered, next) = recover(directory)?;
        let mut writer = Writer::create(directory, next)?;
        let (requests, waiting) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("replica-wal".to_owned())
            .spawn(move || {
                while let Ok(first) = waiting.recv() {
                    let result = writer.commit(first, &waiting);
                    let failed = result.is_err();
                    report(result);
                    if failed {
                        break;
                    }
                }
            })
            .map_err(|why| file_error("start the writing thread for", directory, why))?;
        Ok((
            WriteAheadLog {
                requests: Some(requests),
                writer: Some(thread),
            },
            recovered,
        ))
    }

    /// Hands records to the writing thread; a failure is reported by it.
    pub fn persist(&self, token: PersistToken, records: Vec<LogRecord>) {
        if let Some(requests) = &self.requests {
            // The thread has ended only after it reported why.
            let _ = requests.send((token, records));
        }
    }
}

impl Drop for WriteAheadLog {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

struct Writer {
    directory: PathBuf,
    segment: SegmentWriter,
    number: u64,
    oldest: u64,
}

/// The most persist effects in one group.
const GROUP_MAX: usize = 4096;

impl Writer {
    fn create(directory: &Path, number: u64) -> Result<Writer, StorageError> {
        let segment = SegmentWriter::create(&segment_path(directory, number))?;
        Ok(Writer {
            directory: directory.to_owned(),
            segment,
            number,
            oldest: segment_numbers(directory)?
                .first()
                .copied()
                .unwrap_or(number),
        })
    }

    /// Writes everything that waits, syncs, and returns the last token.
    fn commit(
        &mut self,
        first: (PersistToken, Vec<LogRecord>),
        waiting: &mpsc::Receiver<(PersistToken, Vec<LogRecord>)>,
    ) -> Persisted {
        let mut next = Some(first);
        let mut last = PersistToken::default();
        let mut obsolete_before = None;
        for _ in 0..GROUP_MAX {
            let Some((token, records)) = next.or_else(|| waiting.try_recv().ok()) else {
                break;
            };
            last = token;
            for record in records {
                if let LogRecord::Checkpoint(_) = record {
                    self.begin_segment()?;
                    obsolete_before = Some(self.number);
                }
                self.segment.append(&record);
            }
            next = None;
        }
        self.segment.sync()?;
        if let Some(number) = obsolete_before {
            self.delete_before(number)?;
        }
        Ok(last)
    }

    fn begin_segment(&mut self) -> Result<(), StorageError> {
        self.segment.sync()?;
        self.number += 1;
        self.segment = SegmentWriter::create(&segment_path(&self.directory, self.number))?;
        Ok(())
    }

    fn delete_before(&mut self, number: u64) -> Result<(), StorageError> {
        for old in self.oldest..number {
            let path = segment_path(&self.directory, old);
            match fs::remove_file(&path) {
                Err(why) if why.kind() != io::ErrorKind::NotFound => {
                    return Err(file_error("delete", &path, why));
                }
                _ => {}
            }
        }
        self.oldest = number;
        Ok(())
    }
}

/// Reads all segments back; returns what they hold and the number of the next segment.
fn recover(directory: &Path) -> Result<(Recovered, u64), StorageError> {
    let numbers = segment_numbers(directory)?;
    let Some(&last) = numbers.last() else {
        return Ok((Recovered::Nothing, 1));
    };
    let mut checkpoint: Option<Bytes> = None;
    let mut records = Vec::new();
    let mut holds_any = false;
    for &number in &numbers {
        let path = segment_path(directory, number);
        let contents = segment::read(&path)?;
        // A crash tears at most the end of the last segment that was written; an empty segment
        // after it was begun by a restart that persisted nothing.
        if let Some(offset) = contents.damaged_at {
            if has_records_after(directory, &numbers, number)? {
                return Err(StorageError::Damaged { path, offset });
            }
            segment::cut(&path, offset)?;
        }
        for record in contents.records {
            holds_any = true;
            match record {
                LogRecord::Append(bytes) => records.push(bytes),
                LogRecord::Checkpoint(bytes) => {
                    records.clear();
                    checkpoint = Some(bytes);
                }
            }
        }
    }
    let recovered = if holds_any {
        Recovered::Storage {
            checkpoint,
            records,
        }
    } else {
        Recovered::Nothing
    };
    Ok((recovered, last + 1))
}

fn has_records_after(directory: &Path, numbers: &[u64], number: u64) -> Result<bool, StorageError> {
    // A later segment that begins with a checkpoint stands for everything before it, and a
    // later one without records adds nothing.
    for &later in numbers.iter().filter(|&&later| later > number) {
        match segment::read(&segment_path(directory, later))?
            .records
            .first()
        {
            Some(LogRecord::Checkpoint(_)) => return Ok(false),
            Some(LogRecord::Append(_)) => return Ok(true),
            None => {}
        }
    }
    Ok(false)
}

fn segment_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:012}.wal"))
}

fn segment_numbers(directory: &Path) -> Result<Vec<u64>, StorageError> {
    let listing = fs::read_dir(directory).map_err(|why| file_error("list", directory, why))?;
    let mut numbers = Vec::new();
    for entry in listing {
        let entry = entry.map_err(|why| file_error("list", directory, why))?;
        let name = entry.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_suffix(".wal")?.parse::<u64>().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn file_error(doing: &'static str, path: &Path, why: io::Error) -> StorageError {
    StorageError::File {
        doing,
        path: path.to_owned(),
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(text: &'static str) -> LogRecord {
        LogRecord::Append(Bytes::from_static(text.as_bytes()))
    }

    fn checkpoint(text: &'static str) -> LogRecord {
        LogRecord::Checkpoint(Bytes::from_static(text.as_bytes()))
    }

    /// Persists each group and waits until it is safe.
    fn persist(directory: &Path, groups: Vec<Vec<LogRecord>>) -> Recovered {
        let (reports, reported) = mpsc::channel();
        let (log, recovered) =
            WriteAheadLog::open(directory, move |report| reports.send(report).unwrap()).unwrap();
        for (number, records) in groups.into_iter().enumerate() {
            let token = PersistToken(number as u64);
            log.persist(token, records);
            assert_eq!(reported.recv().unwrap().unwrap(), token);
        }
        recovered
    }

    fn storage(checkpoint: Option<&'static str>, records: &[&'static str]) -> Recovered {
        Recovered::Storage {
            checkpoint: checkpoint.map(|text| Bytes::from_static(text.as_bytes())),
            records: records
                .iter()
                .map(|text| Bytes::from_static(text.as_bytes()))
                .collect(),
        }
    }

    #[test]
    fn what_was_reported_safe_is_recovered_in_order() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(
            persist(
                directory.path(),
                vec![vec![append("a"), append("b")], vec![append("c")]]
            ),
            Recovered::Nothing
        );
        assert_eq!(
            persist(directory.path(), vec![vec![append("d")]]),
            storage(None, &["a", "b", "c"])
        );
        assert_eq!(
            persist(directory.path(), vec![]),
            storage(None, &["a", "b", "c", "d"])
        );
    }

    #[test]
    fn a_checkpoint_stands_for_what_came_before_and_old_segments_are_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let groups = vec![
            vec![append("a")],
            vec![checkpoint("A"), append("b")],
            vec![append("c")],
        ];
        persist(directory.path(), groups);
        assert_eq!(segment_numbers(directory.path()).unwrap().len(), 1);
        assert_eq!(
            persist(directory.path(), vec![]),
            storage(Some("A"), &["b", "c"])
        );
    }

    #[test]
    fn a_torn_end_is_cut_off_and_writing_goes_on_after_it() {
        let directory = tempfile::tempdir().unwrap();
        persist(
            directory.path(),
            vec![vec![append("whole")], vec![append("torn")]],
        );
        let path = segment_path(
            directory.path(),
            segment_numbers(directory.path()).unwrap()[0],
        );
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 2]).unwrap();
        assert_eq!(
            persist(directory.path(), vec![vec![append("next")]]),
            storage(None, &["whole"])
        );
        assert_eq!(
            persist(directory.path(), vec![]),
            storage(None, &["whole", "next"])
        );
    }

    #[test]
    fn damage_before_the_end_is_an_error_and_never_a_gap() {
        let directory = tempfile::tempdir().unwrap();
        persist(directory.path(), vec![vec![append("first")]]);
        let path = segment_path(
            directory.path(),
            segment_numbers(directory.path()).unwrap()[0],
        );
        persist(directory.path(), vec![vec![append("second")]]);
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
        let opened = WriteAheadLog::open(directory.path(), |_| {});
        assert!(matches!(opened, Err(StorageError::Damaged { .. })));
    }
}
