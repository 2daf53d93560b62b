//! The points of a sweep as CSV, one row a point.

use longhaul_analysis::Percentile;
use longhaul_analysis::capacity::{Sweep, SweepPoint};

use crate::export::quoted;

/// Renders the points as CSV. A latency is empty where it falls among operations that did not
/// succeed, and what a live backend alone measures is empty in virtual time.
pub(crate) fn csv(sweep: &Sweep) -> String {
    let mut text = "mode,rate_ops,seed,position,offered_ops,throughput_ops,goodput_ops,due,ok,\
                    failed,unknown,p50_ms,p90_ms,p95_ms,p99_ms,p99.9_ms,p99.99_ms,mean_ms,max_ms,\
                    backlog,capped,machine_bound,machine_busy,generator_cores,delay_line_cores,\
                    replica_cores,release_p99_us,pacing_p99_us\n"
        .to_owned();
    for point in &sweep.points {
        text.push_str(&row(point));
        text.push('\n');
    }
    text
}

fn row(point: &SweepPoint) -> String {
    let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    let mut fields = vec![
        quoted(&point.mode),
        point.rate_ops.to_string(),
        point.seed.to_string(),
        point.position.to_string(),
        point.offered_ops.to_string(),
        point.throughput_ops.to_string(),
        point.goodput_ops.to_string(),
        point.due.to_string(),
        point.ok.to_string(),
        point.failed.to_string(),
        point.unknown.to_string(),
    ];
    let latency = &point.latency_ms;
    fields.extend(Percentile::ALL.map(|percentile| number(latency.at(percentile))));
    fields.extend([latency.mean, latency.max].map(number));
    fields.extend([
        point.backlog.to_string(),
        point.capped.to_string(),
        point.machine_bound.to_string(),
    ]);
    let load = point.load.as_ref();
    let cpu = load.and_then(|load| load.cpu.as_ref());
    let figures = [
        cpu.map(|cpu| cpu.machine_busy),
        cpu.map(|cpu| cpu.generator_cores),
        cpu.map(|cpu| cpu.delay_line_cores),
        cpu.map(|cpu| cpu.replica_cores),
        load.map(|load| load.release.p99_us),
        load.map(|load| load.pacing.p99_us),
    ];
    fields.extend(figures.map(number));
    fields.join(",")
}
