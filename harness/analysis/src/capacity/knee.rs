//! Where a mode's line of latency against throughput bends.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::measure::SweepPoint;

/// The point where more load begins to cost more latency than it brings throughput.
///
/// It is the swept rate of the greatest *power*, throughput over mean latency (Kleinrock, "Power and
/// deterministic rules of thumb for probabilistic problems in computer communications", 1979). Of
/// a queue with one server, constant service time S, Poisson arrivals and a constant B of everything
/// else, S included, that is at utilisation x / (1 + x), x = sqrt(2 B / S): 0.59 where nothing but
/// the server takes time, near 1 where most of the latency is distance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Knee {
    /// Its rate, operations per second and client region.
    pub rate_ops: f64,
    /// The same of all client regions together.
    pub offered_ops: f64,
    /// The swept rate below it; null when it is the lowest, so that the knee may lie below.
    pub below_ops: Option<f64>,
    /// The swept rate above it; null when it is the highest: the sweep has not reached the knee.
    pub above_ops: Option<f64>,
}

/// Returns the knee of one mode's points; `None` with fewer than three rates. Points of one rate
/// (other seeds) are averaged; those that the machine could not carry are left out.
pub fn knee(points: &[&SweepPoint]) -> Option<Knee> {
    let mut carried: Vec<&&SweepPoint> = points.iter().filter(|one| !one.machine_bound).collect();
    carried.sort_by(|a, b| a.rate_ops.total_cmp(&b.rate_ops));
    let groups: Vec<&[&&SweepPoint]> = carried
        .chunk_by(|a, b| a.rate_ops == b.rate_ops)
        .collect();
    if groups.len() < 3 {
        return None;
    }
    let mean = |group: &[&&SweepPoint], figure: fn(&SweepPoint) -> f64| {
        group.iter().map(|point| figure(point)).sum::<f64>() / group.len() as f64
    };
    let powers: Vec<f64> = groups.iter().map(|group| mean(group, power)).collect();
    let highest = (0..groups.len()).max_by(|&a, &b| powers[a].total_cmp(&powers[b]))?;
    let rate = |number: usize| groups.get(number).map(|group| group[0].rate_ops);
    (powers[highest] > 0.0).then(|| Knee {
        rate_ops: groups[highest][0].rate_ops,
        offered_ops: mean(groups[highest], |point| point.offered_ops),
        below_ops: highest.checked_sub(1).and_then(rate),
        above_ops: rate(highest + 1),
    })
}

/// Returns throughput over mean latency; zero where nothing succeeded.
fn power(point: &SweepPoint) -> f64 {
    let latency_ms = point.success_mean_ms.filter(|mean| *mean > 0.0);
    latency_ms.map_or(0.0, |latency_ms| point.throughput_ops / latency_ms)
}
