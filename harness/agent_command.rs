//! `longhaul agent`, which runs start and nobody else.

use std::process::ExitCode;

use crate::output::CommandError;

/// Runs the agent of a region until the run that started this process ends.
pub(crate) fn agent() -> Result<ExitCode, CommandError> {
    longhaul_live::run_agent().map_err(|why| CommandError::new("agent", why))?;
    Ok(ExitCode::SUCCESS)
}
