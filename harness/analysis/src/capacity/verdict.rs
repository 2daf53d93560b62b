//! Whether a limit holds at a point.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::measure::{RegionPoint, SweepPoint};
use super::objective::{Figure, Objective, Slo};

/// What came of a limit at one point.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It is exceeded, and where.
    Breaks(Vec<Breach>),
    /// The machine was too busy to tell the mode's limit from its own.
    MachineBound,
    /// Too few operations were due to judge it, and how many it needs in each region.
    TooFew {
        /// The figure that cannot be judged.
        figure: &'static str,
        /// How many operations it needs in each client region's window.
        needed: u64,
        /// How many the client region with the fewest had.
        had: u64,
    },
}

/// A limit that was exceeded in a region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Breach {
    /// The figure: `p99`, `mean`, `max`, `errors` and so on.
    pub figure: String,
    /// The clients' region.
    pub region: String,
    /// What it was, in milliseconds, or of errors in percent; null where it falls among operations
    /// that did not succeed: beyond the time-out.
    pub value: Option<f64>,
    /// The most that it may be.
    pub at_most: f64,
}

impl Breach {
    /// Returns how far it is beyond its limit, as a factor.
    pub fn excess(&self) -> f64 {
        self.value
            .map_or(f64::INFINITY, |value| value / self.at_most.max(1e-9))
    }

    /// Says it for readers, e.g. `p99 312.4 ms in ap-northeast-1, above 250 ms`.
    pub fn says(&self) -> String {
        let is_errors = self.figure == Figure::Errors.label();
        let unit = if is_errors { "%" } else { " ms" };
        let value = match self.value {
            Some(value) if is_errors => format!("{value:.3}{unit}"),
            Some(value) => format!("{value:.1}{unit}"),
            None => "> time-out".to_owned(),
        };
        let (figure, region, at_most) = (&self.figure, &self.region, self.at_most);
        format!("{figure} {value} in {region}, above {at_most}{unit}")
    }
}

/// Holds a point against a limit, which must hold in every client region by itself, or in one
/// alone when that is named; of operations of all kinds.
///
/// What the machine could not carry is not judged. A percentile with fewer than 10 operations
/// beyond it in a region decides nothing.
pub fn judge(slo: &Slo, region: Option<&str>, point: &SweepPoint) -> Verdict {
    if point.machine_bound {
        return Verdict::MachineBound;
    }
    let concerned = |one: &&RegionPoint| region.is_none_or(|name| name == one.region);
    let regions = || point.regions.iter().filter(concerned);
    let (mut breaches, mut too_few) = (Vec::new(), None);
    for objective in &slo.objectives {
        let fewest = regions().map(|one| one.due).min().unwrap_or(0);
        let needed = needed(objective.figure);
        if fewest < needed {
            too_few.get_or_insert(Verdict::TooFew {
                figure: objective.figure.label(),
                needed,
                had: fewest,
            });
            continue;
        }
        breaches.extend(regions().filter_map(|one| breach(objective, one)));
    }
    if breaches.is_empty() {
        return too_few.unwrap_or(Verdict::Holds);
    }
    breaches.sort_by(|a, b| b.excess().total_cmp(&a.excess()));
    Verdict::Breaks(breaches)
}

/// Returns how many operations a figure needs to be judged.
fn needed(figure: Figure) -> u64 {
    match figure {
        Figure::Percentile(percentile) => percentile.operations_needed(),
        Figure::Mean | Figure::Max | Figure::Errors => 1,
    }
}

fn breach(objective: &Objective, region: &RegionPoint) -> Option<Breach> {
    let value = match objective.figure {
        Figure::Errors => Some(100.0 * region.error_share()),
        latency => latency.of(&region.latency_ms),
    };
    let holds = value.is_some_and(|value| value <= objective.at_most);
    (!holds).then(|| Breach {
        figure: objective.figure.label().to_owned(),
        region: region.region.clone(),
        value,
        at_most: objective.at_most,
    })
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::point;
    use super::*;

    fn slo(text: &str) -> Slo {
        text.parse().unwrap()
    }

    #[test]
    fn a_limit_must_hold_in_every_region_unless_one_is_named() {
        // 90 ms in a, 45 ms in b.
        let point = point(100.0, 1, 90.0);
        assert_eq!(judge(&slo("p99=90ms"), None, &point), Verdict::Holds);
        let Verdict::Breaks(breaches) = judge(&slo("p99=60ms"), None, &point) else {
            panic!("60 ms holds");
        };
        assert_eq!(breaches.len(), 1);
        assert_eq!(breaches[0].says(), "p99 90.0 ms in a, above 60 ms");
        assert_eq!(judge(&slo("p99=60ms"), Some("b"), &point), Verdict::Holds);
    }

    #[test]
    fn what_did_not_succeed_exceeds_every_latency_and_counts_as_errors() {
        let mut point = point(100.0, 1, 90.0);
        point.regions[1].ok = 9_800;
        point.regions[1].latency_ms.p99 = None;
        let Verdict::Breaks(breaches) = judge(&slo("p99=10s,errors=0.1%"), None, &point) else {
            panic!("200 errors hold");
        };
        let says: Vec<String> = breaches.iter().map(Breach::says).collect();
        assert_eq!(
            says,
            [
                "p99 > time-out in b, above 10000 ms",
                "errors 2.000% in b, above 0.1%"
            ]
        );
        assert_eq!(judge(&slo("errors=2%"), None, &point), Verdict::Holds);
        assert!(matches!(
            judge(&slo("mean=10s"), None, &point),
            Verdict::Breaks(_)
        ));
    }

    #[test]
    fn a_percentile_with_too_few_operations_or_a_busy_machine_decides_nothing() {
        let mut few = point(100.0, 1, 90.0);
        few.regions[1].due = 999;
        let too_few = Verdict::TooFew {
            figure: "p99",
            needed: 1000,
            had: 999,
        };
        assert_eq!(judge(&slo("p99=1ms"), None, &few), too_few);
        assert_eq!(judge(&slo("p99=90ms"), Some("a"), &few), Verdict::Holds);
        // What can be judged and breaks, breaks.
        let broken = judge(&slo("p99=1ms,p50=1ms"), None, &few);
        assert!(matches!(broken, Verdict::Breaks(_)));
        few.machine_bound = true;
        assert_eq!(judge(&slo("p50=1ms"), None, &few), Verdict::MachineBound);
    }
}
