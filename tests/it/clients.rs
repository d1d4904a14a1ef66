//! Clients that none of us wrote, unchanged, against the sandbox: AWS's own for Python, in which errors become typed exceptions and
//! MD5s are verified, a new one that speaks the JSON protocol and an old one that speaks the Query protocol; AWS's command line;
//! its SDKs for JavaScript; Celery and an npm consumer, which poll, extend and delete by rules of their own. Requests are signed
//! with a secret that the sandbox knows, and verified. `./test` installs the clients.

use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use sqs_sandbox::{Credentials, Options, Sandbox};
use tokio::process::Command;

use crate::support::judges::{installed, not_installed};

#[tokio::test]
async fn boto3_works_with_the_sandbox() {
    boto3("boto3").await;
}

#[tokio::test]
async fn an_old_boto3_works_with_the_sandbox() {
    boto3("boto3-query").await;
}

async fn boto3(name: &str) {
    let parts = ["round_trip", "batches", "fifo", "queues", "move_tasks", "typed_exceptions", "roles", "objects"];
    python(name, "boto3_client.py", &["10"], &parts).await;
}

#[tokio::test]
async fn the_command_line_works_with_the_sandbox() {
    python("awscli", "awscli_client.py", &[], &["queues", "fifo", "errors", "objects"]).await;
}

#[tokio::test]
async fn celery_works_with_the_sandbox() {
    python("celery", "celery_client.py", &[], &["tasks", "acknowledged"]).await;
}

#[tokio::test]
async fn the_sdks_for_javascript_and_an_npm_consumer_work_with_the_sandbox() {
    let Some(place) = installed().map(|place| place.join("javascript")) else { return };
    // There is no node here, and `./test` has said so.
    if place.join("left-out").exists() {
        return;
    }
    assert!(place.join("installed").exists(), "{}", not_installed("javascript", &place));
    let parts = ["version3", "version2", "consumer"];
    works(Path::new("node"), "javascript_clients.js", &[place.into()], &[], &parts).await;
}

async fn python(name: &str, script: &str, more: &[&str], parts: &[&str]) {
    let Some(place) = installed() else { return };
    let python = place.join(name).join("bin/python");
    assert!(python.exists(), "{}", not_installed(name, &place));
    works(&python, script, &[], more, parts).await;
}

/// The script says `ok` for each of its parts, and signed every request.
async fn works(program: &Path, script: &str, first: &[OsString], more: &[&str], parts: &[&str]) {
    let known = Credentials { access_key: "AKIDCLIENT".to_owned(), secret_key: "s3cr/t+key".to_owned() };
    let options = Options { credentials: vec![known.clone()], in_flight_limit: 10, ..Options::default() };
    let sandbox = Sandbox::start(options).await.expect("a sandbox");
    let home = tempfile::tempdir().expect("a directory");
    let script = Command::new(program)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judges").join(script))
        .args(first)
        .args([sandbox.endpoint_url(), known.access_key, known.secret_key])
        .args(more)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_mins(20), script).await.expect("it ends").expect("it runs");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    let said: Vec<&str> = stdout.lines().filter_map(|line| line.strip_prefix("ok ")).collect();
    assert_eq!(said, parts);
    let presigned = |path: &str| path == "signed";
    let is_known = |key: &str| key == "AKIDCLIENT" || key.starts_with("ASIA");
    let unsigned: Vec<_> = sandbox
        .log()
        .into_iter()
        .filter(|entry| !entry.access_key.as_deref().is_some_and(is_known) && !presigned(&entry.resource))
        .collect();
    assert!(unsigned.is_empty(), "not signed: {unsigned:?}");
}
