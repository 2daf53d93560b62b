//! A profile's round trips as a table.

use std::fmt::Write as _;

use longhaul_experiment::Profile;

/// Characters of a figure's column: up to `9999.9` and a space.
const COLUMN: usize = 7;

/// Returns the round trips at minimum delays in milliseconds: a row and a column per region, the
/// columns headed by the rows' numbers. Columns that do not fit `width` follow in further blocks.
pub fn matrix_table(profile: &Profile, width: usize) -> String {
    let matrix = profile.matrix();
    let names: Vec<&str> = profile
        .regions
        .iter()
        .map(|region| region.name.as_str())
        .collect();
    let longest = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0);
    let columns = (width.saturating_sub(longest + 4) / COLUMN).max(1);
    let mut text = String::new();
    let all: Vec<usize> = (0..names.len()).collect();
    for block in all.chunks(columns) {
        let header: String = block
            .iter()
            .map(|&column| format!("{:>COLUMN$}", column + 1))
            .collect();
        // Writing into a string succeeds.
        let _ = writeln!(text, "{:>width$}{header}", "", width = longest + 4);
        for (row, name) in names.iter().enumerate() {
            let cells: String = block
                .iter()
                .map(|&column| format!("{:>COLUMN$.1}", matrix[row][column]))
                .collect();
            let _ = writeln!(text, "{:>3} {name:<longest$}{cells}", row + 1);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use longhaul_experiment::profile::bundled;

    use super::*;

    #[test]
    fn every_pair_is_shown_once_however_narrow_the_terminal() {
        let profile = bundled::bundled("aws-5").unwrap();
        for width in [10, 40, 100] {
            let table = matrix_table(&profile, width);
            // One way 34.582 ms between us-east-1 and us-west-2, there and back: 69.164.
            assert_eq!(table.matches(" 69.2").count(), 2, "{table}");
            assert!(width < 40 || table.lines().all(|line| line.chars().count() <= width));
        }
    }
}
