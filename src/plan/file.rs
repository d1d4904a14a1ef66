//! The plan as a file: sealed, written atomically, read back with a refusal of its own for each thing that can be wrong with it.
//! It looks at files and nothing else; whether the queues are still what they were is compared with values that come in.
//!
//! The seal is the SHA-256 of the compact serialisation with an empty `digest` and without the examples, for which their own
//! digest stands. So layout does not matter, and every changed value does. It protects against accidents and careless edits; who can write the file can also seal it anew.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::error::Category;
use sha2::{Digest as _, Sha256};

use super::document::{FORMAT, Plan, TYPE};
use crate::error::{Error, Result};
use crate::sqs::QueueAttributes;

/// Longer files are no plans: a plan that pins 120,000 messages is far below it.
pub const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// How far the clock may lie before the time of the plan.
const CLOCK_SKEW: Duration = Duration::from_mins(5);

const MAKE_ANEW: &str = "nothing was touched; make a new plan with `redrive plan`";

impl Plan {
    /// Computes the digest: to be called once the plan is complete.
    #[must_use]
    pub fn seal(mut self) -> Self {
        self.examples_sha256 = self.computed_examples_sha256();
        self.digest = self.computed_digest();
        self
    }

    fn computed_digest(&self) -> String {
        let unsealed = Self { digest: String::new(), examples: Vec::new(), ..self.clone() };
        // The document is plain data with text keys; serialising it to memory cannot fail.
        let text = serde_json::to_vec(&unsealed).unwrap_or_default();
        format!("sha256:{}", sha256(&text))
    }

    fn computed_examples_sha256(&self) -> String {
        sha256(&serde_json::to_vec(&self.examples).unwrap_or_default())
    }
}

/// The SHA-256 of these bytes, hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The text of the plan file: indented JSON, so that a review shows it line by line.
pub fn to_text(plan: &Plan) -> Result<String> {
    let mut text = serde_json::to_string_pretty(plan)
        .map_err(|error| Error::failed(format!("the plan cannot be written as JSON: {error}")))?;
    text.push('\n');
    Ok(text)
}

/// The text of a plan without what it shows of messages: for the journal, which holds no bodies.
pub fn to_kept_text(plan: &Plan) -> Result<String> {
    to_text(&Plan { examples: Vec::new(), ..plan.clone() })
}

/// Writes a sealed plan: readable for its owner only, and whole or not at all.
pub fn write(plan: &Plan, path: &Path) -> Result<()> {
    let text = to_text(plan)?;
    check_out(path)?;
    write_atomically(path, text.as_bytes(), 0o600).map_err(|error| {
        Error::failed(format!("the plan cannot be written to {}: {error}", path.display()))
            .hint("an older file of that name is as it was; all sampled messages were given back")
    })
}

/// Finds out, before anything is received, whether a plan can be written there.
pub fn check_writable(path: &Path) -> Result<()> {
    try_to_write(path, 0o600).map_err(|error| {
        Error::usage(format!("the plan cannot be written to {}: {error}", path.display()))
            .hint("nothing was received; give --out another place")
    })
}

/// Finds out whether a file can be written there, and leaves nothing behind.
pub(crate) fn try_to_write(path: &Path, mode: u32) -> io::Result<()> {
    let (temporary, _) = create_beside(directory_of(path), path, mode)?;
    std::fs::remove_file(temporary)
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Refuses to write a plan over a file that is none.
pub fn check_out(path: &Path) -> Result<()> {
    refuse_foreign(path, "a plan", &format!("\"{TYPE}\""))
}

/// Refuses to replace what is not of this kind, which its beginning tells: a file of somebody else, a link, a device. An empty
/// file is nobody's.
pub(crate) fn refuse_foreign(path: &Path, what: &str, beginning: &str) -> Result<()> {
    let Ok(found) = path.symlink_metadata() else { return Ok(()) };
    let refused = |why: &str| {
        Err(Error::usage(format!("{} {why}", path.display()))
            .hint("it is left as it is; give another name for a new file"))
    };
    if !found.is_file() {
        return refused("is not a regular file");
    }
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(256).read_to_end(&mut head));
    if read.is_err() || !(head.is_empty() || String::from_utf8_lossy(&head).contains(beginning)) {
        return refused(&format!("is there already, and is not {what}"));
    }
    Ok(())
}

/// Writes a file of this mode, as far as the umask allows it; an older one of that name stays until the new one is on disk.
pub(crate) fn write_atomically(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let directory = directory_of(path);
    let (temporary, mut file) = create_beside(directory, path, mode)?;
    let written = file
        .write_all(content)
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&temporary, path))
        // The rename itself must survive a power loss, too.
        .and_then(|()| File::open(directory)?.sync_all());
    if written.is_err() {
        // Best effort: the error that matters is the one above.
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

/// A new file in the same directory, so that the rename stays within one file system.
fn create_beside(directory: &Path, path: &Path, mode: u32) -> io::Result<(PathBuf, File)> {
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it names no file"))?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let mut number = 0;
    loop {
        let temporary = directory.join(format!(".{}.{}.{number}", name.to_string_lossy(), std::process::id()));
        match options.open(&temporary) {
            Ok(file) => return Ok((temporary, file)),
            // Left behind by a process of the same number that was killed.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 100 => number += 1,
            Err(error) => return Err(error),
        }
    }
}

/// What must be readable in a plan of any version.
#[derive(Deserialize)]
struct Header {
    #[serde(rename = "type")]
    kind: Option<serde_json::Value>,
    format: Option<serde_json::Value>,
}

/// Reads a plan from its bytes, and refuses what is not one that this program sealed. `name` is only shown.
pub fn parse(bytes: &[u8], name: &str) -> Result<Plan> {
    let plan = parse_kept(bytes, name)?;
    if plan.examples_sha256 != plan.computed_examples_sha256() {
        return Err(altered(name, "its examples are not those it was made with"));
    }
    Ok(plan)
}

/// The same for what [`to_kept_text`] made. Whatever the examples say, nothing is carried out by them.
pub fn parse_kept(bytes: &[u8], name: &str) -> Result<Plan> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(foreign(name, "it is far too long for one"));
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => return Err(truncated(name)),
        Err(_) => return Err(foreign(name, "it is not text in UTF-8")),
    };
    let header: Header = serde_json::from_str(text).map_err(|error| match error.classify() {
        Category::Eof => truncated(name),
        Category::Data => foreign(name, "it is JSON of another shape"),
        Category::Syntax | Category::Io => {
            Error::plan_refused(format!("{name} is damaged: it is not JSON ({error})")).hint(MAKE_ANEW)
        }
    })?;
    if header.kind.as_ref().and_then(serde_json::Value::as_str) != Some(TYPE) {
        return Err(foreign(name, &format!("its \"type\" is not {TYPE:?}")));
    }
    if header.format.as_ref().and_then(serde_json::Value::as_u64) != Some(u64::from(FORMAT)) {
        let found = header.format.map_or_else(|| "none".to_owned(), |format| format.to_string());
        return Err(Error::plan_refused(format!(
            "{name} is a plan of format {found}; this redrive reads format {FORMAT}"
        ))
        .hint("nothing was touched; apply it with the redrive that made it, or make a new plan with this one"));
    }
    let plan: Plan = serde_json::from_str(text).map_err(|error| altered(name, &error.to_string()))?;
    if plan.digest != plan.computed_digest() {
        return Err(altered(name, "its digest is not that of its content"));
    }
    if plan.job.sha256 != sha256(plan.job.text.as_bytes()) {
        return Err(altered(name, "the SHA-256 of its job is not that of the job's text"));
    }
    Ok(plan)
}

fn truncated(name: &str) -> Error {
    Error::plan_refused(format!("{name} is truncated: it ends in the middle"))
        .hint("nothing was touched; was it copied whole? Copy it again, or make a new plan")
}

fn foreign(name: &str, why: &str) -> Error {
    Error::plan_refused(format!("{name} is not a redrive plan: {why}"))
        .hint("nothing was touched; give a file that `redrive plan --out` wrote, or a job file")
}

fn altered(name: &str, how: &str) -> Error {
    Error::plan_refused(format!("{name} was altered since it was made: {how}"))
        .hint("nothing was touched; what was approved is not what it says now: make a new plan and have it approved")
}

/// Refuses a plan that is expired by the server's clock.
pub fn check_time(plan: &Plan, now: Timestamp) -> Result<()> {
    if now > plan.expires {
        return Err(Error::plan_refused(format!(
            "plan {} expired at {}; it is {now} now, by the server's clock",
            plan.id(),
            plan.expires
        ))
        .hint(
            "nothing was touched; the queue may hold other messages by now: make a new plan, or set [plan] expires_after",
        ));
    }
    if now.checked_add(CLOCK_SKEW).is_ok_and(|latest| latest < plan.created) {
        return Err(Error::plan_refused(format!(
            "plan {} was made at {}, which is in the future: the server's clock says {now}",
            plan.id(),
            plan.created
        ))
        .hint("nothing was touched; is this the server that the plan was made with?"));
    }
    Ok(())
}

/// Refuses when a queue is not the one that was planned with, and names what differs.
pub fn check_fingerprint(planned: &QueueAttributes, now: &QueueAttributes) -> Result<()> {
    let differences = fingerprint_differences(planned, now);
    if differences.is_empty() {
        return Ok(());
    }
    Err(Error::plan_refused(format!(
        "queue {} is not as it was when the plan was made: {}",
        planned.name(),
        differences.join("; ")
    ))
    .hint(MAKE_ANEW))
}

/// What differs between a queue as it was and as it is, in words.
pub(super) fn fingerprint_differences(planned: &QueueAttributes, now: &QueueAttributes) -> Vec<String> {
    let found = now.fingerprint();
    let differing = planned.fingerprint().into_iter().filter_map(|(name, before)| {
        let after = found.get(name).cloned().unwrap_or_default();
        // A plan that was made without knowing when the queue was created has nothing to compare.
        let unknown = name == "CreatedTimestamp" && before.is_empty();
        (before != after && !unknown).then(|| difference(name, &before, &after))
    });
    differing.collect()
}

fn difference(name: &str, before: &str, after: &str) -> String {
    let shown = |value: &str| if value.is_empty() { "none".to_owned() } else { value.to_owned() };
    let meaning = match name {
        "QueueArn" => "it is another queue",
        "CreatedTimestamp" if after.is_empty() => {
            return format!(
                "the server does not say when it was created ({name} was {before}), so it may be another one"
            );
        }
        "CreatedTimestamp" => "it was deleted and created anew",
        "FifoQueue" => "its type changed",
        "RedrivePolicy" => "its redrive policy changed",
        "RedriveAllowPolicy" => "its redrive allow policy changed",
        "KmsMasterKeyId" => "its encryption changed",
        _ => "an attribute changed",
    };
    format!("{meaning} ({name} was {}, is {})", shown(before), shown(after))
}

#[cfg(test)]
mod tests;
