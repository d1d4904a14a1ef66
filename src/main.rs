//! The `redrive` program: parse, run, exit code.

use std::process::ExitCode;

use clap::Parser;
use redrive::cli::Cli;
use redrive::commands;

fn main() -> ExitCode {
    commands::main(Cli::parse()).into()
}
