//! What commands print, and how they fail.

use std::error::Error;
use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use console::Term;
use serde::Serialize;

/// A command's failure: the error of some crate with what was being done.
#[derive(Debug)]
pub struct CommandError {
    doing: Option<String>,
    source: Box<dyn Error + Send + Sync>,
}

impl CommandError {
    /// Returns an error with what was being done.
    pub fn new(
        doing: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> CommandError {
        CommandError {
            doing: Some(doing.into()),
            source: source.into(),
        }
    }

    /// Says whether whoever read the output stopped reading.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        self.source
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(doing) = &self.doing {
            write!(formatter, "{doing}: ")?;
        }
        write!(formatter, "{}", self.source)?;
        let mut cause = self.source.source();
        while let Some(error) = cause {
            write!(formatter, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for CommandError {
    fn from(error: E) -> CommandError {
        CommandError {
            doing: None,
            source: error.into(),
        }
    }
}

/// Prints text on standard output.
pub(crate) fn print(text: &str) -> Result<(), CommandError> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()?;
    Ok(())
}

/// Prints something as JSON on standard output.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), CommandError> {
    print(&json(value)?)
}

/// Returns something as JSON that people can read, too.
pub(crate) fn json(value: &impl Serialize) -> Result<String, CommandError> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    Ok(text)
}

/// Reads a file of text.
pub(crate) fn read_file(path: &Path) -> Result<String, CommandError> {
    let doing = || format!("reading {}", path.display());
    fs::read_to_string(path).map_err(|why| CommandError::new(doing(), why))
}

/// Writes a file, and the folders that lead to it.
pub(crate) fn write_file(path: &Path, content: impl AsRef<[u8]>) -> Result<(), CommandError> {
    let doing = || format!("writing {}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|why| CommandError::new(doing(), why))?;
    }
    fs::write(path, content).map_err(|why| CommandError::new(doing(), why))
}

/// Tells the user something on standard error; nobody may be listening.
pub(crate) fn note(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Returns the width for tables: the terminal's, or 100 columns elsewhere.
pub(crate) fn width() -> usize {
    let terminal = Term::stdout();
    let columns = terminal.is_term().then(|| usize::from(terminal.size().1));
    columns.unwrap_or(100).clamp(72, 160)
}

/// Says whether standard output takes colours.
pub(crate) fn takes_colours() -> bool {
    console::colors_enabled()
}
