//! How exact the emulation is: what probes were asked to take against what they took.

use std::time::Duration;

use longhaul_experiment::histogram::rank_of;
use longhaul_experiment::record::LinkCalibration;
use longhaul_experiment::time::nanos;

/// One probe of a directed link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The delay that the link core gave it.
    pub asked: Duration,
    /// The delay from its logical send time to its receiver.
    pub achieved: Duration,
}

/// Summarises the probes of the link between two named regions: nearest-rank percentiles of what
/// was asked and of what was achieved, each in its own order. Without probes all figures are zero.
pub fn link_calibration(from: &str, to: &str, probes: &[Probe]) -> LinkCalibration {
    let asked = sorted_ns(probes.iter().map(|probe| probe.asked));
    let achieved = sorted_ns(probes.iter().map(|probe| probe.achieved));
    LinkCalibration {
        from: from.to_owned(),
        to: to.to_owned(),
        probes: probes.len() as u64,
        asked_p50_ms: percentile_ms(&asked, 0.5),
        asked_p99_ms: percentile_ms(&asked, 0.99),
        achieved_p50_ms: percentile_ms(&achieved, 0.5),
        achieved_p99_ms: percentile_ms(&achieved, 0.99),
    }
}

/// Returns a link's error at the median in milliseconds: achieved less asked, positive when the
/// emulation adds delay.
pub fn error_p50_ms(link: &LinkCalibration) -> f64 {
    link.achieved_p50_ms - link.asked_p50_ms
}

/// Returns the link with the largest error at the median, either way; `None` without links.
pub fn worst(links: &[LinkCalibration]) -> Option<&LinkCalibration> {
    links.iter().max_by(|left, right| {
        error_p50_ms(left)
            .abs()
            .total_cmp(&error_p50_ms(right).abs())
    })
}

fn sorted_ns(durations: impl Iterator<Item = Duration>) -> Vec<u64> {
    let mut sorted: Vec<u64> = durations.map(nanos).collect();
    sorted.sort_unstable();
    sorted
}

fn percentile_ms(sorted_ns: &[u64], q: f64) -> f64 {
    let rank = rank_of(q, sorted_ns.len() as u64) as usize;
    sorted_ns.get(rank - 1).map_or(0.0, |&ns| ns as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probes(late_us: u64) -> Vec<Probe> {
        (1..=100)
            .map(|number| Probe {
                asked: Duration::from_millis(number),
                achieved: Duration::from_millis(number) + Duration::from_micros(late_us),
            })
            .collect()
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let link = link_calibration("a", "b", &probes(50));
        assert_eq!(link.probes, 100);
        assert_eq!((link.asked_p50_ms, link.asked_p99_ms), (50.0, 99.0));
        assert_eq!((link.achieved_p50_ms, link.achieved_p99_ms), (50.05, 99.05));
        assert!((error_p50_ms(&link) - 0.05).abs() < 1e-9);
    }

    #[test]
    fn a_link_without_probes_is_all_zero() {
        let link = link_calibration("a", "b", &[]);
        assert_eq!((link.probes, link.achieved_p99_ms), (0, 0.0));
    }

    #[test]
    fn the_worst_link_is_the_one_furthest_off_either_way() {
        let links = [
            link_calibration("a", "b", &probes(50)),
            link_calibration("b", "a", &probes(70)),
        ];
        assert_eq!(worst(&links).unwrap().from, "b");
        assert_eq!(worst(&[]), None);
    }
}
