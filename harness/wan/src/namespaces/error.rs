//! Why a network could not be made, asked or left.

use std::io;

/// An error of making or using a network.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The name cannot be a file's name.
    #[error("'{0}' is no name for a network: use 1 to 32 letters, digits, '-' and '_'")]
    Name(String),
    /// There are more regions than addresses.
    #[error("{regions} regions do not fit: a network has 1 to {max}, choose with --regions")]
    Regions {
        /// How many were asked for.
        regions: usize,
        /// How many fit.
        max: usize,
    },
    /// A network of that name is up.
    #[error(
        "the network '{name}' is up already, held by process {pid}: \
         take it down with `longhaul net down --name {name}`, or give this one another --name"
    )]
    InUse {
        /// Its name.
        name: String,
        /// The holder's process id; 0 while it is not written down yet.
        pid: u32,
    },
    /// No network of that name is up.
    #[error("no network '{name}' is up: start one with `longhaul net up PROFILE --name {name}`")]
    Absent {
        /// The name.
        name: String,
    },
    /// The network has no such region.
    #[error("the network has no region '{name}': it has {known}")]
    UnknownRegion {
        /// The name given.
        name: String,
        /// The regions' names, joined.
        known: String,
    },
    /// What a fault names are not links between regions.
    #[error("{0}")]
    Fault(String),
    /// The directory for locks and sockets belongs to somebody else, or others can write to it.
    #[error(
        "'{directory}' is not a directory of this user's alone ({why}): \
         remove it or set XDG_RUNTIME_DIR"
    )]
    Directory {
        /// The directory.
        directory: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A program is not installed.
    #[error("`{program}` was not found: install the package {package}")]
    MissingProgram {
        /// The program.
        program: String,
        /// Debian's name of the package that has it.
        package: &'static str,
    },
    /// A program failed.
    #[error("`{command}` failed: {message}")]
    Command {
        /// The command with its arguments.
        command: String,
        /// What it wrote on standard error, or its exit status.
        message: String,
    },
    /// The system refused something.
    #[error("{doing} failed: {source}")]
    System {
        /// What was being done.
        doing: String,
        /// Why it failed.
        source: io::Error,
    },
    /// What the network's own processes reported.
    #[error("{0}")]
    Reported(String),
}

impl NetError {
    /// Returns a function that adds what was being done to an error of the system.
    pub(crate) fn doing<E: Into<io::Error>>(
        doing: impl Into<String>,
    ) -> impl FnOnce(E) -> NetError {
        move |error| NetError::System {
            doing: doing.into(),
            source: error.into(),
        }
    }
}
