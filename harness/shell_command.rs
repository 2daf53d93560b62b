//! `longhaul completions` and `longhaul man`.

use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::output::{CommandError, print};

/// Prints completions for a shell.
pub(crate) fn completions(shell: Shell) -> Result<ExitCode, CommandError> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "longhaul", &mut text);
    print(&String::from_utf8(text)?)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the manual pages of the program and its commands.
pub(crate) fn manual() -> Result<ExitCode, CommandError> {
    let mut text = Vec::new();
    clap_mangen::Man::new(Arguments::command()).render(&mut text)?;
    let arguments = Arguments::command();
    let commands = arguments.get_subcommands();
    for command in commands.filter(|command| !command.is_hide_set()) {
        let title = format!("longhaul-{}", command.get_name());
        clap_mangen::Man::new(command.clone())
            .title(title)
            .render(&mut text)?;
    }
    print(&String::from_utf8(text)?)?;
    Ok(ExitCode::SUCCESS)
}
