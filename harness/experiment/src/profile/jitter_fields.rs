//! The fields of jitter in a profile's file, and their checks.

use std::time::Duration;

use serde::Deserialize;
use serde_spanned::Spanned;

use super::link_fields::{MAX_ONE_WAY_MS, duration_of_ms};
use super::parse::Reader;
use super::{Component, Jitter, Marginal, Problem, ProfileError};

/// A millionth of a millisecond, a nanosecond: the least delay above zero.
const LEAST_MS: f64 = 1e-6;
/// From a microsecond, where jitter is independent from frame to frame, to an hour.
const CORRELATION_MS: (f64, f64) = (0.001, 3_600_000.0);
/// Deviation over mean of a gamma: beyond, its quantiles are all zero or all alike.
pub(super) const GAMMA_VARIATION: (f64, f64) = (0.001, 200.0);
/// At an exponent of 1 the mean is infinite.
const PARETO_SHAPE: (f64, f64) = (1.001, 1000.0);
const MAX_COMPONENTS: usize = 16;
const MAX_QUANTILES: usize = 256;
/// By how much a mixture's weights may miss 1.
const WEIGHT_SLACK: f64 = 1e-6;

/// Jitter, or a component of a mixture, as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JitterFields {
    marginal: Spanned<String>,
    low_ms: Option<Spanned<f64>>,
    high_ms: Option<Spanned<f64>>,
    mean_ms: Option<Spanned<f64>>,
    deviation_ms: Option<Spanned<f64>>,
    scale_ms: Option<Spanned<f64>>,
    shape: Option<Spanned<f64>>,
    quantiles_ms: Option<Spanned<Vec<[f64; 2]>>>,
    components: Option<Spanned<Vec<Spanned<JitterFields>>>>,
    correlation_ms: Option<Spanned<f64>>,
    weight: Option<Spanned<f64>>,
}

/// Jitter's fields with their place.
#[derive(Clone, Copy)]
struct Stated<'a> {
    fields: &'a JitterFields,
    place: &'a Spanned<JitterFields>,
}

/// All parameters of all marginals.
const PARAMETERS: [&str; 8] = [
    "low_ms",
    "high_ms",
    "mean_ms",
    "deviation_ms",
    "scale_ms",
    "shape",
    "quantiles_ms",
    "components",
];

/// Returns the parameters a marginal needs, or `None` for an unknown one.
fn parameters_of(marginal: &str) -> Option<&'static [&'static str]> {
    Some(match marginal {
        "none" => &[],
        "uniform" => &["low_ms", "high_ms"],
        "normal" | "gamma" | "paretonormal" => &["mean_ms", "deviation_ms"],
        "exponential" => &["mean_ms"],
        "pareto" => &["scale_ms", "shape"],
        "quantiles" => &["quantiles_ms"],
        "mixture" => &["components"],
        _ => return None,
    })
}

impl JitterFields {
    fn number(&self, name: &str) -> Option<&Spanned<f64>> {
        let field = match name {
            "low_ms" => &self.low_ms,
            "high_ms" => &self.high_ms,
            "mean_ms" => &self.mean_ms,
            "deviation_ms" => &self.deviation_ms,
            "scale_ms" => &self.scale_ms,
            "shape" => &self.shape,
            _ => return None,
        };
        field.as_ref()
    }

    fn states(&self, name: &str) -> bool {
        match name {
            "quantiles_ms" => self.quantiles_ms.is_some(),
            "components" => self.components.is_some(),
            number => self.number(number).is_some(),
        }
    }

    /// Returns what is wrong with the choice of fields, if anything is.
    fn fault(&self) -> Option<String> {
        let marginal = self.marginal.get_ref();
        let Some(needed) = parameters_of(marginal) else {
            let shown: String = marginal.chars().take(32).collect();
            return Some(format!(
                "unknown marginal {shown:?}; choose none, uniform, normal, gamma, pareto, paretonormal, exponential, quantiles or mixture"
            ));
        };
        PARAMETERS
            .into_iter()
            .find_map(|name| match (self.states(name), needed.contains(&name)) {
                (true, false) => Some(format!("a {marginal} marginal has no `{name}`; remove it")),
                (false, true) => Some(format!("a {marginal} marginal needs `{name}`")),
                _ => None,
            })
    }
}

impl Reader<'_> {
    /// Reads the jitter of a link from the one of two fields that states it, if one does.
    pub(super) fn stated_jitter(
        &self,
        one_way: &Option<Spanned<JitterFields>>,
        round_trip: &Option<Spanned<JitterFields>>,
    ) -> Result<Option<Jitter>, ProfileError> {
        match (one_way, round_trip) {
            (None, None) => Ok(None),
            (Some(stated), None) => self.jitter(stated).map(Some),
            (None, Some(stated)) => {
                let mut jitter = self.jitter(stated)?;
                jitter.marginal = jitter
                    .marginal
                    .one_way_of_round_trip()
                    .map_err(|error| self.at(stated.span(), error.into()))?;
                // A direction's gamma varies more than the round trip's.
                self.check_variation(stated, &jitter.marginal)?;
                Ok(Some(jitter))
            }
            (Some(_), Some(second)) => {
                let advice = "`jitter` and `round_trip_jitter` exclude each other; remove one";
                Err(self.at(second.span(), Problem::Fields(advice.to_owned())))
            }
        }
    }

    fn jitter(&self, place: &Spanned<JitterFields>) -> Result<Jitter, ProfileError> {
        let fields = place.get_ref();
        if let Some(weight) = &fields.weight {
            let advice = "only the components of a mixture have a `weight`; remove it";
            return Err(self.at(weight.span(), Problem::Fields(advice.to_owned())));
        }
        let correlation = match &fields.correlation_ms {
            Some(value) => duration_of_ms(self.number("correlation_ms", value, CORRELATION_MS)?),
            None => Jitter::DEFAULT_CORRELATION,
        };
        Ok(Jitter {
            marginal: self.marginal(Stated { fields, place })?,
            correlation,
        })
    }

    fn marginal(&self, stated: Stated<'_>) -> Result<Marginal, ProfileError> {
        let fields = stated.fields;
        if let Some(fault) = fields.fault() {
            return Err(self.at(stated.place.span(), Problem::Fields(fault)));
        }
        let from_zero = |name: &str| self.delay(stated, name, 0.0);
        let above_zero = |name: &str| self.delay(stated, name, LEAST_MS);
        Ok(match fields.marginal.get_ref().as_str() {
            "uniform" => self.uniform(stated)?,
            "normal" => Marginal::Normal {
                mean: from_zero("mean_ms")?,
                deviation: from_zero("deviation_ms")?,
            },
            "paretonormal" => Marginal::ParetoNormal {
                mean: from_zero("mean_ms")?,
                deviation: from_zero("deviation_ms")?,
            },
            "gamma" => self.gamma(stated)?,
            "exponential" => Marginal::Exponential {
                mean: above_zero("mean_ms")?,
            },
            "pareto" => Marginal::Pareto {
                scale: above_zero("scale_ms")?,
                shape: self.shape(stated)?,
            },
            "quantiles" => self.quantiles(stated)?,
            "mixture" => self.mixture(stated)?,
            _ => Marginal::None,
        })
    }

    fn delay(
        &self,
        stated: Stated<'_>,
        name: &str,
        least_ms: f64,
    ) -> Result<Duration, ProfileError> {
        match stated.fields.number(name) {
            Some(value) => {
                let delay_ms = self.number(name, value, (least_ms, MAX_ONE_WAY_MS))?;
                Ok(duration_of_ms(delay_ms))
            }
            None => Err(self.needed(stated, name)),
        }
    }

    fn shape(&self, stated: Stated<'_>) -> Result<f64, ProfileError> {
        match &stated.fields.shape {
            Some(value) => self.number("shape", value, PARETO_SHAPE),
            None => Err(self.needed(stated, "shape")),
        }
    }

    fn needed(&self, stated: Stated<'_>, name: &str) -> ProfileError {
        let advice = format!("the marginal needs `{name}`");
        self.at(stated.place.span(), Problem::Fields(advice))
    }

    fn uniform(&self, stated: Stated<'_>) -> Result<Marginal, ProfileError> {
        let low = self.delay(stated, "low_ms", 0.0)?;
        let high = self.delay(stated, "high_ms", 0.0)?;
        if low > high {
            let advice = "`low_ms` is above `high_ms`; swap them";
            return Err(self.at(stated.place.span(), Problem::Fields(advice.to_owned())));
        }
        Ok(Marginal::Uniform { low, high })
    }

    fn gamma(&self, stated: Stated<'_>) -> Result<Marginal, ProfileError> {
        let mean = self.delay(stated, "mean_ms", LEAST_MS)?;
        let deviation = self.delay(stated, "deviation_ms", LEAST_MS)?;
        let gamma = Marginal::Gamma { mean, deviation };
        self.check_variation(stated.place, &gamma)?;
        Ok(gamma)
    }

    fn check_variation(
        &self,
        place: &Spanned<JitterFields>,
        marginal: &Marginal,
    ) -> Result<(), ProfileError> {
        let Marginal::Gamma { mean, deviation } = marginal else {
            return Ok(());
        };
        let variation = deviation.as_secs_f64() / mean.as_secs_f64();
        let (least, most) = GAMMA_VARIATION;
        if (least..=most).contains(&variation) {
            return Ok(());
        }
        let problem = Problem::OutOfRange {
            field: "deviation_ms over mean_ms of a gamma, in one direction,".to_owned(),
            value: format!("{variation:.4}"),
            range: format!("from {least} to {most}"),
        };
        Err(self.at(place.span(), problem))
    }

    fn quantiles(&self, stated: Stated<'_>) -> Result<Marginal, ProfileError> {
        let Some(table) = &stated.fields.quantiles_ms else {
            return Err(self.needed(stated, "quantiles_ms"));
        };
        self.length("quantiles", table, MAX_QUANTILES)?;
        let mut before: Option<[f64; 2]> = None;
        for &[probability, delay_ms] in table.get_ref() {
            let rule = match before {
                _ if !(0.0..=1.0).contains(&probability) => "probabilities are from 0 to 1",
                _ if !(0.0..=MAX_ONE_WAY_MS).contains(&delay_ms) => "delays are from 0 to 10000 ms",
                None if probability != 0.0 => "start with probability 0 and the least delay",
                Some([last, _]) if probability <= last => "probabilities must ascend",
                Some([_, last_ms]) if delay_ms < last_ms => "delays must not descend",
                _ => {
                    before = Some([probability, delay_ms]);
                    continue;
                }
            };
            let problem = Problem::Quantiles {
                probability,
                delay_ms,
                rule,
            };
            return Err(self.at(table.span(), problem));
        }
        let points = table.get_ref().iter();
        let points = points.map(|&[probability, delay_ms]| (probability, duration_of_ms(delay_ms)));
        Ok(Marginal::Quantiles(points.collect()))
    }

    fn mixture(&self, stated: Stated<'_>) -> Result<Marginal, ProfileError> {
        let Some(stated_components) = &stated.fields.components else {
            return Err(self.needed(stated, "components"));
        };
        self.length("components", stated_components, MAX_COMPONENTS)?;
        let mut components = Vec::new();
        for place in stated_components.get_ref() {
            components.push(self.component(Stated {
                fields: place.get_ref(),
                place,
            })?);
        }
        let sum: f64 = components.iter().map(|component| component.weight).sum();
        if (sum - 1.0).abs() > WEIGHT_SLACK {
            return Err(self.at(stated_components.span(), Problem::Weights(sum)));
        }
        Ok(Marginal::Mixture(components))
    }

    fn component(&self, stated: Stated<'_>) -> Result<Component, ProfileError> {
        let fields = stated.fields;
        let advice = if fields.marginal.get_ref() == "mixture" {
            "a mixture's component is not itself a mixture; list all components side by side"
        } else if fields.correlation_ms.is_some() {
            "a mixture has one `correlation_ms`, beside its `components`; move it there"
        } else if let Some(weight) = &fields.weight {
            return Ok(Component {
                weight: self.number("weight", weight, (0.0, 1.0))?,
                marginal: self.marginal(stated)?,
            });
        } else {
            "a mixture's component needs a `weight`"
        };
        Err(self.at(stated.place.span(), Problem::Fields(advice.to_owned())))
    }

    fn length<T>(
        &self,
        what: &str,
        list: &Spanned<Vec<T>>,
        most: usize,
    ) -> Result<(), ProfileError> {
        let count = list.get_ref().len();
        if (1..=most).contains(&count) {
            return Ok(());
        }
        let problem = Problem::OutOfRange {
            field: format!("the number of {what}"),
            value: count.to_string(),
            range: format!("from 1 to {most}"),
        };
        Err(self.at(list.span(), problem))
    }
}
