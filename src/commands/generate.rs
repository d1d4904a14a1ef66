//! What is printed from the program's own types: its version, the schema, the manual pages, the reference of the command
//! line.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use clap::builder::StyledStr;
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use redrive_rules::job::schema_json;

use crate::cli::{Cli, ManArgs, SchemaArgs, SchemaOf};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::view::output;

/// The schemas of output are written by hand, since it is built from borrowed and private types; tests hold outputs against them.
pub(super) fn schema(args: &SchemaArgs) -> Result<Exit> {
    output::out(&match args.of {
        SchemaOf::Job => schema_json(),
        SchemaOf::Plan => include_str!("../../docs/reference/plan.schema.json").to_owned(),
        SchemaOf::Events => include_str!("../../docs/reference/events.schema.json").to_owned(),
        SchemaOf::Report => include_str!("../../docs/reference/report.schema.json").to_owned(),
        SchemaOf::Inspect => include_str!("../../docs/reference/inspect.schema.json").to_owned(),
    })?;
    Ok(Exit::Done)
}

/// What the program was built with.
pub(super) fn version() -> Result<Exit> {
    let features = if cfg!(feature = "sandbox") { "sandbox" } else { "none" };
    output::out(&format!(
        "redrive {}\nfeatures: {features}\nplatform: {}-{}\nformats: job 1, plan {}, JSON output {}\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        std::env::consts::OS,
        crate::plan::FORMAT,
        crate::view::JSON_VERSION,
    ))?;
    Ok(Exit::Done)
}

pub(super) fn man(args: &ManArgs) -> Result<Exit> {
    if let Some(directory) = &args.out {
        let written =
            std::fs::create_dir_all(directory).and_then(|()| clap_mangen::generate_to(Cli::command(), directory));
        written.map_err(|error| {
            Error::failed(format!("the manual pages cannot be written to {}: {error}", directory.display()))
        })?;
        return Ok(Exit::Done);
    }
    let page = man_page().map_err(|error| Error::failed(format!("the manual page cannot be made: {error}")))?;
    output::out(&String::from_utf8_lossy(&page))?;
    Ok(Exit::Done)
}

/// One page with every command in it, for whoever has no place for many.
fn man_page() -> io::Result<Vec<u8>> {
    let mut root = Cli::command();
    root.build();
    let man = Man::new(root.clone());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    for command in root.get_subcommands().filter(|command| command.get_name() != "help") {
        man_section(&mut page, command, &format!("redrive {}", command.get_name()))?;
    }
    man.render_extra_section(&mut page)?;
    Ok(page)
}

/// A command, and those below it.
fn man_section(page: &mut Vec<u8>, command: &Command, name: &str) -> io::Result<()> {
    let man = Man::new(command.clone());
    let mut own = Vec::new();
    man.render_description_section(&mut own)?;
    man.render_synopsis_section(&mut own)?;
    man.render_options_section(&mut own)?;
    man.render_extra_section(&mut own)?;
    // Its sections are below one that has its name.
    let own = String::from_utf8_lossy(&own).replace("\n.SH ", "\n.SS ").replacen(".SH ", ".SS ", 1);
    writeln!(page, ".SH {}\n{own}", name.to_uppercase())?;
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        man_section(page, below, &format!("{name} {}", below.get_name()))?;
    }
    Ok(())
}

/// The reference page of the command line, `docs/reference/cli.md`.
pub fn reference() -> String {
    let mut page = String::from(
        "# Command line\n\nGenerated from the program; do not edit. `redrive COMMAND --help` says the same.\n",
    );
    let mut root = Cli::command();
    root.build();
    section(&mut page, &root, "redrive");
    page
}

/// A command, and those below it.
fn section(page: &mut String, command: &Command, name: &str) {
    own_section(page, command, name);
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        section(page, below, &format!("{name} {}", below.get_name()));
    }
}

fn own_section(page: &mut String, command: &Command, name: &str) {
    let about = sentence(command.get_long_about().or(command.get_about()));
    // Writing to a string cannot fail.
    let _ = write!(page, "\n## `{name}`\n\n{about}\n");
    let usage = command.clone().render_usage().to_string();
    let _ = write!(page, "\n```text\n{}\n```\n", usage.trim_start_matches("Usage: "));
    if let Some(examples) = command.get_after_help() {
        let _ = write!(page, "\n```text\n{examples}\n```\n");
    }
    let arguments: Vec<_> = command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set() && !matches!(argument.get_id().as_str(), "help" | "version"))
        .collect();
    if arguments.is_empty() {
        return;
    }
    let _ = write!(page, "\n| argument | meaning |\n| --- | --- |\n");
    for argument in arguments {
        let value = argument.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
        let short = argument.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
        let label = match (argument.get_long(), value) {
            (Some(long), Some(value)) if argument.get_action().takes_values() => format!("{short}--{long} {value}"),
            (Some(long), _) => format!("{short}--{long}"),
            (None, Some(value)) => value,
            (None, None) => argument.get_id().to_string(),
        };
        let mut meaning = sentence(argument.get_help());
        let values: Vec<String> = argument
            .get_possible_values()
            .iter()
            .filter(|value| argument.get_action().takes_values() && !value.is_hide_set())
            .map(|value| format!("`{}`", value.get_name()))
            .collect();
        if !values.is_empty() {
            let _ = write!(meaning, " One of {}.", values.join(", "));
        }
        if let Some(default) = argument.get_default_values().first().filter(|_| argument.get_action().takes_values()) {
            let _ = write!(meaning, " Default `{}`.", default.to_string_lossy());
        }
        if let Some(variable) = argument.get_env() {
            let _ = write!(meaning, " Environment: `{}`.", variable.to_string_lossy());
        }
        let _ = writeln!(page, "| `{}` | {} |", label.replace('|', "\\|"), meaning.replace('|', "\\|"));
    }
}

/// A help text with its full stop, which clap takes away: more sentences follow it here.
fn sentence(help: Option<&StyledStr>) -> String {
    let text = help.map(ToString::to_string).unwrap_or_default();
    if text.is_empty() || text.ends_with('.') { text } else { format!("{text}.") }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn each(command: &Command, test: &mut impl FnMut(&Command)) {
        test(command);
        for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
            each(below, test);
        }
    }

    #[test]
    fn every_help_has_an_example_that_the_program_takes() {
        each(&Cli::command(), &mut |command| {
            let name = command.get_name();
            let help = command.get_after_help().unwrap_or_else(|| panic!("{name} has no example")).to_string();
            let examples: Vec<_> = help.lines().map(str::trim).filter(|line| line.starts_with("redrive ")).collect();
            assert!(!examples.is_empty(), "{name}: {help}");
            for example in examples {
                let words = example.split(" > ").next().unwrap_or_default().split_whitespace();
                assert!(Cli::try_parse_from(words).is_ok(), "{name}: {example}");
            }
        });
    }

    #[test]
    fn the_manual_page_names_no_page_but_itself_and_has_every_command() {
        let page = String::from_utf8(man_page().expect("a page")).expect("UTF-8");
        assert!(!page.replace("redrive(1)", "").contains("(1)"), "{page}");
        for command in Cli::command().get_subcommands() {
            let heading = format!(".SH REDRIVE {}", command.get_name().to_uppercase());
            assert!(page.contains(&heading), "{heading}");
        }
        assert!(page.contains("detailed\\-exitcode"), "{page}");
    }
}
