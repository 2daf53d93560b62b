//! The links of a run in its summary.

use std::fmt;
use std::time::Duration;

use longhaul_experiment::profile::{Component, Marginal};
use longhaul_experiment::{LinkId, Profile};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One direction of a path between two regions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LinkSummary {
    /// Where it begins.
    pub from: String,
    /// Where it ends.
    pub to: String,
    /// The least delay in milliseconds.
    pub one_way_ms: f64,
    /// What varies on top of it and for how long it lasts, in words; null for a link without.
    pub jitter: Option<String>,
    /// The share of packets lost, 0 to 1.
    pub loss: f64,
    /// Bits per second; null for no limit.
    pub rate_bps: Option<u64>,
}

impl LinkSummary {
    /// Returns all links of a profile, those of a region to itself included, row by row.
    pub fn all(profile: &Profile) -> Vec<LinkSummary> {
        let ids = profile.region_indexes().flat_map(|from| {
            let others = profile.region_indexes();
            others.map(move |to| LinkId { from, to })
        });
        let name = |region: usize| profile.regions[region].name.clone();
        ids.map(|id| {
            let link = profile.link(id);
            let marginal = &link.jitter.marginal;
            LinkSummary {
                from: name(id.from.index()),
                to: name(id.to.index()),
                one_way_ms: milliseconds(link.one_way),
                jitter: (*marginal != Marginal::None).then(|| {
                    let correlation = milliseconds(link.jitter.correlation);
                    format!("{}, correlated over {correlation} ms", told(marginal))
                }),
                loss: link.loss,
                rate_bps: link.rate_bps,
            }
        })
        .collect()
    }
}

impl fmt::Display for LinkSummary {
    /// Tells what the link does to a frame.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ms", self.one_way_ms)?;
        match &self.jitter {
            Some(jitter) => write!(formatter, " and {jitter}")?,
            None => write!(formatter, " without jitter")?,
        }
        if self.loss > 0.0 {
            write!(formatter, ", {}% lost", 100.0 * self.loss)?;
        }
        match self.rate_bps {
            Some(rate) => write!(formatter, ", {rate} bit/s"),
            None => Ok(()),
        }
    }
}

/// Tells a distribution of added delay with all its parameters.
pub(super) fn told(marginal: &Marginal) -> String {
    let ms = |duration: &Duration| milliseconds(*duration);
    match marginal {
        Marginal::None => "nothing".to_owned(),
        Marginal::Uniform { low, high } => format!("uniform {} to {} ms", ms(low), ms(high)),
        Marginal::Normal { mean, deviation } => {
            format!(
                "normal of mean {} and deviation {} ms",
                ms(mean),
                ms(deviation)
            )
        }
        Marginal::Gamma { mean, deviation } => {
            format!(
                "gamma of mean {} and deviation {} ms",
                ms(mean),
                ms(deviation)
            )
        }
        Marginal::Pareto { scale, shape } => {
            format!("pareto of scale {} ms and shape {shape}", ms(scale))
        }
        Marginal::ParetoNormal { mean, deviation } => format!(
            "paretonormal of mean {} and deviation {} ms",
            ms(mean),
            ms(deviation)
        ),
        Marginal::Exponential { mean } => format!("exponential of mean {} ms", ms(mean)),
        Marginal::Mixture(components) => {
            let part = |one: &Component| format!("{} x {}", one.weight, told(&one.marginal));
            let parts: Vec<String> = components.iter().map(part).collect();
            format!("a mixture of {}", parts.join(" and "))
        }
        Marginal::Quantiles(quantiles) => {
            let point = |(quantile, delay): &(f64, Duration)| format!("{quantile}: {}", ms(delay));
            let points: Vec<String> = quantiles.iter().map(point).collect();
            format!("quantiles {} ms", points.join(", "))
        }
    }
}

/// Returns a duration in milliseconds, to the nanosecond.
fn milliseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e6
}
