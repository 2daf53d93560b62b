//! `longhaul results`.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use longhaul_analysis::Summary;
use longhaul_experiment::record::RunDirectory;
use longhaul_report::published::{Published, index_html, index_markdown, introduction};

use crate::arguments::ResultsCommand;
use crate::output::{CommandError, print};
use crate::report_command::{analysed, report_files};

/// The index in Markdown, whose introduction is kept.
const README: &str = "README.md";
/// A run's figures; a folder without is no published run.
const SUMMARY: &str = "summary.json";

/// Publishes runs or makes their index again.
pub(crate) fn results(command: &ResultsCommand) -> Result<ExitCode, CommandError> {
    match command {
        ResultsCommand::Publish { runs, to } => publish(runs, to)?,
        ResultsCommand::Index { folder } => index(folder)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Publishes all of the runs, or none where one of them is refused.
fn publish(runs: &[PathBuf], to: &Path) -> Result<(), CommandError> {
    let mut published = Vec::new();
    for run in runs {
        let name = published_name(run)?;
        let record = RunDirectory::open(run)?.read_record()?;
        let analysis = analysed(&record);
        check(&name, &analysis.summary)?;
        published.push((to.join(name), report_files(&record, &analysis)?));
    }
    for (folder, files) in published {
        // A former version may have charts that this one has not.
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("replace", &folder)(error));
            }
            _ => {}
        }
        fs::create_dir_all(&folder).map_err(failed("create", &folder))?;
        for (name, contents) in files {
            write(&folder.join(name), &contents)?;
        }
        print(&format!("{}\n", folder.display()))?;
    }
    index(to)
}

/// Returns the name that a run is published under: its folder's, `latest` followed.
fn published_name(run: &Path) -> Result<String, CommandError> {
    let folder = fs::canonicalize(run).map_err(failed("open", run))?;
    let name = folder.file_name().and_then(OsStr::to_str).unwrap_or("");
    let plain = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(format!(
            "'{}' cannot be published under its name: give its folder a name of letters, digits, \
             '.', '_' and '-'",
            run.display()
        )
        .into());
    }
    Ok(name.to_owned())
}

/// Refuses runs that doubt their own precision, and those that name a path of the machine.
fn check(name: &str, summary: &Summary) -> Result<(), CommandError> {
    if !summary.publishable {
        return Err(format!(
            "'{name}' is not for publication: {}; run it again",
            summary.unpublishable_because.join("; ")
        )
        .into());
    }
    let arguments = summary.environment.command.iter().skip(1);
    let mut absolute = arguments.filter(|argument| {
        let value = argument
            .split_once('=')
            .map_or(argument.as_str(), |(_, value)| value);
        Path::new(value).is_absolute()
    });
    match absolute.next() {
        Some(path) => Err(format!(
            "'{name}' names the path '{path}' of this machine in its command, which nobody else \
             can repeat: run it with relative paths"
        )
        .into()),
        None => Ok(()),
    }
}

/// Makes the index of the published runs in a folder.
fn index(folder: &Path) -> Result<(), CommandError> {
    let runs = published_runs(folder)?;
    let readme = folder.join(README);
    let former = match fs::read_to_string(&readme) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read.map_err(failed("read", &readme))?,
    };
    let introduction = introduction(&former);
    write(&readme, index_markdown(&runs, introduction).as_bytes())?;
    let page = folder.join("index.html");
    write(&page, index_html(&runs, introduction).as_bytes())?;
    print(&format!("{}\n{}\n", readme.display(), page.display()))
}

/// Returns the published runs in a folder by name.
fn published_runs(folder: &Path) -> Result<Vec<Published>, CommandError> {
    let mut runs = Vec::new();
    for name in names(folder)? {
        let path = folder.join(&name);
        let summary = path.join(SUMMARY);
        if !summary.is_file() {
            continue;
        }
        let text = fs::read_to_string(&summary).map_err(failed("read", &summary))?;
        let summary = serde_json::from_str(&text).map_err(|error| {
            let doing = format!("cannot read the summary {}", summary.display());
            CommandError::new(doing, error)
        })?;
        runs.push(Published {
            files: names(&path)?,
            summary,
            name,
        });
    }
    Ok(runs)
}

/// Returns the names in a folder, sorted; those that are no text are left out.
fn names(folder: &Path) -> Result<Vec<String>, CommandError> {
    let entries = fs::read_dir(folder).map_err(failed("list", folder))?;
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed("list", folder))?.file_name();
        names.extend(name.into_string().ok());
    }
    names.sort();
    Ok(names)
}

fn write(path: &Path, contents: &[u8]) -> Result<(), CommandError> {
    fs::write(path, contents).map_err(failed("write", path))
}

fn failed(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> CommandError {
    let doing = format!("cannot {doing} {}", path.display());
    |error| CommandError::new(doing, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_need_escaping_are_refused() {
        let folder = std::env::temp_dir().join(format!("longhaul-{}-a b", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let refused = published_name(&folder).unwrap_err().to_string();
        fs::remove_dir(&folder).unwrap();
        assert!(refused.contains("letters, digits"), "{refused}");
        assert!(published_name(Path::new("/nowhere")).is_err());
    }

    fn results_folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("results")
    }

    fn summary() -> Summary {
        let path = results_folder().join("aws-5-default").join(SUMMARY);
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    }

    #[test]
    fn a_run_that_doubts_its_precision_is_refused_with_its_reasons() {
        let mut summary = summary();
        assert!(check("a", &summary).is_ok());
        summary.publishable = false;
        summary.unpublishable_because = vec!["the machine was 91% busy".to_owned()];
        let refused = check("a", &summary).unwrap_err().to_string();
        assert!(refused.contains("'a' is not for publication: the machine was 91% busy"));
    }

    #[test]
    fn a_command_that_nobody_else_can_repeat_is_refused() {
        let mut summary = summary();
        let command = ["/usr/bin/longhaul", "run", "--out=/home/me/runs"];
        summary.environment.command = command.map(str::to_owned).to_vec();
        let refused = check("a", &summary).unwrap_err().to_string();
        assert!(refused.contains("--out=/home/me/runs"), "{refused}");
    }

    #[test]
    fn the_published_index_is_that_of_the_published_runs() {
        let folder = results_folder();
        let runs = published_runs(&folder).unwrap();
        assert!(runs.iter().any(|run| run.name == "aws-5-default"));
        let index = fs::read_to_string(folder.join(README)).unwrap();
        let again = index_markdown(&runs, introduction(&index));
        assert_eq!(index, again, "run `longhaul results index`");
    }
}
