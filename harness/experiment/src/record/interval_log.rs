//! Interval logs in HdrHistogram's text format 1.3, which its own tools read.

use std::fmt::Display;
use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use super::{BackendKind, Interval, ModeRecord, RunRecord};
use crate::time::nanos;

/// The column legend that HdrHistogram's tools write.
const LEGEND: &str =
    "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n";
const UNITS: &str = "Values are latencies in nanoseconds, from the instant an operation was due. \
                     Operations that failed or did not end are not among them. The column \
                     Interval_Max is in milliseconds.";
/// Nanoseconds in a millisecond: the unit of the column of maxima.
const MAXIMUM_DIVISOR: f64 = 1e6;

/// Returns the log of one mode: the latency of its successes, a line per interval, region and
/// kind of operation, tagged `<region>-<kind>`.
///
/// Timestamps count from the start of the measured window, and the log's start time is that
/// instant as Unix time. In virtual time the run's epoch stands for the beginning of 1970, so that
/// the log is a function of scenario and seed.
///
/// # Errors
///
/// Says which histogram of the record is broken.
pub(super) fn interval_log(record: &RunRecord, mode: &ModeRecord) -> Result<Vec<u8>, String> {
    let mut log = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let start = window_start(record, mode);
    IntervalLogWriterBuilder::new()
        .add_comment(&format!(
            "[Logged with longhaul {}]",
            record.environment.longhaul_version
        ))
        .add_comment("[Histogram log format version 1.3]")
        .add_comment(&format!(
            "mode {}, backend {}, seed {}",
            mode.mode,
            record.backend.name(),
            record.seed.0
        ))
        .add_comment(UNITS)
        .with_start_time(start)
        .with_base_time(start)
        .begin_log_with(&mut log, &mut serializer)
        .map_err(text)?;
    log.extend_from_slice(LEGEND.as_bytes());
    let mut writer = IntervalLogWriterBuilder::new()
        .with_max_value_divisor(MAXIMUM_DIVISOR)
        .begin_log_with(&mut log, &mut serializer)
        .map_err(text)?;
    for (tag, interval) in lines(record, mode) {
        let broken = |error: String| {
            format!(
                "{tag}, interval from {} s: {error}",
                interval.start.as_secs_f64()
            )
        };
        let histogram = interval.latency.decode().map_err(broken)?;
        writer
            .write_histogram(&histogram, interval.start, interval.length, Tag::new(&tag))
            .map_err(|error| broken(error.to_string()))?;
    }
    Ok(log)
}

fn window_start(record: &RunRecord, mode: &ModeRecord) -> SystemTime {
    let began = match record.backend {
        BackendKind::Sim => Duration::ZERO,
        BackendKind::Local | BackendKind::Tun | BackendKind::Netem => {
            Duration::from_secs(record.environment.started_unix_s)
        }
    };
    SystemTime::UNIX_EPOCH + began + Duration::from_nanos(mode.window_start.as_nanos())
}

/// Returns the intervals with their tags in order of time, as readers expect them.
fn lines<'a>(record: &RunRecord, mode: &'a ModeRecord) -> Vec<(String, &'a Interval)> {
    let mut lines = Vec::new();
    for region in &mode.regions {
        let name = record
            .scenario
            .topology
            .profile
            .regions
            .get(region.region.index())
            .map_or_else(
                || format!("region{}", region.region.0),
                |region| region.name.replace([',', ' ', '\r', '\n'], "-"),
            );
        for (kind, outcomes) in &region.kinds {
            let tag = format!("{name}-{}", kind.name());
            lines.extend(
                outcomes
                    .intervals
                    .iter()
                    .map(|interval| (tag.clone(), interval)),
            );
        }
    }
    // The sort is stable: regions and kinds keep their order within a second.
    lines.sort_by_key(|(_, interval)| nanos(interval.start));
    lines
}

fn text(error: impl Display) -> String {
    error.to_string()
}
