//! A sweep, drawn: its table, its chart and its page.
//!
//! 1. [`sweep_table`]: a block per mode, a row per point;
//! 2. [`sweep_charts`]: latency against throughput, as SVG and PNG;
//! 3. the page is in `html`, beside that of a run.

mod csv;
mod sentences;
mod table;

use longhaul_analysis::Percentile;
use longhaul_analysis::capacity::{Figure, Objective, PointOrder, Slo, Sweep, SweepPoint};
use longhaul_experiment::record::BackendKind;

use crate::chart::{Chart, Drawing, ThroughputChart, ThroughputPoint, throughput};

pub(crate) use csv::csv;
pub(crate) use sentences::sentences;
pub(crate) use table::knee_says;
pub use table::sweep_table;

/// Draws the charts of a sweep, each to stand alone.
pub fn sweep_charts(sweep: &Sweep) -> Vec<Chart> {
    let drawing = drawing(
        sweep,
        &format!("{} · {}", what_was_swept(sweep), origin(sweep)),
    );
    vec![drawing.finish()]
}

/// Lays out latency against throughput; `caption` says what was run, empty where that stands
/// elsewhere.
pub(crate) fn drawing(sweep: &Sweep, caption: &str) -> Drawing {
    let points: Vec<ThroughputPoint> = sweep.points.iter().map(point).collect();
    let modes: Vec<&str> = sweep.modes.iter().map(|mode| mode.mode.as_str()).collect();
    let limit = sweep.limit.as_deref().and_then(|limit| limit.parse().ok());
    let limit = limit.as_ref().and_then(drawn_limit);
    throughput(&ThroughputChart {
        modes: &modes,
        points: &points,
        limit: limit
            .as_ref()
            .map(|(limit_ms, text)| (*limit_ms, text.as_str())),
        caption,
    })
}

/// Returns the first limit on a percentile that the chart draws, in milliseconds, and its text.
fn drawn_limit(slo: &Slo) -> Option<(f64, String)> {
    let drawn = |objective: &&Objective| {
        let drawn = [Percentile::P50, Percentile::P99].map(Figure::Percentile);
        drawn.contains(&objective.figure)
    };
    let objective = slo.objectives.iter().find(drawn)?;
    let (figure, at_most) = (objective.figure.label(), objective.at_most);
    Some((at_most, format!("limit: {figure} {at_most} ms")))
}

fn point(point: &SweepPoint) -> ThroughputPoint {
    ThroughputPoint {
        mode: point.mode.clone(),
        rate_ops: point.rate_ops,
        offered_ops: point.offered_ops,
        throughput_ops: point.throughput_ops,
        p50_ms: point.latency_ms.p50,
        p99_ms: point.latency_ms.p99,
        errors_percent: 100.0 * point.error_share,
        backlog: point.backlog,
        machine_bound: point.machine_bound,
    }
}

/// Says what was swept, in one line.
pub(crate) fn what_was_swept(sweep: &Sweep) -> String {
    let scenario = &sweep.scenario;
    let workload = &scenario.workload;
    let reads = match workload.read_share {
        share if share > 0.0 => format!("{:.0}% reads", 100.0 * share),
        _ => "writes".to_owned(),
    };
    format!(
        "{} · replicas in {} · clients in {} · preferred leader in {} · {} arrivals, {reads} of \
         {} B · measured for {} s a point · {}",
        scenario.profile,
        scenario.replicas.join(", "),
        scenario.clients.join(", "),
        scenario.leader,
        workload.arrivals,
        workload.value_bytes,
        scenario.measured_s,
        cores(sweep),
    )
}

/// Says what a replica's processors were.
pub(crate) fn cores(sweep: &Sweep) -> String {
    if sweep.backend != BackendKind::Sim {
        return format!(
            "all replicas share {} processors",
            sweep.environment.processors
        );
    }
    let cores = sweep
        .modes
        .iter()
        .map(|mode| mode.service.as_ref().map(|one| one.cores));
    let cores: Vec<Option<u32>> = cores.collect();
    match cores.as_slice() {
        [Some(first), rest @ ..] if rest.iter().all(|one| one == &Some(*first)) => match first {
            1 => "1 core per replica".to_owned(),
            cores => format!("{cores} cores per replica"),
        },
        cores if cores.iter().all(Option::is_none) => {
            "replicas work in no time: no service times are stated".to_owned()
        }
        _ => "cores per replica: see each mode".to_owned(),
    }
}

/// Says where the figures come from, in one line.
pub(crate) fn origin(sweep: &Sweep) -> String {
    let order = match sweep.order {
        PointOrder::Shuffled => "runs in shuffled order",
        PointOrder::Ramp => "runs from low to high rates",
        PointOrder::Search => "runs as the search asked for them",
    };
    format!(
        "longhaul {} · backend {} · seed {} · {order}",
        sweep.environment.longhaul_version,
        sweep.backend.name(),
        sweep.seed,
    )
}

#[cfg(test)]
mod tests;
