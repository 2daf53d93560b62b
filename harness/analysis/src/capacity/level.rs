//! Up to which rate a limit holds, from points at several rates and seeds.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::measure::SweepPoint;
use super::objective::Slo;
use super::verdict::{Breach, Verdict, judge};

/// The rate up to which a limit holds in one mode.
///
/// Runs of one rate with other seeds may disagree near the edge: it lies between `holds_to_ops` and
/// `breaks_from_ops`, and `rate_ops` is where most runs have it. Rates are operations per second and
/// client region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Capacity {
    /// The highest rate at which the limit held in at least half of the runs. Null: at none.
    pub rate_ops: Option<f64>,
    /// The highest rate at which the limit held in every run, below the rates at which it broke
    /// in every run. Null: at none.
    pub holds_to_ops: Option<f64>,
    /// The lowest rate from which on the limit broke in every run. Null: none was found.
    pub breaks_from_ops: Option<f64>,
    /// Rates below `holds_to_ops` at which the limit broke in some run.
    pub broke_below_ops: Vec<f64>,
    /// What ended the rates at which it holds.
    pub end: CapacityEnd,
    /// By what the limit broke at `breaks_from_ops`: the breach that is farthest beyond its limit.
    pub broken_by: Option<Breach>,
    /// How many runs were judged.
    pub runs: u64,
}

/// What ended the rates at which a limit holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CapacityEnd {
    /// The limit broke.
    Limit,
    /// The machine was too busy to tell: the mode carries at least `holds_to_ops`.
    MachineBound,
    /// No run at a higher rate was made: the mode carries at least `holds_to_ops`.
    NotReached,
    /// No run could be judged: too few operations were due in each.
    NotJudged,
}

/// The verdicts at one rate.
#[derive(Default)]
struct Level {
    holds: u64,
    breaks: u64,
    machine_bound: u64,
    worst: Option<Breach>,
}

impl Level {
    fn runs(&self) -> u64 {
        self.holds + self.breaks + self.machine_bound
    }
}

/// Returns up to which rate a limit holds in one mode's points; in the named client region, or in
/// all of them. Runs that cannot be judged are left out.
pub fn capacity(slo: &Slo, region: Option<&str>, points: &[&SweepPoint]) -> Capacity {
    let levels = levels(slo, region, points);
    let unbroken = levels.iter().rposition(|(_, level)| level.holds > 0);
    let (below, beyond) = levels.split_at(unbroken.map_or(0, |last| last + 1));
    let breaks_from = beyond.first();
    let whole = |(_, level): &&(f64, Level)| level.breaks + level.machine_bound == 0;
    let holds_to_ops = below.iter().rev().find(whole).map(|(rate, _)| *rate);
    let broke = |(rate, level): &(f64, Level)| {
        let is_below = holds_to_ops.is_some_and(|holds_to| *rate < holds_to);
        (is_below && level.breaks > 0).then_some(*rate)
    };
    let end = match breaks_from {
        None if levels.is_empty() => CapacityEnd::NotJudged,
        None => CapacityEnd::NotReached,
        Some((_, level)) if level.breaks == 0 => CapacityEnd::MachineBound,
        Some(_) => CapacityEnd::Limit,
    };
    let broke_at = breaks_from.filter(|_| end == CapacityEnd::Limit);
    let by_most = |(_, level): &&(f64, Level)| level.holds > 0 && 2 * level.holds >= level.runs();
    Capacity {
        rate_ops: below.iter().rev().find(by_most).map(|(rate, _)| *rate),
        holds_to_ops,
        breaks_from_ops: broke_at.map(|(rate, _)| *rate),
        broke_below_ops: levels.iter().filter_map(broke).collect(),
        end,
        broken_by: broke_at.and_then(|(_, level)| level.worst.clone()),
        runs: levels.iter().map(|(_, level)| level.runs()).sum(),
    }
}

/// Returns the verdicts by ascending rate.
fn levels(slo: &Slo, region: Option<&str>, points: &[&SweepPoint]) -> Vec<(f64, Level)> {
    // Rates are positive, and positive numbers are ordered as their bits are.
    let mut levels: BTreeMap<u64, Level> = BTreeMap::new();
    for point in points {
        let verdict = judge(slo, region, point);
        if matches!(verdict, Verdict::TooFew { .. }) {
            continue;
        }
        let level = levels.entry(point.rate_ops.to_bits()).or_default();
        match verdict {
            Verdict::Holds => level.holds += 1,
            Verdict::MachineBound => level.machine_bound += 1,
            Verdict::Breaks(breaches) => {
                level.breaks += 1;
                let worse = |a: &Breach, b: &Option<Breach>| {
                    b.as_ref().is_none_or(|b| a.excess() > b.excess())
                };
                let first = breaches.into_iter().next();
                level.worst = match first {
                    Some(first) if worse(&first, &level.worst) => Some(first),
                    _ => level.worst.take(),
                };
            }
            Verdict::TooFew { .. } => {}
        }
    }
    let levels = levels.into_iter();
    levels
        .map(|(bits, level)| (f64::from_bits(bits), level))
        .collect()
}

impl Capacity {
    /// Says it in one sentence for readers; rates are per client region.
    pub fn says(&self) -> String {
        let rate = |rate: f64| format!("{}/s", short_rate(rate));
        let held = match self.holds_to_ops {
            Some(holds) => format!("held in every run up to {}", rate(holds)),
            None => "held in every run at no rate tried".to_owned(),
        };
        let beyond = match (self.end, self.breaks_from_ops) {
            (CapacityEnd::NotJudged, _) => {
                return "not judged: too few operations were due in every run; measure longer or \
                        begin at a higher rate"
                    .to_owned();
            }
            (CapacityEnd::Limit, Some(breaks)) => {
                format!("broke in every run from {}", rate(breaks))
            }
            (CapacityEnd::MachineBound, _) => {
                "beyond, the machine was over 80% busy (machine-bound)".to_owned()
            }
            _ => "did not break up to the highest rate tried".to_owned(),
        };
        let at_least = if self.end == CapacityEnd::Limit {
            ""
        } else {
            "at least "
        };
        let mut text = match self.rate_ops {
            None if self.end == CapacityEnd::MachineBound => {
                "unknown: the machine was over 80% busy (machine-bound) before a rate held"
                    .to_owned()
            }
            Some(most) => format!("{at_least}{}: {held}, {beyond}", rate(most)),
            None => format!("{held}, {beyond}"),
        };
        if let Some(breach) = &self.broken_by {
            text.push_str(&format!(" ({})", breach.says()));
        }
        if let Some(lowest) = self.broke_below_ops.first() {
            text.push_str(&format!("; a run also broke at {}", rate(*lowest)));
        }
        text
    }
}

/// Returns a rate with no more digits than four, or those before the point.
pub fn short_rate(rate: f64) -> String {
    let decimals = match rate {
        rate if rate >= 1000.0 => 0,
        rate if rate >= 100.0 => 1,
        _ => 2,
    };
    let text = format!("{rate:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::point;
    use super::*;

    /// What points at (rate, p99 in ms) come to under a limit of 100 ms.
    fn capacity_of(points: &[SweepPoint]) -> Capacity {
        let slo: Slo = "p99=100ms".parse().unwrap();
        capacity(&slo, None, &points.iter().collect::<Vec<_>>())
    }

    fn points(levels: &[(f64, &[f64])]) -> Vec<SweepPoint> {
        let of_level = |(rate, p99s_ms): &(f64, &[f64])| -> Vec<SweepPoint> {
            let seeds = p99s_ms.iter().zip(1..);
            seeds
                .map(|(p99_ms, seed)| point(*rate, seed, *p99_ms))
                .collect()
        };
        levels.iter().flat_map(of_level).collect()
    }

    #[test]
    fn the_edge_lies_between_the_last_rate_where_all_hold_and_the_first_where_none_does() {
        let capacity = capacity_of(&points(&[
            (100.0, &[50.0]),
            (200.0, &[60.0, 70.0, 80.0]),
            (210.0, &[90.0, 120.0, 80.0]),
            (220.0, &[130.0, 99.0, 140.0]),
            (230.0, &[130.0, 150.0, 140.0]),
            (400.0, &[9000.0]),
        ]));
        assert_eq!(capacity.holds_to_ops, Some(200.0));
        // Two of three hold at 210/s, one of three at 220/s.
        assert_eq!(capacity.rate_ops, Some(210.0));
        assert_eq!(capacity.breaks_from_ops, Some(230.0));
        assert_eq!((capacity.end, capacity.runs), (CapacityEnd::Limit, 14));
        assert_eq!(
            capacity.says(),
            "210/s: held in every run up to 200/s, broke in every run from 230/s (p99 150.0 ms in a, \
             above 100 ms)"
        );
    }

    #[test]
    fn a_limit_that_does_not_break_or_never_holds_says_so() {
        let held = capacity_of(&points(&[(100.0, &[50.0]), (200.0, &[60.0])]));
        assert_eq!(
            (held.holds_to_ops, held.breaks_from_ops),
            (Some(200.0), None)
        );
        assert_eq!(held.end, CapacityEnd::NotReached);
        assert!(held.says().starts_with("at least 200/s"), "{}", held.says());
        let broken = capacity_of(&points(&[(100.0, &[150.0]), (200.0, &[160.0])]));
        assert_eq!(
            (broken.holds_to_ops, broken.breaks_from_ops),
            (None, Some(100.0))
        );
        assert!(
            broken.says().contains("at no rate tried"),
            "{}",
            broken.says()
        );
        assert_eq!(capacity_of(&[]).end, CapacityEnd::NotJudged);
        let mut few = points(&[(10.0, &[150.0])]);
        few[0].regions[0].due = 80;
        assert_eq!(capacity_of(&few).end, CapacityEnd::NotJudged);
    }

    #[test]
    fn a_busy_machine_leaves_at_least_what_held_below() {
        let mut points = points(&[(100.0, &[50.0]), (200.0, &[60.0]), (400.0, &[500.0])]);
        points[2].machine_bound = true;
        let capacity = capacity_of(&points);
        assert_eq!(capacity.end, CapacityEnd::MachineBound);
        assert_eq!(
            (capacity.holds_to_ops, capacity.breaks_from_ops),
            (Some(200.0), None)
        );
        let says = capacity.says();
        assert!(
            says.starts_with("at least 200/s: held") && says.contains("machine-bound"),
            "{says}"
        );
    }

    #[test]
    fn a_machine_that_is_busy_from_the_first_rate_on_leaves_nothing_known() {
        let mut points = points(&[(100.0, &[50.0]), (200.0, &[60.0])]);
        points
            .iter_mut()
            .for_each(|point| point.machine_bound = true);
        let capacity = capacity_of(&points);
        assert_eq!(
            (capacity.rate_ops, capacity.end),
            (None, CapacityEnd::MachineBound)
        );
        assert!(
            capacity.says().starts_with("unknown"),
            "{}",
            capacity.says()
        );
    }

    #[test]
    fn a_run_that_broke_far_below_is_not_passed_over() {
        let capacity = capacity_of(&points(&[
            (100.0, &[150.0]),
            (200.0, &[60.0]),
            (400.0, &[500.0]),
        ]));
        assert_eq!(capacity.holds_to_ops, Some(200.0));
        assert_eq!(capacity.broke_below_ops, [100.0]);
        assert!(capacity.says().ends_with("a run also broke at 100/s"));
    }

    #[test]
    fn rates_are_as_short_as_four_digits_allow() {
        let rates = [12345.6, 1234.4, 123.45, 100.0, 12.3, 0.5].map(short_rate);
        assert_eq!(rates, ["12346", "1234", "123.5", "100", "12.3", "0.5"]);
    }
}
