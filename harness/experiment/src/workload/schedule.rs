//! When operations are due: an open loop that never looks at completions.

use std::iter::FusedIterator;

use super::source::{OperationSource, PlannedOperation};
use super::{Arrivals, Workload};
use crate::random::unit;
use crate::random::{Generator, Seed, Stream};
use crate::time::Time;

/// For whom and from when to when a [`Schedule`] is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScheduleFor {
    /// The run's seed.
    pub seed: Seed,
    /// The client region, counted from 0 among the regions that have clients.
    pub region: usize,
    /// How many regions have clients.
    pub regions: usize,
    /// No operation is due before this instant.
    pub start: Time,
    /// No operation is due at or after this instant.
    pub end: Time,
}

/// The operations of one client region in the order they are due: lazy, of constant size, and
/// the same for the same seed.
///
/// Poisson arrivals have independent exponential gaps. Constant arrivals have equal gaps, and the
/// regions are staggered by equal parts of a gap, so that they do not beat in step.
#[derive(Clone, Debug)]
pub struct Schedule {
    gaps: Gaps,
    operations: OperationSource,
    start: Time,
    end: Time,
}

#[derive(Clone, Debug)]
enum Gaps {
    Poisson {
        generator: Box<Generator>,
        mean_ns: f64,
        last: Time,
    },
    Constant {
        gap_ns: f64,
        phase: f64,
        count: u64,
    },
}

impl Schedule {
    /// Returns the schedule; `None` for a closed loop, where completions set the time: it draws
    /// from an [`OperationSource`] instead. The workload is valid.
    pub fn new(workload: &Workload, order: ScheduleFor) -> Option<Schedule> {
        let gaps = match workload.arrivals {
            Arrivals::Poisson { rate } => Gaps::Poisson {
                generator: Box::new(order.seed.stream(Stream::Arrivals, order.region as u64)),
                mean_ns: 1e9 / rate,
                last: order.start,
            },
            Arrivals::Constant { rate } => Gaps::Constant {
                gap_ns: 1e9 / rate,
                phase: order.region as f64 / order.regions.max(1) as f64,
                count: 0,
            },
            Arrivals::Closed { .. } => return None,
        };
        Some(Schedule {
            gaps,
            operations: OperationSource::new(workload, order.seed, order.region, order.regions),
            start: order.start,
            end: order.end,
        })
    }

    fn next_instant(&mut self) -> Time {
        match &mut self.gaps {
            Gaps::Poisson {
                generator,
                mean_ns,
                last,
            } => {
                // 1 - unit lies in (0, 1], so the logarithm is finite.
                let gap = -libm::log(1.0 - unit(generator)) * *mean_ns;
                *last = Time(last.0.saturating_add((gap + 0.5) as u64));
                *last
            }
            Gaps::Constant {
                gap_ns,
                phase,
                count,
            } => {
                // Each from the count: rounded gaps would add up to a wrong rate.
                let after = (*count as f64 + *phase) * *gap_ns;
                *count += 1;
                Time(self.start.0.saturating_add((after + 0.5) as u64))
            }
        }
    }
}

impl Iterator for Schedule {
    type Item = PlannedOperation;

    fn next(&mut self) -> Option<PlannedOperation> {
        let intended_at = self.next_instant();
        // Instants never decrease, so that what follows the end is past it too.
        (intended_at < self.end).then(|| self.operations.plan(intended_at))
    }
}

impl FusedIterator for Schedule {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::KeyDistribution;

    fn order(region: usize, end: Time) -> ScheduleFor {
        ScheduleFor {
            seed: Seed(42),
            region,
            regions: 4,
            start: Time::from_millis(500),
            end,
        }
    }

    fn instants(arrivals: Arrivals, region: usize, seconds: u64) -> Vec<u64> {
        let workload = Workload {
            arrivals,
            ..Workload::default()
        };
        let end = Time::from_millis(500 + seconds * 1000);
        Schedule::new(&workload, order(region, end))
            .expect("an open loop")
            .map(|planned| planned.intended_at.0)
            .collect()
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_the_spread_of_exponential_gaps() {
        let instants = instants(Arrivals::Poisson { rate: 1000.0 }, 0, 50);
        // 50 000 are due on average; five standard deviations of a Poisson count: 1118.
        assert!(instants.len().abs_diff(50_000) < 1118, "{}", instants.len());
        let gaps: Vec<f64> = instants
            .windows(2)
            .map(|pair| (pair[1] - pair[0]) as f64 / 1e6)
            .collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps
            .iter()
            .map(|gap| (gap - mean) * (gap - mean))
            .sum::<f64>()
            / gaps.len() as f64;
        // An exponential's deviation equals its mean; the relative error of a deviation estimated
        // from n gaps is sqrt(2 / n) = 0.63% (its kurtosis is 9), five of them 3.2%.
        let ratio = variance.sqrt() / mean;
        assert!((ratio - 1.0).abs() < 0.032, "{ratio}");
    }

    #[test]
    fn constant_arrivals_are_exact_and_staggered_between_regions() {
        let arrivals = Arrivals::Constant { rate: 300.0 };
        let first = instants(arrivals, 0, 10);
        // 10 s x 300/s, the first at the start itself; the last is 2999 / 300 s later.
        assert_eq!(first.len(), 3000);
        assert_eq!(first[0], 500_000_000);
        assert_eq!(first[2999], 500_000_000 + 9_996_666_667);
        // The third of four regions is half of 1/300 s behind.
        assert_eq!(instants(arrivals, 2, 10)[0], 500_000_000 + 1_666_667);
    }

    #[test]
    fn a_schedule_is_ordered_inside_its_bounds_and_repeats_for_its_seed() {
        let workload = Workload {
            arrivals: Arrivals::Poisson { rate: 5000.0 },
            read_share: 0.5,
            keys: KeyDistribution::Latest { exponent: 0.99 },
            ..Workload::default()
        };
        let end = Time::from_millis(1500);
        let schedule = Schedule::new(&workload, order(1, end)).unwrap();
        let planned: Vec<PlannedOperation> = schedule.clone().collect();
        assert!(planned.is_sorted_by_key(|planned| planned.intended_at));
        assert!(planned[0].intended_at >= Time::from_millis(500));
        assert!(planned.iter().all(|planned| planned.intended_at < end));
        assert_eq!(schedule.collect::<Vec<_>>(), planned);
        let other = Schedule::new(&workload, order(2, end)).unwrap();
        assert_ne!(other.collect::<Vec<_>>(), planned);
    }

    #[test]
    fn the_draws_of_a_seed_are_pinned() {
        // A change here changes what the seeds of published runs mean.
        let workload = Workload {
            read_share: 0.5,
            keys: KeyDistribution::Zipfian { exponent: 0.99 },
            locality: 0.5,
            ..Workload::default()
        };
        let schedule = Schedule::new(&workload, order(1, Time::MAX)).unwrap();
        let fifth_on: Vec<_> = schedule
            .skip(4)
            .take(4)
            .map(|planned| (planned.intended_at.0, planned.kind.name(), planned.key.0))
            .collect();
        assert_eq!(
            fifth_on,
            [
                (520_229_622, "write", 3068),
                (529_845_595, "write", 3636),
                (530_451_832, "read", 4047),
                (551_346_965, "read", 4439),
            ]
        );
    }

    #[test]
    fn the_key_distribution_changes_no_arrival() {
        let at = |keys| {
            let workload = Workload {
                keys,
                ..Workload::default()
            };
            let schedule = Schedule::new(&workload, order(0, Time::from_millis(3000))).unwrap();
            schedule
                .map(|planned| planned.intended_at)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            at(KeyDistribution::Uniform),
            at(KeyDistribution::Zipfian { exponent: 0.99 })
        );
    }

    #[test]
    fn a_closed_loop_has_no_schedule() {
        let workload = Workload {
            arrivals: Arrivals::Closed { in_flight: 1 },
            ..Workload::default()
        };
        assert!(Schedule::new(&workload, order(0, Time::MAX)).is_none());
    }

    #[test]
    fn a_finished_schedule_stays_finished() {
        let workload = Workload::default();
        let mut schedule = Schedule::new(&workload, order(0, Time::from_millis(600))).unwrap();
        while schedule.next().is_some() {}
        assert_eq!(schedule.next(), None);
    }
}
