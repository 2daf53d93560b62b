//! Where a run is kept: a folder with its record, its logs and what was drawn from it.

mod error;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::interval_log::interval_log;
use super::names::file_stem;
use super::{RECORD_VERSION, RunRecord};
use crate::history::OperationRecord;
use crate::mode::ModeSpec;

use error::{io_error, malformed};

pub use error::DirectoryError;

/// The folder of one run, e.g. `results/runs/20261124-063447-default`.
///
/// It holds `manifest.json` (the record without histories), one `<mode>.hlog` a mode, one
/// `<mode>.history.jsonl` a mode when histories were kept, and the files that reports add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDirectory {
    path: PathBuf,
}

/// The record's file.
const MANIFEST: &str = "manifest.json";
/// What leads to the newest run.
const LATEST: &str = "latest";
/// How many folders one name gets.
const RUNS_PER_NAME_MAX: u32 = 9999;

impl RunDirectory {
    /// The largest manifest that is read, in bytes.
    pub const MANIFEST_BYTES_MAX: u64 = 1 << 30;

    /// Creates a folder for a run under `root`, which is created too, and points `latest` beside
    /// it there where the system permits.
    ///
    /// It never takes an existing folder: where `name` exists it creates `name-2`, and so on.
    ///
    /// # Errors
    ///
    /// Names that are no plain file names, and what the system refuses.
    pub fn create(root: &Path, name: &str) -> Result<RunDirectory, DirectoryError> {
        check_name(name)?;
        fs::create_dir_all(root).map_err(io_error("create", root))?;
        for number in 1..=RUNS_PER_NAME_MAX {
            let numbered = match number {
                1 => name.to_owned(),
                _ => format!("{name}-{number}"),
            };
            let path = root.join(&numbered);
            match fs::create_dir(&path) {
                Ok(()) => {
                    // A convenience: the run does not fail for want of it.
                    let _ = point_latest(root, &numbered);
                    return Ok(RunDirectory { path });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(io_error("create", &path)(error)),
            }
        }
        Err(DirectoryError::Full {
            path: root.join(name),
        })
    }

    /// Opens the folder of a former run; `latest` beside the runs will do.
    ///
    /// # Errors
    ///
    /// Folders that do not exist or hold no run.
    pub fn open(path: &Path) -> Result<RunDirectory, DirectoryError> {
        RunDirectory::open_holding(path, MANIFEST)
    }

    /// Opens a folder that holds a file of that name, such as a sweep's; `latest` will do.
    ///
    /// # Errors
    ///
    /// Folders that do not exist or do not hold it.
    pub fn open_holding(path: &Path, file: &str) -> Result<RunDirectory, DirectoryError> {
        let path = follow_latest(path);
        if !path.is_dir() {
            let missing = io::Error::new(io::ErrorKind::NotFound, "there is no such folder");
            return Err(io_error("open", &path)(missing));
        }
        if !path.join(file).is_file() {
            return Err(DirectoryError::NoRun { path });
        }
        Ok(RunDirectory { path })
    }

    /// Returns where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the record without its histories to `manifest.json`, replacing a former one in one
    /// step: whenever the program is interrupted, a whole manifest stands there.
    ///
    /// # Errors
    ///
    /// What the system refuses.
    pub fn write_record(&self, record: &RunRecord) -> Result<(), DirectoryError> {
        self.replace(MANIFEST, |writer| {
            serde_json::to_writer_pretty(&mut *writer, &record.without_histories())?;
            writer.write_all(b"\n")
        })
    }

    /// Writes one `<mode>.hlog` a mode: HdrHistogram's interval log, format 1.3, values in
    /// nanoseconds, a line per second, region and kind.
    ///
    /// # Errors
    ///
    /// What the system refuses, and histograms that the record holds in a broken form.
    pub fn write_interval_logs(&self, record: &RunRecord) -> Result<(), DirectoryError> {
        for mode in &record.modes {
            let name = format!("{}.hlog", file_stem(&mode.mode));
            let log =
                interval_log(record, mode).map_err(|message| DirectoryError::BrokenHistogram {
                    path: self.path.join(&name),
                    message,
                })?;
            self.write_file(&name, &log)?;
        }
        Ok(())
    }

    /// Writes one `<mode>.history.jsonl` for each mode with a history, an operation a line.
    ///
    /// # Errors
    ///
    /// What the system refuses.
    pub fn write_history(&self, record: &RunRecord) -> Result<(), DirectoryError> {
        for mode in &record.modes {
            let Some(history) = &mode.history else {
                continue;
            };
            self.replace(&history_name(&mode.mode), |writer| {
                for operation in history {
                    serde_json::to_writer(&mut *writer, operation)?;
                    writer.write_all(b"\n")?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Writes a file of the run, such as a summary or a chart, replacing a former one.
    ///
    /// # Errors
    ///
    /// Names that are no plain file names, and what the system refuses.
    pub fn write_file(&self, name: &str, bytes: &[u8]) -> Result<(), DirectoryError> {
        check_name(name)?;
        self.replace(name, |writer| writer.write_all(bytes))
    }

    /// Reads the record. It comes without histories: [`RunDirectory::read_history`] has those.
    ///
    /// # Errors
    ///
    /// A missing, oversized or damaged manifest, and one that a newer longhaul wrote.
    pub fn read_record(&self) -> Result<RunRecord, DirectoryError> {
        /// What every version of a record begins with.
        #[derive(Deserialize)]
        struct Versioned {
            record_version: u32,
        }

        let path = self.path.join(MANIFEST);
        let size = fs::metadata(&path).map_err(io_error("read", &path))?.len();
        if size > RunDirectory::MANIFEST_BYTES_MAX {
            return Err(DirectoryError::TooLarge {
                path,
                bytes: size,
                limit: RunDirectory::MANIFEST_BYTES_MAX,
            });
        }
        let text = fs::read_to_string(&path).map_err(io_error("read", &path))?;
        let malformed = |error: serde_json::Error| malformed(&path, error.line(), &error);
        // The version first: a newer record may differ in everything else.
        let Versioned { record_version } = serde_json::from_str(&text).map_err(malformed)?;
        if record_version > RECORD_VERSION {
            return Err(DirectoryError::Newer {
                path,
                found: record_version,
            });
        }
        serde_json::from_str(&text).map_err(malformed)
    }

    /// Reads the history of a mode; `None` when none was kept.
    ///
    /// # Errors
    ///
    /// A damaged file, with the line, and what the system refuses.
    pub fn read_history(
        &self,
        mode: &ModeSpec,
    ) -> Result<Option<Vec<OperationRecord>>, DirectoryError> {
        let path = self.path.join(history_name(mode));
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("read", &path)(error)),
        };
        let mut history = Vec::new();
        for (number, line) in BufReader::new(file).lines().enumerate() {
            let line = line.map_err(io_error("read", &path))?;
            let operation = serde_json::from_str(&line)
                .map_err(|error| malformed(&path, number + 1, &error))?;
            history.push(operation);
        }
        Ok(Some(history))
    }

    /// Writes to a file of another name, forces it to the disk and renames it.
    fn replace(
        &self,
        name: &str,
        write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> Result<(), DirectoryError> {
        let path = self.path.join(name);
        let unfinished = self.path.join(format!(".{name}.unfinished"));
        let written = File::create(&unfinished)
            .and_then(|file| {
                let mut writer = BufWriter::new(file);
                write(&mut writer)?;
                writer.into_inner()?.sync_all()
            })
            .and_then(|()| fs::rename(&unfinished, &path));
        written.map_err(|error| {
            // What was written so far is of no use; the first error is the one to tell.
            let _ = fs::remove_file(&unfinished);
            io_error("write", &path)(error)
        })
    }
}

fn history_name(mode: &ModeSpec) -> String {
    format!("{}.history.jsonl", file_stem(mode))
}

fn check_name(name: &str) -> Result<(), DirectoryError> {
    let plain = !name.is_empty()
        && name.len() <= 200
        && !name.starts_with('.')
        && !name.contains(['/', '\\', '\0']);
    if plain {
        return Ok(());
    }
    Err(DirectoryError::Name {
        name: name.chars().take(80).collect(),
    })
}

/// Points `latest` at a run, in one step where there are symbolic links.
#[cfg(unix)]
fn point_latest(root: &Path, name: &str) -> io::Result<()> {
    let unfinished = root.join(format!(".{LATEST}-{name}"));
    std::os::unix::fs::symlink(name, &unfinished)?;
    fs::rename(&unfinished, root.join(LATEST)).inspect_err(|_| {
        let _ = fs::remove_file(&unfinished);
    })
}

/// Writes the name of a run into the file `latest`.
#[cfg(not(unix))]
fn point_latest(root: &Path, name: &str) -> io::Result<()> {
    fs::write(root.join(LATEST), name)
}

/// Returns the run that a file `latest` names, and any other path as it is.
fn follow_latest(path: &Path) -> PathBuf {
    if path.file_name() == Some(OsStr::new(LATEST))
        && path.is_file()
        && let Ok(name) = fs::read_to_string(path)
        && check_name(name.trim()).is_ok()
    {
        return path.with_file_name(name.trim());
    }
    path.to_owned()
}

#[cfg(test)]
mod tests;
