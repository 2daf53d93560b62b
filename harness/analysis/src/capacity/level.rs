//! Up to which rate a limit holds, from points at several rates and seeds.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::measure::SweepPoint;
use super::objective::Slo;
use super::verdict::{Breach, Verdict, judge};

/// The rate up to which a limit holds in one mode.
///
/// Runs of one rate with other seeds may disagree: the edge is then known to lie between
/// `holds_to_ops` and `breaks_from_ops` and no better.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Capacity {
    /// The highest rate at which the limit held in every run, below the rates at which it broke
    /// in every run: operations per second and client region. Null: it held at none.
    pub holds_to_ops: Option<f64>,
    /// The lowest rate from which on the limit broke in every run. Null: none was found.
    pub breaks_from_ops: Option<f64>,
    /// The highest rate at which the limit held in any run. Null: it held in none.
    pub held_once_to_ops: Option<f64>,
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
    Capacity {
        holds_to_ops,
        breaks_from_ops: broke_at.map(|(rate, _)| *rate),
        held_once_to_ops: unbroken.map(|number| levels[number].0),
        broke_below_ops: levels.iter().filter_map(broke).collect(),
        end,
        broken_by: broke_at.and_then(|(_, level)| level.worst.clone()),
        runs: levels
            .iter()
            .map(|(_, level)| level.holds + level.breaks + level.machine_bound)
            .sum(),
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
    levels.map(|(bits, level)| (f64::from_bits(bits), level)).collect()
}

impl Capacity {
    /// Says it in one sentence for readers; rates are per client region.
    pub fn says(&self) -> String {
        let rate = |rate: f64| format!("{}/s", short_rate(rate));
        let holds = self.holds_to_ops.map(rate);
        let mut text = match (self.end, holds) {
            (CapacityEnd::NotJudged, _) => {
                return "not judged: too few operations were due in every run; measure longer or \
                        begin at a higher rate"
                    .to_owned();
            }
            (CapacityEnd::Limit, Some(holds)) => format!(
                "holds up to {holds} and breaks from {}",
                rate(self.breaks_from_ops.unwrap_or(f64::INFINITY))
            ),
            (CapacityEnd::Limit, None) => format!(
                "holds in every run at no rate tried; breaks from {}",
                rate(self.breaks_from_ops.unwrap_or(f64::INFINITY))
            ),
            (CapacityEnd::MachineBound, Some(holds)) => {
                format!("at least {holds}: beyond, the machine was over 80% busy (machine-bound)")
            }
            (CapacityEnd::MachineBound, None) => {
                "unknown: the machine was over 80% busy (machine-bound) at every rate tried"
                    .to_owned()
            }
            (CapacityEnd::NotReached, Some(holds)) => {
                format!("at least {holds}, where the search ended: it did not break")
            }
            (CapacityEnd::NotReached, None) => {
                "holds in every run at no rate tried, and in some runs at the highest".to_owned()
            }
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
