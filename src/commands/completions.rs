//! `redrive completions`: clap's script for a shell, with what it cannot know added: runs, plan files and queues.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use clap::CommandFactory;
use clap_complete::Shell;

use super::kind::{self, FileKind};
use crate::aws::{Access, Aws};
use crate::cli::{Cli, CompletionsArgs, Values};
use crate::error::Result;
use crate::exit::Exit;
use crate::journal::{Location, Reader};
use crate::view::output;

/// Whoever pressed Tab does not wait longer for an account's queues.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asked for the values of a command's first argument. An option's value is never one of them.
const BASH: &str = r#"
_redrive_or_value() {
    _redrive "$@"
    local values value word=${COMP_WORDS[COMP_CWORD]}
    [[ $COMP_CWORD -gt 1 && $word != -* && ${COMP_WORDS[COMP_CWORD - 1]} != -* ]] || return 0
    case ${COMP_WORDS[1]} in
        status | report | resolve | control | watch) values=runs ;;
        show | approve | apply) values=plans ;;
        inspect | init) values=queues ;;
        *) return 0 ;;
    esac
    COMPREPLY=()
    while IFS= read -r value; do
        [[ $value != "$word"* ]] || COMPREPLY+=("$value")
    done < <(redrive completions --values "$values" 2>/dev/null)
}
complete -F _redrive_or_value -o bashdefault -o default redrive
"#;

const ZSH: &str = r#"
_redrive_runs() { compadd -- ${(f)"$(redrive completions --values runs 2>/dev/null)"} }
_redrive_plans() { compadd -- ${(f)"$(redrive completions --values plans 2>/dev/null)"}; _files }
_redrive_queues() { compadd -- ${(f)"$(redrive completions --values queues 2>/dev/null)"} }
"#;

pub(super) async fn completions(args: &CompletionsArgs, journal: &Location) -> Result<Exit> {
    match (args.shell, args.values) {
        (_, Some(Values::Runs)) => {
            if let Some(reader) = Reader::open(journal)? {
                print(reader.runs()?.into_iter().map(|run| run.name))?;
            }
        }
        (_, Some(Values::Plans)) => print(plans())?,
        (_, Some(Values::Queues)) => {
            let listed = tokio::time::timeout(PATIENCE, Aws::new().queue_names(&Access::default())).await;
            print(listed.unwrap_or_else(|_| Ok(Vec::new()))?.into_iter())?;
        }
        (shell, None) => output::out(&script(shell.unwrap_or(Shell::Bash)))?,
    }
    Ok(Exit::Done)
}

fn print(values: impl Iterator<Item = String>) -> Result<()> {
    // A name with a line end in it would be two.
    values.filter(|value| !value.contains(char::is_control)).try_for_each(|value| output::line(&value))
}

/// The plan files of this directory; what cannot be read is none.
fn plans() -> impl Iterator<Item = String> {
    let is_plan = |path: &Path| {
        let mut head = Vec::new();
        let read = File::open(path).and_then(|file| file.take(kind::HEAD as u64).read_to_end(&mut head));
        read.is_ok() && kind::of(&head) == Some(FileKind::Plan)
    };
    let entries = std::fs::read_dir(".").into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let mut plans: Vec<String> =
        files.filter(|entry| is_plan(&entry.path())).filter_map(|entry| entry.file_name().into_string().ok()).collect();
    plans.sort_unstable();
    plans.into_iter()
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "redrive", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    match shell {
        Shell::Bash => script + BASH,
        Shell::Zsh => zsh(&script),
        Shell::Fish => script + &fish(),
        _ => script,
    }
}

/// Each argument names the function that completes it.
fn zsh(script: &str) -> String {
    let named = |line: &str| {
        let argument = line.trim_start_matches(['\'', ':']).split(' ').next().unwrap_or_default();
        let values = match argument {
            "run" => "_redrive_runs",
            "plan" | "file" => "_redrive_plans",
            "queue" => "_redrive_queues",
            _ => return line.to_owned(),
        };
        line.replace(":_default'", &format!(":{values}'")).replace(":_files'", &format!(":{values}'"))
    };
    let (first, rest) = script.split_once('\n').unwrap_or_default();
    let rest: Vec<String> = rest.lines().map(named).collect();
    format!("{first}\n{ZSH}{}\n", rest.join("\n"))
}

fn fish() -> String {
    let values = [
        ("status report resolve control watch", "runs", "-f "),
        ("show approve apply", "plans", ""),
        ("inspect init", "queues", "-f "),
    ];
    let line = |(commands, values, files): (&str, &str, &str)| {
        format!(
            "complete -c redrive -n \"__fish_seen_subcommand_from {commands}\" {files}-a \"(redrive completions --values {values} 2>/dev/null)\"\n"
        )
    };
    values.map(line).concat()
}
