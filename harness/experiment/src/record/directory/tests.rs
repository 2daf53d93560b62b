use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

use super::*;
use crate::histogram::EncodedHistogram;
use crate::ids::{ClientId, Key, OperationId, RegionIndex, ReplicaId, Version};
use crate::operation::{Operation, OperationKind, OperationResult, Outcome};
use crate::profile::{Link, Profile, Region, Source};
use crate::random::Seed;
use crate::record::{
    BackendKind, Calibration, Completion, Environment, ModeRecord, Recorder, RegionRecord,
};
use crate::scenario::ScenarioFile;
use crate::time::Time;

const SECOND_NS: u64 = 1_000_000_000;

fn profile() -> Profile {
    let region = |name: &str| Region::named(name);
    Profile::new(
        "two",
        "Two regions.",
        Source {
            title: "made up".to_owned(),
            date: "2026-01".to_owned(),
            method: "assumed".to_owned(),
        },
        vec![region("eu-west-1"), region("New York")],
        vec![Link::fixed(Duration::from_millis(35)); 4],
    )
}

fn written() -> Outcome {
    Outcome::Ok(OperationResult::Written {
        version: Version { major: 1, minor: 0 },
    })
}

/// The record of a region whose write in second `s` of a window from 2 s on takes 10 x (s + 1) ms.
/// The window is a minute, so that its intervals are whole seconds, and ends early.
fn region_record(region: u16, seconds: u64) -> RegionRecord {
    let outcome = written();
    let start = Time(2 * SECOND_NS);
    let mut recorder = Recorder::new(start, Duration::from_secs(60));
    for second in 0..seconds {
        let intended_at = start + Duration::from_secs(second);
        recorder.due(OperationKind::Write, intended_at);
        recorder.complete(Completion {
            kind: OperationKind::Write,
            intended_at,
            sent_at: intended_at,
            completed_at: intended_at + Duration::from_millis(10 * (second + 1)),
            outcome: &outcome,
        });
    }
    RegionRecord {
        region: RegionIndex(region),
        kinds: recorder.finish(),
        capped: 0,
        redirects: 0,
    }
}

fn history() -> Vec<OperationRecord> {
    (0..3)
        .map(|sequence| OperationRecord {
            id: OperationId {
                client: ClientId(1),
                sequence,
            },
            region: RegionIndex(0),
            replica: ReplicaId(0),
            operation: Operation::Read { key: Key(sequence) },
            attempts: 1,
            intended_at: Time(sequence),
            sent_at: Some(Time(sequence)),
            completed_at: None,
            outcome: written(),
        })
        .collect()
}

fn record(backend: BackendKind) -> RunRecord {
    let file = ScenarioFile::parse("modes = ['quorum:register,w=2,r=1']", "x").unwrap();
    let scenario = file.resolve(profile()).unwrap();
    RunRecord {
        record_version: RECORD_VERSION,
        modes: vec![ModeRecord {
            mode: scenario.modes[0].clone(),
            paths: BTreeMap::new(),
            leaders: Vec::new(),
            faults: Vec::new(),
            window_start: Time(2 * SECOND_NS),
            window: Duration::from_secs(3),
            regions: vec![region_record(0, 3), region_record(1, 3)],
            traffic: Vec::new(),
            load: None,
            warnings: Vec::new(),
            history: Some(history()),
        }],
        scenario,
        backend,
        seed: Seed(7),
        complete: true,
        failures: Vec::new(),
        calibration: Calibration::default(),
        environment: Environment {
            longhaul_version: "0.1.0".to_owned(),
            started_unix_s: 1_700_000_000,
            ..Environment::default()
        },
    }
}

#[test]
fn a_record_reads_back_as_it_was_but_for_its_histories() {
    let root = tempfile::tempdir().unwrap();
    let directory = RunDirectory::create(root.path(), "run").unwrap();
    let record = record(BackendKind::Sim);
    directory.write_record(&record).unwrap();
    let read = RunDirectory::open(directory.path())
        .unwrap()
        .read_record()
        .unwrap();
    assert_eq!(
        serde_json::to_string(&read).unwrap(),
        serde_json::to_string(&record.without_histories()).unwrap()
    );
    assert!(read.modes[0].history.is_none());
    let names: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, [MANIFEST], "nothing unfinished is left");
}

#[test]
fn a_history_reads_back_line_by_line() {
    let root = tempfile::tempdir().unwrap();
    let directory = RunDirectory::create(root.path(), "run").unwrap();
    let record = record(BackendKind::Sim);
    let mode = &record.modes[0].mode;
    assert_eq!(directory.read_history(mode).unwrap(), None);
    directory.write_history(&record).unwrap();
    assert_eq!(directory.read_history(mode).unwrap(), Some(history()));
    let path = directory
        .path()
        .join("quorum-register-r-1-w-2.history.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 3);
    fs::write(&path, text + "{\"id\":\n").unwrap();
    let message = directory.read_history(mode).unwrap_err().to_string();
    assert!(message.contains("line 4"), "{message}");
}

#[test]
fn existing_runs_are_never_taken_and_latest_is_the_newest() {
    let root = tempfile::tempdir().unwrap();
    let runs = root.path().join("results").join("runs");
    let names: Vec<_> = (0..3)
        .map(|_| RunDirectory::create(&runs, "run").unwrap())
        .map(|directory| directory.path().file_name().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["run", "run-2", "run-3"]);
    let newest = RunDirectory {
        path: runs.join("run-3"),
    };
    newest.write_record(&record(BackendKind::Sim)).unwrap();
    let latest = RunDirectory::open(&runs.join("latest")).unwrap();
    assert_eq!(latest.read_record().unwrap().seed, Seed(7));
}

#[test]
fn a_file_latest_leads_to_its_run_too() {
    let root = tempfile::tempdir().unwrap();
    let directory = RunDirectory::create(root.path(), "run").unwrap();
    directory.write_record(&record(BackendKind::Sim)).unwrap();
    let latest = root.path().join(LATEST);
    fs::remove_file(&latest).unwrap();
    fs::write(&latest, "run\n").unwrap();
    assert_eq!(RunDirectory::open(&latest).unwrap(), directory);
}

#[test]
fn names_that_lead_out_of_the_folder_are_refused() {
    let root = tempfile::tempdir().unwrap();
    for name in ["", "..", ".hidden", "a/b", "a\\b"] {
        let refused = RunDirectory::create(root.path(), name);
        assert!(
            matches!(refused, Err(DirectoryError::Name { .. })),
            "{name}"
        );
    }
    let directory = RunDirectory::create(root.path(), "run").unwrap();
    assert!(directory.write_file("../summary.txt", b"x").is_err());
    directory.write_file("summary.txt", b"first").unwrap();
    directory.write_file("summary.txt", b"second").unwrap();
    let read = fs::read(directory.path().join("summary.txt")).unwrap();
    assert_eq!(read, b"second");
}

#[test]
fn what_is_no_run_is_told_apart() {
    let root = tempfile::tempdir().unwrap();
    let open = |path: &Path| RunDirectory::open(path).unwrap_err().to_string();
    assert!(open(&root.path().join("x")).contains("there is no such folder"));
    assert!(open(root.path()).contains("holds no manifest.json"));

    let directory = RunDirectory::create(root.path(), "run").unwrap();
    let read = |text: &str| {
        directory.write_file(MANIFEST, text.as_bytes()).unwrap();
        directory.read_record().unwrap_err().to_string()
    };
    let message = read("{\n\"record_version\": oops }");
    assert!(message.contains("manifest.json, line 2: "), "{message}");
    let message = read("{\"record_version\": 1}");
    assert!(message.contains("missing field"), "{message}");
    let message = read("{\"record_version\": 2, \"all\": \"new\"}");
    assert!(
        message.contains("version 2, and this longhaul reads up to 1"),
        "{message}"
    );
}

#[test]
fn an_interval_log_reads_back_with_the_standard_reader() {
    let root = tempfile::tempdir().unwrap();
    let directory = RunDirectory::create(root.path(), "run").unwrap();
    directory
        .write_interval_logs(&record(BackendKind::Local))
        .unwrap();
    let log = fs::read(directory.path().join("quorum-register-r-1-w-2.hlog")).unwrap();
    let head = String::from_utf8_lossy(&log[..400]);
    assert!(
        head.contains("#[Histogram log format version 1.3]"),
        "{head}"
    );
    assert!(head.contains("latencies in nanoseconds"), "{head}");

    let mut lines = Vec::new();
    for entry in IntervalLogIterator::new(&log) {
        match entry.expect("every line is well-formed") {
            // The run began at 1 700 000 000 s, its window 2 s later.
            LogEntry::StartTime(time) | LogEntry::BaseTime(time) => {
                assert_eq!(time, Duration::from_secs(1_700_000_002));
            }
            LogEntry::Interval(interval) => {
                let tag = interval.tag().expect("every line is tagged").to_string();
                let encoded = EncodedHistogram(interval.encoded_histogram().to_owned());
                let histogram = encoded.decode().expect("it is compressed V2");
                assert_eq!(histogram.len(), 1);
                assert_eq!(interval.duration(), Duration::from_secs(1));
                let milliseconds = (histogram.max() as f64 / 1e6).round() as u64;
                assert_eq!(interval.max().round() as u64, milliseconds);
                lines.push((interval.start_timestamp().as_secs(), tag, milliseconds));
            }
        }
    }
    let line = |second, tag: &str, milliseconds| (second, tag.to_owned(), milliseconds);
    assert_eq!(
        lines,
        [
            line(0, "eu-west-1-write", 10),
            line(0, "New-York-write", 10),
            line(1, "eu-west-1-write", 20),
            line(1, "New-York-write", 20),
            line(2, "eu-west-1-write", 30),
            line(2, "New-York-write", 30),
        ]
    );
}

#[test]
fn in_virtual_time_the_log_is_the_same_whenever_it_ran() {
    let log = |started_unix_s| {
        let mut record = record(BackendKind::Sim);
        record.environment.started_unix_s = started_unix_s;
        interval_log(&record, &record.modes[0]).unwrap()
    };
    assert_eq!(log(1), log(2_000_000_000));
}

#[test]
fn a_broken_histogram_is_named() {
    let root = tempfile::tempdir().unwrap();
    let directory = RunDirectory::create(root.path(), "run").unwrap();
    let mut record = record(BackendKind::Sim);
    let kinds = &mut record.modes[0].regions[1].kinds;
    let kind = kinds.get_mut(&OperationKind::Write).unwrap();
    kind.intervals[2].latency = EncodedHistogram("?".to_owned());
    let message = directory
        .write_interval_logs(&record)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("New-York-write, interval from 2 s: not base64"),
        "{message}"
    );
}

#[test]
fn figures_survive_the_manifest_to_the_last_bit() {
    use rand_chacha::rand_core::Rng;
    let mut generator = Seed(1).stream(crate::Stream::Calibration, 0);
    for _ in 0..1000 {
        // Milliseconds between 0 and 1000 with all 53 bits.
        let figure = (generator.next_u64() >> 11) as f64 * (1000.0 / (1u64 << 53) as f64);
        let text = serde_json::to_string(&figure).unwrap();
        assert_eq!(
            serde_json::from_str::<f64>(&text).unwrap().to_bits(),
            figure.to_bits()
        );
    }
}
