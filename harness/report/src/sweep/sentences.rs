//! A sweep in three sentences, computed from its points.

use longhaul_analysis::capacity::{CapacityEnd, Sweep, SweepMode, SweepPoint, short_rate};
use longhaul_experiment::record::BackendKind;

use super::cores;

/// Returns what limits the modes, where they no longer kept up, and how far to trust it.
pub(crate) fn sentences(sweep: &Sweep) -> Vec<String> {
    vec![limits(sweep), overload(sweep), trust(sweep)]
}

/// Up to where the limit holds; without one, where lines bend.
fn limits(sweep: &Sweep) -> String {
    let Some(limit) = &sweep.limit else {
        return knees(sweep);
    };
    let place = match &sweep.limit_region {
        Some(region) => format!("for the clients in {region}"),
        None => "in every client region".to_owned(),
    };
    let of_mode = |mode: &SweepMode| {
        let capacity = mode.capacity.as_ref()?;
        let held = capacity
            .rate_ops
            .map(|rate| format!("{}/s", short_rate(rate)));
        Some(match (held, capacity.end) {
            (Some(held), CapacityEnd::Limit) => format!("up to {held} in {}", mode.mode),
            (Some(held), _) => format!("up to at least {held} in {}", mode.mode),
            (None, _) => format!("at no rate that was tried in {}", mode.mode),
        })
    };
    let held: Vec<String> = sweep.modes.iter().filter_map(of_mode).collect();
    format!(
        "The limit {limit} held {place} {} (operations per second and client region).",
        listed(&held)
    )
}

fn knees(sweep: &Sweep) -> String {
    let of_mode = |mode: &SweepMode| {
        let knee = mode.knee.as_ref()?;
        Some(match knee.above_ops {
            Some(_) => format!(
                "about {:.0} operations/s in {}",
                knee.offered_ops, mode.mode
            ),
            None => format!(
                "beyond {:.0} operations/s in {}",
                knee.offered_ops, mode.mode
            ),
        })
    };
    let knees: Vec<String> = sweep.modes.iter().filter_map(of_mode).collect();
    if knees.is_empty() {
        return "There are too few points to tell where a line bends.".to_owned();
    }
    format!(
        "More load began to cost more latency than it brought throughput at {}, all client regions \
         together.",
        listed(&knees)
    )
}

/// Says where operations piled up most.
fn overload(sweep: &Sweep) -> String {
    let behind = |point: &&SweepPoint| point.throughput_ops < 0.9 * point.offered_ops;
    let behind: Vec<&SweepPoint> = sweep.points.iter().filter(behind).collect();
    let share = |point: &SweepPoint| point.backlog as f64 / point.due.max(1) as f64;
    let worst = behind.iter().max_by(|a, b| share(a).total_cmp(&share(b)));
    match worst {
        None => "Every mode kept up with every rate: at least 90% of what was offered was done \
                 while load went on."
            .to_owned(),
        Some(worst) => format!(
            "At {} of {} points less than 90% of what was offered was done meanwhile; worst, {} at \
             {}/s had {} of {} operations due not done when its window ended.",
            behind.len(),
            sweep.points.len(),
            worst.mode,
            short_rate(worst.rate_ops),
            worst.backlog,
            worst.due,
        ),
    }
}

fn trust(sweep: &Sweep) -> String {
    if sweep.backend == BackendKind::Sim {
        return format!(
            "The runs were in virtual time, {}: the model leaves out caches, and whatever grows with \
             the number of keys or connections.",
            cores(sweep)
        );
    }
    let bound = sweep.points.iter().filter(|point| point.machine_bound);
    format!(
        "Generator, links and replicas shared {} processors: {} of {} points were machine-bound, and \
         a cluster of machines carries more than these figures say.",
        sweep.environment.processors,
        bound.count(),
        sweep.points.len(),
    )
}

fn listed(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
