//! longhaul's commands: thin wiring of the crates under `harness/`.
//!
//! [`execute`] runs one command and reports its error, if it has one. [`wiring`] is the one place
//! that knows all backends.

pub mod arguments;
pub mod exit_codes;
pub mod model_arguments;
pub mod net_arguments;
#[cfg(target_os = "linux")]
pub mod network_launcher;
pub mod scenario_arguments;
pub mod sweep_arguments;
pub mod wiring;

mod agent_command;
mod calibrate_command;
mod compare_command;
mod doctor_command;
mod explain_command;
mod flags;
mod leaderless_command;
mod mode_command;
mod net_command;
mod output;
mod pbs_command;
mod profile_command;
mod report_command;
mod results_command;
mod run_command;
mod run_folders;
mod saturate_command;
mod shell_command;
mod sweep_command;
mod verify_command;

use std::process::ExitCode;

use arguments::{Arguments, Command};
pub use output::CommandError;

/// Runs a command and returns its exit code, see [`exit_codes`]; an error is one message on standard
/// error.
pub fn execute(arguments: Arguments) -> ExitCode {
    let result = match arguments.command {
        Command::Run(arguments) => run_command::run(*arguments),
        Command::Report(arguments) => report_command::report(&arguments),
        Command::Profile(command) => profile_command::profile(command),
        Command::Mode(command) => mode_command::mode(command),
        Command::Explain(arguments) => explain_command::explain(&arguments),
        Command::Verify(arguments) => verify_command::verify(&arguments),
        Command::Calibrate(arguments) => calibrate_command::calibrate(&arguments),
        Command::Pbs(arguments) => pbs_command::pbs(&arguments),
        Command::Leaderless(arguments) => leaderless_command::leaderless(&arguments),
        Command::Sweep(arguments) => sweep_command::run(*arguments),
        Command::Saturate(arguments) => saturate_command::run(*arguments),
        Command::Compare(arguments) => compare_command::compare_runs(&arguments),
        Command::Net(command) => net_command::net(command),
        Command::Results(command) => results_command::results(&command),
        Command::Doctor => doctor_command::doctor(),
        Command::Agent => agent_command::agent(),
        Command::Completions { shell } => shell_command::completions(shell),
        Command::Man => shell_command::manual(),
    };
    match result {
        Ok(code) => code,
        // Whoever reads our output may stop early, as `head` does.
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            output::note(&format!("error: {error}\n"));
            ExitCode::from(exit_codes::FAILED)
        }
    }
}
