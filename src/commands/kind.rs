//! What kind of file the command line names: one that belongs to another command is said to be that, and which takes it.
//!
//! It goes by the first bytes and by the `type` that our own JSON begins with, so that a file that was cut or altered is still
//! known. It decides nothing else: whether a plan is whole is the plan's to say.

use std::path::Path;

use crate::error::{Error, Result};

/// A kind of file that some command reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    Job,
    Plan,
    Approval,
    Report,
    Archive,
    Journal,
}

/// Our JSON says its type within this many bytes.
pub(super) const HEAD: usize = 4096;

/// What kind of file it is; `None` where it looks like none of them.
pub(super) fn of(bytes: &[u8]) -> Option<FileKind> {
    if bytes.starts_with(b"SQLite format 3\0") {
        return Some(FileKind::Journal);
    }
    // Gzip and zstd.
    if bytes.starts_with(&[0x1f, 0x8b]) || bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return Some(FileKind::Archive);
    }
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(HEAD)]);
    let head = head.trim_start_matches('\u{feff}').trim_start();
    if head.starts_with('{') {
        return of_json(head);
    }
    if head.starts_with("<!doctype html>") && head.contains("<title>redrive: run ") {
        return Some(FileKind::Report);
    }
    let is_job =
        |line: &str| ["[source]", "[[rule]]", "version"].iter().any(|start| line.trim_start().starts_with(start));
    head.lines().any(is_job).then_some(FileKind::Job)
}

fn of_json(head: &str) -> Option<FileKind> {
    let is_received = head[1..].trim_start().starts_with("\"Messages\"");
    let (_, after) = head.split_once("\"type\"").unwrap_or_default();
    let value = after.trim_start().trim_start_matches(':').trim_start().trim_start_matches('"');
    match value.split('"').next().unwrap_or_default() {
        "redrive.plan" => Some(FileKind::Plan),
        "redrive.approval" => Some(FileKind::Approval),
        "redrive.message" => Some(FileKind::Archive),
        "report" | "summary" | "status" | "run" | "progress" | "doubts" if head.contains("\"version\"") => {
            Some(FileKind::Report)
        }
        // What `aws sqs receive-message` prints.
        _ => is_received.then_some(FileKind::Archive),
    }
}

/// Refuses a file that is surely of another kind than is wanted.
pub(super) fn expect(wanted: FileKind, bytes: &[u8], path: &Path) -> Result<()> {
    match of(bytes) {
        Some(kind) if kind != wanted => Err(kind.misplaced(wanted, path)),
        _ => Ok(()),
    }
}

impl FileKind {
    /// What it is, in words.
    fn name(self) -> &'static str {
        match self {
            Self::Job => "a job file",
            Self::Plan => "a plan",
            Self::Approval => "an approval of a plan",
            Self::Report => "what redrive printed about a run",
            Self::Archive => "an archive of messages",
            Self::Journal => "a journal",
        }
    }

    /// The error for a file of this kind where another is wanted, with the commands that take it.
    pub(super) fn misplaced(self, wanted: Self, path: &Path) -> Error {
        let file = path.display();
        let taken = match self {
            Self::Job => format!("`redrive plan {file} --out PLAN` makes a plan of it, `redrive apply {file}` plans and applies it"),
            Self::Plan => format!("`redrive show {file}` shows it, `redrive apply {file}` carries it out"),
            Self::Approval => {
                "it belongs beside its plan: `redrive show PLAN` lists it, `redrive apply PLAN --require-approvals N` counts it"
                    .to_owned()
            }
            Self::Report => "no command reads it; `redrive report RUN` prints it anew from the journal".to_owned(),
            Self::Archive => {
                format!("`redrive explain JOB --message {file}` tries a job on it, `redrive sandbox --load QUEUE={file}` serves it")
            }
            Self::Journal => format!("`redrive runs --journal {file}` lists what is in it"),
        };
        Error::usage(format!("{file} is {}, not {}", self.name(), wanted.name()))
            .hint(format!("nothing was touched; {taken}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_known_by_how_it_begins_even_where_it_was_cut() {
        for (text, kind) in [
            ("# a job\nversion = 1\n[source]\nqueue = \"a\"", Some(FileKind::Job)),
            ("\u{feff}[[rule]]\n", Some(FileKind::Job)),
            ("{\n  \"type\": \"redrive.plan\",\n  \"for", Some(FileKind::Plan)),
            ("{\"type\":\"redrive.approval\",", Some(FileKind::Approval)),
            ("{\"type\":\"redrive.message\",\"version\":1}", Some(FileKind::Archive)),
            ("{\n \"Messages\": [{}]}", Some(FileKind::Archive)),
            ("{\"type\":\"report\",\"version\":1,\"run\":\"a\"}", Some(FileKind::Report)),
            ("<!doctype html>\n<title>redrive: run a</title>", Some(FileKind::Report)),
            ("\u{1f}\u{8b}", None),
            ("", None),
            ("{", None),
            ("{\"type\"", None),
            ("{\"type\":\"report\"}", None),
            ("hello", None),
        ] {
            assert_eq!(of(text.as_bytes()), kind, "{text:?}");
        }
        assert_eq!(of(&[0x1f, 0x8b, 8]), Some(FileKind::Archive));
        assert_eq!(of(&[0x28, 0xb5, 0x2f, 0xfd, 0]), Some(FileKind::Archive));
        assert_eq!(of(b"SQLite format 3\0 "), Some(FileKind::Journal));
    }
}
