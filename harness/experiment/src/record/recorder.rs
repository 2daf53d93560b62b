//! Recording: operations in, [`KindRecord`]s out, in memory that the run's length does not set.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{Interval, KindRecord};
use crate::histogram::IntervalEncoder;
use crate::operation::{ErrorKind, OperationKind, Outcome};
use crate::time::{Time, nanos};

/// The end of one operation, as far as latency goes.
#[derive(Clone, Copy, Debug)]
pub struct Completion<'a> {
    /// Its kind.
    pub kind: OperationKind,
    /// When it was due.
    pub intended_at: Time,
    /// When it was first sent; equals `intended_at` when it never was.
    pub sent_at: Time,
    /// When its end was known.
    pub completed_at: Time,
    /// How it ended.
    pub outcome: &'a Outcome,
}

/// Collects what the clients of one region see.
///
/// Operations due outside the window are ignored, so callers report every operation: once with
/// [`Recorder::due`] and, when its end is known, once with [`Recorder::complete`].
#[derive(Debug)]
pub struct Recorder {
    window_start: Time,
    window: Duration,
    interval: Duration,
    kinds: BTreeMap<OperationKind, KindRecorder>,
    encoder: IntervalEncoder,
}

#[derive(Debug, Default)]
struct KindRecorder {
    record: KindRecord,
    open: VecDeque<OpenInterval>,
    /// The number of the first open interval.
    first_open: u64,
}

#[derive(Debug, Default)]
struct OpenInterval {
    due: u64,
    ended: u64,
    latencies_ns: Vec<u64>,
}

impl Recorder {
    /// The most intervals of a window shorter than a minute.
    const INTERVALS: u32 = 60;

    /// Returns the length of the intervals of the latency log: a sixtieth of the window, in whole
    /// milliseconds from 100 ms to 1 s, so that short windows have enough of them to tell how sure
    /// their figures are.
    pub fn interval_length(window: Duration) -> Duration {
        let sixtieth = window.as_millis().div_ceil(u128::from(Recorder::INTERVALS));
        let sixtieth = Duration::from_millis(sixtieth.min(1000) as u64);
        sixtieth.clamp(Duration::from_millis(100), Duration::from_secs(1))
    }

    /// Returns a recorder of the operations due in a window.
    pub fn new(window_start: Time, window: Duration) -> Recorder {
        Recorder {
            window_start,
            window,
            interval: Recorder::interval_length(window),
            kinds: BTreeMap::new(),
            encoder: IntervalEncoder::new(),
        }
    }

    /// Says whether an operation due then is measured.
    pub fn measures(&self, intended_at: Time) -> bool {
        intended_at >= self.window_start && intended_at.since(self.window_start) < self.window
    }

    fn interval_of(&self, intended_at: Time) -> u64 {
        nanos(intended_at.since(self.window_start)) / nanos(self.interval)
    }

    /// Counts an operation as due.
    pub fn due(&mut self, kind: OperationKind, intended_at: Time) {
        if !self.measures(intended_at) {
            return;
        }
        let number = self.interval_of(intended_at);
        let kind = self.kinds.entry(kind).or_default();
        kind.record.due += 1;
        if let Some(interval) = kind.interval(number) {
            interval.due += 1;
        }
        kind.close_complete(number, self.interval, &mut self.encoder);
    }

    /// Adds an operation's end.
    pub fn complete(&mut self, completion: Completion<'_>) {
        if !self.measures(completion.intended_at) {
            return;
        }
        let number = self.interval_of(completion.intended_at);
        let latency = completion.completed_at.since(completion.intended_at);
        let kind = self.kinds.entry(completion.kind).or_default();
        match completion.outcome {
            Outcome::Ok(_) => {
                kind.record.ok += 1;
                kind.record.latency.record(latency);
                kind.record
                    .service
                    .record(completion.completed_at.since(completion.sent_at));
            }
            Outcome::Fail(error) => {
                kind.record.failed += 1;
                kind.count_error(*error);
            }
            Outcome::Unknown(error) => {
                kind.record.unknown += 1;
                kind.count_error(*error);
            }
        }
        if let Some(interval) = kind.interval(number) {
            interval.ended += 1;
            if completion.outcome.is_ok() {
                interval.latencies_ns.push(nanos(latency));
            }
        }
    }

    /// Ends the recording: operations without an end are unknown, as unfinished.
    ///
    /// A window cut short by an interrupt is given as `window`; operations due after its end are
    /// kept, since they were due.
    pub fn finish(mut self) -> BTreeMap<OperationKind, KindRecord> {
        let mut records = BTreeMap::new();
        for (name, mut kind) in std::mem::take(&mut self.kinds) {
            let unfinished =
                kind.record.due - (kind.record.ok + kind.record.failed + kind.record.unknown);
            if unfinished > 0 {
                kind.record.unknown += unfinished;
                *kind
                    .record
                    .errors
                    .entry(ErrorKind::Unfinished.name().to_owned())
                    .or_default() += unfinished;
            }
            while !kind.open.is_empty() {
                kind.close_first(self.interval, &mut self.encoder);
            }
            records.insert(name, kind.record);
        }
        records
    }
}

impl KindRecorder {
    fn count_error(&mut self, error: ErrorKind) {
        *self
            .record
            .errors
            .entry(error.name().to_owned())
            .or_default() += 1;
    }

    /// Returns the interval of that number, opening it; `None` when it is closed already.
    fn interval(&mut self, number: u64) -> Option<&mut OpenInterval> {
        let offset = usize::try_from(number.checked_sub(self.first_open)?).ok()?;
        while self.open.len() <= offset {
            self.open.push_back(OpenInterval::default());
        }
        self.open.get_mut(offset)
    }

    /// Closes the intervals before `number` whose operations have all ended.
    fn close_complete(&mut self, number: u64, length: Duration, encoder: &mut IntervalEncoder) {
        while self.first_open < number
            && self
                .open
                .front()
                .is_some_and(|interval| interval.ended == interval.due)
        {
            self.close_first(length, encoder);
        }
    }

    fn close_first(&mut self, length: Duration, encoder: &mut IntervalEncoder) {
        let Some(interval) = self.open.pop_front() else {
            return;
        };
        self.record.intervals.push(Interval {
            start: length * self.first_open as u32,
            length,
            due: interval.due,
            latency: encoder.encode(&interval.latencies_ns),
        });
        self.first_open += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Version;
    use crate::operation::OperationResult;

    fn written() -> Outcome {
        Outcome::Ok(OperationResult::Written {
            version: Version::NONE,
        })
    }

    fn completion(intended_ms: u64, completed_ms: u64, outcome: &Outcome) -> Completion<'_> {
        Completion {
            kind: OperationKind::Write,
            intended_at: Time::from_millis(intended_ms),
            sent_at: Time::from_millis(intended_ms),
            completed_at: Time::from_millis(completed_ms),
            outcome,
        }
    }

    #[test]
    fn only_operations_due_in_the_window_count_and_the_unfinished_are_unknown() {
        let mut recorder = Recorder::new(Time::from_millis(1000), Duration::from_secs(2));
        for at in [999, 1000, 2500, 2999, 3000] {
            recorder.due(OperationKind::Write, Time::from_millis(at));
        }
        recorder.complete(completion(999, 1010, &written()));
        recorder.complete(completion(1000, 1070, &written()));
        recorder.complete(completion(
            2500,
            12_500,
            &Outcome::Unknown(ErrorKind::TimedOut),
        ));
        let record = recorder.finish().remove(&OperationKind::Write).unwrap();
        assert_eq!(
            (record.due, record.ok, record.failed, record.unknown),
            (3, 1, 0, 2)
        );
        assert_eq!(record.errors["timed-out"], 1);
        assert_eq!(record.errors["unfinished"], 1);
        assert_eq!(record.latency.maximum_ns(), Some(70_000_000));
        // Two seconds are cut into 20 intervals of 100 ms: 1000 falls in the first, 2500 in the
        // sixteenth and 2999 in the last.
        assert_eq!(record.intervals.len(), 20);
        let due: Vec<u64> = record
            .intervals
            .iter()
            .map(|interval| interval.due)
            .collect();
        assert_eq!((due[0], due[15], due[19]), (1, 1, 1));
        assert_eq!(record.intervals[15].start, Duration::from_millis(1500));
        assert_eq!(record.intervals[0].latency.decode().unwrap().len(), 1);
    }

    #[test]
    fn a_window_is_cut_into_about_sixty_intervals_of_a_second_at_most() {
        // 8 s / 60 = 133.3 ms, rounded up so that there are no more than 60.
        for (window_ms, interval_ms) in [(2000, 100), (8000, 134), (60_000, 1000), (600_000, 1000)]
        {
            let length = Recorder::interval_length(Duration::from_millis(window_ms));
            assert_eq!(length, Duration::from_millis(interval_ms));
        }
    }

    #[test]
    fn intervals_close_once_their_operations_have_ended() {
        let mut recorder = Recorder::new(Time::ZERO, Duration::from_secs(100));
        for second in 0..100 {
            recorder.due(OperationKind::Write, Time::from_millis(second * 1000));
            recorder.complete(completion(second * 1000, second * 1000 + 5, &written()));
            let open = recorder.kinds[&OperationKind::Write].open.len();
            assert!(open <= 2, "{open} intervals are open");
        }
        let record = recorder.finish().remove(&OperationKind::Write).unwrap();
        assert_eq!(record.intervals.len(), 100);
    }
}
