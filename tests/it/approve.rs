//! Approvals: who said yes to a plan, counted before anything is touched, and said in the report.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::end_to_end::{JOB, assert_all_in_place, message};
use crate::support::stage::{Ran, Stage};
use crate::trouble::{assert_said, assert_untouched, told};

const TOTAL: usize = 24;

async fn planned() -> Stage {
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", (0..TOTAL).map(message)).expect("seeded");
    stage.file("job.toml", JOB);
    plan(&stage).await;
    stage.sandbox.clear_log();
    stage
}

async fn plan(stage: &Stage) {
    stage.redrive(&["plan", "job.toml", "--out", "plan.json", "--sample", "24", "--author", "carol"]).await.expect(0);
}

async fn approve(stage: &Stage, by: &str, more: &[&str]) -> Ran {
    stage.redrive(&[&["approve", "plan.json", "--by", by], more].concat()).await
}

async fn apply(stage: &Stage, more: &[&str]) -> Ran {
    stage.redrive(&[&["apply", "plan.json"], more].concat()).await
}

/// Applying is refused with exit code 4, before any request; gives what was said.
async fn refused(stage: &Stage, case: &str, more: &[&str]) -> String {
    let ran = apply(stage, more).await.expect(4);
    assert_eq!(stage.sandbox.log().len(), 0, "{case}");
    assert_eq!(stage.redrive(&["runs", "--format", "json"]).await.expect(0).stdout, "", "{case}: no run has begun");
    told(case, &ran)
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).expect("a file");
    assert!(text.contains(from), "{text}");
    std::fs::write(path, text.replacen(from, to, 1)).expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_enough_approvals_of_just_this_plan_nothing_is_touched() {
    let stage = planned().await;
    let two = ["--require-approvals", "2"];
    let mut said = refused(&stage, "none", &two).await;
    let approved = approve(&stage, "alice@example.com", &["--comment", "looks right"]).await.expect(0);
    assert!(approved.stdout.ends_with("plan.json.alice@example.com.approval\n"), "{}", approved.stdout);
    said += &refused(&stage, "one of two", &two).await;
    approve(&stage, "Alice@Example.com", &[]).await.expect(0);
    said += &refused(&stage, "twice the same", &two).await;
    approve(&stage, "carol", &[]).await.expect(0);
    said += &refused(&stage, "the author", &two).await;
    approve(&stage, "bob", &[]).await.expect(0);
    edit(&stage.path("plan.json.bob.approval"), "\"bob\"", "\"eve\"");
    said += &refused(&stage, "an altered approval", &two).await;
    // The same file name, another plan: the approvals of the first one stay beside it.
    let sampled = stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await;
    sampled.expect(0);
    stage.sandbox.clear_log();
    said += &refused(&stage, "another plan", &["--require-approvals", "1"]).await;
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\b[0-9a-f]{12}\b", "[plan]");
    settings.add_filter(r"example\.com-[0-9a-f]{8}", "example.com-[digest]");
    settings.bind(|| assert_said("approve-refused", &said));

    let altered = stage.path("plan.json");
    let expiry = "\"expires\": \"2";
    edit(&altered, expiry, "\"expires\": \"3");
    assert!(approve(&stage, "bob", &[]).await.expect(4).stderr.contains("was altered since it was made"));
    assert_untouched(&stage, TOTAL, "refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn approvals_are_listed_noted_with_the_run_and_in_its_report() {
    let stage = planned().await;
    approve(&stage, "alice", &["--comment", "looks right\u{1b}[2J | <b>"]).await.expect(0);
    let json = approve(&stage, "bob", &["--format", "json"]).await.expect(0).stdout;
    let json: Value = serde_json::from_str(&json).expect("an approval");
    assert_eq!((&json["type"], &json["by"]), (&Value::from("redrive.approval"), &Value::from("bob")));
    let shown = stage.redrive(&["show", "plan.json"]).await.expect(0).stdout;
    assert!(shown.contains("Approvals") && shown.contains("looks right\\u{1b}[2J"), "{shown}");
    let shown = stage.redrive(&["show", "plan.json", "--format", "markdown"]).await.expect(0).stdout;
    assert!(shown.contains("### Approvals") && shown.contains("| `bob` |"), "{shown}");

    // A run that goes on after its files are gone goes on with those who had approved it.
    stage.sandbox.faults().add(sqs_sandbox::Rule::new(sqs_sandbox::Fault::AccessDenied).action("SendMessageBatch"));
    apply(&stage, &["--require-approvals", "2"]).await.expect(3);
    stage.sandbox.faults().clear();
    for by in ["alice", "bob"] {
        std::fs::remove_file(stage.path(&format!("plan.json.{by}.approval"))).expect("gone");
    }
    apply(&stage, &["--require-approvals", "3"]).await.expect(4);
    apply(&stage, &["--require-approvals", "2"]).await.expect(0);
    assert_all_in_place(&stage, TOTAL);
    for format in ["text", "markdown", "html"] {
        let report = stage.redrive(&["report", "--format", format]).await.expect(0).stdout;
        for words in ["Approvals", "alice", "bob", "looks right", "carol"] {
            assert!(report.contains(words), "{format}: {words}");
        }
        assert!(!report.contains('\u{1b}') && (format == "text" || !report.contains("<b>")), "{format}");
    }
    let report = stage.redrive(&["report", "--format", "json"]).await.expect(0).stdout;
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["plan"]["author"], "carol");
    assert_eq!(report["plan"]["approvals"][0]["by"], "alice");
    assert_eq!(report["plan"]["approvals"][1]["signed"], false);
}

/// A key without a passphrase; `None` where there is no OpenSSH to make one.
#[expect(clippy::print_stderr, reason = "what is not tested is to be seen")]
fn key(stage: &Stage, name: &str) -> Option<String> {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
        .arg(stage.path(name))
        .status();
    let Ok(status) = made else {
        eprintln!("SKIPPED: ssh-keygen is not installed, so signed approvals are not tested");
        return None;
    };
    assert!(status.success());
    let public = std::fs::read_to_string(stage.path(&format!("{name}.pub"))).expect("a public key");
    Some(public.split(' ').take(2).collect::<Vec<_>>().join(" "))
}

#[tokio::test(flavor = "multi_thread")]
async fn with_allowed_signers_only_verified_signatures_count() {
    let stage = planned().await;
    let (Some(alice), Some(bob), Some(_)) = (key(&stage, "alice"), key(&stage, "bob"), key(&stage, "eve")) else {
        return;
    };
    // Bob's key is good for another name as well; he is one person all the same.
    stage.file("signers", &format!("alice {alice}\nbob,robert {bob}\n"));
    let one = ["--allowed-signers", "signers", "--require-approvals", "1"];
    let two = ["--allowed-signers", "signers", "--require-approvals", "2"];
    approve(&stage, "alice", &[]).await.expect(0);
    let mut said = refused(&stage, "not signed", &one).await;
    approve(&stage, "alice", &["--sign", "eve"]).await.expect(0);
    said += &refused(&stage, "signed with another key", &one).await;
    approve(&stage, "bob", &["--sign", "bob"]).await.expect(0);
    approve(&stage, "robert", &["--sign", "bob"]).await.expect(0);
    said += &refused(&stage, "one key under two names", &two).await;
    approve(&stage, "alice", &["--sign", "alice"]).await.expect(0);
    for file in ["plan.json.bob.approval.sig", "plan.json.robert.approval.sig"] {
        std::fs::copy(stage.path("plan.json.alice.approval.sig"), stage.path(file)).expect("copied");
    }
    said += &refused(&stage, "a signature of another approval", &two).await;
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\b[0-9a-f]{12}\b", "[plan]");
    settings.add_filter(r"SHA256:\S+", "SHA256:[key]");
    settings.bind(|| assert_said("approve-signed", &said));

    let missing = apply(&stage, &["--allowed-signers", "none", "--require-approvals", "1"]).await.expect(2);
    assert!(missing.stderr.contains("none cannot be read"), "{}", missing.stderr);
    let unsigned = approve(&stage, "dave", &["--sign", "no-key"]).await.expect(1);
    assert!(unsigned.stderr.contains("ssh-keygen could not sign with no-key"), "{}", unsigned.stderr);
    assert!(!stage.path("plan.json.dave.approval").exists());

    approve(&stage, "bob", &["--sign", "bob"]).await.expect(0);
    apply(&stage, &two).await.expect(0);
    assert_all_in_place(&stage, TOTAL);
    // Not as text, which wraps.
    let report = stage.redrive(&["report", "--format", "markdown"]).await.expect(0).stdout;
    assert_eq!(report.matches("SHA256:").count(), 2, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_will_not_count_is_said_when_it_is_approved() {
    let stage = planned().await;
    let author = approve(&stage, "Carol", &[]).await.expect(0).stderr;
    assert!(author.contains("Carol made the plan") && author.contains("does not count"), "{author}");
    let first = approve(&stage, "alice", &["--comment", "looks right"]).await.expect(0);
    assert_eq!(first.stderr, "");
    let second = approve(&stage, "alice", &["--comment", "on second thoughts"]).await.expect(0).stderr;
    assert!(second.contains("replaces the approval that alice gave") && second.contains("\"looks right\""), "{second}");

    let (Some(alice), Some(_)) = (key(&stage, "alice"), key(&stage, "eve")) else { return };
    stage.file("signers", &format!("alice {alice}\n"));
    let signed = async |by: &str, key: &str| {
        let options = ["--sign", key, "--allowed-signers", "signers"];
        approve(&stage, by, &options).await.expect(0).stderr
    };
    let unknown = signed("eve", "eve").await;
    assert!(unknown.contains("does not count") && unknown.contains("is nobody's in signers"), "{unknown}");
    let other = signed("bob", "alice").await;
    assert!(other.contains("does not count") && other.contains("is alice's in signers, not bob's"), "{other}");
    assert!(!signed("alice", "alice").await.contains("does not count"));
}
