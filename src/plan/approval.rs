//! Approvals: who said yes to which plan. Each is a small document of its own beside the plan, bound to the plan's digest and
//! sealed as the plan is. It holds nothing of messages, so everybody may read it.
//!
//! The seal protects against accidents, not against people: whoever can write a file can approve in any name. A signature is
//! what proves a name; it is made and verified outside of here, over the bytes of the document. No clock and no process here.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::document::Plan;
use super::file::{refuse_foreign, sha256, write_atomically};
use crate::error::{Error, Kind, Result};

/// The value of `type` in an approval, and the version of its format.
const TYPE: &str = "redrive.approval";
const FORMAT: u32 = 1;

/// How the file of an approval ends; between it and the plan's name stands who approved.
const ENDING: &str = ".approval";

/// Bytes of a name and of a comment at most.
const MAX_NAME: usize = 200;
const MAX_COMMENT: usize = 2000;

/// No approval is longer than this.
pub const MAX_APPROVAL_BYTES: u64 = 16 * 1024;

/// An approval as it is saved: one JSON document, format 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Always `redrive.approval`.
    #[serde(rename = "type")]
    kind: String,
    /// Always 1.
    format: u32,
    /// `sha256:` and the digest of the document with this field empty.
    digest: String,
    /// The digest of the plan that is approved.
    plan: String,
    /// Who approves.
    by: String,
    /// What they have to say about it.
    comment: Option<String>,
    /// When, by the clock of the machine where it was made.
    at: Timestamp,
}

/// Somebody who approved a plan: what apply counts, the journal notes and reports show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approver {
    /// Who.
    pub by: String,
    /// What they had to say.
    pub comment: Option<String>,
    /// When, by the clock of the machine where it was made.
    pub at: Timestamp,
    /// The fingerprint of the key whose signature of the approval was verified.
    pub key: Option<String>,
    /// Whether there is a signature, verified or not.
    pub signed: bool,
}

impl Approval {
    /// A sealed approval of a plan that can be applied at this time.
    pub fn new(plan: &Plan, by: &str, comment: Option<&str>, at: Timestamp) -> Result<Self> {
        let by = by.trim();
        if by.is_empty() || by.len() > MAX_NAME || by.chars().any(char::is_control) {
            return Err(Error::usage(format!("{by:?} is not a valid name for an approver")).hint(format!(
                "nothing was written; give a name or a mail address of up to {MAX_NAME} bytes without control characters"
            )));
        }
        if comment.is_some_and(|comment| comment.len() > MAX_COMMENT) {
            return Err(Error::usage("the comment is too long")
                .hint(format!("nothing was written; it may have {MAX_COMMENT} bytes")));
        }
        if let Some(refusal) = plan.refusals.first() {
            return Err(Error::new(Kind::Guarded, format!("the plan must not be applied: {}", refusal.text)).hint(
                "no approval was written: apply would not carry it out; change the job or the queues, and plan again",
            ));
        }
        let approval = Self {
            kind: TYPE.to_owned(),
            format: FORMAT,
            digest: String::new(),
            plan: plan.digest.clone(),
            by: by.to_owned(),
            comment: comment.map(str::to_owned),
            at,
        };
        Ok(Self { digest: approval.computed_digest(), ..approval })
    }

    /// Reads an approval of this plan, and says what is wrong with one that does not count.
    pub fn parse(bytes: &[u8], plan: &Plan) -> Result<Self, String> {
        let approval: Self =
            serde_json::from_slice(bytes).map_err(|error| format!("it is not an approval: {error}"))?;
        if approval.kind != TYPE || approval.format != FORMAT {
            return Err(format!("it is not of the type {TYPE:?} and format {FORMAT}"));
        }
        if approval.digest != approval.computed_digest() {
            return Err("it was altered since it was made: its digest is not that of its content".to_owned());
        }
        if approval.plan != plan.digest {
            return Err(format!("it approves another plan, {}", super::document::short_digest(&approval.plan)));
        }
        Ok(approval)
    }

    /// Who approves.
    pub fn by(&self) -> &str {
        &self.by
    }

    /// The text of the file: indented JSON. A signature is over these bytes.
    pub fn to_text(&self) -> Result<String> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::failed(format!("the approval cannot be written as JSON: {error}")))?;
        Ok(text + "\n")
    }

    /// The approver, without a signature.
    pub fn approver(self) -> Approver {
        let Self { by, comment, at, .. } = self;
        Approver { by, comment, at, key: None, signed: false }
    }

    fn computed_digest(&self) -> String {
        let unsealed = Self { digest: String::new(), ..self.clone() };
        // Plain data with text keys; serialising it to memory cannot fail.
        format!("sha256:{}", sha256(&serde_json::to_vec(&unsealed).unwrap_or_default()))
    }
}

/// The name of the file of an approval, beside the plan's: `plan.json.alice.approval`. A name that is more than a file name can
/// hold is made recognisable and kept apart from others by its digest.
pub fn approval_file(plan: &Path, by: &str) -> std::path::PathBuf {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_@+.".contains(c);
    let readable: String = by.to_lowercase().chars().map(|c| if is_plain(c) { c } else { '-' }).take(60).collect();
    let readable =
        if readable == by { readable } else { format!("{readable}-{}", &sha256(same_name(by).as_bytes())[..8]) };
    let mut name: OsString = plan.as_os_str().to_owned();
    name.push(format!(".{readable}{ENDING}"));
    name.into()
}

/// Whether a file of this name, beside the plan of that name, is an approval of it.
pub fn is_approval_file(name: &str, plan: &str) -> bool {
    name.strip_prefix(plan).is_some_and(|rest| rest.starts_with('.') && rest.ends_with(ENDING))
}

/// Refuses to write an approval over a file that is none.
pub fn check_approval(path: &Path) -> Result<()> {
    refuse_foreign(path, "an approval", &format!("\"{TYPE}\""))
}

/// The same for its signature.
pub fn check_signature(path: &Path) -> Result<()> {
    refuse_foreign(path, "a signature", "-----BEGIN SSH SIGNATURE-----")
}

/// Writes an approval or its signature: whole or not at all, and readable as the umask says.
pub fn write_approval(path: &Path, content: &[u8]) -> Result<()> {
    write_atomically(path, content, 0o666).map_err(|error| {
        Error::failed(format!("the approval cannot be written to {}: {error}", path.display()))
            .hint("an older file of that name is as it was")
    })
}

/// Two spellings of a name are one person.
fn same_name(name: &str) -> String {
    name.trim().to_lowercase()
}

impl Plan {
    /// Whether somebody of this name made the plan, and so is not among those who can approve it.
    pub fn is_author(&self, name: &str) -> bool {
        self.author.as_deref().is_some_and(|author| same_name(author) == same_name(name))
    }
}

/// Refuses a plan that fewer people approved than are wanted. One person is one name and one key, however many approvals
/// there are of them; the plan's own author is none. `others` says of approvals that were found and do not count why.
pub fn require(plan: &Plan, approvers: &[Approver], wanted: u32, others: &[String]) -> Result<()> {
    let (mut names, mut keys) = (BTreeSet::new(), BTreeSet::new());
    let mut not_counted = others.to_vec();
    let mut count = 0_u32;
    for approver in approvers {
        let name = same_name(&approver.by);
        if plan.is_author(&approver.by) {
            not_counted.push(format!("{} made the plan", approver.by));
        } else if names.contains(&name) {
            not_counted.push(format!("{} is counted once", approver.by));
        } else if approver.key.as_ref().is_some_and(|key| keys.contains(key)) {
            not_counted.push(format!("{} has a key that is counted already", approver.by));
        } else {
            names.insert(name);
            keys.extend(approver.key.clone());
            count = count.saturating_add(1);
        }
    }
    if count >= wanted {
        return Ok(());
    }
    let reasons =
        if not_counted.is_empty() { String::new() } else { format!(". Not counted: {}", not_counted.join("; ")) };
    Err(Error::plan_refused(format!(
        "plan {} has {count} of the {wanted} approvals that --require-approvals asks for{reasons}",
        plan.id()
    ))
    .hint("nothing was touched; `redrive approve PLAN --by NAME` approves it, and its file belongs beside the plan"))
}

#[cfg(test)]
mod tests {
    use super::super::fake::{at, plan};
    use super::*;
    use crate::exit::Exit;
    use crate::plan::{Hazard, HazardCode};

    const NOW: &str = "2026-11-22T07:00:00Z";

    fn approver(by: &str, key: Option<&str>) -> Approver {
        let key = key.map(str::to_owned);
        Approver { by: by.to_owned(), comment: None, at: at(NOW), signed: key.is_some(), key }
    }

    #[test]
    fn an_approval_is_of_one_plan_and_cannot_be_altered_unnoticed() {
        let plan = plan().seal();
        let approval = Approval::new(&plan, " alice ", Some("looks right"), at(NOW)).expect("approved");
        let text = approval.to_text().expect("JSON");
        let read = Approval::parse(text.as_bytes(), &plan).expect("as it was");
        assert_eq!((read.by(), &read), ("alice", &approval));
        for (from, to) in
            [("alice", "bob"), ("looks right", "no"), ("07:00", "08:00"), ("\"plan\": \"", "\"plan\": \"x")]
        {
            let error = Approval::parse(text.replacen(from, to, 1).as_bytes(), &plan).expect_err(from);
            assert!(error.contains("altered"), "{error}");
        }
        let mut other = plan.clone();
        other.expires = at("2027-01-01T00:00:00Z");
        let error = Approval::parse(text.as_bytes(), &other.seal()).expect_err("another plan");
        assert_eq!(error, format!("it approves another plan, {}", plan.id()));
        for no in ["", "{}", "[]", "{\"type\":\"redrive.plan\"}", &text[..50]] {
            assert!(Approval::parse(no.as_bytes(), &plan).expect_err(no).contains("it is not an approval"));
        }
    }

    #[test]
    fn who_cannot_approve_and_what_cannot_be_approved() {
        let mut plan = plan().seal();
        for by in ["", "  ", "a\nb", "a\u{1b}[2J", &"x".repeat(201)] {
            assert_eq!(Approval::new(&plan, by, None, at(NOW)).expect_err(by).exit(), Exit::Usage);
        }
        assert!(Approval::new(&plan, "a", Some(&"x".repeat(2001)), at(NOW)).is_err());
        plan.refusals.push(Hazard::new(HazardCode::NotCounted, "y"));
        assert_eq!(Approval::new(&plan, "alice", None, at(NOW)).expect_err("refused").exit(), Exit::Refused);
    }

    #[test]
    fn one_person_is_one_name_and_one_key() {
        let mut plan = plan();
        plan.author = Some("carol".to_owned());
        let plan = plan.seal();
        let counts = |approvers: &[Approver], wanted| require(&plan, approvers, wanted, &[]);
        assert!(counts(&[], 0).is_ok() && counts(&[], 1).is_err());
        let two = [approver("alice", Some("SHA256:a")), approver("bob", None)];
        assert!(counts(&two, 2).is_ok() && counts(&two, 3).is_err());
        for (approvers, why) in [
            ([approver("alice", None), approver("Alice ", None)], "Alice  is counted once"),
            (
                [approver("alice", Some("SHA256:a")), approver("bob", Some("SHA256:a"))],
                "bob has a key that is counted already",
            ),
            ([approver("alice", None), approver("Carol", None)], "Carol made the plan"),
        ] {
            let error = counts(&approvers, 2).expect_err(why);
            assert!(error.message().ends_with(&format!("Not counted: {why}")), "{error}");
            assert_eq!(error.exit(), Exit::Refused);
        }
    }

    #[test]
    fn files_of_approvals_are_told_by_their_names() {
        let file = |by| approval_file(Path::new("dir/plan.json"), by).display().to_string();
        assert_eq!(file("alice@example.com"), "dir/plan.json.alice@example.com.approval");
        assert!(file("../../Élodie K").starts_with("dir/plan.json...-..--lodie-k-"), "{}", file("../../Élodie K"));
        assert_ne!(file("a b"), file("a-b"));
        assert_eq!(file("A B"), file("a b"));
        assert!(is_approval_file("plan.json.alice.approval", "plan.json"));
        for no in ["plan.json", "plan.json.alice.approval.sig", "plan.jsonx.alice.approval", "other.json.a.approval"] {
            assert!(!is_approval_file(no, "plan.json"), "{no}");
        }
    }
}
