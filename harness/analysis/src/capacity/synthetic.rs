//! Points built by hand, for tests.

use std::collections::BTreeMap;

use super::measure::{RegionPoint, SweepPoint};
use crate::latency::LatencyMs;

/// A point of regions `a` and `b` where all of 10 000 operations each succeeded, a median of 10 ms
/// and this 99th percentile in `a`, half of that in `b`.
pub(super) fn point(rate_ops: f64, seed: u64, p99_ms: f64) -> SweepPoint {
    let latency = |p99_ms| LatencyMs {
        p50: Some(10.0),
        p99: Some(p99_ms),
        ..LatencyMs::default()
    };
    let region = |name: &str, p99_ms| RegionPoint {
        region: name.to_owned(),
        due: 10_000,
        ok: 10_000,
        latency_ms: latency(p99_ms),
    };
    SweepPoint {
        mode: "eventual:lww".to_owned(),
        rate_ops,
        seed,
        position: 1,
        window_s: 10.0,
        offered_ops: 2.0 * rate_ops,
        goodput_ops: 2.0 * rate_ops,
        throughput_ops: 2.0 * rate_ops,
        due: 20_000,
        ok: 20_000,
        failed: 0,
        unknown: 0,
        errors: BTreeMap::new(),
        error_share: 0.0,
        latency_ms: latency(p99_ms),
        success_mean_ms: Some(10.0),
        too_few: Vec::new(),
        backlog: 0,
        capped: 0,
        max_in_flight: 1024,
        machine_bound: false,
        load: None,
        link_error_ms: None,
        warnings: Vec::new(),
        regions: vec![region("a", p99_ms), region("b", p99_ms / 2.0)],
    }
}
