//! Shifts of wall clocks, as people write them: durations with a sign.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::scenario::{DurationError, DurationText};

/// How far a wall clock is ahead of where it would be, in nanoseconds; negative: behind.
///
/// As text a duration with an optional sign, e.g. `-500ms`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClockShift(pub i64);

impl ClockShift {
    /// Returns both shifts together, saturating at 292 years.
    pub const fn plus(self, other: ClockShift) -> ClockShift {
        ClockShift(self.0.saturating_add(other.0))
    }
}

impl FromStr for ClockShift {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<ClockShift, DurationError> {
        let (is_back, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let size: DurationText = digits.parse()?;
        let size = i64::try_from(size.0.as_nanos()).map_err(|_| DurationError {
            text: text.chars().take(40).collect(),
            why: "a clock cannot move by more than 292 years",
        })?;
        Ok(ClockShift(if is_back { -size } else { size }))
    }
}

impl fmt::Display for ClockShift {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let size = DurationText(Duration::from_nanos(self.0.unsigned_abs()));
        write!(formatter, "{sign}{size}")
    }
}

impl TryFrom<String> for ClockShift {
    type Error = DurationError;

    fn try_from(text: String) -> Result<ClockShift, DurationError> {
        text.parse()
    }
}

impl From<ClockShift> for String {
    fn from(shift: ClockShift) -> String {
        shift.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifts_have_a_sign_and_print_back() {
        for (text, nanoseconds, printed) in [
            ("-500ms", -500_000_000, "-500ms"),
            ("+1s", 1_000_000_000, "1s"),
            ("1.5s", 1_500_000_000, "1.5s"),
            ("0s", 0, "0s"),
        ] {
            let shift: ClockShift = text.parse().expect(text);
            assert_eq!(shift, ClockShift(nanoseconds));
            assert_eq!(shift.to_string(), printed);
        }
        for text in ["--1s", "-", "500", "400y", "5000000h"] {
            assert!(text.parse::<ClockShift>().is_err(), "{text}");
        }
    }
}
