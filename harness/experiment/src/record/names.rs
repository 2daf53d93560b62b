//! Names of folders and files.

use crate::mode::ModeSpec;

/// Returns the name of a run that began at an instant: its UTC date and time, then the scenario's
/// name, e.g. `20261124-063447-default`. It sorts by time.
pub fn run_name(started_unix_s: u64, scenario: &str) -> String {
    let (days, second) = (started_unix_s / 86_400, started_unix_s % 86_400);
    let (year, month, day) = civil_date(days);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!(
        "{year:04}{month:02}{day:02}-{hour:02}{minute:02}{:02}-{scenario}",
        second % 60
    )
}

/// Returns a mode's name as part of file names: what is no letter, digit, `.`, `_` or `-` becomes
/// `-`, e.g. `quorum-register-r-3` for `quorum:register,r=3`.
pub fn file_stem(mode: &ModeSpec) -> String {
    mode.to_string()
        .chars()
        .map(|character| match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' => character,
            _ => '-',
        })
        .collect()
}

/// Returns year, month and day of a number of days since 1970-01-01 in the Gregorian calendar.
fn civil_date(days: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    // 400 years have 146 097 days, so the loop below runs at most 400 times.
    let mut year = 1970 + days / 146_097 * 400;
    let mut left = days % 146_097;
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if left < length {
            break;
        }
        left -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    (year, month, left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_named_by_utc_date_and_time() {
        assert_eq!(run_name(0, "x"), "19700101-000000-x");
        // 2024 was a leap year: 1 709 164 800 is the start of its 29 February.
        assert_eq!(run_name(1_709_164_800 + 3661, "x"), "20240229-010101-x");
        assert_eq!(run_name(1_709_251_200, "x"), "20240301-000000-x");
        assert_eq!(run_name(1_798_761_599, "x"), "20261231-235959-x");
        // 2100 is none: 4 107 542 400 is the start of its 1 March.
        assert_eq!(run_name(4_107_542_400, "x"), "21000301-000000-x");
    }

    #[test]
    fn file_names_of_modes_hold_no_separator() {
        let stem = |mode: &str| file_stem(&mode.parse().unwrap());
        assert_eq!(
            stem("leader-follower:semi-sync=2"),
            "leader-follower-semi-sync-2"
        );
        assert_eq!(stem("quorum:raft,path=../x"), "quorum-raft-path-..-x");
    }
}
