//! What the program's exit code says.

use std::process::ExitCode;

/// Everything was done, and nothing was found.
pub const DONE: u8 = 0;
/// It failed, or a part of it did.
pub const FAILED: u8 = 1;
/// The command line is wrong; clap's own.
pub const USAGE: u8 = 2;
/// What was looked for was found: a violated guarantee, an exceeded limit.
pub const FOUND: u8 = 3;
/// Nothing was found, but not all could be decided: a pipeline must not take that for a success.
pub const UNDECIDED: u8 = 4;
/// It was interrupted: 128 and the number of SIGINT.
pub const INTERRUPTED: u8 = 130;

/// All codes with what they say, for the help and the manual.
pub const ALL: [(u8, &str); 6] = [
    (DONE, "everything was done, and nothing was found"),
    (
        FAILED,
        "it failed, or a part of it did: `run` keeps the record of the other modes",
    ),
    (USAGE, "the command line is wrong"),
    (
        FOUND,
        "`verify` found a violated guarantee, `compare` a limit exceeded",
    ),
    (
        UNDECIDED,
        "`verify` or `compare` could not decide all, and found nothing",
    ),
    (
        INTERRUPTED,
        "it was interrupted: `run` keeps the record of what was measured",
    ),
];

/// Returns the table of exit codes as the help shows it.
pub fn help() -> String {
    let rows = ALL.map(|(code, meaning)| format!("  {code:>3}  {meaning}"));
    format!("Exit codes:\n{}", rows.join("\n"))
}

/// What came of looking for something, as an exit code.
pub(crate) fn of_search(is_found: bool, is_undecided: bool) -> ExitCode {
    ExitCode::from(match (is_found, is_undecided) {
        (true, _) => FOUND,
        (false, true) => UNDECIDED,
        (false, false) => DONE,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_lists_every_code() {
        let readme = include_str!("../README.md");
        for (code, meaning) in ALL {
            let row = format!("| {code} | {meaning} |");
            assert!(readme.contains(&row), "the README lacks: {row}");
        }
    }

    #[test]
    fn no_two_outcomes_share_a_code() {
        let codes: std::collections::BTreeSet<u8> = ALL.map(|(code, _)| code).into();
        assert_eq!(codes.len(), ALL.len());
    }
}
