//! Other programs: `ip` and `tc`, started with a list of arguments and never through a shell.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::NetError;

/// Debian's package of `ip` and `tc`.
pub const IPROUTE2: &str = "iproute2";

/// Runs a command of iproute2 in the calling thread's network namespace and returns its output.
///
/// # Errors
///
/// The program is not installed, or it failed; the error has the command and its message.
pub fn run(command: &[String], environment: &[(&str, &Path)]) -> Result<Vec<u8>, NetError> {
    let Some((program, arguments)) = command.split_first() else {
        return Ok(Vec::new());
    };
    let missing = || NetError::MissingProgram {
        program: program.clone(),
        package: IPROUTE2,
    };
    let path = find(program).ok_or_else(missing)?;
    let output = Command::new(path)
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output();
    let output = match output {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing()),
        Err(error) => return Err(NetError::doing(format!("starting `{program}`"))(error)),
        Ok(output) => output,
    };
    if output.status.success() {
        return Ok(output.stdout);
    }
    let message = String::from_utf8_lossy(&output.stderr);
    let message = match message.trim() {
        "" => output.status.to_string(),
        text => text.lines().collect::<Vec<_>>().join("; "),
    };
    Err(NetError::Command {
        command: command.join(" "),
        message,
    })
}

/// Runs `ip` with arguments that are separated by spaces, none of which has a space in it.
pub(crate) fn ip(arguments: &str) -> Result<Vec<u8>, NetError> {
    let command: Vec<String> = ["ip"]
        .into_iter()
        .chain(arguments.split_whitespace())
        .map(str::to_owned)
        .collect();
    run(&command, &[])
}

/// Looks for a program along PATH, and where administrators' programs are even when PATH leaves
/// them out.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|program| Path::is_file(program))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn a_program_is_found_along_the_path() {
        assert!(find("sh").is_some());
        assert!(find("no-program-has-this-name").is_none());
    }

    #[test]
    fn a_missing_program_names_its_package() {
        let error = run(&command(&["no-such-program", "link"]), &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`no-such-program` was not found: install the package iproute2"
        );
    }

    #[test]
    fn a_failing_program_is_reported_with_its_command_and_message() {
        let error = run(&command(&["ls", "/no/such/folder"]), &[]).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("`ls /no/such/folder` failed: "), "{text}");
        assert!(text.contains("No such file"), "{text}");
    }
}
