//! The `longhaul` program: parse, run, exit code.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    longhaul::execute(longhaul::arguments::Arguments::parse())
}
