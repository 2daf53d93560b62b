//! Limits on latency and errors, from text such as `p99=250ms,errors=0.1%`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use longhaul_experiment::scenario::DurationText;

use crate::latency::{LatencyMs, Percentile};

/// A figure that can be limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// A percentile of latency over all operations due.
    Percentile(Percentile),
    /// The mean latency over all operations due; beyond every limit when one did not succeed.
    Mean,
    /// The greatest latency of all operations due; as the mean.
    Max,
    /// The share of operations due that did not succeed, in percent.
    Errors,
}

impl Figure {
    const NAMES: &'static str = "p50, p90, p95, p99, p99.9, p99.99, mean, max or errors";

    fn all() -> impl Iterator<Item = Figure> {
        let percentiles = Percentile::ALL.into_iter().map(Figure::Percentile);
        percentiles.chain([Figure::Mean, Figure::Max, Figure::Errors])
    }

    /// Returns its name in limits and for readers.
    pub const fn label(self) -> &'static str {
        match self {
            Figure::Percentile(percentile) => percentile.label(),
            Figure::Mean => "mean",
            Figure::Max => "max",
            Figure::Errors => "errors",
        }
    }

    /// Returns its unit.
    pub const fn unit(self) -> &'static str {
        match self {
            Figure::Errors => "%",
            _ => "ms",
        }
    }

    /// Returns it from latencies, in milliseconds; `None` where it falls among operations that did
    /// not succeed, and of errors.
    pub const fn of(self, latency: &LatencyMs) -> Option<f64> {
        match self {
            Figure::Percentile(percentile) => latency.at(percentile),
            Figure::Mean => latency.mean,
            Figure::Max => latency.max,
            Figure::Errors => None,
        }
    }
}

/// One limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Objective {
    /// What is limited.
    pub figure: Figure,
    /// The most that it may be, in its unit.
    pub at_most: f64,
}

/// A service-level objective: limits that must hold together.
///
/// `p99=250ms,errors=0.1%`: figures, each once, with the most that they may be: a duration, or of
/// errors a percentage of the operations due.
#[derive(Clone, Debug, PartialEq)]
pub struct Slo {
    /// One or more, in the order of the text.
    pub objectives: Vec<Objective>,
}

/// What is wrong with the text of a limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SloError {
    /// There is nothing in it.
    #[error("the limit is empty; write one such as p99=250ms,errors=0.1%")]
    Empty,
    /// A part is not a figure, `=` and a value.
    #[error("`{0}` is no limit; write a figure, = and the most it may be, as in p99=250ms")]
    Form(String),
    /// There is no such figure.
    #[error("`{part}`: there is no figure `{name}`; limit {}", Figure::NAMES)]
    Figure {
        /// The part of the text.
        part: String,
        /// What stands before `=`.
        name: String,
    },
    /// A latency's limit is no duration above zero.
    #[error("`{0}`: write a duration above zero with its unit (us, ms, s), as in p99=250ms")]
    Duration(String),
    /// A limit of errors is no percentage.
    #[error(
        "`{0}`: write a percentage of the operations due from 0% to below 100%, as in errors=0.1%"
    )]
    Share(String),
    /// A figure is limited twice.
    #[error("`{0}` is limited twice; limit it once")]
    Repeated(&'static str),
}

impl FromStr for Slo {
    type Err = SloError;

    fn from_str(text: &str) -> Result<Slo, SloError> {
        if text.trim().is_empty() {
            return Err(SloError::Empty);
        }
        let mut objectives: Vec<Objective> = Vec::new();
        for part in text.split(',') {
            let objective: Objective = part.trim().parse()?;
            let figure = objective.figure;
            if objectives.iter().any(|other| other.figure == figure) {
                return Err(SloError::Repeated(figure.label()));
            }
            objectives.push(objective);
        }
        Ok(Slo { objectives })
    }
}

impl FromStr for Objective {
    type Err = SloError;

    fn from_str(part: &str) -> Result<Objective, SloError> {
        let form = || SloError::Form(part.to_owned());
        let (name, value) = part.split_once('=').ok_or_else(form)?;
        let (name, value) = (name.trim(), value.trim());
        let figure = Figure::all().find(|figure| figure.label() == name);
        let figure = figure.ok_or_else(|| SloError::Figure {
            part: part.to_owned(),
            name: name.to_owned(),
        })?;
        let at_most = match figure {
            Figure::Errors => percentage(value).ok_or_else(|| SloError::Share(part.to_owned()))?,
            _ => {
                let duration: Result<DurationText, _> = value.parse();
                let duration = duration.map(Duration::from).ok();
                let duration = duration.filter(|duration| !duration.is_zero());
                let duration = duration.ok_or_else(|| SloError::Duration(part.to_owned()))?;
                duration.as_nanos() as f64 / 1e6
            }
        };
        Ok(Objective { figure, at_most })
    }
}

fn percentage(text: &str) -> Option<f64> {
    let number = text.strip_suffix('%')?.trim_end();
    let plain = number.bytes().all(|c| c.is_ascii_digit() || c == b'.');
    let number: f64 = plain.then(|| number.parse().ok())??;
    (0.0..100.0).contains(&number).then_some(number)
}

impl fmt::Display for Objective {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (figure, unit) = (self.figure.label(), self.figure.unit());
        write!(formatter, "{figure}={}{unit}", self.at_most)
    }
}

impl fmt::Display for Slo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, objective) in self.objectives.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(formatter, "{comma}{objective}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_read_back_as_they_are_written() {
        for text in [
            "p99=250ms,errors=0.1%",
            "p99.9=1.5ms",
            "mean=20ms,max=900ms",
        ] {
            assert_eq!(text.parse::<Slo>().unwrap().to_string(), text);
        }
        let spaced: Slo = " p50 = 2s , errors = 0% ".parse().unwrap();
        assert_eq!(spaced.to_string(), "p50=2000ms,errors=0%");
    }

    #[test]
    fn limits_that_make_no_sense_are_refused_with_what_to_write() {
        for (text, expected) in [
            ("", "is empty"),
            ("p99", "as in p99=250ms"),
            ("p99=1ms,", "`` is no limit"),
            ("p98=1ms", "there is no figure `p98`"),
            ("goodput=5", "limit p50, p90"),
            ("p99=250", "with its unit"),
            ("p99=0ms", "above zero"),
            ("p99=-1ms", "above zero"),
            ("p99=1%", "with its unit"),
            ("errors=0.1", "a percentage"),
            ("errors=100%", "below 100%"),
            ("errors=nan%", "a percentage"),
            ("errors=1e1%", "a percentage"),
            ("errors=1ms", "a percentage"),
            ("p99=1ms,p99=2ms", "`p99` is limited twice"),
        ] {
            let error = text.parse::<Slo>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
