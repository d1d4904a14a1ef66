//! `redrive check`: every error in job files, and nothing else. Makes no connection.

use serde::Serialize;

use super::{job, read_text};
use crate::cli::{CheckArgs, Format};
use crate::error::Result;
use crate::exit::Exit;
use crate::job::Diagnostics;
use crate::view::output;

#[derive(Serialize)]
struct Checked<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    file: &'a str,
    valid: bool,
    problems: Vec<Problem<'a>>,
}

#[derive(Serialize)]
struct Problem<'a> {
    line: usize,
    column: usize,
    message: &'a str,
    help: Option<&'a str>,
}

pub(super) fn check(args: &CheckArgs) -> Result<Exit> {
    let mut exit = Exit::Done;
    for path in &args.jobs {
        let file = path.display().to_string();
        let compiled = job::compile(&file, &read_text(path)?);
        match args.format {
            Format::Text => match &compiled {
                Ok(valid) => {
                    let rules = valid.job.rule.len();
                    let rules = if rules == 1 { "1 rule".to_owned() } else { format!("{rules} rules") };
                    output::out(&format!("{file}: valid, {rules}"))?;
                }
                Err(diagnostics) => {
                    output::err(&diagnostics.render(output::stderr_colour()));
                    output::err(&format!("{}\n", job::invalid(&file, diagnostics.problems.len())));
                }
            },
            Format::Json => {
                let problems = compiled.as_ref().err().map(problems).unwrap_or_default();
                let valid = compiled.is_ok();
                output::json_line(&Checked { kind: "check", version: 1, file: &file, valid, problems })?;
            }
        }
        if compiled.is_err() {
            exit = Exit::Usage;
        }
    }
    Ok(exit)
}

fn problems(diagnostics: &Diagnostics) -> Vec<Problem<'_>> {
    let shown = diagnostics.problems.iter().map(|located| {
        let (line, column) = diagnostics.position(located);
        Problem { line, column, message: &located.problem.message, help: located.problem.help.as_deref() }
    });
    shown.collect()
}
