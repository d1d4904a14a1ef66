//! `redrive check`: every error in job files, and nothing else. Makes no connection.

use redrive_rules::job::Diagnostics;
use serde::Serialize;

use super::own::Own;
use super::{job, read_job};
use crate::cli::{CheckArgs, Format};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::journal::Location;
use crate::view::{error, output};

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
    /// None where it is about the file as a whole.
    line: Option<usize>,
    column: Option<usize>,
    message: &'a str,
    help: Option<&'a str>,
}

pub(super) fn check(args: &CheckArgs, journal: &Location) -> Result<Exit> {
    let mut exit = Exit::Done;
    for path in &args.jobs {
        let file = path.display().to_string();
        // One that cannot be read hides nothing of the others.
        let valid = match read_job(path) {
            Ok(text) => {
                let own = Own::of_journal(journal).and("the job", path);
                check_text(&file, &text, args.format, &own)?
            }
            Err(unread) => {
                show_error(&file, &unread, args.format)?;
                false
            }
        };
        if !valid {
            exit = Exit::Usage;
        }
    }
    Ok(exit)
}

/// Whether a job's text is valid; shows what there is to say of it.
fn check_text(file: &str, text: &str, format: Format, own: &Own) -> Result<bool> {
    let compiled = job::compile(file, text);
    if let Ok(valid) = &compiled
        && let Err(refused) = own.refuse(&valid.job, &valid.rules, None)
    {
        show_error(file, &refused, format)?;
        return Ok(false);
    }
    match (format, &compiled) {
        (Format::Text, Ok(valid)) => {
            let rules = valid.job.rule.len();
            let rules = if rules == 1 { "1 rule".to_owned() } else { format!("{rules} rules") };
            output::line(&format!("{file}: valid, {rules}"))?;
        }
        (Format::Text, Err(diagnostics)) => output::err(&diagnostics.render(output::stderr_colour())),
        (Format::Json, Ok(_)) => show_json(file, Vec::new())?,
        (Format::Json, Err(diagnostics)) => show_json(file, problems(diagnostics))?,
    }
    Ok(compiled.is_ok())
}

/// What is wrong with a job as a whole.
fn show_error(file: &str, wrong: &Error, format: Format) -> Result<()> {
    match format {
        Format::Text => error::show(wrong),
        Format::Json => {
            let problem = Problem { line: None, column: None, message: wrong.message(), help: wrong.hint_text() };
            show_json(file, vec![problem])?;
        }
    }
    Ok(())
}

fn show_json(file: &str, problems: Vec<Problem<'_>>) -> Result<()> {
    output::json_line(&Checked { kind: "check", version: 1, file, valid: problems.is_empty(), problems })
}

fn problems(diagnostics: &Diagnostics) -> Vec<Problem<'_>> {
    let shown = diagnostics.problems.iter().map(|located| {
        let (line, column) = diagnostics.position(located);
        let (message, help) = (&located.problem.message, located.problem.help.as_deref());
        Problem { line: Some(line), column: Some(column), message, help }
    });
    shown.collect()
}
