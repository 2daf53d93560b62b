//! Limits on a change, from text such as `p99+10%`.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::latency::Percentile;

/// A figure that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// The mean latency in milliseconds.
    Mean,
    /// A percentile of latency in milliseconds.
    Percentile(Percentile),
    /// Due in the window and succeeded, per second.
    Goodput,
    /// The share of operations due that did not succeed, in percent.
    Errors,
}

impl Metric {
    /// Those of every comparison.
    pub const COMPARED: [Metric; 6] = [
        Metric::Percentile(Percentile::P50),
        Metric::Percentile(Percentile::P90),
        Metric::Percentile(Percentile::P99),
        Metric::Mean,
        Metric::Goodput,
        Metric::Errors,
    ];

    /// Returns its name in rules and for readers.
    pub const fn label(self) -> &'static str {
        match self {
            Metric::Mean => "mean",
            Metric::Percentile(percentile) => percentile.label(),
            Metric::Goodput => "goodput",
            Metric::Errors => "errors",
        }
    }

    /// Says whether more of it is better.
    pub const fn more_is_better(self) -> bool {
        matches!(self, Metric::Goodput)
    }

    fn all() -> impl Iterator<Item = Metric> {
        let others = [Metric::Mean, Metric::Goodput, Metric::Errors];
        let percentiles = Percentile::ALL.into_iter().map(Metric::Percentile);
        percentiles.chain(others)
    }
}

/// How far a figure may change for the worse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// A share of the first side's figure, above 0: 0.1 is 10%.
    Relative(f64),
    /// In the metric's unit, above 0.
    Absolute(f64),
}

/// A rule that fails a comparison when a figure changed for the worse by more than a limit.
///
/// `p99+10%`, `p50+5ms`, `mean+300us`, `goodput-5%`, `errors+0.1%`: a metric, the direction that is
/// worse, a number and its unit. A percentage of latency or goodput is relative to the first
/// side; one of errors is in points of the operations due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FailIf {
    /// The figure.
    pub metric: Metric,
    /// How far it may get worse.
    pub limit: Limit,
}

/// What is wrong with a rule's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// It begins with no metric.
    #[error(
        "`{0}` begins with no metric; write mean, p50, p90, p95, p99, p99.9, p99.99, goodput or errors, as in p99+10%"
    )]
    Metric(String),
    /// The sign is missing or is the direction that is better.
    #[error(
        "`{rule}`: {metric} gets worse by `{sign}`; write {metric}{sign}, a number and its unit"
    )]
    Sign {
        /// The text.
        rule: String,
        /// The metric.
        metric: &'static str,
        /// The sign it needs.
        sign: char,
    },
    /// The number is not one above 0, or a drop of everything.
    #[error("`{0}`: the limit must be a number above 0 (and below 100% of goodput), as in p99+10%")]
    Number(String),
    /// The unit does not suit the metric.
    #[error("`{rule}`: the unit must be one of {units}")]
    Unit {
        /// The text.
        rule: String,
        /// Those that suit.
        units: &'static str,
    },
}

impl FromStr for FailIf {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<FailIf, RuleError> {
        let rule = text.trim();
        let end = rule.find(['+', '-']).unwrap_or(rule.len());
        let (name, rest) = rule.split_at(end);
        let metric = Metric::all().find(|metric| metric.label() == name.trim_end());
        let metric = metric.ok_or_else(|| RuleError::Metric(text.to_owned()))?;
        let sign = if metric.more_is_better() { '-' } else { '+' };
        let amount = rest.strip_prefix(sign).ok_or_else(|| RuleError::Sign {
            rule: text.to_owned(),
            metric: metric.label(),
            sign,
        })?;
        let unit_at = amount
            .find(|character: char| !(character.is_ascii_digit() || character == '.'))
            .unwrap_or(amount.len());
        let (number, unit) = amount.split_at(unit_at);
        let number: Result<f64, _> = number.parse();
        let number = number
            .ok()
            .filter(|number| *number > 0.0 && number.is_finite());
        let number = number.ok_or_else(|| RuleError::Number(text.to_owned()))?;
        let limit = limit(metric, number, unit.trim()).map_err(|units| RuleError::Unit {
            rule: text.to_owned(),
            units,
        })?;
        if metric == Metric::Goodput && matches!(limit, Limit::Relative(share) if share >= 1.0) {
            return Err(RuleError::Number(text.to_owned()));
        }
        Ok(FailIf { metric, limit })
    }
}

fn limit(metric: Metric, number: f64, unit: &str) -> Result<Limit, &'static str> {
    match (metric, unit) {
        (Metric::Errors, "%") => Ok(Limit::Absolute(number)),
        (Metric::Errors, _) => Err("%"),
        (_, "%") => Ok(Limit::Relative(number / 100.0)),
        (Metric::Goodput, "ops") => Ok(Limit::Absolute(number)),
        (Metric::Goodput, _) => Err("% and ops"),
        (_, "us") => Ok(Limit::Absolute(number / 1e3)),
        (_, "ms") => Ok(Limit::Absolute(number)),
        (_, "s") => Ok(Limit::Absolute(number * 1e3)),
        _ => Err("%, us, ms and s"),
    }
}

impl fmt::Display for FailIf {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.metric.more_is_better() {
            '-'
        } else {
            '+'
        };
        let label = self.metric.label();
        // A share such as 0.1 times 100 may land an ulp off: nine digits hide it.
        let short = |number: f64| (number * 1e9).round() / 1e9;
        match (self.limit, self.metric) {
            (Limit::Relative(share), _) => {
                write!(formatter, "{label}{sign}{}%", short(100.0 * share))
            }
            (Limit::Absolute(number), Metric::Errors) => {
                write!(formatter, "{label}{sign}{number}%")
            }
            (Limit::Absolute(number), Metric::Goodput) => {
                write!(formatter, "{label}{sign}{number}ops")
            }
            (Limit::Absolute(number), _) => write!(formatter, "{label}{sign}{number}ms"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_read_back_as_they_are_written() {
        for text in [
            "p99+10%",
            "p50+5ms",
            "goodput-5%",
            "errors+0.1%",
            "p99.9+2.5%",
            "goodput-20ops",
        ] {
            assert_eq!(text.parse::<FailIf>().unwrap().to_string(), text);
        }
        assert_eq!(
            "mean+300us".parse::<FailIf>().unwrap().to_string(),
            "mean+0.3ms"
        );
        let errors: FailIf = "errors+0.1%".parse().unwrap();
        assert_eq!(errors.limit, Limit::Absolute(0.1));
    }

    #[test]
    fn rules_that_make_no_sense_are_refused_with_what_to_write() {
        for (text, expected) in [
            ("", "begins with no metric"),
            ("p98+10%", "begins with no metric"),
            ("p99", "write p99+"),
            ("p99-10%", "write p99+"),
            ("goodput+5%", "write goodput-"),
            ("p99+%", "above 0"),
            ("p99+0%", "above 0"),
            ("p99+1.2.3%", "above 0"),
            ("goodput-100%", "above 0"),
            ("p99+10", "must be one of %, us, ms and s"),
            ("p99+10ops", "must be one of %, us, ms and s"),
            ("errors+1ms", "must be one of %"),
        ] {
            let error = text.parse::<FailIf>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
