//! `longhaul mode list`.

use std::fmt::Write as _;
use std::process::ExitCode;

use longhaul_protocol::Description;
use longhaul_protocol::modes::descriptions;

use crate::arguments::ModeCommand;
use crate::output::{CommandError, print};

/// Runs a `mode` command.
pub(crate) fn mode(command: ModeCommand) -> Result<ExitCode, CommandError> {
    match command {
        ModeCommand::List => print(&list()?)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list() -> Result<String, CommandError> {
    let mut text = String::from(
        "c client, l leader, s the client's nearest replica, r and f other replicas,\n\
         d(a,b) the round trip at minimum delays, k-th the k-th smallest\n",
    );
    for description in descriptions() {
        describe(&mut text, description)?;
    }
    Ok(text)
}

fn describe(text: &mut String, description: &Description) -> Result<(), CommandError> {
    writeln!(text, "\n{}", description.form)?;
    writeln!(text, "  {}", description.summary)?;
    for (name, meaning) in description.parameters {
        writeln!(text, "    {name:<14} {meaning}")?;
    }
    writeln!(text, "  guarantee      {}", description.guarantee)?;
    writeln!(text, "  write's floor  {}", description.write_floor)?;
    writeln!(text, "  read's floor   {}", description.read_floor)?;
    writeln!(text, "  source         {}", description.source)?;
    Ok(())
}
