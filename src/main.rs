//! The `redrive` program: parse, run, exit code.

use std::process::ExitCode;

use clap::Parser;
use redrive::cli::Cli;
use redrive::commands;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(commands::run(cli)).into(),
        Err(error) => {
            let error = redrive::error::Error::failed(format!("the program cannot start its threads: {error}"));
            redrive::view::error::show(&error);
            error.exit().into()
        }
    }
}
