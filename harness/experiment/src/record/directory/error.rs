//! Why a run's folder cannot be written or read.

use std::io;
use std::path::{Path, PathBuf};

use super::{MANIFEST, RUNS_PER_NAME_MAX};
use crate::record::RECORD_VERSION;

/// Why a run's folder cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The name is not that of a single file or folder.
    #[error("'{name}' is not a plain file name; give one without '/' that does not begin with '.'")]
    Name {
        /// The name.
        name: String,
    },
    /// Ten thousand runs of one name exist.
    #[error(
        "{} and its numbered successors up to -{RUNS_PER_NAME_MAX} exist; \
         remove some or give another name", path.display()
    )]
    Full {
        /// The first of them.
        path: PathBuf,
    },
    /// There is no run in the folder.
    #[error(
        "{} holds no {MANIFEST}; give the folder of a run, \
         such as results/runs/latest", path.display()
    )]
    NoRun {
        /// The folder.
        path: PathBuf,
    },
    /// A file is larger than a run leaves behind.
    #[error("{} has {bytes} bytes, above the limit of {limit}; is it a run's?", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// A file is not what a run writes.
    #[error(
        "{}, line {line}: {message}; the file is damaged or not of a run, run it again",
        path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A newer longhaul wrote the record.
    #[error(
        "{} is a record of version {found}, and this longhaul reads up to {RECORD_VERSION}; \
         update longhaul", path.display()
    )]
    Newer {
        /// The manifest.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// A histogram of the record cannot be decoded.
    #[error("cannot write {}: the record's histogram of {message}", path.display())]
    BrokenHistogram {
        /// The log.
        path: PathBuf,
        /// Which one, and what is wrong.
        message: String,
    },
}

/// Returns what makes an error of the system's, for `map_err`.
pub(super) fn io_error(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> DirectoryError {
    let path = path.to_owned();
    move |source| DirectoryError::Io {
        action,
        path,
        source,
    }
}

/// Returns the error of a file that is not what a run writes.
pub(super) fn malformed(path: &Path, line: usize, error: &serde_json::Error) -> DirectoryError {
    DirectoryError::Malformed {
        path: path.to_owned(),
        line,
        message: error.to_string(),
    }
}
