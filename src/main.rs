//! The `redrive` program: parse, run, exit code.

use std::process::ExitCode;

use mimalloc::MiMalloc;
use redrive::commands;

// What one thread receives another one frees, a hundred thousand times a second: docs/design/performance.md has the figures.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    commands::main().into()
}
