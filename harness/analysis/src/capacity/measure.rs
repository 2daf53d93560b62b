//! From the run of one mode at one rate to a point.

use std::collections::BTreeMap;
use std::time::Duration;

use longhaul_experiment::RunRecord;
use longhaul_experiment::record::{
    BackendKind, Calibration, Interval, KindRecord, LoadCalibration, ModeRecord,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::latency::{LatencyMs, Percentile, merge};
use crate::warnings::MACHINE_BUSY;

/// What one mode did at one rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SweepPoint {
    /// The mode's canonical string.
    pub mode: String,
    /// The rate asked for, operations per second and client region.
    pub rate_ops: f64,
    /// The seed of the run.
    pub seed: u64,
    /// The run's number in the order in which runs began, from 1.
    pub position: u32,
    /// Seconds of the measured window.
    pub window_s: f64,
    /// Operations that were due, per second, of all client regions.
    pub offered_ops: f64,
    /// Operations due in the window that succeeded, whenever they did, per second of the window.
    pub goodput_ops: f64,
    /// Operations that succeeded in the second half of the window, per second of it: what the
    /// system got done while load went on. Estimated from the interval log.
    pub throughput_ops: f64,
    /// Operations due in the window.
    pub due: u64,
    /// Those that succeeded.
    pub ok: u64,
    /// Those that certainly had no effect.
    pub failed: u64,
    /// Those that may have had one, unfinished ones included.
    pub unknown: u64,
    /// Failed and unknown operations by error kind.
    pub errors: BTreeMap<String, u64>,
    /// The share of operations due that did not succeed, 0 to 1.
    pub error_share: f64,
    /// Latency of all operations due, of all kinds and client regions: those that did not succeed
    /// rank above every success.
    pub latency_ms: LatencyMs,
    /// The mean latency of the successes alone; null without any.
    pub success_mean_ms: Option<f64>,
    /// Percentiles with fewer than 10 operations beyond them, of all client regions together.
    pub too_few: Vec<Percentile>,
    /// Operations due in the window and not done at its end. While the system keeps up they are
    /// those under way, rate x latency; beyond, those that pile up. Estimated from the interval
    /// log.
    pub backlog: u64,
    /// Operations that waited because the cap on operations in flight was reached.
    pub capped: u64,
    /// That cap, for each client region.
    pub max_in_flight: u32,
    /// Whether a live backend had its machine more than 80% busy: the machine, which generator,
    /// links and replicas share, then sets the limit and not the mode.
    pub machine_bound: bool,
    /// How exact the emulation was meanwhile, and who used the processors; null in virtual time.
    pub load: Option<LoadCalibration>,
    /// How far the 99th percentile of a probed link's delay was from the one asked for, at most, in
    /// milliseconds, before load; null in virtual time.
    pub link_error_ms: Option<f64>,
    /// What the run said of itself, each saying what to do.
    pub warnings: Vec<String>,
    /// One per client region.
    pub regions: Vec<RegionPoint>,
}

/// What the clients of one region saw at one rate, of operations of all kinds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RegionPoint {
    /// The clients' region.
    pub region: String,
    /// Operations due in the window.
    pub due: u64,
    /// Those that succeeded.
    pub ok: u64,
    /// Latency of all operations due: those that did not succeed rank above every success.
    pub latency_ms: LatencyMs,
}

impl RegionPoint {
    /// Returns the share of operations due that did not succeed, 0 to 1.
    pub fn error_share(&self) -> f64 {
        share(self.due - self.ok.min(self.due), self.due)
    }
}

impl SweepPoint {
    /// Returns the point that a run of one mode is; `None` when the record holds no whole run of
    /// one: after an interrupt or a failure. `position` is the run's number in the sweep.
    pub fn of(record: &RunRecord, position: u32) -> Option<SweepPoint> {
        let [mode] = record.modes.as_slice() else {
            return None;
        };
        let rate_ops = record.scenario.workload.rate()?;
        if !record.complete || mode.window.is_zero() {
            return None;
        }
        let window_s = mode.window.as_secs_f64();
        let whole = merged(mode.regions.iter().flat_map(|region| region.kinds.values()));
        let pace = Pace::of(mode, record.scenario.limits.operation_timeout);
        let half = mode.window / 2;
        let late = pace.done_by(mode.window) - pace.done_by(half);
        let live = record.backend != BackendKind::Sim;
        let busy = |load: &LoadCalibration| Some(load.cpu.as_ref()?.machine_busy);
        let busy = mode.load.as_ref().and_then(busy);
        Some(SweepPoint {
            mode: mode.mode.to_string(),
            rate_ops,
            seed: record.seed.0,
            position,
            window_s,
            offered_ops: whole.due as f64 / window_s,
            goodput_ops: whole.ok as f64 / window_s,
            throughput_ops: rounded(late / half.as_secs_f64()),
            due: whole.due,
            ok: whole.ok,
            failed: whole.failed,
            unknown: whole.unknown,
            error_share: share(whole.due - whole.ok.min(whole.due), whole.due),
            latency_ms: LatencyMs::ranked(&whole.latency, whole.due),
            success_mean_ms: LatencyMs::of_successes(&whole.latency).mean,
            too_few: Percentile::ALL
                .into_iter()
                .filter(|percentile| percentile.is_unsupported_by(whole.due))
                .collect(),
            errors: whole.errors,
            backlog: pace.pending(mode.window),
            capped: mode.regions.iter().map(|region| region.capped).sum(),
            max_in_flight: record.scenario.limits.max_in_flight,
            machine_bound: live && busy.is_some_and(|busy| busy > MACHINE_BUSY),
            load: mode.load.clone(),
            link_error_ms: live.then(|| link_error_ms(&record.calibration)).flatten(),
            warnings: mode.warnings.clone(),
            regions: regions(record, mode),
        })
    }
}

fn regions(record: &RunRecord, mode: &ModeRecord) -> Vec<RegionPoint> {
    let topology = &record.scenario.topology;
    let point = |region: &longhaul_experiment::record::RegionRecord| {
        let whole = merged(region.kinds.values());
        RegionPoint {
            region: topology.region_name(region.region).to_owned(),
            due: whole.due,
            ok: whole.ok,
            latency_ms: LatencyMs::ranked(&whole.latency, whole.due),
        }
    };
    mode.regions.iter().map(point).collect()
}

fn merged<'a>(kinds: impl Iterator<Item = &'a KindRecord>) -> KindRecord {
    let mut whole = KindRecord::default();
    kinds.for_each(|kind| merge(&mut whole, kind));
    whole
}

fn link_error_ms(calibration: &Calibration) -> Option<f64> {
    let links = calibration.links.iter();
    let errors = links.map(|link| (link.achieved_p99_ms - link.asked_p99_ms).abs());
    errors.reduce(f64::max)
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 / whole as f64
}

/// An estimate has no more digits than these.
fn rounded(amount: f64) -> f64 {
    (amount * 1e3).round() / 1e3
}

/// When operations were done, as far as interval logs tell: they hold latencies by the interval in
/// which operations were due, and within an interval those are taken to be evenly spread.
struct Pace {
    parts: Vec<Part>,
    timeout: Duration,
    /// The share of the operations without success that nobody knew the end of.
    unknown_share: f64,
    /// Unknown operations of a mode without interval logs: all there is to go by then.
    unlogged: u64,
}

/// What was due in one interval.
struct Part {
    start_ns: f64,
    length_ns: f64,
    missed: u64,
    latencies_ns: Vec<(u64, u64)>,
}

impl Pace {
    fn of(mode: &ModeRecord, timeout: Duration) -> Pace {
        let kinds = || mode.regions.iter().flat_map(|region| region.kinds.values());
        let part = |interval: &Interval| {
            let latencies_ns = interval.latency.occupied().ok()?;
            let ok: u64 = latencies_ns.iter().map(|(_, count)| count).sum();
            let length = interval
                .length
                .min(mode.window.saturating_sub(interval.start));
            Some(Part {
                start_ns: interval.start.as_nanos() as f64,
                length_ns: length.as_nanos().max(1) as f64,
                missed: interval.due.saturating_sub(ok),
                latencies_ns,
            })
        };
        let intervals = kinds().flat_map(|kind| &kind.intervals);
        let parts: Vec<Part> = intervals.filter_map(part).collect();
        let (failed, unknown) = kinds().fold((0, 0), |(failed, unknown), kind| {
            (failed + kind.failed, unknown + kind.unknown)
        });
        Pace {
            unlogged: if parts.is_empty() { unknown } else { 0 },
            parts,
            timeout,
            unknown_share: share(unknown, failed + unknown),
        }
    }

    /// Returns how many operations due in the window succeeded by that time after its beginning.
    fn done_by(&self, at: Duration) -> f64 {
        let at_ns = at.as_nanos() as f64;
        let of_part = |part: &Part| -> f64 {
            let done = |&(latency, count): &(u64, u64)| {
                count as f64 * part.share_due_by(at_ns - latency as f64)
            };
            part.latencies_ns.iter().map(done).sum()
        };
        self.parts.iter().map(of_part).sum()
    }

    /// Returns how many operations due in the window had not ended by its end: successes that came
    /// later, and those of unknown outcome whose time-out came later. What failed is taken to
    /// have failed at once.
    fn pending(&self, window: Duration) -> u64 {
        let window_ns = window.as_nanos() as f64;
        let last_known_ns = window_ns - self.timeout.as_nanos() as f64;
        let of_part = |part: &Part| -> f64 {
            let ok: u64 = part.latencies_ns.iter().map(|(_, count)| count).sum();
            let unknown = part.missed as f64 * self.unknown_share;
            ok as f64 + unknown * (1.0 - part.share_due_by(last_known_ns))
        };
        let due: f64 = self.parts.iter().map(of_part).sum();
        (due - self.done_by(window)).max(0.0).round() as u64 + self.unlogged
    }
}

impl Part {
    /// Returns the share of its operations that were due by an instant.
    fn share_due_by(&self, at_ns: f64) -> f64 {
        ((at_ns - self.start_ns) / self.length_ns).clamp(0.0, 1.0)
    }
}

/// Returns a duration in microseconds.
pub(super) fn in_us(duration: std::time::Duration) -> f64 {
    duration.as_nanos() as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use longhaul_experiment::OperationKind;
    use longhaul_experiment::histogram::{EncodedHistogram, Histogram};
    use longhaul_experiment::record::CpuUse;

    use super::*;
    use crate::synthetic;

    /// A run of ten seconds in which 100 operations a second were due, evenly, and took what
    /// `latency_s` says of the second at which they were due; `None` timed out.
    fn run(latency_s: impl Fn(f64) -> Option<f64>) -> RunRecord {
        let mut kind = KindRecord::default();
        for second in 0..10 {
            let mut latencies = Histogram::new();
            for due in (0..100).map(|number| f64::from(second) + f64::from(number) / 100.0) {
                kind.due += 1;
                match latency_s(due) {
                    Some(latency) => latencies.record(Duration::from_secs_f64(latency)),
                    None => kind.unknown += 1,
                }
            }
            kind.ok += latencies.count();
            kind.latency.merge(&latencies);
            kind.intervals.push(Interval {
                start: Duration::from_secs(u64::from(second as u32)),
                length: Duration::from_secs(1),
                due: 100,
                latency: EncodedHistogram::encode(&latencies),
            });
        }
        let kinds = [(OperationKind::Write, kind)];
        let mut record = synthetic::record(vec![synthetic::mode("quorum:raft", &[&kinds])]);
        record.scenario.limits.operation_timeout = Duration::from_secs(2);
        record
    }

    #[test]
    fn what_keeps_up_has_under_way_what_rate_times_latency_says() {
        // 100/s x 0.5 s = 50 are under way at any instant.
        let point = SweepPoint::of(&run(|_| Some(0.5)), 3).unwrap();
        assert_eq!((point.backlog, point.position), (50, 3));
        assert_eq!((point.offered_ops, point.goodput_ops), (100.0, 100.0));
        assert!((point.throughput_ops - 100.0).abs() < 0.1, "{point:?}");
        assert_eq!(point.rate_ops, 200.0);
        assert_eq!(point.success_mean_ms, Some(500.0));
        assert_eq!(point.regions[0].region, "a");
    }

    #[test]
    fn what_does_not_keep_up_piles_up_and_gets_done_what_it_can() {
        // At 50/s the operation due at t is the 100 t-th and done at 2 t: of the ten seconds those
        // of the first five are done at the end, 500 are not, and 250 of those 500 were done in
        // the second half of the window: 50/s.
        let point = SweepPoint::of(&run(|due| Some(due.max(0.001))), 1).unwrap();
        assert!((490..=510).contains(&point.backlog), "{}", point.backlog);
        assert!((point.throughput_ops - 50.0).abs() < 1.5, "{point:?}");
        assert_eq!(point.goodput_ops, 100.0);
    }

    #[test]
    fn what_timed_out_within_the_window_is_no_backlog() {
        // A time-out of 2 s: of those due, the last two seconds' are open at the end.
        let point = SweepPoint::of(&run(|_| None), 1).unwrap();
        assert_eq!(
            (point.backlog, point.unknown, point.error_share),
            (200, 1000, 1.0)
        );
        assert_eq!((point.latency_ms.p50, point.success_mean_ms), (None, None));
        assert_eq!(point.throughput_ops, 0.0);
    }

    #[test]
    fn a_live_point_over_80_percent_busy_is_bound_by_the_machine() {
        let busy = |share: f64, backend| {
            let mut record = run(|_| Some(0.5));
            record.backend = backend;
            record.modes[0].load.as_mut().unwrap().cpu = Some(CpuUse {
                machine_busy: share,
                ..CpuUse::default()
            });
            SweepPoint::of(&record, 1).unwrap()
        };
        assert!(!busy(0.79, BackendKind::Local).machine_bound);
        assert!(busy(0.81, BackendKind::Local).machine_bound);
        assert!(!busy(0.81, BackendKind::Sim).machine_bound);
        // The probed link of the made-up record: 10.03 - 10.00 ms.
        let error = busy(0.5, BackendKind::Local).link_error_ms.unwrap();
        assert!((error - 0.03).abs() < 1e-9, "{error}");
        assert_eq!(busy(0.5, BackendKind::Sim).link_error_ms, None);
    }

    #[test]
    fn an_interrupted_run_is_no_point() {
        let mut record = run(|_| Some(0.5));
        record.complete = false;
        assert_eq!(SweepPoint::of(&record, 1), None);
    }
}
