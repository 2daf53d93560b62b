use std::time::{Duration, Instant};

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
    let (log, recovered) = WriteAheadLog::open(directory, SyncDelay::default(), move |report| {
        reports.send(report).unwrap()
    })
    .unwrap();
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
    let opened = WriteAheadLog::open(directory.path(), SyncDelay::default(), |_| {});
    assert!(matches!(opened, Err(StorageError::Damaged { .. })));
}

#[test]
fn what_was_not_safe_when_the_process_died_is_lost_and_not_reported() {
    let directory = tempfile::tempdir().unwrap();
    persist(directory.path(), vec![vec![append("safe")]]);
    let (reports, reported) = mpsc::channel();
    let delay = SyncDelay::default();
    let report = move |report| reports.send(report).unwrap();
    let (mut log, _) = WriteAheadLog::open(directory.path(), delay.clone(), report).unwrap();
    log.persist(PersistToken(1), vec![append("also safe")]);
    assert_eq!(reported.recv().unwrap().unwrap(), PersistToken(1));
    // Written, and waiting for a sync that takes a minute; the next waits for its turn.
    delay.set(Duration::from_secs(60));
    log.persist(PersistToken(2), vec![append("written")]);
    thread::sleep(Duration::from_millis(20));
    log.persist(PersistToken(3), vec![append("waiting")]);
    log.kill();
    drop(log);
    assert!(
        reported.recv().is_err(),
        "the thread has ended without a word"
    );
    assert_eq!(
        persist(directory.path(), vec![]),
        storage(None, &["safe", "also safe"])
    );
}

#[test]
fn a_slow_disk_takes_that_much_longer_for_each_sync() {
    let directory = tempfile::tempdir().unwrap();
    let (reports, reported) = mpsc::channel();
    let delay = SyncDelay::default();
    delay.set(Duration::from_millis(30));
    let report = move |report| reports.send(report).unwrap();
    let (log, _) = WriteAheadLog::open(directory.path(), delay.clone(), report).unwrap();
    for token in 0..2 {
        let began = Instant::now();
        log.persist(PersistToken(token), vec![append("a")]);
        reported.recv().unwrap().unwrap();
        assert!(began.elapsed() >= Duration::from_millis(30));
    }
}
