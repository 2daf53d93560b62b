//! Which folders the repeats of a run go to, and which folders a name stands for.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::output::CommandError;

/// Refuses a name for repeated runs that former runs have used: `compare` would take theirs for
/// repeats, too.
pub(crate) fn check_free(folder: &Path, name: &str) -> Result<(), CommandError> {
    let path = folder.join(name);
    let numbers = numbers_of(&path)?;
    let taken = match numbers.first() {
        _ if path.exists() => path.clone(),
        Some(number) => numbered(&path, *number),
        None => return Ok(()),
    };
    Err(format!(
        "'{}' exists, and `compare` would take it together with the new runs: give another --name, \
         or remove the former runs",
        taken.display()
    )
    .into())
}

/// Returns the folders of one side of a comparison: those that commas separate, or the repeats
/// `NAME-1`, `NAME-2`, ... of a run that was made with `run --repeat`.
pub(crate) fn of_side(side: &str) -> Result<Vec<PathBuf>, CommandError> {
    let mut all = Vec::new();
    for part in side.split(',') {
        all.extend(of_part(Path::new(part))?);
    }
    Ok(all)
}

fn of_part(path: &Path) -> Result<Vec<PathBuf>, CommandError> {
    let (name, numbers) = (path.display(), numbers_of(path)?);
    // Beside a run of the same name, numbers from 2 on are later runs of it, not repeats.
    let are_repeats = numbers.first() == Some(&1);
    if path.exists() {
        if are_repeats {
            return Err(format!(
                "'{name}' is ambiguous: it is a run, and '{name}-1' is a repeat; list the folders of \
                 one side separated by commas"
            )
            .into());
        }
        return Ok(vec![path.to_owned()]);
    }
    if !are_repeats {
        return Err(format!(
            "'{name}' is no run: neither it nor '{name}-1' is a folder; give folders that `run` \
             made, those of one side separated by commas"
        )
        .into());
    }
    let missing = (1..)
        .zip(&numbers)
        .find(|(expected, number)| expected != *number);
    if let Some((missing, number)) = missing {
        return Err(format!(
            "'{name}' is ambiguous: '{name}-{number}' exists without '{name}-{missing}'; list the \
             folders of one side separated by commas"
        )
        .into());
    }
    Ok(numbers
        .iter()
        .map(|&number| numbered(path, number))
        .collect())
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!("-{number}"));
    PathBuf::from(name)
}

/// Returns the numbers with which a path goes on as `PATH-NUMBER`.
fn numbers_of(path: &Path) -> Result<BTreeSet<u32>, CommandError> {
    let (Some(name), Some(folder)) = (path.file_name(), path.parent()) else {
        return Ok(BTreeSet::new());
    };
    let here = Path::new(".");
    let folder = if folder.as_os_str().is_empty() {
        here
    } else {
        folder
    };
    if !folder.is_dir() {
        return Ok(BTreeSet::new());
    }
    let doing = || format!("reading {}", folder.display());
    let prefix = format!("{}-", name.to_string_lossy());
    let mut numbers = BTreeSet::new();
    for entry in fs::read_dir(folder).map_err(|why| CommandError::new(doing(), why))? {
        let entry = entry.map_err(|why| CommandError::new(doing(), why))?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(&prefix));
        // `+1` and `01` are no numbers that `run` gives.
        let given = |text: &&str| !text.starts_with(['+', '0']);
        numbers.extend(
            number
                .filter(given)
                .and_then(|text| text.parse::<u32>().ok()),
        );
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        folder
    }

    fn side(names: &[&str], side: &str) -> Result<Vec<String>, String> {
        let folder = folder_with(names);
        let found = of_side(&folder.path().join(side).display().to_string());
        let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        let found = found.map(|paths| paths.iter().map(name).collect());
        found.map_err(|why| why.to_string())
    }

    #[test]
    fn a_name_stands_for_its_repeats_in_the_order_of_their_numbers() {
        let names: Vec<String> = (1..=11).map(|number| format!("a-{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(side(&names, "a").unwrap(), names);
    }

    #[test]
    fn a_run_stands_for_itself_though_it_was_made_again() {
        assert_eq!(side(&["a", "a-2"], "a").unwrap(), ["a"]);
    }

    #[test]
    fn a_name_that_may_mean_two_things_is_refused() {
        assert!(side(&["a", "a-1"], "a").unwrap_err().contains("ambiguous"));
        let gap = side(&["a-1", "a-2", "a-4"], "a").unwrap_err();
        assert!(gap.contains("a-4' exists without '"), "{gap}");
        assert!(side(&["b"], "a").unwrap_err().contains("is no run"));
    }

    #[test]
    fn repeats_take_no_name_that_former_runs_have_used() {
        let free = |names: &[&str]| check_free(folder_with(names).path(), "a").is_ok();
        assert!(free(&[]));
        assert!(free(&["b-1", "a-b", "a-01", "ab-1"]));
        assert!(!free(&["a"]));
        assert!(!free(&["a-1"]));
        // The repeats that are to come may be fewer than the former ones.
        assert!(!free(&["a-7"]));
        assert!(check_free(Path::new("/no/such/folder"), "a").is_ok());
    }
}
