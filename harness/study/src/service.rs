//! What a replica's work costs, measured on real connections for use in virtual time.
//!
//! Each mode is driven to saturation in a closed loop, once per value size. The processor time of
//! the replicas, divided among the messages and bytes that they received and sent, gives the two
//! constants of [`ServiceTimes`] by least squares. Saturation is where the constants matter, and
//! where the batching that lowers them is as it will be.

use std::time::Duration;

use longhaul_experiment::record::ModeRecord;
use longhaul_experiment::service::ServiceTimes;
use longhaul_experiment::{Backend, ModeSpec, RunError, Scenario, Seed};

/// The value sizes that tell the cost of bytes from that of messages, in bytes.
pub const VALUE_SIZES: [u32; 3] = [16, 1024, 8192];

/// What one mode's replicas did in one measured window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ServicePoint {
    /// The size of written values in bytes.
    pub value_size: u32,
    /// Messages that replicas received and sent.
    pub messages: u64,
    /// Bytes of those, framing included.
    pub bytes: u64,
    /// Processor time of all replicas.
    pub busy: Duration,
    /// Operations that succeeded, per second.
    pub goodput: f64,
}

/// One mode's service times and what they were fitted to.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceMeasurement {
    /// The mode.
    pub mode: ModeSpec,
    /// One per value size.
    pub points: Vec<ServicePoint>,
    /// The fit.
    pub times: ServiceTimes,
    /// The largest share by which the fit misses a point's processor time.
    pub worst_miss: f64,
}

/// Why service times could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// A run failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The system does not tell how much processor time the replicas used.
    #[error(
        "mode {0}: this system does not tell the processor time of threads; state the service times in the scenario instead"
    )]
    NoProcessorTime(ModeSpec),
    /// Nothing was measured.
    #[error("mode {0}: no message was counted in the measured window; measure longer")]
    NoMessages(ModeSpec),
}

/// Measures the service times of a scenario's modes on a real backend.
///
/// The scenario is to saturate the replicas; its value size is replaced by each of
/// [`VALUE_SIZES`].
///
/// # Errors
///
/// A run fails, counts nothing, or the system does not tell processor times.
pub fn measure_service(
    backend: &mut dyn Backend,
    scenario: &Scenario,
    seed: Seed,
) -> Result<Vec<ServiceMeasurement>, ServiceError> {
    let mut points: Vec<Vec<ServicePoint>> = vec![Vec::new(); scenario.modes.len()];
    for value_size in VALUE_SIZES {
        let mut sized = scenario.clone();
        sized.workload.value_size = value_size;
        let record = backend.run(&sized, seed)?;
        if let Some(failure) = record.failures.first() {
            return Err(ServiceError::Run(RunError::Failed {
                mode: failure.mode.clone(),
                why: failure.why.clone(),
            }));
        }
        for (points, mode) in points.iter_mut().zip(&record.modes) {
            points.push(point(mode, value_size)?);
        }
    }
    let modes = scenario.modes.iter().cloned().zip(points);
    Ok(modes.map(|(mode, points)| fitted(mode, points)).collect())
}

fn point(mode: &ModeRecord, value_size: u32) -> Result<ServicePoint, ServiceError> {
    let cpu = mode.load.as_ref().and_then(|load| load.cpu.as_ref());
    let cpu = cpu.ok_or_else(|| ServiceError::NoProcessorTime(mode.mode.clone()))?;
    // Between replicas every message is sent by one and received by another.
    let count = |of: fn(&longhaul_experiment::record::LinkTraffic) -> u64| -> u64 {
        mode.traffic.iter().map(of).sum()
    };
    let messages = count(|link| 2 * link.replica_messages + link.client_messages);
    let bytes = count(|link| 2 * link.replica_bytes + link.client_bytes);
    if messages == 0 {
        return Err(ServiceError::NoMessages(mode.mode.clone()));
    }
    let kinds = mode.regions.iter().flat_map(|region| region.kinds.values());
    let ok: u64 = kinds.map(|kind| kind.ok).sum();
    Ok(ServicePoint {
        value_size,
        messages,
        bytes,
        busy: mode.window.mul_f64(cpu.replica_cores),
        goodput: ok as f64 / mode.window.as_secs_f64(),
    })
}

/// Fits busy = a x messages + b x bytes, each point weighted by the inverse of its processor time,
/// so that it is relative misses that are least. Neither constant is below zero.
fn fitted(mode: ModeSpec, points: Vec<ServicePoint>) -> ServiceMeasurement {
    let (mut mm, mut mb, mut bb, mut m, mut b) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for point in &points {
        let busy = point.busy.as_secs_f64().max(1e-9);
        let messages = point.messages as f64 / busy;
        let bytes = point.bytes as f64 / busy;
        mm += messages * messages;
        mb += messages * bytes;
        bb += bytes * bytes;
        m += messages;
        b += bytes;
    }
    let determinant = mm * bb - mb * mb;
    let both = (
        (m * bb - b * mb) / determinant,
        (b * mm - m * mb) / determinant,
    );
    let (per_message, per_byte) = match both {
        (per_message, per_byte) if per_message >= 0.0 && per_byte >= 0.0 => both,
        (per_message, _) if per_message < 0.0 => (0.0, b / bb),
        _ => (m / mm, 0.0),
    };
    let worst_miss = points
        .iter()
        .map(|point| {
            let modelled = per_message * point.messages as f64 + per_byte * point.bytes as f64;
            (modelled / point.busy.as_secs_f64().max(1e-9) - 1.0).abs()
        })
        .fold(0.0, f64::max);
    ServiceMeasurement {
        mode,
        points,
        times: ServiceTimes {
            per_message: Duration::from_secs_f64(per_message),
            per_kib: Duration::from_secs_f64(1024.0 * per_byte),
            ..ServiceTimes::default()
        },
        worst_miss,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point_of(value_size: u32, messages: u64, bytes: u64, busy_ns: u64) -> ServicePoint {
        ServicePoint {
            value_size,
            messages,
            bytes,
            busy: Duration::from_nanos(busy_ns),
            goodput: 1.0,
        }
    }

    #[test]
    fn constants_that_made_the_points_are_found_again() {
        // 3 us a message and 2 ns a byte.
        let made = |size, messages: u64, bytes: u64| {
            point_of(size, messages, bytes, 3_000 * messages + 2 * bytes)
        };
        let points = vec![
            made(16, 1_000_000, 60_000_000),
            made(1024, 700_000, 800_000_000),
            made(8192, 300_000, 2_500_000_000),
        ];
        let measured = fitted("quorum:raft".parse().unwrap(), points);
        assert_eq!(measured.times.per_message, Duration::from_micros(3));
        assert_eq!(measured.times.per_kib, Duration::from_nanos(2048));
        assert!(measured.worst_miss < 1e-6, "{}", measured.worst_miss);
    }

    #[test]
    fn a_cost_of_bytes_below_zero_is_none() {
        // The larger messages are cheaper: only a cost per message is left.
        let points = vec![
            point_of(16, 1_000, 60_000, 3_000_000),
            point_of(1024, 1_000, 1_000_000, 2_900_000),
        ];
        let measured = fitted("quorum:raft".parse().unwrap(), points);
        assert_eq!(measured.times.per_kib, Duration::ZERO);
        let per_message = measured.times.per_message.as_nanos();
        assert!((2_900..=3_000).contains(&per_message), "{per_message}");
    }
}
