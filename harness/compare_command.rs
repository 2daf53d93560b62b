//! `longhaul compare`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use longhaul_analysis::Analysis;
use longhaul_analysis::analyse;
use longhaul_analysis::comparison::{FailIf, Options, Side, compare};
use longhaul_experiment::record::RunDirectory;
use longhaul_report::changes;

use crate::arguments::CompareArguments;
use crate::output::{CommandError, print};

/// The exit code when a limit is exceeded.
const LIMIT_EXCEEDED: u8 = 2;
/// The exit code when a limit could not be judged: a pipeline must not take that for a success.
const NOT_JUDGED: u8 = 3;

/// Compares runs, and fails when a limit on the change is exceeded.
pub(crate) fn compare_runs(arguments: &CompareArguments) -> Result<ExitCode, CommandError> {
    let rules: Result<Vec<FailIf>, _> = arguments.fail_if.iter().map(|rule| rule.parse()).collect();
    let options = Options {
        rules: rules?,
        despite_differences: arguments.despite_differences,
    };
    let mut sides: Vec<(String, Vec<Analysis>)> = Vec::new();
    for side in &arguments.sides {
        let directories = directories(side)?;
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
        print(&format!("{}\n", serde_json::to_string_pretty(&comparison)?))?;
    } else {
        print(&changes(&comparison))?;
    }
    Ok(if comparison.fires() {
        ExitCode::from(LIMIT_EXCEEDED)
    } else if comparison.leaves_a_limit_unjudged() {
        ExitCode::from(NOT_JUDGED)
    } else {
        ExitCode::SUCCESS
    })
}

/// Returns the folders of one side: those that commas separate, or the repeats `NAME-1`, `NAME-2`,
/// ... of a run that was made with `run --repeat`.
fn directories(side: &str) -> Result<Vec<PathBuf>, CommandError> {
    let mut all = Vec::new();
    for part in side.split(',') {
        let path = Path::new(part);
        if path.exists() {
            all.push(path.to_owned());
            continue;
        }
        let repeats = (1..).map(|number| PathBuf::from(format!("{part}-{number}")));
        let repeats: Vec<PathBuf> = repeats.take_while(|path| path.exists()).collect();
        if repeats.is_empty() {
            return Err(format!(
                "'{part}' is no run: neither it nor '{part}-1' is a folder; give folders that `run` \
                 made, those of one side separated by commas"
            )
            .into());
        }
        all.extend(repeats);
    }
    Ok(all)
}
