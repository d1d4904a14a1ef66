//! A job file's text to a job that is ready to run: reading, validation, and compiling, with the problems of all three shown
//! alike.

use redrive_rules::job::{Diagnostics, Job, load_with};
use redrive_rules::rule::Rules;

use crate::error::{Error, Result};
use crate::view::output;

/// A valid job with its rules compiled.
pub(super) struct Compiled {
    pub(super) job: Job,
    pub(super) rules: Rules,
}

/// Reads, validates and compiles.
pub(super) fn compile(file: &str, text: &str) -> Result<Compiled, Diagnostics> {
    let mut compiled = None;
    let loaded = load_with(file, text, |job| match Rules::compile(job) {
        Ok(rules) => {
            compiled = Some(rules);
            Vec::new()
        }
        Err(problems) => problems,
    })?;
    match compiled {
        Some(rules) => Ok(Compiled { job: loaded.job, rules }),
        None => Err(loaded.diagnostics(Vec::new())),
    }
}

/// The same, with the problems shown on stderr and an error that counts them.
pub(super) fn compile_or_show(file: &str, text: &str) -> Result<Compiled> {
    compile(file, text).map_err(|diagnostics| {
        output::err(&diagnostics.render(output::stderr_colour()));
        invalid(file, diagnostics.problems.len())
    })
}

/// What there is to say below the problems.
fn invalid(file: &str, problems: usize) -> Error {
    let errors = if problems == 1 { "1 error".to_owned() } else { format!("{problems} errors") };
    Error::usage(format!("{file} is not a valid job: {errors}"))
        .hint("nothing was touched; `redrive schema` describes the format")
}
