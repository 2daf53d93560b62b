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
    let groups: Vec<&[&&SweepPoint]> = carried.chunk_by(|a, b| a.rate_ops == b.rate_ops).collect();
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

#[cfg(test)]
mod tests {
    use super::super::synthetic::point;
    use super::*;

    /// A queue with one server and constant service time, Poisson arrivals, and a constant of
    /// everything else: the mean wait is S u / (2 (1 - u)) at utilisation u (Pollaczek and
    /// Khinchine).
    fn queue(utilisation: f64, service_ms: f64, constant_ms: f64) -> SweepPoint {
        let wait_ms = service_ms * utilisation / (2.0 * (1.0 - utilisation));
        let rate = 1000.0 * utilisation / service_ms;
        let mut point = point(rate, 1, 10.0);
        point.throughput_ops = rate;
        point.success_mean_ms = Some(constant_ms + wait_ms);
        point
    }

    #[test]
    fn the_knee_of_a_queue_is_where_its_formula_says() {
        // x = sqrt(2 B / S), utilisation x / (1 + x). B = S = 2 ms: sqrt(2) / 2.414 = 0.586;
        // B = 52 ms: sqrt(52) / 8.211 = 0.878; B = 402 ms: sqrt(402) / 21.05 = 0.952.
        for (constant_ms, expected) in [(2.0, 0.586), (52.0, 0.878), (402.0, 0.952)] {
            let points: Vec<SweepPoint> = (1..100)
                .map(|percent| queue(f64::from(percent) / 100.0, 2.0, constant_ms))
                .collect();
            let knee = knee(&points.iter().collect::<Vec<_>>()).unwrap();
            let utilisation = knee.rate_ops * 2.0 / 1000.0;
            assert!(
                (utilisation - expected).abs() < 0.011,
                "{utilisation} {expected}"
            );
            let between = knee.below_ops.unwrap() < knee.rate_ops;
            assert!(between && knee.above_ops.unwrap() > knee.rate_ops);
        }
    }

    #[test]
    fn a_knee_at_an_end_of_the_rates_says_so() {
        let rates = |from: u32| -> Vec<SweepPoint> {
            let rates = (from..from + 10).map(|percent| f64::from(percent) / 100.0);
            rates
                .map(|utilisation| queue(utilisation, 2.0, 52.0))
                .collect()
        };
        let low = rates(10);
        let knee_of_low = knee(&low.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(knee_of_low.above_ops, None);
        let high = rates(89);
        let knee_of_high = knee(&high.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(knee_of_high.below_ops, None);
        assert_eq!(knee(&low[..2].iter().collect::<Vec<_>>()), None);
    }

    #[test]
    fn points_that_the_machine_could_not_carry_make_no_knee() {
        let mut points: Vec<SweepPoint> = [0.2, 0.4, 0.6, 0.87, 0.99]
            .map(|utilisation| queue(utilisation, 2.0, 52.0))
            .into();
        points[3].machine_bound = true;
        let knee = knee(&points.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(knee.rate_ops, points[2].rate_ops);
        assert_eq!(knee.above_ops, Some(points[4].rate_ops));
    }
}
