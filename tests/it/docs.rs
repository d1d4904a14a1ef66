//! The documents hold what they say: jobs in them load and compile, commands in them are run and print what is shown, links
//! lead somewhere, every promise names tests that are there, and generated pages are fresh.
//!
//! How to write them: a `toml` block is a job, or a piece of one; after `<!-- file: NAME -->` it is written to that file. A
//! `console` block is run, in order, in one directory and against one sandbox a document, which holds the orders scenario
//! and a copy of `jobs/`. A line `…` stands for any lines, `(exit code N)` for an exit code that is not 0, `^C` for an
//! interruption once the first message is done. What differs from run to run is compared by kind. `sh` blocks are not run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{CommandFactory as _, Parser as _};
use redrive::cli::Cli;
use redrive::journal::Reader;
use redrive_protocol::protocol::State;
use redrive_rules::job;
use redrive_rules::rule::Rules;
use regex::Regex;
use sqs_sandbox::Scenario;
use tokio::task::JoinSet;

use crate::support::stage::{Ran, Stage};

/// What a piece of a job lacks to be one.
const HEADER: &str = "version = 1\nname = \"piece\"\n";
const SOURCE: &str = "[source]\nqueue = \"orders-dlq\"\n";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a directory of the repository with this extension, as paths from its root.
fn files_below(directory: impl AsRef<Path>, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![directory.as_ref().to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(root().join(&directory)).expect("a directory") {
            let entry = entry.expect("an entry");
            let path = directory.join(entry.file_name());
            if entry.file_type().expect("a type").is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

struct Document {
    path: PathBuf,
    text: String,
}

struct Block {
    /// Where it is, for the words of a failure.
    place: String,
    language: String,
    /// The file that it is written to.
    file: Option<String>,
    text: String,
}

fn documents() -> Vec<Document> {
    let mut paths: Vec<PathBuf> = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"].map(PathBuf::from).into();
    paths.extend(files_below("docs", "md"));
    let read = |path: PathBuf| Document { text: fs::read_to_string(root().join(&path)).expect("UTF-8"), path };
    paths.into_iter().map(read).collect()
}

impl Document {
    fn blocks(&self) -> Vec<Block> {
        let (mut blocks, mut open, mut file): (Vec<Block>, Option<(Block, usize)>, _) = (Vec::new(), None, None);
        for (number, line) in self.text.lines().enumerate() {
            let fence = line.trim_start().strip_prefix("```");
            match (&mut open, fence) {
                (None, Some(language)) => {
                    let place = format!("{}:{}", self.path.display(), number + 1);
                    let indent = line.len() - line.trim_start().len();
                    let language = language.trim().to_owned();
                    open = Some((Block { place, language, file: file.take(), text: String::new() }, indent));
                }
                (None, None) => {
                    let named = line.trim().strip_prefix("<!-- file: ").and_then(|rest| rest.strip_suffix(" -->"));
                    file = named.map(str::to_owned).or(file.filter(|_| line.trim().is_empty()));
                }
                (Some(_), Some("")) => blocks.extend(open.take().map(|(block, _)| block)),
                (Some((block, indent)), _) => {
                    block.text.push_str(line.get(*indent..).unwrap_or_default());
                    block.text.push('\n');
                }
            }
        }
        assert!(open.is_none(), "{}: a block is not closed", self.path.display());
        blocks
    }

    /// The text without its blocks.
    fn prose(&self) -> String {
        self.text.split("```").step_by(2).collect()
    }
}

#[test]
fn every_job_in_the_documents_is_valid() {
    let mut jobs = 0;
    for block in documents().iter().flat_map(Document::blocks).filter(|block| block.language == "toml") {
        let text = match (block.text.starts_with("version") || block.text.starts_with('#'), &block.text) {
            (true, text) => text.clone(),
            (false, text) if text.contains("[source]") => format!("{HEADER}{text}"),
            (false, text) => format!("{HEADER}{SOURCE}{text}"),
        };
        let loaded = job::load(&block.place, &text).unwrap_or_else(|errors| panic!("{errors}"));
        if let Err(problems) = Rules::compile(&loaded.job) {
            panic!("{}", loaded.diagnostics(problems));
        }
        jobs += 1;
    }
    assert!(jobs >= 10, "{jobs}");
}

#[test]
fn commands_that_are_not_run_are_valid() {
    let (mut lines, mut words) = (0, 0);
    let commands: BTreeSet<String> = Cli::command().get_subcommands().map(|c| c.get_name().to_owned()).collect();
    let inline = Regex::new("`redrive ([a-z]+)").expect("a pattern");
    for document in documents() {
        for block in document.blocks().iter().filter(|block| block.language == "sh") {
            for line in block.text.lines().filter(|line| line.starts_with("redrive ")) {
                let line = line.split(" #").next().unwrap_or_default();
                let command = line.split(" > ").next().unwrap_or_default();
                if let Err(error) = Cli::try_parse_from(command.split_whitespace()) {
                    panic!("{}: {error}", block.place);
                }
                lines += 1;
            }
        }
        for found in inline.captures_iter(&document.prose()) {
            assert!(commands.contains(&found[1]), "{}: no command {:?}", document.path.display(), &found[0]);
            words += 1;
        }
    }
    assert!(lines >= 5 && words >= 10, "{lines} {words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_documents_show_is_what_the_program_does() {
    let mut running = JoinSet::new();
    for document in documents() {
        if document.blocks().iter().any(|block| block.language == "console") {
            running.spawn(async move { play(&document).await });
        }
    }
    let mut commands = 0;
    while let Some(played) = running.join_next().await {
        commands += played.expect("the document holds");
    }
    assert!(commands >= 10, "{commands}");
}

/// Runs what a document shows; gives the number of commands.
async fn play(document: &Document) -> usize {
    let stage = Stage::new().await;
    stage.sandbox.seed_scenario(Scenario::Orders).expect("seeded");
    fs::create_dir(stage.path("jobs")).expect("a directory");
    for job in files_below("jobs", "toml") {
        fs::copy(root().join(&job), stage.path(&job.display().to_string())).expect("copied");
    }
    let mut commands = 0;
    for block in document.blocks() {
        if let Some(name) = &block.file {
            stage.file(name, &block.text);
        }
        if block.language == "console" {
            // A blank line first, so that the first command is found as the others are.
            for shown in format!("\n{}", block.text).split("\n$ ").skip(1) {
                commands += usize::from(step(&stage, &block.place, shown).await);
            }
        }
    }
    commands
}

/// Runs one command with what is shown below it; whether it was one that is run.
async fn step(stage: &Stage, place: &str, shown: &str) -> bool {
    let (command, below) = shown.split_once('\n').unwrap_or((shown, ""));
    let (line, redirected) = match command.split_once(" > ") {
        Some((line, file)) => (line, Some(file)),
        None => (command, None),
    };
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["redrive", "sandbox", ..] | ["cargo" | "export", ..] => return false,
        ["redrive", ..] => {}
        _ => panic!("{place}: only redrive can be run here; use a `sh` block for {command:?}"),
    }
    let (mut code, mut interrupted, mut expected) = (0, false, Vec::new());
    for line in below.lines() {
        if let Some(number) = line.strip_prefix("(exit code ").and_then(|rest| rest.strip_suffix(')')) {
            code = number.parse().expect("an exit code");
        } else if line == "^C" {
            interrupted = true;
        } else {
            expected.push(line);
        }
    }
    let arguments = &words[1..];
    let ran = if interrupted { interrupt(stage, arguments).await } else { stage.redrive(arguments).await };
    assert_eq!(ran.code, Some(code), "{place}: {command}\n{}\n{}", ran.stdout, ran.stderr);
    if let Some(file) = redirected {
        stage.file(file, &ran.stdout);
        assert!(expected.is_empty(), "{place}: {command} prints nothing here");
        return true;
    }
    // How far it is, it says on a slow machine only.
    let is_progress = |line: &&str| line.starts_with("examined ") && line.ends_with(" messages");
    let stderr: String = ran.stderr.lines().filter(|line| !is_progress(line)).flat_map(|line| [line, "\n"]).collect();
    let printed = if ran.stdout.is_empty() { &stderr } else { &ran.stdout };
    if let Err(missing) = compare(&expected, printed) {
        panic!("{place}: {command}\n--- does not print\n{missing}\n--- but\n{printed}");
    }
    true
}

/// Runs a command and interrupts it as Ctrl-C does, once a message is done.
async fn interrupt(stage: &Stage, arguments: &[&str]) -> Ran {
    let child = stage.spawn(arguments);
    let journal = stage.path(".redrive/journal.db");
    let done = || {
        let reader = Reader::open(&journal.clone().into()).ok().flatten()?;
        let run = reader.runs().ok()?.into_iter().next()?;
        Some(reader.tally(&run.name).ok()?.count(|key| key.state == State::Done))
    };
    let under_way = async {
        while done().unwrap_or_default() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), under_way).await.expect("a message is done");
    let pid = child.id().expect("running").to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
    let output = child.wait_with_output().await.expect("output");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Whether the pieces between lines `…` are all printed, in order, and where there is no such line, next to each other.
/// White space does not count: snapshots hold the layout. Gives the piece that is missing.
fn compare(expected: &[&str], printed: &str) -> Result<(), String> {
    let printed = plain(printed);
    let pieces: Vec<&[&str]> = expected.split(|line| line.trim() == "…").collect();
    let mut at = 0;
    for (position, piece) in pieces.iter().enumerate() {
        let text = plain(&piece.join("\n"));
        if text.trim().is_empty() && pieces.len() > 1 {
            continue;
        }
        let (first, last) = (position == 0, position + 1 == pieces.len());
        let rest = &printed[at..];
        let found = match (first, last) {
            (true, true) => (rest == text).then_some(0),
            (true, false) => rest.starts_with(&text).then_some(0),
            (false, true) => rest.ends_with(&text).then(|| rest.len() - text.len()),
            (false, false) => rest.find(&text),
        };
        // The blank at its end is also the one at the beginning of the next.
        at += found.ok_or(piece.join("\n"))? + text.len() - 1;
    }
    Ok(())
}

/// The text with what differs from run to run replaced by its kind, and one blank for all white space.
fn plain(text: &str) -> String {
    let kinds = [
        ("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<message>"),
        ("[0-9a-f]{64}", "<sha256>"),
        (r"\b[0-9a-f]{12}\b", "<run>"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| UTC)", "<time>"),
        (r"\d{4}-\d\d-\d\d", "<date>"),
        (r"\b[\d.]+ (s|ms)\b", "<duration>"),
        // An archived message holds its time, whose fraction has as many digits as it needs.
        (r"\b[\d.]+ kB\b", "<size>"),
        (r"[\d,.]+ (messages a second|SQS requests|receives|for each)", "<number> $1"),
    ];
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut text = format!(" {} ", words.join(" "));
    for (pattern, kind) in kinds {
        text = Regex::new(pattern).expect("a pattern").replace_all(&text, kind).into_owned();
    }
    text
}

#[test]
fn what_is_shown_is_compared() {
    let printed = "Run 0123456789ab: done\n\n  kept 3\n  moved 4 in 1.5 s\nthe end\n";
    let holds = |shown: &str| compare(&shown.lines().collect::<Vec<_>>(), printed).is_ok();
    assert!(holds("Run aaaaaaaaaaaa: done\n kept 3\n moved 4 in 20 s\nthe end"));
    assert!(holds("Run aaaaaaaaaaaa: done\n…\nthe end") && holds("…\n moved 4 in 1 s\n…") && holds("…"));
    assert!(!holds("Run aaaaaaaaaaaa: done") && !holds("…\n kept 3") && !holds("kept 3\n…"));
    assert!(!holds("…\n kept\n…\n kept 3\n…") && !holds("…\n moved 5\n…") && !holds("…\n oved 4\n…") && !holds(""));
}

#[test]
fn links_lead_somewhere() {
    let link = Regex::new(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)").expect("a pattern");
    let mut links = 0;
    for document in documents() {
        for found in link.captures_iter(&document.prose()) {
            let (to, anchor) = (&found[1], found.get(2).map(|anchor| anchor.as_str()));
            if to.starts_with("https://") {
                continue;
            }
            let beside = document.path.parent().expect("a directory").join(to);
            let path = if to.is_empty() { document.path.clone() } else { beside };
            let whole = root().join(&path);
            assert!(whole.exists(), "{}: {to} is not there", document.path.display());
            if let Some(anchor) = anchor {
                let text = fs::read_to_string(whole).expect("UTF-8");
                let headings = text.lines().filter(|line| line.starts_with('#'));
                let mut anchors = headings.map(|line| slug(line.trim_start_matches('#').trim()));
                assert!(anchors.any(|found| found == anchor), "{}: no {to}#{anchor}", document.path.display());
            }
            links += 1;
        }
    }
    assert!(links >= 20, "{links}");
}

/// A heading's anchor.
fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

#[test]
fn every_promise_names_tests_that_are_there() {
    let text = fs::read_to_string(root().join("docs/semantics.md")).expect("UTF-8");
    let named = Regex::new("`([a-z0-9_]+(?:::[a-z0-9_]+)+)`").expect("a pattern");
    let tests = tests();
    let mut promises = 0;
    for section in text.split("\n### ").skip(1) {
        let title = section.lines().next().expect("a title");
        let section = section.split("\n## ").next().expect("a section");
        let proofs: Vec<&str> = named.captures_iter(section).map(|found| found.extract::<1>().1[0]).collect();
        assert!(!proofs.is_empty(), "the promise {title:?} names no test");
        for proof in proofs {
            assert!(tests.contains(proof), "the promise {title:?} names the test {proof}, which is not there");
        }
        promises += 1;
    }
    assert!(promises >= 12, "{promises}");
}

/// The paths of all tests, as the test command shows them, read from the sources.
fn tests() -> BTreeSet<String> {
    let attribute = r"#\[(?:tokio::)?test(?:\([^\]]*\))?\]\s*(?:#\[[^\]]*\]\s*)*(?:async )?fn (\w+)";
    let attribute = Regex::new(attribute).expect("a pattern");
    let judged = Regex::new(r"(?s)on_every_(?:judge|server)!\(\n(.*?)\);").expect("a pattern");
    let mut found = BTreeSet::new();
    let crates = fs::read_dir(root().join("crates")).expect("crates").map(|entry| entry.expect("an entry").file_name());
    let folders = crates.map(|name| Path::new("crates").join(name).join("src"));
    let folders = folders.chain(["src".into(), "tests/it".into()]);
    let sources =
        folders.flat_map(|folder| files_below(&folder, "rs").into_iter().map(move |path| (folder.clone(), path)));
    for (folder, path) in sources {
        let text = fs::read_to_string(root().join(&path)).expect("UTF-8");
        let module = path.strip_prefix(folder).expect("a source").with_extension("");
        let module = module.display().to_string().replace('/', "::");
        let module = module.strip_suffix("::mod").unwrap_or(&module);
        let inner = text.find("mod tests {").unwrap_or(usize::MAX);
        for test in attribute.captures_iter(&text) {
            let inside = if test.get(0).is_some_and(|whole| whole.start() > inner) { "::tests" } else { "" };
            found.insert(format!("{module}{inside}::{}", &test[1]));
        }
        for list in judged.captures_iter(&text) {
            for name in list[1].split(',').map(str::trim).filter(|name| !name.is_empty()) {
                found.extend(["ministack", "localstack"].map(|judge| format!("{module}::{judge}::{name}")));
            }
        }
    }
    found
}

/// The generated files in `docs/reference/` are what this program writes.
#[test]
fn generated_pages_are_fresh() {
    let pages = [
        ("job.schema.json", job::schema_json()),
        ("job-file.md", job::reference_markdown()),
        ("cli.md", redrive::commands::cli_reference()),
        ("metrics.md", redrive::metrics::reference_markdown()),
    ];
    for (name, content) in pages {
        let path = root().join("docs/reference").join(name);
        if std::env::var_os("REDRIVE_WRITE_DOCS").is_some() {
            fs::write(&path, &content).expect("written");
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == content,
            "docs/reference/{name} is stale: REDRIVE_WRITE_DOCS=1 cargo test --test it generated_pages"
        );
    }
}
