//! Durations as people write them: a number and a unit.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A duration as text: a decimal number and one of ns, us, ms, s, min, h, e.g. `8s`, `1.5s`,
/// `500ms`. Exact to the nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DurationText(pub Duration);

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a duration: {why}; write a number and a unit, e.g. 8s, 1.5s, 500ms")]
pub struct DurationError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// The units and their nanoseconds, the longest first.
const UNITS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

impl FromStr for DurationText {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<DurationText, DurationError> {
        let error = |why| DurationError {
            text: text.chars().take(40).collect(),
            why,
        };
        let number_end = text
            .find(|character: char| !character.is_ascii_digit() && character != '.')
            .ok_or_else(|| error("it has no unit (ns, us, ms, s, min, h)"))?;
        let (number, unit) = text.split_at(number_end);
        let unit = unit.trim_start();
        let (_, unit_ns) = UNITS
            .into_iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(|| error("its unit is none of ns, us, ms, s, min, h"))?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() || number.ends_with('.') || fraction.contains('.') {
            return Err(error("its number is not a decimal number"));
        }
        if fraction.len() > 13 {
            return Err(error("its number has more than 13 decimals"));
        }
        let too_long = || error("it is longer than 584 years");
        let whole_ns = whole
            .parse::<u64>()
            .ok()
            .and_then(|whole| whole.checked_mul(unit_ns))
            .ok_or_else(too_long)?;
        // At most 13 digits: below 10^13 x 3.6 x 10^12, which 128 bits hold.
        let digits: u128 = format!("0{fraction}").parse().map_err(|_| too_long())?;
        let scaled = digits * u128::from(unit_ns);
        let divisor = 10u128.pow(fraction.len() as u32);
        if !scaled.is_multiple_of(divisor) {
            return Err(error("it is finer than a nanosecond"));
        }
        let total = whole_ns
            .checked_add((scaled / divisor) as u64)
            .ok_or_else(too_long)?;
        Ok(DurationText(Duration::from_nanos(total)))
    }
}

impl fmt::Display for DurationText {
    /// Writes the duration in the largest unit that needs at most three decimals and leaves at
    /// least 1, but never in minutes or hours unless they are whole.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = crate::time::nanos(self.0);
        if total == 0 {
            return formatter.write_str("0s");
        }
        for (name, unit_ns) in UNITS {
            let finest = if unit_ns > 1_000_000_000 {
                unit_ns
            } else {
                (unit_ns / 1000).max(1)
            };
            if total >= unit_ns && total.is_multiple_of(finest) {
                let thousandths = (total % unit_ns) * 1000 / unit_ns;
                write!(formatter, "{}", total / unit_ns)?;
                if thousandths > 0 {
                    let decimals = format!("{thousandths:03}");
                    write!(formatter, ".{}", decimals.trim_end_matches('0'))?;
                }
                return formatter.write_str(name);
            }
        }
        write!(formatter, "{total}ns")
    }
}

impl TryFrom<String> for DurationText {
    type Error = DurationError;

    fn try_from(text: String) -> Result<DurationText, DurationError> {
        text.parse()
    }
}

impl From<DurationText> for String {
    fn from(duration: DurationText) -> String {
        duration.to_string()
    }
}

impl From<DurationText> for Duration {
    fn from(duration: DurationText) -> Duration {
        duration.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Result<Duration, String> {
        text.parse::<DurationText>()
            .map(Duration::from)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_with_units_are_exact() {
        assert_eq!(parsed("8s"), Ok(Duration::from_secs(8)));
        assert_eq!(parsed("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parsed("500 ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parsed("0.001ms"), Ok(Duration::from_micros(1)));
        assert_eq!(parsed("2min"), Ok(Duration::from_secs(120)));
        assert_eq!(parsed("0.5h"), Ok(Duration::from_secs(1800)));
        assert_eq!(parsed("0s"), Ok(Duration::ZERO));
    }

    #[test]
    fn what_is_no_duration_is_told_why() {
        for (text, why) in [
            ("8", "no unit"),
            ("", "no unit"),
            ("8m", "its unit"),
            ("s", "not a decimal number"),
            ("1.s", "not a decimal number"),
            ("1.2.3s", "not a decimal number"),
            ("-1s", "its unit"),
            ("1e3s", "its unit"),
            ("0.5ns", "finer than a nanosecond"),
            ("99999999999999999999s", "longer than"),
            ("1000000000000h", "longer than"),
            ("0.12345678901234s", "decimals"),
        ] {
            let message = parsed(text).expect_err(text);
            assert!(message.contains(why), "{text}: {message}");
        }
    }

    #[test]
    fn durations_print_in_their_natural_unit() {
        for (milliseconds, text) in [
            (8000, "8s"),
            (1500, "1.5s"),
            (500, "500ms"),
            (61_500, "61.5s"),
            (120_000, "2min"),
            (7_200_000, "2h"),
        ] {
            let duration = DurationText(Duration::from_millis(milliseconds));
            assert_eq!(duration.to_string(), text);
        }
        let odd = DurationText(Duration::from_nanos(1_000_001));
        assert_eq!(odd.to_string(), "1000.001us");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_printed_duration_parses_back(nanoseconds: u64, places in 0u32..19) {
            let rounded = nanoseconds / 10u64.pow(places) * 10u64.pow(places);
            let duration = DurationText(Duration::from_nanos(rounded));
            prop_assert_eq!(duration.to_string().parse::<DurationText>(), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in ".{0,30}") {
            let _ = text.parse::<DurationText>();
        }
    }
}
