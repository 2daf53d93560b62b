//! `longhaul compare`.

use std::process::ExitCode;

use longhaul_analysis::Analysis;
use longhaul_analysis::analyse;
use longhaul_analysis::comparison::{FailIf, Options, Side, compare};
use longhaul_experiment::record::RunDirectory;
use longhaul_report::changes;

use crate::arguments::CompareArguments;
use crate::exit_codes;
use crate::output::{CommandError, print, print_json};
use crate::run_folders;

/// Compares runs, and fails when a limit on the change is exceeded.
pub(crate) fn compare_runs(arguments: &CompareArguments) -> Result<ExitCode, CommandError> {
    let rules: Result<Vec<FailIf>, _> = arguments.fail_if.iter().map(|rule| rule.parse()).collect();
    let options = Options {
        rules: rules?,
        despite_differences: arguments.despite_differences,
    };
    let mut sides: Vec<(String, Vec<Analysis>)> = Vec::new();
    for side in &arguments.sides {
        let directories = run_folders::of_side(side)?;
        let analyses: Result<Vec<Analysis>, CommandError> = directories
            .iter()
            .map(|directory| Ok(analyse(&RunDirectory::open(directory)?.read_record()?)))
            .collect();
        sides.push((side.clone(), analyses?));
    }
    let sides: Vec<Side<'_>> = sides
        .iter()
        .map(|(name, analyses)| Side {
            name: name.clone(),
            records: analyses.iter().collect(),
        })
        .collect();
    let comparison = compare(&sides, &options)?;
    if arguments.json {
        print_json(&comparison)?;
    } else {
        print(&changes(&comparison))?;
    }
    Ok(exit_codes::of_search(
        comparison.fires(),
        comparison.leaves_a_limit_unjudged(),
    ))
}
